package terminal

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

var start = time.Date(2026, 3, 1, 3, 0, 0, 0, time.UTC)

func at(seconds float64) *time.Time {
	moment := start.Add(time.Duration(seconds * float64(time.Second)))
	return &moment
}

// bad is a run in which nearly everything went wrong.
func bad() run.Run {
	return run.Run{
		ID: "release.4f-1", Runbook: "release", Digest: "0123", Source: "alert", Mode: "live", Actor: "alertmanager",
		Params: map[string]any{"database": "orders", "limit": 3},
		Alert: &runbooks.Alert{
			Labels: map[string]string{"alertname": "PoolExhausted", "pod": "x\x1b[2Jy"}, StartsAt: *at(-30),
		},
		Status: run.Ended, Outcome: run.NotFixed, OutcomeReason: "value < 0.7 did not come true in time",
		StartedAt: start, FirstActionAt: at(0.2), EndedAt: at(75),
		Steps: []run.Step{
			{
				ID: "pressure", Do: "prometheus.query", Risk: actions.ReadOnly, Status: run.Ended, Outcome: run.Done,
				With: json.RawMessage(`{"query": "up"}`), Output: json.RawMessage(`{"value":0.97,"series":[{"a":1}],"text":""}`),
				Selection: &actions.Selection{Targets: []actions.Target{{ID: "query/up"}}, Population: 1},
				Results:   []run.Result{{Target: "query/up", Output: json.RawMessage(`{"value":0.97,"series":[{"a":1}],"text":""}`), StartedAt: start, EndedAt: *at(0.1)}},
				StartedAt: at(0), EndedAt: at(0.1),
			},
			{
				ID: "release", Do: "postgres.terminate_backends", Risk: actions.Disruptive, Status: run.Ended, Outcome: run.Failed,
				Reason: "on backend/orders/2: no such session", With: json.RawMessage(`{"limit": 3}`),
				Selection: &actions.Selection{Targets: []actions.Target{{ID: "backend/orders/1", Doc: "idle for 34s"}, {ID: "backend/orders/2"}, {ID: "backend/orders/3", Doc: "idle for 31s"}}, Population: 12},
				Results: []run.Result{
					{Target: "backend/orders/1", Doc: "idle for 34s", Output: json.RawMessage(`{"outcome":"ended"}`), StartedAt: *at(0.2), EndedAt: *at(0.205), Attempt: 2},
					{Target: "backend/orders/2", Error: "no such session\x07", StartedAt: *at(0.2), EndedAt: *at(1.5), Attempt: 1},
				},
				StartedAt: at(0.1), EndedAt: at(1.5),
			},
			{ID: "restart", Do: "kubernetes.rollout_restart", Status: run.Ended, Outcome: run.Skipped, Reason: "step release failed, and this step does not ask about it"},
		},
		Verify: &run.Check{
			Do: "prometheus.query", Until: "value < 0.7", Outcome: run.NotFixed, Reason: "value < 0.7 did not come true in time",
			First: json.RawMessage(`{"value":0.97}`), Last: json.RawMessage(`{"value":0.95}`), Looks: 30, StartedAt: at(15), EndedAt: at(75),
		},
		Undone:     []run.Undo{{Step: "silence", Do: "alertmanager.silence", Target: "silence/1", Error: "connection refused"}},
		Escalation: &run.Escalation{Kind: "escalation", Severity: "page", Summary: "Requests still wait.", Error: "no connection"},
		Events: []run.Event{
			{Seq: 1, At: start, Kind: "started", Text: "release started for alert PoolExhausted"},
			{Seq: 2, At: *at(0.2), Kind: "call", Step: "release", Target: "backend/orders/1", Text: "release: on backend/orders/1"},
			{Seq: 3, At: *at(75), Kind: "outcome", Text: "not_fixed: \x1b]0;x\x07value < 0.7 did not come true in time"},
			{Seq: 4, At: *at(1.4), Kind: "resolved", Text: "the alert ended"}, // heard of late
		},
	}
}

// half is the same run while it acts.
func half() run.Run {
	r := bad()
	r.Status, r.Phase, r.Outcome, r.OutcomeReason, r.EndedAt = run.Running, run.Acting, "", "", nil
	r.Verify, r.Undone, r.Escalation, r.Events = nil, nil, nil, r.Events[:2]
	r.Steps[1].Status, r.Steps[1].Outcome, r.Steps[1].Reason, r.Steps[1].Results, r.Steps[1].EndedAt = run.Running, "", "", nil, nil
	r.Steps[2] = run.Step{ID: "restart", Do: "kubernetes.rollout_restart", Status: run.Pending}
	return r
}

func dry() (api.RunbookDetail, run.Run) {
	doc := api.RunbookDetail{
		Runbook: api.Runbook{Name: "release", Summary: "End idle sessions.", Risk: actions.Disruptive},
		When:    `"freeze" not in windows`,
		Steps: []api.RunbookStep{
			{ID: "pressure", Do: "prometheus.query", Risk: actions.ReadOnly},
			{ID: "release", Do: "postgres.terminate_backends", Risk: actions.Disruptive, If: "steps.pressure.output.value > 0.9", Verify: &api.RunbookCheck{Do: "prometheus.query", Until: "value < 0.7", Within: "1m", Hold: "10s"}},
			{ID: "drop", Doc: "The last resort.", Do: "postgres.drop", Risk: actions.Destructive, If: `steps.release.outcome != "fixed"`},
		},
		Verify: &api.RunbookCheck{Do: "prometheus.query", Until: "value < 0.7", Within: "1m", Hold: "0s"}, Otherwise: []string{"undo", "escalate"},
		MaxTargets: "20", Warnings: []string{"nobody will hear it"},
	}
	r := bad()
	r.Mode, r.Outcome = "dry_run", run.Skipped
	r.Steps[1].Outcome, r.Steps[1].Reason, r.Steps[1].WouldRun, r.Steps[1].Results = run.Skipped, "would run on 3 targets", true, nil
	r.Steps[1].Verify = &run.Check{Last: json.RawMessage(`{"value":0.97}`)}
	r.Steps[2] = run.Step{ID: "drop", Do: "postgres.drop", Status: run.Ended, Outcome: run.Skipped, WouldRun: true, Reason: "may run: depends on step release, which a dry run leaves out"}
	r.Verify.Last = json.RawMessage(`{"value":0.97}`)
	return doc, r
}

// Plain text, as a pipe gets it. UPDATE=1 writes the files anew.
func TestLooks(t *testing.T) {
	time.Local = time.UTC
	plain := New(&strings.Builder{}, func(string) string { return "" })
	doc, planned := dry()
	for name, lines := range map[string][]string{
		"timeline": plain.Timeline(bad(), *at(90)),
		"tree":     plain.Tree(bad(), *at(90), 0),
		"half":     plain.Tree(half(), *at(1), 0),
		"asked":    plain.Tree(asked(), *at(1), 0),
		"halted":   plain.Tree(standing(), *at(1), 0),
		"queued":   plain.Tree(queued(), *at(1), 0),
		"guarded":  plain.Timeline(answered(), *at(90)),
		"guards":   plain.Guards(says()),
		"trust":    trustTexts(),
		"result":   plain.Result(bad(), "runbook runs show release.4f-1"),
		"plan":     plain.Plan(doc, planned),
	} {
		got := strings.Join(lines, "\n") + "\n"
		path := filepath.Join("testdata", name+".txt")
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s looks like\n%s\nand not like\n%s", name, got, want)
		}
	}
}

func FuzzNothingDrivesTheTerminal(f *testing.F) {
	for _, seed := range []string{"plain", "\x1b[2J", "a\tb\nc\r", "\u202eback", "\xff\xfe", "\u009b31m", "ü✓"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, clean := range []string{Clean(text), strings.ReplaceAll(CleanText(text), "\n", " "), EventLine(run.Event{Text: text}), brief(json.RawMessage(text))} {
			for _, r := range clean {
				if unicode.IsControl(r) || unicode.In(r, unicode.Cf) {
					t.Fatalf("%q lets %q through", text, r)
				}
			}
		}
	})
}

func TestSpansAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 1234 * time.Microsecond: "1.23ms", 250 * time.Millisecond: "250ms", 12345 * time.Millisecond: "12.3s",
		90 * time.Second: "1m30s", 3 * time.Hour: "3h00m", 72 * time.Hour: "3d",
	} {
		if got := span(d); got != want {
			t.Errorf("%v is %q, not %q", d, got, want)
		}
	}
}

func TestWhatWasAskedIsShownAsItWasWritten(t *testing.T) {
	sent, err := json.Marshal([]string{"a >> b && c < d", `a literal \u003e`})
	if err != nil {
		t.Fatal(err)
	}
	if got := compact(sent); got != `["a >> b && c < d","a literal \\u003e"]` {
		t.Error(got)
	}
}
