package webhook

import (
	"context"
	"fmt"
	"slices"

	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/runbooks"
)

const (
	// recalled is how many runs are read at a start.
	recalled = 5_000
	// perQuestion is for how many alerts is asked at a time.
	perQuestion = 100
)

// Recall learns from the newest runs which episodes there were, so that a late
// firing of an older one is known after a restart too.
func (r *Receiver) Recall(ctx context.Context) error {
	return r.recall(ctx, runs.Filter{Limit: recalled}, "the episodes before this start")
}

// hear learns which episodes of alerts other engines have heard of: none of them
// is known to this one alone, and what starts a run is in Temporal.
func (r *Receiver) hear(ctx context.Context, alerts []runbooks.Alert) error {
	if !r.Shared {
		return nil
	}
	var unknown []string
	for i := range alerts {
		if form := alerts[i].Fingerprint; fingerprintForm.MatchString(form) && !r.episodes.knows(&alerts[i]) {
			unknown = append(unknown, form)
		}
	}
	for some := range slices.Chunk(unknown, perQuestion) {
		if err := r.recall(ctx, runs.Filter{Fingerprints: some, Limit: recalled}, "what other engines have heard"); err != nil {
			return err
		}
	}
	return nil
}

func (r *Receiver) recall(ctx context.Context, which runs.Filter, what string) error {
	rows, err := r.Runs.List(ctx, which)
	if err != nil {
		return fmt.Errorf("recall %s: %w", what, err)
	}
	for _, row := range rows {
		r.episodes.recall(row.ID)
		r.receivers.add(row.Receiver)
	}
	return nil
}
