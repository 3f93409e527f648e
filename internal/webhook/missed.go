package webhook

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/runbook-engine/runbook/internal/metrics"
	"github.com/runbook-engine/runbook/runbooks"
)

// Missed decides on alerts that fire, and that no message may have brought, as
// if one had.
func (r *Receiver) Missed(ctx context.Context, alerts []runbooks.Alert) error {
	if err := r.hear(ctx, alerts); err != nil {
		return err
	}
	all := r.newWork(ctx, r.Metrics.CountReconciled)
	for i := range alerts {
		all.decide(&alerts[i])
	}
	all.Wait()
	all.tellShed()
	return errors.Join(all.failed...)
}

// Gone takes the alert of a run as over, because Alertmanager no longer has it.
func (r *Receiver) Gone(ctx context.Context, plan runbooks.Plan, endsAt time.Time) error {
	all := r.newWork(ctx, r.Metrics.CountReconciled)
	over := *plan.Alert
	over.EndsAt = endsAt
	r.episodes.resolved(&over)
	if err := all.end(plan, endsAt, nil); err != nil {
		return err
	}
	all.keep(metrics.Gone, &over, plan.Runbook, plan.Digest, "no Alertmanager has this alert any more; it is taken as resolved")
	return nil
}

// Origin is the externalURL of the message that last brought an alert; "" where
// that is not known.
func (r *Receiver) Origin(fingerprint string) string { return r.episodes.origin(fingerprint) }

// Receivers are the names under which Alertmanager has sent to this engine,
// sorted; also before it was last started.
func (r *Receiver) Receivers() []string { return r.receivers.names() }

// receivers remembers names of receivers.
type receivers struct {
	mu   sync.Mutex
	seen map[string]bool
}

// maxReceivers bounds the memory that messages can take.
const maxReceivers = 1000

func newReceivers() *receivers { return &receivers{seen: map[string]bool{}} }

func (r *receivers) add(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if name != "" && len(r.seen) < maxReceivers {
		r.seen[name] = true
	}
}

func (r *receivers) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.seen))
}
