package admission

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/runbook-engine/runbook/internal/ledger"
)

// ErrLost is the cause of a context that ended because the lease behind it could
// not be kept. What was under way may have happened.
var ErrLost = errors.New("the lease was lost")

// Hold proves that a run still has its lease: by asking, or by its admission of
// a moment ago. The context that it returns ends
// before the lease can be another's; until then the lease is renewed. An effect
// asks the context's Err just before it begins: that looks at the clocks itself,
// and so does not depend on a timer that a stopped process has missed. Stop ends
// the renewing, and fails when the lease was lost meanwhile.
func (c *Client) Hold(ctx context.Context, run string, token int64) (held context.Context, stop func() error, err error) {
	h := &hold{client: c, op: ledger.Op{Confirm: &ledger.Confirm{Run: run, Token: token}}}
	if p := c.fresh.take(run, token, c.clock.read()); p != nil {
		h.proven(p.asked, p.lease)
	} else if err := h.confirm(ctx); err != nil {
		return nil, nil, err
	}
	h.Context, h.lose = context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.renew()
	}()
	return h, func() error {
		err := h.lost()
		h.lose(context.Canceled)
		<-done
		return err
	}, nil
}

// hold is the context of an effect.
type hold struct {
	context.Context
	lose   context.CancelCauseFunc
	client *Client
	op     ledger.Op

	mu    sync.Mutex
	asked instant       // for what proved the lease last
	lease time.Duration // that was proved, from then on
}

// Err looks at the clocks before it says that all is well.
func (h *hold) Err() error {
	if h.over() {
		h.lose(ErrLost)
	}
	return h.Context.Err()
}

func (h *hold) lost() error {
	if err := h.Err(); err != nil && errors.Is(context.Cause(h.Context), ErrLost) {
		return context.Cause(h.Context)
	}
	return nil
}

func (h *hold) over() bool { return h.left() <= 0 }

// confirm counts from when it asks: that is before the ledger answers, whatever
// happens on the way.
func (h *hold) confirm(ctx context.Context) error {
	asked := h.client.clock.read()
	answer, err := h.client.Apply(ctx, h.op)
	if err != nil {
		return fmt.Errorf("confirm the lease of %s: %w", h.op.Confirm.Run, err)
	}
	if answer.State != ledger.Admitted {
		return fmt.Errorf("confirm the lease of %s: %w: %s", h.op.Confirm.Run, ErrLost, answer.Reason)
	}
	h.proven(asked, time.Duration(answer.Lease))
	return nil
}

func (h *hold) proven(asked instant, lease time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked, h.lease = asked, lease
}

// renew asks again after a third of the time, and ends the context when time is
// up.
func (h *hold) renew() {
	lose := func() { h.lose(ErrLost) }
	end := h.client.clock.after(h.left(), lose)
	defer func() { end.Stop() }()
	for h.rest(h.pause()) {
		ctx, cancel := context.WithTimeout(h.Context, h.left())
		err := h.confirm(ctx)
		cancel()
		switch {
		case errors.Is(err, ErrLost):
			h.lose(err)
			return
		case err == nil && end.Stop():
			end = h.client.clock.after(h.left(), lose)
		}
	}
}

// rest reports that the time has passed, and the context not ended.
func (h *hold) rest(d time.Duration) bool {
	passed := make(chan struct{})
	timer := h.client.clock.after(d, func() { close(passed) })
	defer timer.Stop()
	select {
	case <-h.Done():
		return false
	case <-passed:
		return true
	}
}

func (h *hold) left() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lease - h.client.clock.read().since(h.asked)
}

func (h *hold) pause() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lease / 3
}
