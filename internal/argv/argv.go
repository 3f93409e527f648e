// Package argv has the lists of commands that connections allow.
package argv

import (
	"path"
	"strings"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// Rule allows the commands that match it, argument by argument.
type Rule struct {
	Argv []string `json:"argv" min:"1" doc:"The program as an absolute path, then a pattern for each argument: * stands for any text without a slash that does not make the argument an option." example:"[/usr/bin/systemctl, restart, '*']"`
}

// UnmarshalDocument finds a rule that could allow nothing, or too much, while
// its place in the config is known.
func (r *Rule) UnmarshalDocument(n *document.Node) diag.List {
	type plain Rule
	return append(document.Decode(n, (*plain)(r)), Problems(n, r.Argv)...)
}

// Problems are those of the patterns under the key argv of a mapping.
func Problems(n *document.Node, patterns []string) (problems diag.List) {
	for i, pattern := range patterns {
		at := n.Find("argv", i).At
		if _, err := path.Match(pattern, ""); err != nil {
			problems.Add(at, "no-pattern", "the pattern "+pattern+" is not valid", `patterns have *, ? and [a-z]; \ takes their meaning away`)
		}
		if i == 0 && (!path.IsAbs(pattern) || path.Clean(pattern) != pattern || strings.ContainsAny(pattern, wild)) {
			problems.Add(at, "no-program", "the program must be an absolute path without a pattern", "such as /usr/bin/systemctl")
		}
	}
	return problems
}

const wild = `*?[\`

// Allowed reports whether one of the rules allows a command.
func Allowed(rules []Rule, argv []string) bool {
	for _, r := range rules {
		if r.matches(argv) {
			return true
		}
	}
	return false
}

func (r Rule) matches(argv []string) bool {
	if len(argv) != len(r.Argv) {
		return false
	}
	for i, pattern := range r.Argv {
		if !fits(pattern, argv[i]) {
			return false
		}
	}
	return true
}

// fits: an argument that comes out of an alert must not turn into an option, so
// a pattern that begins open takes none, nor nothing at all.
func fits(pattern, argument string) bool {
	if match, err := path.Match(pattern, argument); err != nil || !match {
		return false
	}
	open := pattern != "" && strings.ContainsAny(pattern[:1], `*?[`)
	return !open || argument != "" && argument[0] != '-'
}
