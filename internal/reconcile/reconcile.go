// Package reconcile asks every Alertmanager what fires, at start and now and
// then: alerts whose messages were missed are acted on as if one had come, and
// runs and pages whose alert is nowhere any more are told that it has ended.
package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/metrics"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/internal/webhook"
	"github.com/runbook-engine/runbook/runbooks"
)

// Options are what a reconciler works with.
type Options struct {
	Alertmanagers alertmanagerapi.Peers
	// Receiver decides on alerts, as on those of a message.
	Receiver *webhook.Receiver
	Runs     *runs.Service
	Set      func() *runbooks.Set
	Metrics  *metrics.Metrics
	Log      *slog.Logger
	// Receivers is a pattern for the names of the receivers that stand for this
	// engine in Alertmanager. Without it they are those that messages came from,
	// and DefaultReceiver.
	Receivers string
	// Every is the time between two looks.
	Every time.Duration
	// Young alerts are left to Alertmanager, which waits for group_wait before it
	// notifies; 30 s unless set.
	Young time.Duration
	// Fresh runs are never taken as over; a minute unless set.
	Fresh time.Duration
	// Settled is how long an Alertmanager must be up before it is believed that
	// an alert is gone, because it begins without any; 5 minutes unless set.
	Settled time.Duration
}

// DefaultReceiver is what a receiver for this engine is called in the
// documentation.
const DefaultReceiver = "runbook"

// Reconciler compares what fires with what is under way. It is not for
// concurrent use.
type Reconciler struct {
	Options
	// done are the episodes that were decided on, under the documents of set.
	done *lru.LRU[string, struct{}]
	set  *runbooks.Set
	// seen are the fingerprints that our Alertmanagers have listed, and origins
	// the external URLs by which they are known in messages.
	seen    *lru.LRU[string, struct{}]
	origins map[string]bool
	read    map[string]string // the origin of runs under way
	// absent is in how many looks, one after the other, the alert of a run was
	// nowhere.
	absent map[string]int
}

const maxEpisodes = 50_000

// New makes a reconciler.
func New(o Options) *Reconciler {
	o.Young, o.Fresh = cmp.Or(o.Young, 30*time.Second), cmp.Or(o.Fresh, time.Minute)
	o.Settled = cmp.Or(o.Settled, 5*time.Minute)
	return &Reconciler{
		Options: o, done: newLRU(), seen: newLRU(), origins: map[string]bool{}, read: map[string]string{}, absent: map[string]int{},
	}
}

func newLRU() *lru.LRU[string, struct{}] {
	l, err := lru.NewLRU[string, struct{}](maxEpisodes, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return l
}

const (
	// againAfter is the time until the second look, and after one that failed.
	againAfter  = time.Minute
	failedAfter = 15 * time.Second
	lookWithin  = 2 * time.Minute
)

// Run looks at once, soon again, and then now and then, until ctx ends. Ready is
// why nothing can be made durable now, or nil.
func (r *Reconciler) Run(ctx context.Context, ready func() error) {
	next, failing := min(againAfter, r.Every), false
	for {
		err := ready()
		if err == nil {
			err = r.within(ctx)
		}
		if err != nil && !failing && ctx.Err() == nil {
			r.Log.Warn("what fires can not be compared with what is under way; it is tried again", "error", err)
		}
		wait := next
		if failing = err != nil; failing {
			wait = min(failedAfter, r.Every)
		} else {
			next = r.Every
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (r *Reconciler) within(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	return r.Look(ctx)
}

// Look compares once. What one Alertmanager tells is acted on even if another
// does not answer; that an alert is gone must be told by all.
func (r *Reconciler) Look(ctx context.Context) error {
	seen, failed := r.ask(ctx)
	failed = errors.Join(failed, r.start(ctx, seen.routed))
	if failed != nil {
		clear(r.absent)
		return failed
	}
	r.Metrics.Reconciled()
	if err := r.end(ctx, seen); err != nil {
		return fmt.Errorf("end the runs whose alert is gone: %w", err)
	}
	return nil
}

// start hands over what was not decided on before.
func (r *Reconciler) start(ctx context.Context, routed []runbooks.Alert) error {
	if set := r.Set(); set != r.set {
		r.set = set // another set may answer what the one before did not
		r.done.Purge()
	}
	var missed []runbooks.Alert
	for _, a := range routed {
		if time.Since(a.StartsAt) >= r.Young && !r.done.Contains(a.Episode()) {
			missed = append(missed, a)
		}
	}
	if len(missed) == 0 {
		return nil
	}
	if err := r.Receiver.Missed(ctx, missed); err != nil {
		return fmt.Errorf("act on the alerts that fire: %w", err)
	}
	for _, a := range missed {
		r.done.Add(a.Episode(), struct{}{})
	}
	return nil
}

// pattern is for the whole name of a receiver.
func (r *Reconciler) pattern() string {
	if r.Receivers != "" {
		return r.Receivers
	}
	names := []string{DefaultReceiver}
	for _, name := range r.Receiver.Receivers() {
		names = append(names, regexp.QuoteMeta(name))
	}
	return strings.Join(names, "|")
}
