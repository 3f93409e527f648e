// Package unittest is the language of the unit tests of runbooks: what a case
// declares of the world, what it expects, and what such a file is checked for.
// It knows the contract of actions, never an action.
package unittest

import (
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks"
)

// File is the unit tests of one runbook: NAME_test.yaml beside NAME.yaml.
type File struct {
	Test  string `json:"test" pattern:"^[a-z][a-z0-9-]{0,62}$" doc:"Name of the runbook that is tested."`
	Cases []Case `json:"cases" min:"1" doc:"The cases, each on its own."`
}

// Case is one story: what is so, what happens, and what the runbook must make of
// it. Whatever the runbook asks and the case does not tell is an error.
type Case struct {
	Name string `json:"name" min:"1" doc:"What it shows; unique in the file."`
	Doc  string `json:"doc,omitempty" optional:"true" doc:"Why it matters."`

	Alert  *Alert          `json:"alert,omitempty" optional:"true" doc:"The alert that arrives. Without one the runbook is started by hand."`
	Params document.Values `json:"params,omitempty" optional:"true" doc:"Parameters of a start by hand."`
	DryRun bool            `json:"dry_run,omitempty" optional:"true" doc:"Start by hand as a dry run."`
	At     time.Time       `json:"at" default:"2026-01-05T03:00:00Z" doc:"When it begins, on the virtual clock."`

	Windows []string       `json:"windows,omitempty" optional:"true" doc:"Maintenance windows that are open."`
	Max     runbooks.Level `json:"max" default:"auto" enum:"off|propose|approve|auto" doc:"The most that the engine allows it to do by itself."`
	Proven  *bool          `json:"proven,omitempty" optional:"true" doc:"Whether a game day has proven it; must be said where its autonomy asks for a proof."`

	Earlier []Earlier      `json:"earlier,omitempty" optional:"true" doc:"Earlier runs of this runbook on the same resource, which acted; cooldown and rates count them."`
	Held    *Held          `json:"held,omitempty" optional:"true" doc:"Another run that holds the resource."`
	Halted  model.Duration `json:"halted,omitempty" optional:"true" doc:"How long the kill switch holds at the beginning."`

	Resolves   model.Duration `json:"resolves,omitempty" optional:"true" doc:"After how long the alert ends."`
	FiresAgain model.Duration `json:"fires_again,omitempty" optional:"true" doc:"After how long it fires again."`
	People     []Decision     `json:"people,omitempty" optional:"true" doc:"What people answer when their consent is asked."`
	Cancel     *Cancel        `json:"cancel,omitempty" optional:"true" doc:"A person stops the run."`

	Steps  map[string]Step `json:"steps,omitempty" optional:"true" doc:"What each step finds, by its id."`
	Verify Replies         `json:"verify,omitempty" optional:"true" doc:"What the runbook's own verify sees: one answer, or one for each look, of which the last stays."`
	Expect Expect          `json:"expect" doc:"What must come of it."`
}

// Alert is the alert of a case, as Alertmanager sends it.
type Alert struct {
	Labels      map[string]string `json:"labels" doc:"Labels, with alertname."`
	Annotations map[string]string `json:"annotations,omitempty" optional:"true" doc:"Annotations."`
	Route       map[string]string `json:"route,omitempty" optional:"true" doc:"Labels that the team's own route adds, such as runbook=NAME."`
	FiringFor   model.Duration    `json:"firing_for,omitempty" optional:"true" doc:"How long it has been firing already."`
}

// Earlier is a run that acted and ended before.
type Earlier struct {
	Ago     model.Duration `json:"ago" min:"1s" doc:"How long before the case it ended."`
	Targets []string       `json:"targets,omitempty" optional:"true" doc:"What it acted on; rate_per_target counts them."`
}

// Held is a run of another runbook on the same resource.
type Held struct {
	By  string         `json:"by" min:"1" doc:"Name of the other runbook."`
	For model.Duration `json:"for" min:"1s" doc:"After how long it gives the resource back."`
}

// Decision is a person's answer.
type Decision struct {
	After   model.Duration `json:"after" doc:"When, after the beginning."`
	By      string         `json:"by" min:"1" doc:"Who."`
	Roles   []string       `json:"roles,omitempty" optional:"true" doc:"Roles that they have."`
	Approve bool           `json:"approve" doc:"Yes or no."`
	Reason  string         `json:"reason,omitempty" optional:"true" doc:"Why."`
}

// Cancel is a person's wish to stop the run.
type Cancel struct {
	After model.Duration `json:"after" doc:"When, after the beginning."`
	By    string         `json:"by" min:"1" doc:"Who."`
	Undo  bool           `json:"undo,omitempty" optional:"true" doc:"Take back what was done."`
}

// Step is what a step finds in the world.
type Step struct {
	Targets    *[]string          `json:"targets,omitempty" optional:"true" doc:"Targets that are selected, of an action that selects. An empty list is a selection of nothing."`
	Population int                `json:"population,omitempty" optional:"true" min:"1" doc:"Of how many; as many as are selected unless said."`
	Healthy    *int               `json:"healthy,omitempty" optional:"true" min:"0" doc:"How many of the population are healthy; not known unless said."`
	Fails      string             `json:"fails,omitempty" optional:"true" min:"1" doc:"Why the targets can not be selected."`
	Answers    Replies            `json:"answers,omitempty" optional:"true" doc:"What a call gives: one answer, or one for each attempt on a target, of which the last stays."`
	On         map[string]Replies `json:"on,omitempty" optional:"true" doc:"What a call on one target gives, instead of answers."`
	Undo       Replies            `json:"undo,omitempty" optional:"true" doc:"What its undo gives; {} where it succeeds."`
	Verify     Replies            `json:"verify,omitempty" optional:"true" doc:"What the verify of the step sees: one answer, or one for each look, of which the last stays."`
	Watch      Replies            `json:"watch,omitempty" optional:"true" doc:"What the watch of its roll-out sees: one answer, or one for each look, of which the last stays."`
}

// Replies are answers in their order.
type Replies []Reply

// UnmarshalDocument reads one answer, or a list of them.
func (r *Replies) UnmarshalDocument(n *document.Node) diag.List {
	type list []Reply
	if n.Kind == document.List {
		var all struct {
			Answers list `json:"answers" min:"1"`
		}
		wrapped := &document.Node{Kind: document.Map, At: n.At, Entries: []document.Entry{{Key: "answers", At: n.At, Value: n}}}
		problems := document.Decode(wrapped, &all)
		*r = Replies(all.Answers)
		return problems
	}
	*r = make(Replies, 1)
	n.Title = "an answer"
	return document.Decode(n, &(*r)[0])
}

// Reply is one answer: an output, or an error.
type Reply struct {
	Output document.Values `json:"output,omitempty" optional:"true" doc:"What the action gives, with its declared fields; a list or a mapping that is left out is empty."`
	Error  string          `json:"error,omitempty" optional:"true" min:"1" doc:"Why it fails instead."`
	Class  string          `json:"class" default:"transient" enum:"transient|permanent|ambiguous" doc:"What the failure means: transient is tried again, permanent is not, ambiguous may have happened."`
	Takes  model.Duration  `json:"takes,omitempty" optional:"true" doc:"How long it takes, on the virtual clock."`
}

// Expect is what must come of a case. What is not mentioned is not looked at.
type Expect struct {
	Decision string         `json:"decision" default:"started" enum:"started|skipped|no_match" doc:"started: it may act; skipped: it runs and does nothing; no_match: no run, because the alert is not for it."`
	Outcome  string         `json:"outcome,omitempty" optional:"true" enum:"fixed|not_fixed|worse|unknown|skipped|cancelled" doc:"Outcome of the run."`
	Reason   string         `json:"reason,omitempty" optional:"true" min:"1" doc:"A part of the reason of the outcome."`
	Steps    *[]StepRan     `json:"steps,omitempty" optional:"true" doc:"Exactly the steps that ran, in order; of a dry run or a proposal those that would."`
	Undone   *[]string      `json:"undone,omitempty" optional:"true" doc:"Exactly the steps that were taken back, in order."`
	Told     *[]Told        `json:"told,omitempty" optional:"true" doc:"Exactly what people were told, in order."`
	Within   model.Duration `json:"within,omitempty" optional:"true" doc:"The run takes at most this long, on the virtual clock."`
	NotUntil model.Duration `json:"not_until,omitempty" optional:"true" doc:"The run takes at least this long."`
}

// StepRan is a step as it must have run.
type StepRan struct {
	ID      string          `json:"id" doc:"Id of the step."`
	Outcome string          `json:"outcome,omitempty" optional:"true" enum:"fixed|not_fixed|worse|unknown|skipped|cancelled|done|failed" doc:"What came of it."`
	Reason  string          `json:"reason,omitempty" optional:"true" min:"1" doc:"A part of the reason."`
	Targets *[]string       `json:"targets,omitempty" optional:"true" doc:"Exactly the targets that were acted on, or would be, in any order."`
	With    document.Values `json:"with,omitempty" optional:"true" doc:"Parameters of the action; those that are not named are not looked at."`
	Tries   int             `json:"tries,omitempty" optional:"true" min:"1" doc:"How often it was tried on each target."`
}

// UnmarshalDocument reads a step, or only its id.
func (s *StepRan) UnmarshalDocument(n *document.Node) diag.List {
	type long StepRan
	if n.Kind == document.String {
		n = &document.Node{Kind: document.Map, At: n.At, Entries: []document.Entry{{Key: "id", At: n.At, Value: n}}}
	}
	n.Title = "a step"
	return document.Decode(n, (*long)(s))
}

// Told is one thing that people were told.
type Told struct {
	Kind     string `json:"kind" enum:"escalation|proposal|approval" doc:"escalation: take over; proposal: what it would do; approval: may it."`
	Severity string `json:"severity,omitempty" optional:"true" doc:"Label severity."`
	Summary  string `json:"summary,omitempty" optional:"true" min:"1" doc:"A part of the summary."`
}
