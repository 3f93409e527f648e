// Package rehearsal carries out the unit tests of runbooks: it makes the world
// that a case declares, has the interpreter of production work in it on virtual
// time, and holds what came of it against what was expected.
package rehearsal

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/runbooks/unittest"
	"github.com/runbook-engine/runbook/workflows"
)

// Result is what came of one case. It has passed when there is no problem.
type Result struct {
	Runbook string         `json:"runbook"`
	Case    string         `json:"case"`
	File    string         `json:"file"`
	Line    int            `json:"line"`
	Passed  bool           `json:"passed"`
	Took    model.Duration `json:"took"` // of virtual time
	// Problems are the expectations that were not met, or what the case should
	// have declared.
	Problems diag.List   `json:"problems,omitempty"`
	Events   []run.Event `json:"events,omitempty"` // of a case that did not pass
}

// Rehearser carries out cases.
type Rehearser struct {
	catalog   *actions.Catalog
	evaluator *runbooks.Evaluator
	set       *runbooks.Set
}

// New rehearses documents of a set.
func New(catalog *actions.Catalog, set *runbooks.Set) *Rehearser {
	return &Rehearser{catalog: catalog, evaluator: runbooks.NewEvaluator(catalog), set: set}
}

// Run carries out all cases, as many at a time as there are processors, and
// gives their results in the order of the files.
func (r *Rehearser) Run(all []*unittest.Tested) []Result {
	type job struct {
		tested *unittest.Tested
		i      int
	}
	var jobs []job
	for _, t := range all {
		for i := range t.Cases {
			jobs = append(jobs, job{t, i})
		}
	}
	results := make([]Result, len(jobs))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(jobs)) {
		workers.Go(func() {
			for n := next.Add(1) - 1; n < int64(len(jobs)); n = next.Add(1) - 1 {
				results[n] = r.one(jobs[n].tested, jobs[n].i)
			}
		})
	}
	workers.Wait()
	return results
}

func (r *Rehearser) one(t *unittest.Tested, i int) Result {
	node := t.Case(i)
	c := &play{Rehearser: r, tested: t, one: &t.Cases[i], node: node}
	c.carryOut()
	c.problems.Sort()
	out := Result{
		Runbook: t.Test, Case: c.one.Name, File: node.At.File, Line: node.At.Line,
		Problems: c.problems, Passed: len(c.problems) == 0, Took: model.Duration(took(c.came.Run)),
	}
	if !out.Passed {
		out.Events = c.came.Run.Events
	}
	return out
}

func took(r run.Run) time.Duration {
	if r.EndedAt == nil {
		return 0
	}
	return r.EndedAt.Sub(r.StartedAt)
}

// Failed counts the cases that did not pass.
func Failed(results []Result) (n int) {
	for _, r := range results {
		if !r.Passed {
			n++
		}
	}
	return n
}

// Problems are those of all cases, sorted.
func Problems(results []Result) (all diag.List) {
	for _, r := range results {
		all = append(all, r.Problems...)
	}
	all.Sort()
	return all
}

// answers reports whether a runbook is among those that answer an alert.
func (r *Rehearser) answers(rb *runbooks.Runbook, a *runbooks.Alert) bool {
	return slices.Contains(r.set.Match(a), rb)
}

// play is one case under way.
type play struct {
	*Rehearser
	tested   *unittest.Tested
	one      *unittest.Case
	node     *document.Node
	came     workflows.Rehearsed
	tries    map[string]int // by step and target
	problems diag.List
}
