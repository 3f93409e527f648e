package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
)

// judge says what runbooks may do by themselves.
type judge struct {
	environment runbooks.Environment
	windows     func(time.Time) []runbooks.Window
	proofs      func(context.Context) ([]ledger.Proof, error)
	// tries names the drill that is to prove the runbook on this very alert.
	tries func(runbook string, labels map[string]string) string
}

// autonomy is what a run may do by itself at a moment, and what lowered it. The
// proofs are looked up where they are asked for.
func (j judge) autonomy(ctx context.Context, p *runbooks.Plan, m runbooks.Moment) (runbooks.Level, []string, error) {
	own := p.Document.Autonomy
	var labels map[string]string
	if p.Alert != nil {
		labels = p.Alert.Labels
	}
	if own.Proof != nil && j.tries != nil && j.tries(p.Runbook, labels) != "" {
		own.Proof = nil // a drill is how it earns its proof
	}
	var standing runbooks.Standing
	if own.Proof != nil && own.Level == runbooks.Auto {
		proofs, err := j.proofs(ctx)
		if err != nil {
			return runbooks.Off, nil, fmt.Errorf("look up the proofs of %s: %w", p.Runbook, err)
		}
		standing = runbooks.Stands(proofs, p.Runbook, p.Digest, own.Proof.MaxAge, m.Now)
	}
	level, why := j.environment.Effective(own, labels, j.windows(m.Now), standing)
	return level, why, nil
}
