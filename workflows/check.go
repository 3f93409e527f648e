package workflows

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"go.temporal.io/sdk/activity"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/run"
)

// Watch asks a probe until its condition holds, or the time is over.
type Watch struct {
	Run      string          `json:"run"`
	Token    int64           `json:"token,omitempty"` // of the run's lease
	Step     string          `json:"step,omitempty"`
	With     json.RawMessage `json:"with,omitempty"`
	Until    string          `json:"until"`
	Worse    string          `json:"worse,omitempty"`
	Every    model.Duration  `json:"every"`
	Hold     model.Duration  `json:"hold"`
	Deadline time.Time       `json:"deadline"` // by when the condition must have come true
	// Once looks a single time and waits for nothing: a dry run.
	Once bool `json:"once,omitempty"`
	// Seen is what was seen before; the next look is Every later.
	Seen *Seen `json:"seen,omitempty"`
}

// Seen is what a Watch saw so far. It travels with the heartbeats, so that a
// worker that takes over goes on from there.
type Seen struct {
	Looks  int             `json:"looks"`
	First  json.RawMessage `json:"first,omitempty"`
	Last   json.RawMessage `json:"last,omitempty"`
	TrueAt *time.Time      `json:"true_at,omitempty"` // since when the condition holds
	Holds  bool            `json:"holds"`
	Worse  bool            `json:"worse,omitempty"` // at the last look
	Error  string          `json:"error,omitempty"` // of the last look
	Begun  time.Time       `json:"begun"`
	Ended  time.Time       `json:"ended,omitzero"`
}

type watcher struct {
	caller
	watch Watch
	bound actions.Bound
	clock clock

	mu   sync.Mutex
	seen Seen
}

func (c caller) check(ctx context.Context, watch Watch) (Seen, error) {
	w, err := c.watcher(watch)
	if err != nil {
		return Seen{}, err
	}
	if activity.HasHeartbeatDetails(ctx) {
		var earlier Seen
		if err := activity.GetHeartbeatDetails(ctx, &earlier); err == nil {
			w.seen = earlier
		}
	}
	defer Beat(ctx, func() any { return w.snapshot() })()
	defer c.keepLease(ctx, watch.Run, watch.Token)()
	defer c.changed(watch.Run)
	return w.loop(ctx)
}

func (c caller) watcher(watch Watch) (*watcher, error) {
	bound, err := c.bind(watch.With)
	w := &watcher{caller: c, watch: watch, bound: bound, clock: c.clockOf()}
	w.seen.Begun = w.clock.now()
	if watch.Seen != nil {
		w.seen = *watch.Seen
	}
	return w, err
}

func (w *watcher) snapshot() Seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

func (w *watcher) loop(ctx context.Context) (Seen, error) {
	for first := w.watch.Seen == nil; ; first = true {
		if first {
			w.look(ctx)
		}
		if err := ctx.Err(); err != nil {
			return w.end(), err
		}
		if w.watch.Once || w.over(w.clock.now()) {
			return w.end(), nil
		}
		if err := w.clock.wait(ctx, duration(w.watch.Every)); err != nil {
			return w.end(), err
		}
	}
}

// over: it held for long enough, or it can no longer come true in time.
func (w *watcher) over(now time.Time) bool {
	if w.seen.Holds {
		return now.Sub(*w.seen.TrueAt) >= duration(w.watch.Hold)
	}
	return !now.Before(w.watch.Deadline)
}

func (w *watcher) end() Seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.Ended = w.clock.now()
	return w.seen
}

func (w *watcher) look(ctx context.Context) {
	lookCtx, cancel := context.WithTimeout(ctx, w.bound.Limit())
	defer cancel()
	asked := w.clock.now()
	output, err := w.bound.Run(lookCtx, "", w.target(lookCtx))
	holds, worse := false, false
	if err == nil {
		holds, worse, err = w.judge(output)
	}
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = fmt.Errorf("%s gave no answer within %s", w.action.Name, w.bound.Limit())
	}
	w.note(asked, output, holds, worse, err)
}

// judge asks whether the system is better, and if not whether it is worse.
func (w *watcher) judge(output json.RawMessage) (holds, worse bool, err error) {
	holds, err = w.Evaluator.Until(w.action.Name, w.watch.Until, output)
	if err != nil || holds || w.watch.Worse == "" {
		return holds, false, err
	}
	worse, err = w.Evaluator.Until(w.action.Name, w.watch.Worse, output)
	return false, worse, err
}

// target names the one target of a probe, which costs no call.
func (w *watcher) target(ctx context.Context) actions.Target {
	selection, err := w.bound.Targets(ctx)
	if err != nil || len(selection.Targets) == 0 {
		return actions.Target{}
	}
	return selection.Targets[0]
}

func (w *watcher) note(asked time.Time, output json.RawMessage, holds, worse bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.seen
	s.Looks++
	s.Error, s.Worse = "", worse
	if err != nil {
		s.Error = err.Error()
	} else if s.Last = capped(output); s.First == nil {
		s.First = s.Last
	}
	switch {
	case !holds:
		s.TrueAt, s.Holds = nil, false
	case !s.Holds:
		s.TrueAt, s.Holds = &asked, true
	}
}

const maxShown = 8 << 10

// capped keeps what a person needs to see of a probe's answer.
func capped(output json.RawMessage) json.RawMessage {
	if len(output) <= maxShown {
		return output
	}
	note, err := json.Marshal(fmt.Sprintf("%s… (%d bytes)", output[:200], len(output)))
	if err != nil {
		return nil
	}
	return note
}

// verdict is what a Watch means. That the probe can not tell is never a yes.
func verdict(watch Watch, seen Seen) (run.Outcome, string) {
	switch {
	case seen.Holds && watch.Hold > 0:
		return run.Fixed, fmt.Sprintf("%s held for %s", watch.Until, watch.Hold)
	case seen.Holds:
		return run.Fixed, watch.Until + " holds"
	case seen.Error != "":
		return run.Unknown, "could not tell: " + seen.Error
	case seen.Worse:
		return run.Worse, watch.Worse + " holds"
	default:
		return run.NotFixed, fmt.Sprintf("%s did not come true in time", watch.Until)
	}
}
