package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/internal/webhook"
	"github.com/runbook-engine/runbook/runbooks"
)

const (
	// looksToEnd is in how many looks an alert must be nowhere.
	looksToEnd = 2
	maxRuns    = 20_000
	// maxLearned bounds how many runs are read in one look to learn where
	// messages come from.
	maxLearned = 20
)

// end tells the runs and pages whose alert is nowhere any more. Only an alert of
// an Alertmanager that was asked can be missing there.
func (r *Reconciler) end(ctx context.Context, seen looked) error {
	candidates, err := r.candidates(ctx)
	if err != nil {
		return err
	}
	r.forget(candidates)
	r.learn(ctx, candidates, seen)
	var failed []error
	for id, fingerprint := range candidates {
		if !seen.settled || seen.firing[fingerprint] {
			delete(r.absent, id)
			continue
		}
		if r.absent[id]++; r.absent[id] == looksToEnd {
			failed = append(failed, r.endOne(ctx, id, fingerprint))
		}
	}
	return errors.Join(failed...)
}

// candidates are the ids of runs for alerts that are under way or have an open
// page, with the alert's fingerprint.
func (r *Reconciler) candidates(ctx context.Context) (map[string]string, error) {
	rows, err := r.Runs.List(ctx, runs.Filter{Running: true, Limit: maxRuns})
	if err != nil {
		return nil, err
	}
	pages, err := r.Runs.OpenPages(ctx)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for _, row := range rows {
		if time.Since(row.StartedAt) >= r.Fresh {
			pages = append(pages, row.ID)
		}
	}
	for _, id := range pages {
		fingerprint, startsAt, ok := webhook.EpisodeOf(id)
		if ok && time.Since(startsAt) >= r.Fresh {
			found[id] = fingerprint
		}
	}
	return found, nil
}

// forget drops what is no longer under way.
func (r *Reconciler) forget(candidates map[string]string) {
	for id := range r.absent {
		if _, still := candidates[id]; !still {
			delete(r.absent, id)
		}
	}
	for id := range r.read {
		if _, still := candidates[id]; !still {
			delete(r.read, id)
		}
	}
}

// learn notes from where the alerts come that our Alertmanagers list.
func (r *Reconciler) learn(ctx context.Context, candidates map[string]string, seen looked) {
	left := maxLearned
	for id, fingerprint := range candidates {
		if _, known := r.read[id]; known || !seen.firing[fingerprint] || left == 0 {
			continue
		}
		left--
		plan, err := r.Runs.Plan(ctx, id)
		if err != nil {
			r.Log.Debug("a run can not be read now", "run", id, "error", err)
			continue
		}
		r.read[id] = origin(plan)
		r.origins[origin(plan)] = true
	}
}

func origin(plan runbooks.Plan) string {
	if plan.Alert == nil {
		return ""
	}
	return plan.Alert.ExternalURL
}

func (r *Reconciler) endOne(ctx context.Context, id, fingerprint string) error {
	plan, err := r.Runs.Plan(ctx, id)
	if err != nil {
		delete(r.absent, id)
		return err
	}
	from := origin(plan)
	ours := r.seen.Contains(fingerprint) || from != "" && r.origins[from]
	if plan.Alert == nil || !ours {
		r.Log.Info("the alert of a run is in no Alertmanager that is asked, and was not before; it is left alone",
			"run", id, "from", from)
		return nil
	}
	if err := r.Receiver.Gone(ctx, plan, time.Now()); err != nil {
		delete(r.absent, id)
		return err
	}
	return nil
}
