package runbooks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks/matching"
)

var levels = []Level{Off, Propose, Approve, Auto}

// Below reports that l allows less than other. A level that there is not allows
// nothing.
func (l Level) Below(other Level) bool { return slices.Index(levels, l) < slices.Index(levels, other) }

// Environment is the most that runbooks may do by themselves where an engine
// works, whatever they say of themselves: for every alert, and for those that
// meet a rule.
type Environment struct {
	Max   Level  `json:"max" default:"auto" enum:"off|propose|approve|auto" doc:"The most that any runbook may do by itself."`
	Rules []Rule `json:"rules,omitempty" optional:"true" doc:"The most that a runbook may do by itself about certain alerts. Of the rules that an alert meets, the lowest holds."`
}

// Rule is the most that may be done about some alerts.
type Rule struct {
	Matchers []string `json:"matchers" min:"1" doc:"Alertmanager's matchers over the labels of the alert; all must hold. A label that the alert does not have is the empty text."`
	Max      Level    `json:"max" enum:"off|propose|approve|auto" doc:"The most that a runbook may do by itself about these alerts."`

	condition matching.Condition
}

// UnmarshalDocument reads a rule and compiles its matchers.
func (r *Rule) UnmarshalDocument(n *document.Node) diag.List {
	type plain Rule
	n.Title = "a rule"
	problems := document.Decode(n, (*plain)(r))
	condition, found := matching.CompileMatchers(r.Matchers, n.Find("matchers"))
	r.condition = condition
	return append(problems, found...)
}

// Window is a maintenance window as it is at one moment.
type Window struct {
	Name string `json:"name"`
	Open bool   `json:"open"`
	// Autonomy is the most that runbooks may do by themselves while it is open;
	// "" where the window says nothing about that.
	Autonomy Level `json:"autonomy,omitempty"`
	// Event is what the calendar calls it, and Until when that ends.
	Event string    `json:"event,omitempty"`
	Until time.Time `json:"until,omitzero"`
	// Unknown is why it can not be told whether the window is open, and so counts
	// as open; "" when it is known.
	Unknown string `json:"unknown,omitempty"`
}

// unknownCalendar is what may be done while it is not known which windows are
// open: a condition may ask for an open one as well as for a closed one, so that
// to count it as open is not enough.
const unknownCalendar = Approve

// max is the most that the window allows.
func (w Window) max() Level {
	switch {
	case w.Unknown != "" && (w.Autonomy == "" || unknownCalendar.Below(w.Autonomy)):
		return unknownCalendar
	case w.Autonomy == "":
		return Auto
	}
	return w.Autonomy
}

func (w Window) why() string {
	if w.Unknown != "" {
		return fmt.Sprintf("window %s allows at most %s: it counts as open, because %s", w.Name, w.max(), w.Unknown)
	}
	return fmt.Sprintf("window %s is open and allows at most %s", w.Name, w.max())
}

// Effective is what a runbook may do by itself about an alert: the lowest of
// what it says of itself, what the environment allows about these labels, what
// the open windows allow, and what game days have shown of it. Why has one
// reason for each that is below the runbook's own level.
func (e Environment) Effective(own Autonomy, labels map[string]string, windows []Window, proof Standing) (effective Level, why []string) {
	effective = own.Level
	if !slices.Contains(levels, effective) {
		return Off, []string{fmt.Sprintf("there is no level %q", own.Level)}
	}
	lower := func(most Level, reason string) {
		if !most.Below(own.Level) {
			return
		}
		why = append(why, reason)
		if most.Below(effective) {
			effective = most
		}
	}
	if e.Max != "" {
		lower(e.Max, fmt.Sprintf("the engine allows at most %s", e.Max))
	}
	for _, r := range e.Rules {
		if r.condition.Matches(labels) {
			lower(r.Max, fmt.Sprintf("the engine allows at most %s where %s", r.Max, strings.Join(r.Matchers, ", ")))
		}
	}
	for _, w := range windows {
		if w.Open {
			lower(w.max(), w.why())
		}
	}
	if own.Proof != nil {
		lower(proof.level(), proof.Reason)
	}
	if !slices.Contains(levels, effective) {
		effective = Off
	}
	return effective, why
}
