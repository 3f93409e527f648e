package gameday_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/diag"
)

// Whatever a document says: it loads, or it is refused with places in it. What
// loads has a plan that can be kept, judged by, and heals by itself.
func FuzzLoad(f *testing.F) {
	for _, archive := range archives(f) {
		for _, one := range archive.Files {
			if one.Name != "want" {
				f.Add(one.Data)
			}
		}
	}
	f.Add([]byte(pool))
	options := testOptions(f, "windows: freeze\n")
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 16<<10 {
			return // larger ones say nothing new, and take long
		}
		set, problems := gameday.Load(diag.Sources{"f.yaml": src}, options)
		if (set == nil) == (len(problems) == 0) {
			t.Fatalf("set %v, problems %v", set, problems)
		}
		lines := strings.Count(string(src), "\n") + 1
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines+1 || p.Col < 1 || p.Code == "" || p.Text == "" || strings.Contains(p.Text, "\n") {
				t.Errorf("of %d lines: %+v", lines, p)
			}
		}
		if set != nil {
			for _, g := range set.All() {
				sound(t, g)
			}
		}
	})
}

func sound(t *testing.T, g *gameday.Gameday) {
	t.Helper()
	p := g.Plan("")
	if _, err := json.Marshal(p); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Sieve(); err != nil {
		t.Errorf("the matchers of what loads: %v", err)
	}
	if len(p.Steady) != len(g.Steady) || len(p.Faults) != len(g.Faults) || p.Watch <= 0 {
		t.Errorf("the plan lacks something: %+v", p)
	}
	for _, f := range p.Faults {
		if !f.OneShot && f.For <= 0 {
			t.Errorf("%s would never end", f.ID)
		}
	}
}
