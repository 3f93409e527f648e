package library_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	actionsstd "github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/chaos/gameday"
	chaosstd "github.com/runbook-engine/runbook/chaos/std"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/runbooks/library"
)

// The game days that are shipped load, against the faults, actions and runbooks
// that are shipped with them.
func TestGameDaysLoad(t *testing.T) {
	sources := diag.Sources{}
	files, err := fs.Glob(library.FS(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.yaml") {
			continue // a unit test of a runbook
		}
		if sources[file], err = fs.ReadFile(library.FS(), file); err != nil {
			t.Fatal(err)
		}
	}
	o := gameday.Options{Actions: actionsstd.Catalog(nil), Faults: chaosstd.Catalog(nil)}
	var problems diag.List
	if o.Runbooks, problems = runbooks.Load(sources, runbooks.Options{Catalog: o.Actions}); len(problems) > 0 {
		t.Fatal(problems.Err())
	}
	set, problems := gameday.Load(sources, o)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if len(set.All()) == 0 {
		t.Error("the library has no game day")
	}
	for _, g := range set.All() {
		if p := g.Plan(""); (g.Proves != "") != (p.Proves != nil && p.Proves.Digest != "") || len(p.Faults) != len(g.Faults) || len(p.Steady) != len(g.Steady) {
			t.Errorf("%s: the plan is %+v", g.Gameday, p)
		}
	}
}

// The example of the reference of game days is one that loads.
func TestExampleOfGameDaysLoads(t *testing.T) {
	const page = "../../docs/gamedays.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	examples := regexp.MustCompile("(?ms)^```yaml\n(gameday:.*?)^```$").FindAllSubmatch(text, -1)
	if len(examples) == 0 {
		t.Error("the reference has no example")
	}
	for _, m := range examples {
		_, problems := gameday.Load(diag.Sources{page: m[1]}, gameday.Options{Actions: actionsstd.Catalog(nil), Faults: chaosstd.Catalog(nil)})
		if err := problems.Err(); err != nil {
			t.Error(err)
		}
	}
}
