package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/halt"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/ledger"
)

// office is where people hear of what happens to the engine.
type office struct {
	t *testing.T
	c *alertmanagerapi.Client
}

// newOffice is an Alertmanager, and what an engine's config says of it.
func newOffice(t *testing.T) (*office, string) {
	t.Helper()
	am, err := lab.StartAlertmanager(t.Context(), t.TempDir(), lab.AlertmanagerOptions{Webhook: lab.Webhook{URL: "http://127.0.0.1:9/nobody"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = am.Kill() })
	c, err := alertmanagerapi.Open(alertmanagerapi.Config{URL: am.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &office{t, c}, fmt.Sprintf("connections: {am: {alertmanager: {url: '%s'}}}\n", am.URL)
}

// hears waits until alerts of a name say these things, no more and no less.
func (o *office) hears(name string, summaries ...string) {
	o.t.Helper()
	o.until(name+" "+strings.Join(summaries, ", "), func() bool { return fmt.Sprint(o.told(name)) == fmt.Sprint(summaries) })
}

func (o *office) until(what string, is func() bool) {
	o.t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			o.t.Fatalf("not so: %s; people hear %q and %q", what, o.told("RunbookHalted"), o.told("RunbookResumed"))
		}
	}
}

func (o *office) told(name string) []string {
	o.t.Helper()
	all := []string{}
	for _, a := range o.alerts(name) {
		all = append(all, a.Labels["severity"]+": "+a.Annotations["summary"])
	}
	return all
}

func (o *office) alerts(name string) []*models.GettableAlert {
	o.t.Helper()
	all, err := o.c.Alerts(o.t.Context(), alertmanagerapi.Filter{Matchers: []string{"alertname=" + name}, Active: true})
	if err != nil {
		o.t.Fatal(err)
	}
	return all
}

func TestPeopleHearOfHaltsAndResumes(t *testing.T) {
	o, config := newOffice(t)
	e := serve(t, t.TempDir(), config+"notices: {severity: info}\n")
	if _, err := e.halt.Halt("ada", "it makes it worse", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	o.hears("RunbookHalted", "info: ada halted runbook: it makes it worse")
	if a := o.alerts("RunbookHalted")[0].Annotations; a["until"] == "" || a["resume"] != "runbook resume --reason …" {
		t.Errorf("annotations %v", a)
	}
	if err := e.halt.Resume("bob", "mended"); err != nil {
		t.Fatal(err)
	}
	o.hears("RunbookHalted")
	o.hears("RunbookResumed", "info: bob let runbook go on: mended")
}

// A halt that is made while neither Temporal nor an engine is there is told of as
// soon as they are, and one that ended in such a time is no longer.
func TestAHaltThatWasMadeWithoutTemporalIsToldOf(t *testing.T) {
	o, config := newOffice(t)
	dir := t.TempDir()
	away := func() *halt.Switch { return halt.Open(filepath.Join(dir, dataName), slog.New(slog.DiscardHandler)) }
	if _, err := away().Halt("ada", "all is down", time.Time{}); err != nil {
		t.Fatal(err)
	}
	t.Run("an engine starts", func(t *testing.T) {
		serve(t, dir, config)
		o.hears("RunbookHalted", "warning: ada halted runbook: all is down")
	})
	if err := away().Resume("bob", "it is up"); err != nil {
		t.Fatal(err)
	}
	t.Run("the next starts", func(t *testing.T) {
		serve(t, dir, config)
		o.hears("RunbookHalted")
		o.hears("RunbookResumed", "warning: bob let runbook go on: it is up")
	})
}

// What an engine did not live to end is ended by the next.
func TestAPageOfAHaltThatIsOverEnds(t *testing.T) {
	o, config := newOffice(t)
	dir := t.TempDir()
	t.Run("an engine is not there to see it", func(t *testing.T) {
		c, _, problems := LoadConfig(write(t, dir, "runbook.yaml", "listen: 127.0.0.1:0\n"+config))
		e, err := New(t.Context(), c, Options{})
		if err := errors.Join(problems.Err(), err); err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if err := e.page(t.Context(), e.haltNotice(ledger.Halt{By: "ada", Reason: "long ago", At: time.Now().Add(-time.Hour)})); err != nil {
			t.Fatal(err)
		}
		o.hears("RunbookHalted", "warning: ada halted runbook: long ago")
	})
	t.Run("the next starts", func(t *testing.T) {
		serve(t, dir, config)
		o.hears("RunbookHalted")
	})
}

func TestAnOldResumeIsNoNewsToAnEngineThatStarts(t *testing.T) {
	recent, old := &ledger.Resume{At: time.Now()}, &ledger.Resume{At: time.Now().Add(-2 * resumeNews)}
	for what, c := range map[string]struct {
		before *ledger.Brief
		now    *ledger.Resume
		news   bool
	}{
		"none": {nil, nil, false}, "recent": {nil, recent, true}, "old": {nil, old, false},
		"another": {&ledger.Brief{Resumed: old}, recent, true}, "the same": {&ledger.Brief{Resumed: recent}, recent, false},
		"the first": {&ledger.Brief{}, recent, true},
	} {
		if got := isNew(c.before, c.now); got != c.news {
			t.Errorf("%s: %v", what, got)
		}
	}
}
