package gameday_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

const pool = `
gameday: pool
summary: A pool.
proves: db-pool-exhausted
scope: ['env="prod"']
steady: [{id: checkout, do: http.get, with: {url: "http://127.0.0.1:1", timeout: 2s}, expect: status == 200, abort_after: 3m}]
faults: [{id: hold, inject: postgres.hold_connections, with: {database: orders}, for: 5m}]
expect:
  alert: {matchers: ['alertname="DBPoolExhausted"']}
  silent: ['severity="page"', 'team="core"']
control: {no_remedy: true, no_fault: true}
schedule: {cron: "0 10 * * TUE", not_during: [freeze]}
`

func load(t *testing.T, src string) *gameday.Gameday {
	t.Helper()
	set, problems := gameday.Load(diag.Sources{"a.yaml": []byte(src)}, testOptions(t, ""))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return set.All()[0]
}

func TestPlanIsWhole(t *testing.T) {
	g := load(t, pool)
	p := g.Plan("")
	if p.Proves == nil || p.Proves.Runbook != "db-pool-exhausted" || len(p.Proves.Digest) != 16 || p.Digest != g.Digest() {
		t.Errorf("%+v, digest %s", p.Proves, p.Digest)
	}
	probe := p.Steady[0]
	if string(probe.With) == "" || time.Duration(probe.Limit) != 7*time.Second || probe.NoAnswer != gameday.Missing || time.Duration(probe.AbortAfter) != 3*time.Minute {
		t.Errorf("%+v", probe)
	}
	var with map[string]any
	if err := json.Unmarshal(p.Faults[0].With, &with); err != nil || with["count"] != 10.0 {
		t.Errorf("the default of a parameter is not filled in: %s, %v", p.Faults[0].With, err)
	}
	// What goes without saying for a drill that proves a runbook.
	if p.Expect.Runbook.Outcome != "fixed" || time.Duration(p.Expect.Recovered.Within) != 2*time.Minute || p.Because() != gameday.ByRunbook || p.RecoveryProbe() != "checkout" {
		t.Errorf("%+v, %+v", p.Expect.Runbook, p.Expect.Recovered)
	}
	if time.Duration(p.Watch) != 5*time.Minute || !slices.Equal(p.NotDuring, []string{"freeze"}) {
		t.Errorf("watched for %s, not during %v", p.Watch, p.NotDuring)
	}
}

func TestControlRunsAreAskedFor(t *testing.T) {
	g := load(t, pool)
	if asked := g.Plan("").Controls; !slices.Equal(asked, []gameday.ControlRun{gameday.NoFault, gameday.NoRemedy}) {
		t.Errorf("%v", asked)
	}
	if more := g.Plan(gameday.NoFault).Controls; more != nil {
		t.Errorf("a control run asks for %v", more)
	}
	// What is not in the plan can not be injected by mistake.
	if p := g.Plan(gameday.NoFault); len(p.Faults) != 0 || p.Control != gameday.NoFault {
		t.Errorf("%+v", p.Faults)
	}
	if p := g.Plan(gameday.NoRemedy); len(p.Faults) != 1 || len(g.Plan("").Faults) != 1 {
		t.Errorf("%+v", p.Faults)
	}
}

func TestAPlanComesBackFromJSON(t *testing.T) {
	p := load(t, pool).Plan("")
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var back gameday.Plan
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(back)
	if err != nil || string(again) != string(raw) {
		t.Errorf("%s\nis not\n%s", again, raw)
	}
}

// A watch is long enough for what is expected after the last fault.
func TestWatchCoversWhatIsExpected(t *testing.T) {
	src := `
gameday: a
steady: [{id: up, do: prometheus.query, with: {query: up}, expect: value > 0}]
faults: [{id: kill, inject: mesh.kill, with: {namespace: shop, labels: {a: b}}, after: 1m}]
limits: {namespaces: [shop]}
expect: {alert: {matchers: ['alertname="A"'], within: 4m}, recovered: {because: itself, within: 3m, hold: 30s}}
`
	if p := load(t, src).Plan(""); time.Duration(p.Watch) != 5*time.Minute {
		t.Errorf("watched for %s", p.Watch)
	}
}

func TestDigestIsOfWhatItDoes(t *testing.T) {
	g := load(t, pool)
	digest := g.Digest()
	g.Summary, g.Owner, g.Description, g.Schedule = "b", "b", "b", &gameday.Schedule{}
	g.Steady[0].Doc, g.Faults[0].Doc = "b", "b"
	if g.Digest() != digest {
		t.Error("prose changes the digest")
	}
	g.Faults[0].For = model.Duration(time.Minute)
	if g.Digest() == digest {
		t.Error("another duration does not change the digest")
	}
}

func TestSieve(t *testing.T) {
	p := load(t, pool).Plan("")
	s, err := p.Sieve()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		labels                 map[string]string
		expected, real, silent bool
	}{
		{map[string]string{"alertname": "DBPoolExhausted", "env": "prod"}, true, false, false},
		{map[string]string{"alertname": "DBPoolExhausted", "severity": "page"}, true, false, true},
		{map[string]string{"alertname": "DiskFull", "env": "prod"}, false, true, false},
		{map[string]string{"alertname": "DiskFull", "env": "test", "team": "core"}, false, false, true},
		{map[string]string{"alertname": "RunbookEscalation", "env": "prod", "raised_by": "runbook", "severity": "page"}, false, false, true},
		{nil, false, false, false},
	} {
		if s.Expected(c.labels) != c.expected || s.Real(c.labels) != c.real || s.Silent(c.labels) != c.silent {
			t.Errorf("%v: expected %v, real %v, silent %v", c.labels, s.Expected(c.labels), s.Real(c.labels), s.Silent(c.labels))
		}
	}
	// Without a scope every other alert is a real one, and without an expected
	// alert there is none that is expected.
	bare := gameday.Plan{}
	if s, err = bare.Sieve(); err != nil || s.Expected(nil) || !s.Real(map[string]string{"alertname": "Any"}) {
		t.Errorf("%v", err)
	}
	bare.Scope = []string{"="}
	if _, err = bare.Sieve(); err == nil {
		t.Error("a matcher that is none is taken")
	}
}

func TestRunOf(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	acted, ended := at(2), at(9)
	r := gameday.RunOf(&run.Run{
		ID: "a.1", Runbook: "a", Digest: "d", Source: "alert", Mode: "live", StartedAt: at(1), FirstActionAt: &acted, EndedAt: &ended,
		Outcome: run.Fixed, OutcomeReason: "well", Alert: &runbooks.Alert{Fingerprint: "f"},
		Steps: []run.Step{
			{ID: "read", Risk: actions.ReadOnly, Results: []run.Result{{Target: "q", StartedAt: at(2), EndedAt: at(3)}}},
			{ID: "write", Do: "x.y", Risk: actions.Disruptive, Outcome: run.Done, Results: []run.Result{
				{Target: "a", StartedAt: at(4), EndedAt: at(8)}, {Target: "b", StartedAt: at(3), EndedAt: at(4), Error: "no"}, {Target: "c", StartedAt: at(5), EndedAt: at(6)},
			}},
			{ID: "failed", Risk: actions.Disruptive, Results: []run.Result{{Target: "d", StartedAt: at(8), EndedAt: at(9), Error: "no"}}},
			{ID: "skipped", Risk: actions.Disruptive},
		},
	})
	if r.Fingerprint != "f" || r.Source != "alert" || !r.FirstAction.Equal(at(2)) || !r.Ended.Equal(at(9)) || r.Outcome != "fixed" {
		t.Errorf("%+v", r)
	}
	if r.Steps[0].Effect || r.Steps[2].Effect || r.Steps[3].Effect || len(r.Steps[2].Targets) > 0 {
		t.Errorf("an effect that there was not: %+v", r.Steps)
	}
	w := r.Steps[1]
	if !w.Effect || !slices.Equal(w.Targets, []string{"a", "c"}) || !w.Started.Equal(at(3)) || !w.Acted.Equal(at(6)) || !w.Ended.Equal(at(8)) {
		t.Errorf("%+v", w)
	}
	if slices.ContainsFunc(r.Steps, func(s gameday.RunStep) bool { return s.Unsure }) {
		t.Errorf("a doubt that there is not: %+v", r.Steps)
	}
	if r := gameday.RunOf(&run.Run{}); !r.Ended.IsZero() || !r.FirstAction.IsZero() {
		t.Errorf("%+v", r)
	}
}

// What a call may have changed counts, also where nobody has said that it did.
func TestAStepIsUnsureWhileACallHasNoAnswer(t *testing.T) {
	two := &actions.Selection{Targets: []actions.Target{{ID: "a"}, {ID: "b"}}}
	one := []run.Result{{Target: "a"}}
	for name, c := range map[string]struct {
		mode  runbooks.Mode
		phase run.Phase
		step  run.Step
		want  bool
	}{
		"a call is under way":           {"live", run.Acting, run.Step{Risk: actions.Disruptive, Status: run.Running, Selection: two, Results: one}, true},
		"the answer is lost":            {"live", run.Concluding, run.Step{Risk: actions.Disruptive, Status: run.Ended, Selection: two, Results: []run.Result{{Error: "timeout", Class: actions.ClassAmbiguous}}}, true},
		"each call has its answer":      {"live", run.Acting, run.Step{Risk: actions.Disruptive, Status: run.Running, Selection: two, Results: append(one, one...)}, false},
		"the targets are being counted": {"live", run.Acting, run.Step{Risk: actions.Disruptive, Status: run.Running}, false},
		"people are asked":              {"live", run.Approving, run.Step{Risk: actions.Disruptive, Status: run.Running, Selection: two}, false},
		"it is over":                    {"live", run.Acting, run.Step{Risk: actions.Disruptive, Status: run.Ended, Selection: two, Results: one}, false},
		"it only reads":                 {"live", run.Acting, run.Step{Risk: actions.ReadOnly, Status: run.Running, Selection: two}, false},
		"it only proposes":              {"propose", run.Acting, run.Step{Risk: actions.Disruptive, Status: run.Running, Selection: two}, false},
	} {
		got := gameday.RunOf(&run.Run{Mode: c.mode, Phase: c.phase, Steps: []run.Step{c.step}})
		if got.Steps[0].Unsure != c.want {
			t.Errorf("%s: unsure is %v", name, !c.want)
		}
	}
}
