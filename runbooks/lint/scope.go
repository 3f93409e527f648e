// Package lint checks the expressions of a document where they stand: what they
// name, whether their types are right, and whether they can ever mean anything.
package lint

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks/expression"
)

// Scope is what expressions may name at one point of a document.
type Scope struct {
	// Env is the names with their types. Where steps or params is among them, the
	// fields below say more about these.
	Env expression.Env
	// Outcomes are the earlier steps, each with the outcomes that it can have.
	Outcomes map[string][]string
	// AnyOutcome are the outcomes that there are.
	AnyOutcome []string
	// Later are the steps that have not run at this point.
	Later []string
	// Params are the parameters that there are.
	Params []string
	// Windows are the maintenance windows that there are; nil when not known.
	Windows []string

	// Only says why there is nothing but Env, where somebody could look for more.
	Only string

	// Used collects the parameters that were named.
	Used map[string]bool
	// Problems collects what is wrong.
	Problems *diag.List

	prepared *expression.Names
}

func (s *Scope) names() *expression.Names {
	if s.prepared == nil {
		s.prepared = expression.NewNames(s.Env)
	}
	return s.prepared
}

func (s *Scope) add(at diag.Place, code, text, hint string) { s.Problems.Add(at, code, text, hint) }

// RemedyIf is the key of a condition on a remedy.
const RemedyIf = "if of a remedy"

// Condition checks an expression that must be true or false, and depend on
// something.
func (s *Scope) Condition(key string, n *document.Node) {
	if n == nil || n.Kind != document.String {
		s.constantScalar(key, n)
		return
	}
	if i := strings.Index(n.Text, "${"); i >= 0 {
		s.add(n.PlaceOf(i), "expression", key+" is an expression already", "leave out the ${ and the }")
		return
	}
	syntax := s.read(n, n.Text, 0)
	if syntax == nil {
		return
	}
	if answer, constant := syntax.Constant(); constant {
		s.constant(key, n, answer)
		return
	}
	if err := syntax.CheckBool(s.names()); err != nil {
		s.refused(n, 0, err)
	}
}

// constantScalar takes `if: false`, of which the decoder says that it should be
// in quotes.
func (s *Scope) constantScalar(key string, n *document.Node) {
	if n == nil {
		return
	}
	if answer, ok := n.Scalar.(bool); ok {
		*s.Problems = slices.DeleteFunc(*s.Problems, func(p diag.Problem) bool {
			return p.Code == "wrong-type" && n.At == (diag.Place{File: p.File, Line: p.Line, Col: p.Col})
		})
		s.constant(key, n, answer)
	}
}

func (s *Scope) constant(key string, n *document.Node, answer bool) {
	switch {
	case key == "if" && !answer:
		s.add(n.At, "unreachable", "this step never runs: its condition is false whatever happens", "remove the step, or ask about something")
	case key == RemedyIf && !answer:
		s.add(n.At, "unreachable", "this remedy is never tried: its condition is false whatever happens", "remove the remedy, or ask about something")
	case key == "when" && !answer:
		s.add(n.At, "unreachable", "this runbook never does anything: its condition is false whatever happens", "to keep it from starting by itself, write autonomy: off")
	case key == "until", key == "worse", key == "expect":
		s.add(n.At, "constant", fmt.Sprintf("this verifies nothing: its condition is %v whatever the probe says", answer), "ask about the probe's output")
	default:
		s.add(n.At, "constant", "this condition is true whatever happens", "leave it out")
	}
}

// read parses an expression that stands at an offset of a string and checks what
// it names; nil when there is nothing left to check.
func (s *Scope) read(n *document.Node, source string, offset int) *expression.Syntax {
	syntax, err := expression.Parse(source)
	if err != nil {
		s.useAll(source)
		s.refused(n, offset, err)
		return nil
	}
	before := len(*s.Problems)
	for _, ref := range syntax.References {
		s.reference(n.PlaceOf(offset+ref.Offset), ref.Path)
	}
	for _, c := range syntax.Comparisons {
		s.comparison(n, offset, c)
	}
	if len(*s.Problems) > before {
		return nil
	}
	return syntax
}

func (s *Scope) refused(n *document.Node, offset int, err error) {
	hint := ""
	if at := (*expression.Error)(nil); errors.As(err, &at) {
		offset, hint = offset+at.Offset, at.Hint
	}
	if s.Only != "" && strings.HasPrefix(err.Error(), `there is no "`) {
		hint = s.Only + "; " + hint
	}
	s.add(n.PlaceOf(offset), "expression", err.Error(), hint)
}

var paramUse = regexp.MustCompile(`params\??\.([A-Za-z0-9_]+)`)

// useAll keeps the parameters of an expression that can not be read from being
// called unused on top.
func (s *Scope) useAll(source string) {
	for _, m := range paramUse.FindAllStringSubmatch(source, -1) {
		s.Used[m[1]] = true
	}
}

// reference reports steps and parameters that are not there, in better words
// than the compiler has.
func (s *Scope) reference(at diag.Place, path []string) {
	if _, declared := s.Env[path[0]]; !declared || len(path) < 2 {
		return
	}
	switch path[0] {
	case "params":
		s.Used[path[1]] = true
		if !slices.Contains(s.Params, path[1]) {
			s.add(at, "unknown-param", fmt.Sprintf("there is no parameter %q", path[1]), s.suggestParam(path[1]))
		}
	case "steps":
		s.step(at, path[1])
	}
}

func (s *Scope) suggestParam(name string) string {
	if len(s.Params) == 0 {
		return fmt.Sprintf("declare it: params: {%s: {type: …}}", name)
	}
	return document.Suggest(name, s.Params)
}

func (s *Scope) step(at diag.Place, id string) {
	if _, earlier := s.Outcomes[id]; earlier {
		return
	}
	if slices.Contains(s.Later, id) {
		s.add(at, "later-step", fmt.Sprintf("step %q has not run yet at this point", id), "an expression may only ask about the steps before it")
		return
	}
	s.add(at, "unknown-step", fmt.Sprintf("there is no step %q", id), document.Suggest(id, slices.Sorted(maps.Keys(s.Outcomes))))
}

// comparison checks the texts that outcomes and windows are compared with.
func (s *Scope) comparison(n *document.Node, offset int, c expression.Comparison) {
	for _, text := range c.Texts {
		at := n.PlaceOf(offset + text.Offset)
		switch {
		case c.Inside && len(c.Path) == 1 && c.Path[0] == "windows":
			s.window(at, text.Value)
		case len(c.Path) == 3 && c.Path[0] == "steps" && c.Path[2] == "outcome":
			s.outcome(at, c.Path[1], text.Value)
		}
	}
}

func (s *Scope) window(at diag.Place, name string) {
	if s.Windows == nil || slices.Contains(s.Windows, name) {
		return
	}
	hint := document.Suggest(name, s.Windows)
	if len(s.Windows) == 0 {
		hint = "the engine's config has no windows"
	}
	s.add(at, "unknown-window", fmt.Sprintf("there is no maintenance window %q", name), hint)
}

func (s *Scope) outcome(at diag.Place, id, name string) {
	possible, earlier := s.Outcomes[id]
	if !earlier || slices.Contains(possible, name) {
		return
	}
	if !slices.Contains(s.AnyOutcome, name) {
		s.add(at, "unknown-outcome", fmt.Sprintf("no step ever is %q", name), document.Suggest(name, possible))
		return
	}
	s.add(at, "impossible-outcome", fmt.Sprintf("step %s is never %q", id, name), "it is one of: "+strings.Join(possible, ", "))
}
