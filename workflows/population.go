package workflows

import (
	"path"

	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
)

// population is what a step works on beside other runs, where it chooses among
// many and keeps to a limit; nil where it does not.
func (r *remediation) population(i int, p runbooks.Prepared, batch []actions.Target) *ledger.Population {
	s := r.run.Steps[i].Selection
	if p.Target != nil || r.token() == 0 || !p.Risk.Writes() {
		return nil
	}
	limits := r.radius(p, *s).shares()
	if len(limits) == 0 {
		return nil
	}
	out := &ledger.Population{Name: populationName(*s), Size: s.Population, Healthy: s.Healthy, Counted: r.counted, Limits: limits, Members: r.members}
	for _, t := range batch {
		if !t.Unhealthy {
			out.Batch++
		}
	}
	return out
}

// populationName is what the action calls it, or the place of its targets.
func populationName(s actions.Selection) string {
	if s.Name != "" || len(s.Targets) == 0 {
		return s.Name
	}
	return path.Dir(s.Targets[0].ID)
}

func (r radius) shares() (all []ledger.Share) {
	for _, s := range []side{r.own, r.engine} {
		share := ledger.Share{Of: s.of}
		if s.max != nil {
			share.Count, share.Percent = s.max.Count, s.max.Percent
		}
		if s.min != nil {
			share.Healthy, share.HealthyPercent = s.min.Count, s.min.Percent
		}
		if share != (ledger.Share{Of: s.of}) {
			all = append(all, share)
		}
	}
	return all
}

// rebook is for the next batch of a step, all of whose targets stay under remedy.
func (r *remediation) rebook(i int, p runbooks.Prepared, batch []actions.Target) (refusal string) {
	population := r.population(i, p, batch)
	if population == nil {
		return ""
	}
	return r.book(i, ledger.Reserve{Run: r.run.ID, Step: r.run.Steps[i].ID, Targets: r.working, Population: population})
}

// rest gives back what a step had under remedy. What may still be under way is
// kept until the lease is over.
func (r *remediation) rest(i int) {
	if r.working == nil || r.uncertain {
		return
	}
	r.working = nil
	op := ledger.Op{Reserve: &ledger.Reserve{Run: r.run.ID, Step: r.run.Steps[i].ID}}
	if err := workflow.ExecuteLocalActivity(local(r.concluding), ActivityLedger, op).Get(r.concluding, nil); err != nil {
		workflow.GetLogger(r.concluding).Warn("what a step had under remedy is given back with the lease", "run", r.run.ID, "error", err)
	}
}
