package workflows

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
)

// outside is why a selection goes beyond what whoever asked is limited to, or
// empty.
func outside(globs []string, targets []actions.Target) string {
	for _, t := range targets {
		if len(globs) > 0 && !slices.ContainsFunc(globs, func(g string) bool { ok, err := path.Match(g, t.ID); return err == nil && ok }) {
			return fmt.Sprintf("%s is not one of the targets that whoever asked is limited to: %s", t.ID, strings.Join(globs, ", "))
		}
	}
	return ""
}

func batchSize(b *runbooks.Batch, n int) int {
	switch {
	case b == nil:
		return n
	case b.Size > 0:
		return min(b.Size, n)
	default:
		return min(n, max(1, int(math.Floor(float64(n)*b.Percent/100))))
	}
}

func firstBatch(b *runbooks.Batch, targets []actions.Target) []actions.Target {
	return targets[:batchSize(b, len(targets))]
}

// reserve books an attempt on each target before it is made.
func (r *remediation) reserve(i int, p runbooks.Prepared, targets []actions.Target) (refusal string) {
	own, engine := r.plan.Document.Guards.RatePerTarget, r.engine.RatePerTarget
	population := r.population(i, p, firstBatch(r.pace(i), targets))
	if !p.Risk.Writes() || len(own)+len(engine) == 0 && population == nil {
		return ""
	}
	return r.book(i, ledger.Reserve{
		Run: r.run.ID, Step: r.run.Steps[i].ID, Targets: each(targets, actions.Target.Which), Rate: own, EngineRate: engine, Population: population,
		Override: r.plan.Override,
	})
}

func (r *remediation) book(i int, reserve ledger.Reserve) (refusal string) {
	op := ledger.Op{Reserve: &reserve}
	var answer ledger.Answer
	err := workflow.ExecuteLocalActivity(local(r.concluding), ActivityLedger, op).Get(r.concluding, &answer)
	switch {
	case err != nil:
		return r.refusedBy(i, GuardLedger, "the ledger does not answer: "+message(err))
	case answer.State != ledger.Admitted:
		return r.refusedBy(i, answer.Guard, answer.Reason)
	}
	if reserve.Population != nil {
		r.working = reserve.Targets
	}
	return ""
}

// eachBatch works on the targets batch by batch. Before each but the first, which
// was counted a moment ago, it counts again; gone is how many were then no longer
// selected.
func (r *remediation) eachBatch(i int, p runbooks.Prepared, targets []actions.Target) (gone int, refusal string) {
	pace := r.pace(i)
	size := batchSize(pace, len(targets))
	for from := 0; from < len(targets); from += size {
		batch := targets[from:min(from+size, len(targets))]
		if from > 0 {
			left, refusal := r.nextBatch(i, p, batch, pace)
			if refusal != "" || r.mustEnd() {
				return gone, refused(refusal)
			}
			gone += len(batch) - len(left)
			batch = left
		}
		r.eachTarget(i, p, batch)
		if r.mustEnd() || r.tooManyErrors(i) {
			break
		}
		if breach := r.observe(i); breach != "" {
			return gone, r.refusedBy(i, GuardRollout, breach)
		}
	}
	return gone, ""
}

// nextBatch pauses and counts again: what is no longer selected is left out.
func (r *remediation) nextBatch(i int, p runbooks.Prepared, batch []actions.Target, pace *runbooks.Batch) (left []actions.Target, refusal string) {
	if pause := duration(pace.Pause); pause > 0 {
		r.event("pause", r.run.Steps[i].ID, "", fmt.Sprintf("%s: %s until the next batch", r.run.Steps[i].ID, pause))
		r.keep(r.concluding, pause+grace)
		if err := workflow.Sleep(r.waiting, pause); err != nil {
			return nil, ""
		}
	}
	if p.Target != nil {
		return batch, ""
	}
	touched := len(r.run.Steps[i].Results)
	now, refusal, err := r.selectTargets(i, p)
	switch {
	case err != nil:
		return nil, r.refusedBy(i, GuardTargets, "the targets can not be counted again: "+message(err))
	case refusal != "":
		return nil, refusal
	}
	left = still(batch, now)
	if refusal := r.radius(p, *r.run.Steps[i].Selection).next(touched, left); refusal != "" {
		return nil, r.refusedBy(i, GuardTargets, refusal)
	}
	return left, r.rebook(i, p, left)
}

// tooManyErrors reports that so many targets failed that the rest is left alone.
func (r *remediation) tooManyErrors(i int) bool {
	failed := 0
	for _, result := range r.run.Steps[i].Results {
		if result.Error != "" {
			failed++
		}
	}
	most, _ := r.maxErrors()
	return failed > 0 && failed >= most
}

// maxErrors is the stricter of the two, and whose it is.
func (r *remediation) maxErrors() (most int, of string) {
	own, engine := r.plan.Document.Guards.MaxErrors, r.engine.MaxErrors
	if engine > 0 && engine < own {
		return engine, ofEngine
	}
	return own, ofRunbook
}

// mustEnd reports that nothing more may be begun, by the run or by its remedy.
func (r *remediation) mustEnd() bool { return r.stopped() || r.timeUp != "" }

// eachTarget works on the targets in order, at most p.Parallel at a time, until
// too many have failed.
func (r *remediation) eachTarget(i int, p runbooks.Prepared, targets []actions.Target) {
	s := &r.run.Steps[i]
	slots := workflow.NewSemaphore(r.concluding, int64(max(1, p.Parallel)))
	all := workflow.NewWaitGroup(r.concluding)
	ctx := r.acting
	if !p.Risk.Writes() {
		ctx = r.waiting
	}
	for _, target := range targets {
		if err := slots.Acquire(r.concluding, 1); err != nil {
			break
		}
		if r.mustEnd() || r.tooManyErrors(i) {
			break
		}
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			defer slots.Release(1)
			s.Results = append(s.Results, r.onTarget(ctx, i, p, target))
		})
	}
	all.Wait(r.concluding)
}
