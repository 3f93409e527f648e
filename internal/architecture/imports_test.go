// Package architecture holds the tests of how the packages hang together.
package architecture_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/runbook-engine/runbook/"

// layers are the packages from bottom to top: one may import what is in its own
// layer or below it, and nothing above.
var layers = [][]string{
	{"internal/diag", "internal/shape", "internal/document", "internal/secret", "internal/version", "internal/audit", "internal/calendar", "internal/argv", "internal/problem", "deploy", "deploy/*"},
	{"actions", "actions/conformance", "internal/alertmanagerapi", "internal/restapi", "internal/ledger"},
	{"actions/*", "internal/artefact", "chaos", "runbooks", "runbooks/*",
		"chaos/backstop", "chaos/conformance", "chaos/conformance/*", "chaos/toxiproxy", "chaos/postgres", "chaos/process", "chaos/chaosmesh", "chaos/chaosmesh/*"},
	{"actions/std", "internal/run", "chaos/std", "chaos/gameday", "chaos/gameday/*"},
	{"workflows"},
	{"workflows/drills"},
	{"internal/runs", "internal/gamedays", "internal/temporalcluster", "internal/admission", "internal/halt", "internal/rehearsal"},
	{"internal/temporalserver", "internal/temporalserver/*", "internal/identity", "internal/metrics"},
	{"internal/webhook", "internal/reconcile", "internal/api"},
	{"internal/engine", "internal/client", "internal/terminal"},
	{"internal/lab", "internal/lab/*", "internal/testcluster"},
	{"internal/demo"},
	{"cmd/*", "internal/e2e"},
}

// only says which package alone may import a library.
var only = map[string][]string{
	"go.temporal.io/server": {"internal/temporalserver"},
	// What a workflow may do is decided in one place. Workers elsewhere register
	// what that place has.
	"go.temporal.io/sdk/workflow": {"workflows", "workflows/drills"},
	// It brings controller-runtime along, which is large.
	"github.com/chaos-mesh/chaos-mesh": {"chaos/chaosmesh", "chaos/chaosmesh/standin"},
	"k8s.io/client-go":                 {"actions/kubernetes", "actions/kubernetes/internal/cluster", "actions/kubernetes/internal/inside", "internal/testcluster", "chaos/chaosmesh", "chaos/chaosmesh/standin"},
	"github.com/expr-lang/expr":        {"runbooks/expression", "runbooks"},
	"github.com/goccy/go-yaml":         {"internal/document", "internal/lab"},
	"github.com/aws/aws-sdk-go-v2":     {"internal/artefact"},
	"github.com/jackc/pgx":             {"actions/postgres", "actions/postgres/failover", "actions/pgbouncer", "internal/lab", "internal/lab/orders", "internal/lab/proxy", "internal/lab/writer", "chaos/postgres"},
}

// apart lists what must not know of each other although no layer forbids it.
var apart = map[string][]string{
	"actions":  {"go.temporal.io/"},
	"runbooks": {"go.temporal.io/", module + "actions/"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportsPointDownward(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if name == "internal/architecture" {
			continue
		}
		own := layerOf(name)
		if own < 0 {
			t.Errorf("%s is in no layer; add it to the list where it belongs", name)
			continue
		}
		for _, i := range p.Imports {
			below, ours := strings.CutPrefix(i, module)
			if ours && layerOf(below) > own {
				t.Errorf("%s imports %s, which is above it", name, below)
			}
			checkOnly(t, name, i)
			checkApart(t, name, i)
		}
	}
}

func checkOnly(t *testing.T, name, imported string) {
	t.Helper()
	for library, allowed := range only {
		if !within(imported, library) {
			continue
		}
		for _, a := range allowed {
			if name == a {
				return
			}
		}
		t.Errorf("%s imports %s, which is for %s only", name, imported, strings.Join(allowed, ", "))
	}
}

func checkApart(t *testing.T, name, imported string) {
	t.Helper()
	for owner, forbidden := range apart {
		if !within(name, owner) {
			continue
		}
		for _, f := range forbidden {
			if strings.HasPrefix(imported, f) {
				t.Errorf("%s imports %s, which it must not know of", name, imported)
			}
		}
	}
}

func within(path, prefix string) bool { return path == prefix || strings.HasPrefix(path, prefix+"/") }

// layerOf prefers an exact name to a pattern.
func layerOf(name string) int {
	for i, layer := range layers {
		for _, p := range layer {
			if p == name {
				return i
			}
		}
	}
	for i, layer := range layers {
		for _, p := range layer {
			if prefix, pattern := strings.CutSuffix(p, "/*"); pattern && strings.HasPrefix(name, prefix+"/") {
				return i
			}
		}
	}
	return -1
}

func TestActionsDoNotKnowEachOther(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		if !strings.HasPrefix(name, "actions/") || name == "actions/std" {
			continue
		}
		system, _, _ := strings.Cut(strings.TrimPrefix(name, "actions/"), "/")
		for _, i := range p.Imports {
			if other, ours := strings.CutPrefix(i, module+"actions/"); ours && !within(other, system) {
				t.Errorf("%s imports actions/%s", name, other)
			}
		}
	}
}
