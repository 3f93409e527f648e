package cluster

import (
	"path"
	"slices"
	"strings"

	"github.com/runbook-engine/runbook/internal/argv"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// Allowed is a kind of object that may be patched, and where.
type Allowed struct {
	Resource   string   `json:"resource" doc:"Plural and group, with a point between; of the core group the plural only." example:"destinationrules.networking.istio.io"`
	Namespaces []string `json:"namespaces" min:"1" doc:"Namespaces in which it may be; * stands for any text." example:"[shop]"`
}

// Allows reports whether the object is of the kind, in one of the namespaces.
func (a Allowed) Allows(o Object) bool {
	return a.Resource == o.GroupResource().String() && inAny(a.Namespaces, o.Namespace)
}

// inAny matches a namespace; a malformed pattern matches nothing.
func inAny(patterns []string, namespace string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		match, err := path.Match(pattern, namespace)
		return err == nil && match
	})
}

// AllowedCommand is a command that may be run in pods, and where.
type AllowedCommand struct {
	Argv       []string `json:"argv" min:"1" doc:"The program as an absolute path, then a pattern for each argument: * stands for any text without a slash that does not make the argument an option." example:"[/usr/bin/lsof, -n, -P]"`
	Namespaces []string `json:"namespaces" min:"1" doc:"Namespaces in which it may be; * stands for any text." example:"[shop]"`
}

// UnmarshalDocument finds what could allow nothing, or too much.
func (a *AllowedCommand) UnmarshalDocument(n *document.Node) diag.List {
	type plain AllowedCommand
	return append(document.Decode(n, (*plain)(a)), argv.Problems(n, a.Argv)...)
}

// Allows reports whether it is the command, in one of the namespaces.
func (a AllowedCommand) Allows(namespace string, command []string) bool {
	return inAny(a.Namespaces, namespace) && argv.Allowed([]argv.Rule{{Argv: a.Argv}}, command)
}

// AllowedFile is a file that may be copied out of pods, and where.
type AllowedFile struct {
	Path       string   `json:"path" doc:"The file as an absolute path; * stands for any text without a slash." example:"/var/dumps/*.hprof"`
	Namespaces []string `json:"namespaces" min:"1" doc:"Namespaces in which it may be; * stands for any text." example:"[shop]"`
}

// UnmarshalDocument finds what could allow nothing.
func (a *AllowedFile) UnmarshalDocument(n *document.Node) (problems diag.List) {
	type plain AllowedFile
	problems = document.Decode(n, (*plain)(a))
	if _, err := path.Match(a.Path, ""); err != nil || !PlainPath(a.Path) {
		problems.Add(n.Get("path").At, "no-path", "the pattern "+a.Path+" can match no file", "an absolute path such as /var/dumps/*.hprof, without . or .. in it")
	}
	return problems
}

// Allows reports whether it is the file, in one of the namespaces.
func (a AllowedFile) Allows(namespace, file string) bool {
	match, err := path.Match(a.Path, file)
	return err == nil && match && inAny(a.Namespaces, namespace)
}

// PlainPath reports an absolute path that goes no detours and names a file.
func PlainPath(file string) bool {
	return path.IsAbs(file) && path.Clean(file) == file && file != "/" && !strings.ContainsRune(file, 0)
}
