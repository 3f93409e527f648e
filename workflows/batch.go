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

// engineMaxTargets is what one step may touch whatever its document says.
const engineMaxTargets = 1000

// blastRadius is why a selection is too large, or empty.
func blastRadius(limit *runbooks.MaxTargets, s actions.Selection) string {
	n := len(s.Targets)
	switch {
	case n > engineMaxTargets:
		return fmt.Sprintf("%d targets selected, the engine touches at most %d in one step", n, engineMaxTargets)
	case limit == nil || n == 0:
		return ""
	case limit.Count > 0 && n > limit.Count:
		return fmt.Sprintf("%d targets selected, guards.max_targets allows %d", n, limit.Count)
	case limit.Percent > 0 && s.Population <= 0:
		return "guards.max_targets has a percentage and the size of the population is not known"
	case limit.Percent > 0 && float64(n)*100 > limit.Percent*float64(s.Population):
		return fmt.Sprintf("%d of %d targets selected, guards.max_targets allows %v %%", n, s.Population, limit.Percent)
	}
	return ""
}

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

// leftHealthy is why too little would stay healthy, or empty. All of the batch
// counts as lost, but for what is unhealthy already.
func leftHealthy(least *runbooks.MinHealthy, s actions.Selection, batch []actions.Target) string {
	switch {
	case least == nil || len(batch) == 0:
		return ""
	case s.Healthy == nil || s.Population <= 0:
		return "guards.min_healthy is set and it is not known how many are healthy"
	}
	left := *s.Healthy
	for _, t := range batch {
		if !t.Unhealthy {
			left--
		}
	}
	if left < least.Count {
		return fmt.Sprintf("%d of %d would stay healthy, guards.min_healthy asks for %d", left, s.Population, least.Count)
	}
	if float64(left)*100 < least.Percent*float64(s.Population) {
		return fmt.Sprintf("%d of %d would stay healthy, guards.min_healthy asks for %v %%", left, s.Population, least.Percent)
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
	rates := r.plan.Document.Guards.RatePerTarget
	if len(rates) == 0 || !p.Risk.Writes() {
		return ""
	}
	op := ledger.Op{Reserve: &ledger.Reserve{Run: r.run.ID, Step: r.run.Steps[i].ID, Targets: ids(targets), Rate: rates}}
	var answer ledger.Answer
	err := workflow.ExecuteLocalActivity(local(r.concluding), ActivityLedger, op).Get(r.concluding, &answer)
	switch {
	case err != nil:
		return "the ledger does not answer: " + message(err)
	case answer.State != ledger.Admitted:
		return answer.Reason
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
			return gone, breach
		}
	}
	return gone, ""
}

// refused marks what a guard said.
func refused(reason string) string {
	if reason == "" {
		return ""
	}
	return "refused: " + reason
}

// nextBatch pauses and counts again: what is no longer selected is left out.
func (r *remediation) nextBatch(i int, p runbooks.Prepared, batch []actions.Target, pace *runbooks.Batch) (left []actions.Target, refusal string) {
	guards := r.plan.Document.Guards
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
		return nil, "the targets can not be counted again: " + message(err)
	case refusal != "":
		return nil, refusal
	}
	left = still(batch, now)
	selection := *r.run.Steps[i].Selection
	if limit := guards.MaxTargets; limit != nil && limit.Percent > 0 && float64(touched+len(left))*100 > limit.Percent*float64(selection.Population) {
		return nil, fmt.Sprintf("%d of %d would be touched by now, guards.max_targets allows %v %%", touched+len(left), selection.Population, limit.Percent)
	}
	return left, leftHealthy(guards.MinHealthy, selection, left)
}

// tooManyErrors reports that so many targets failed that the rest is left alone.
func (r *remediation) tooManyErrors(i int) bool {
	failed := 0
	for _, result := range r.run.Steps[i].Results {
		if result.Error != "" {
			failed++
		}
	}
	return failed > 0 && failed >= r.plan.Document.Guards.MaxErrors
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
