package verdict_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
)

const (
	second = time.Second
	minute = time.Minute
)

var zero = time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC)

// at is a moment of the drill, in seconds from its start.
func at(seconds float64) time.Time { return zero.Add(time.Duration(seconds * float64(second))) }

func d(t time.Duration) model.Duration { return model.Duration(t) }

func basePlan() gameday.Plan {
	return gameday.Plan{
		Gameday: "orders-pool-exhaustion", Digest: "d1",
		Proves: &gameday.Proven{Runbook: "db-pool-exhausted", Digest: "r1"},
		Scope:  []string{`env="prod"`},
		Steady: []gameday.PlanProbe{
			{ID: "checkout", Do: "http.get", Expect: "status == 200", NoAnswer: gameday.Missing, Every: d(second), AbortAfter: d(minute)},
			{ID: "stock", Do: "http.get", Expect: "status == 200", NoAnswer: gameday.Missing, Every: d(second), AbortAfter: d(minute)},
		},
		Faults: []gameday.PlanFault{{ID: "hold", Inject: "postgres.hold_connections", For: d(5 * minute)}},
		Expect: gameday.Expect{
			Alert:     &gameday.Alerting{Matchers: []string{`alertname="DBPoolExhausted"`}, Within: d(20 * second)},
			Runbook:   &gameday.Remedying{Outcome: "fixed", Steps: []string{"release"}, Within: d(10 * second)},
			Recovered: &gameday.Recovering{Probe: "checkout", Within: d(40 * second), Hold: d(5 * second), Because: gameday.ByRunbook},
			Silent:    []string{`severity="page"`},
		},
		Watch: d(5 * minute),
	}
}

// baseEvidence is of a drill that passed: the fault at 10, its effect from 12
// on, the webhook at 16.5, the release of connections at 17.1, all well from 18
// on, healed at 31.3.
func baseEvidence() gameday.Evidence {
	return gameday.Evidence{
		ID: "drill-1", Digest: "d1", Started: at(0), Ended: at(36),
		Preflight: checks(),
		Injections: []gameday.Injection{{
			ID: "drill-1.hold", Fault: "hold", Targets: []string{"database/orders"}, Deadline: at(310), Tries: 1,
			Requested: at(10), Injected: at(10.2), EffectSeen: at(12), There: at(30.8),
			HealIssued: at(31), Healed: at(31.3), Proofs: []string{"no session of drill-1 in pg_stat_activity"},
		}},
		Probes: []gameday.Series{
			{ID: "checkout", Samples: looks(0, 35, 12, 17)},
			{ID: "stock", Samples: looks(0, 35, 0, -1)},
		},
		Alerts: []gameday.Alert{{
			Fingerprint: "f1", Labels: map[string]string{"alertname": "DBPoolExhausted", "severity": "critical", "env": "prod"},
			StartsAt: at(14), ActiveSeen: at(16), Webhook: at(16.5), Resolved: at(33), Decision: "started a run", RunID: "db-pool-exhausted.f1-1", Expected: true,
		}},
		Webhooks: []json.RawMessage{[]byte(`{"status":"firing"}`)},
		Runs:     []gameday.Run{baseRun()},
		Watched: []gameday.Watch{
			{What: gameday.WatchAlerts, From: at(0), To: at(36)},
			{What: gameday.WatchRuns, From: at(0), To: at(36)},
		},
		Incarnations: []gameday.Incarnation{
			{At: at(9), IDs: []string{"database/orders"}}, {At: at(18.5), IDs: []string{"database/orders"}},
		},
	}
}

func checks() (all []gameday.Check) {
	p := basePlan()
	for _, name := range p.Checks() {
		all = append(all, gameday.Check{Name: name, State: gameday.OK})
	}
	return all
}

func baseRun() gameday.Run {
	return gameday.Run{
		ID: "db-pool-exhausted.f1-1", Runbook: "db-pool-exhausted", Digest: "r1", Fingerprint: "f1", Source: "alert", Mode: "live",
		Started: at(16.6), FirstAction: at(16.7), Ended: at(29), Outcome: "fixed", Reason: "its verification came true",
		Steps: []gameday.RunStep{
			{ID: "pressure", Do: "prometheus.query", Outcome: "done", Targets: []string{"query"}, Started: at(16.7), Acted: at(16.8), Ended: at(16.8)},
			{ID: "release", Do: "postgres.terminate_backends", Outcome: "fixed", Targets: []string{"backend/1", "backend/2"}, Started: at(17), Acted: at(17.1), Ended: at(17.2), Effect: true},
		},
	}
}

// looks are one a second, bad from one second to another.
func looks(from, to, bad, well int) (all []gameday.Sample) {
	for i := from; i <= to; i++ {
		s := gameday.Sample{At: at(float64(i)), Took: 20 * time.Millisecond, State: gameday.Good}
		if i >= bad && i <= well {
			s.State = gameday.Bad
		}
		all = append(all, s)
	}
	return all
}

func judge(p gameday.Plan, e gameday.Evidence) verdict.Verdict { return verdict.Judge(p, e) }

func TestBasePasses(t *testing.T) {
	v := judge(basePlan(), baseEvidence())
	if v.Verdict != verdict.Passed || v.Because != gameday.ByRunbook || !v.Proof {
		t.Fatalf("%+v", v)
	}
	want := map[string]time.Duration{"detect": 4500 * time.Millisecond, "share": 500 * time.Millisecond, "act": 200 * time.Millisecond, "recover": 6020 * time.Millisecond, "heal": 300 * time.Millisecond}
	got := map[string]*model.Duration{"detect": v.Figures.TimeToDetect, "share": v.Figures.AlertmanagerShare, "act": v.Figures.TimeToAct, "recover": v.Figures.TimeToRecover, "heal": v.Figures.TimeToHeal}
	for name, took := range want {
		if got[name] == nil || time.Duration(*got[name]) != took {
			t.Errorf("time to %s is %v, not %s", name, got[name], took)
		}
	}
}

func TestTimelineIsInOrder(t *testing.T) {
	v := judge(basePlan(), baseEvidence())
	want := []string{
		"injecting hold", "injected hold", "effect seen", "alert raised", "alert firing", "webhook", "run started", "first action",
		"step release acted", "recovered", "run ended fixed", "healing hold", "healed hold", "alert resolved",
	}
	if len(v.Timeline) != len(want) {
		t.Fatalf("%+v", v.Timeline)
	}
	for i, name := range want {
		if v.Timeline[i].Name != name || v.Timeline[i].Foreign != (name == "alert raised") {
			t.Errorf("edge %d is %+v, not %s", i, v.Timeline[i], name)
		}
	}
}
