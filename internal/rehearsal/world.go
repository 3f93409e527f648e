package rehearsal

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/runbooks/unittest"
	"github.com/runbook-engine/runbook/workflows"
)

// world answers as a case declares. What the case does not declare is an error,
// to the run and to whoever wrote the case.
type world struct {
	*play

	mu         sync.Mutex
	next       map[string]int // by what is asked: how often it was
	undeclared diag.List
}

// missing says what the case should have declared.
func (w *world) missing(step, what, hint string) error {
	at := w.node.At
	if declared := w.node.Find("steps"); step != "" && declared.Get(step) != nil {
		at = declared.KeyPlace(step)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.undeclared.Add(at, "undeclared", what+", and the case does not say what it finds", hint)
	return actions.Permanent(errors.New("the unit test does not say: " + what))
}

// take is the next of some answers, of which the last stays.
func (w *world) take(what string, replies unittest.Replies) unittest.Reply {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(w.next[what], len(replies)-1)
	w.next[what]++
	return replies[n]
}

func failure(r unittest.Reply) error {
	if r.Error == "" {
		return nil
	}
	err := errors.New(r.Error)
	switch actions.Class(r.Class) {
	case actions.ClassPermanent:
		return actions.Permanent(err)
	case actions.ClassAmbiguous:
		return actions.Ambiguous(err)
	}
	return err
}

// Targets implements workflows.World.
func (w *world) Targets(step string) (actions.Selection, error) {
	s := w.one.Steps[step]
	switch {
	case s.Fails != "":
		return actions.Selection{}, errors.New(s.Fails)
	case s.Targets == nil:
		return actions.Selection{}, w.missing(step, fmt.Sprintf("step %s selects its targets", step), fmt.Sprintf("add steps: {%s: {targets: […]}}", step))
	}
	selection := actions.Selection{Population: max(s.Population, len(*s.Targets)), Healthy: s.Healthy}
	for _, id := range *s.Targets {
		selection.Targets = append(selection.Targets, actions.Target{ID: id})
	}
	return selection, nil
}

// Run implements workflows.World.
func (w *world) Run(step, target string) (json.RawMessage, time.Duration, error) {
	s := w.one.Steps[step]
	replies, own := s.On[target]
	if !own {
		replies = s.Answers
	}
	if replies == nil {
		err := w.missing(step, fmt.Sprintf("step %s is run on %s", step, target), fmt.Sprintf("add steps: {%s: {answers: {output: …}}}", step))
		return nil, 0, err
	}
	r := w.take(step+"/"+target, replies)
	output, err := outputOf(r)
	return output, time.Duration(r.Takes), err
}

func outputOf(r unittest.Reply) (json.RawMessage, error) {
	if err := failure(r); err != nil {
		return nil, err
	}
	return json.Marshal(r.Output)
}

// Undo implements workflows.World.
func (w *world) Undo(step, target string) error {
	s := w.one.Steps[step]
	if s.Undo == nil {
		return w.missing(step, fmt.Sprintf("step %s is undone on %s", step, target), fmt.Sprintf("add steps: {%s: {undo: {}}} where that succeeds", step))
	}
	return failure(w.take("undo "+step+"/"+target, s.Undo))
}

// Look implements workflows.World.
func (w *world) Look(step string) (json.RawMessage, error) {
	replies, what, hint := w.one.Verify, "the runbook verifies", "add verify: {output: …} to the case"
	id, watches := strings.CutSuffix(step, workflows.RolloutStep(""))
	switch {
	case watches:
		replies = w.one.Steps[id].Watch
		what, hint = fmt.Sprintf("the roll-out of step %s is watched", id), fmt.Sprintf("add steps: {%s: {watch: {output: …}}}", id)
	case step != "":
		replies = w.one.Steps[id].Verify
		what, hint = fmt.Sprintf("step %s is verified", id), fmt.Sprintf("add steps: {%s: {verify: {output: …}}}", id)
	}
	if replies == nil {
		return nil, w.missing(id, what, hint)
	}
	return outputOf(w.take("look "+step, replies))
}
