package cluster

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/runbook-engine/runbook/internal/argv"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// Allowed is a kind of object that may be patched, where, and what of it.
type Allowed struct {
	Resource   string   `json:"resource" doc:"Plural and group, with a point between; of the core group the plural only." example:"destinationrules.networking.istio.io"`
	Namespaces []string `json:"namespaces" min:"1" doc:"Namespaces in which it may be; * stands for any text." example:"[shop]"`
	Fields     []string `json:"fields" min:"1" pattern:"^/" doc:"JSON pointers (RFC 6901) of the fields that may change, with all that is below them. They do not reach into lists." example:"[/spec/trafficPolicy/outlierDetection]"`
}

// Allows reports whether the object is of the kind, in one of the namespaces.
func (a Allowed) Allows(o Object) bool {
	return a.Resource == o.GroupResource().String() && inAny(a.Namespaces, o.Namespace)
}

// covers reports a field that may change.
func (a Allowed) covers(pointer string) bool {
	return slices.ContainsFunc(a.Fields, func(field string) bool {
		return pointer == field || strings.HasPrefix(pointer, strings.TrimSuffix(field, "/")+"/")
	})
}

// Outside is the first field that a change touches and that none of the rules for
// its object covers; empty when there is none.
func Outside(rules []Allowed, before, after *unstructured.Unstructured) (string, error) {
	from, err := before.MarshalJSON()
	if err != nil {
		return "", err
	}
	to, err := after.MarshalJSON()
	if err != nil {
		return "", err
	}
	patch, err := jsonpatch.CreateMergePatch(from, to)
	if err != nil {
		return "", err
	}
	var changed any
	if err := json.Unmarshal(patch, &changed); err != nil {
		return "", err
	}
	return outside(rules, "", changed), nil
}

func outside(rules []Allowed, pointer string, changed any) string {
	if slices.ContainsFunc(rules, func(a Allowed) bool { return a.covers(pointer) }) {
		return ""
	}
	fields, nested := changed.(map[string]any)
	if !nested || len(fields) == 0 {
		return pointer
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if found := outside(rules, pointer+"/"+escaped.Replace(name), fields[name]); found != "" {
			return found
		}
	}
	return ""
}

var escaped = strings.NewReplacer("~", "~0", "/", "~1")

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
