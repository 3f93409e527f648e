package report_test

import (
	"math"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/report"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
)

var zero = time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return zero.Add(time.Duration(seconds * float64(time.Second))) }

// hostile is what a label, a reason or a message can hold.
const hostile = `<script>alert("x")</script> | [a](http://evil.example) ` + "`b` \x1b[31m\n# c & </text> ]]>"

func plan() gameday.Plan {
	d := func(t time.Duration) model.Duration { return model.Duration(t) }
	return gameday.Plan{
		Gameday: "orders-pool-exhaustion", Digest: "d1", Summary: "Sessions hold the connections of the pool without working.", Owner: "payments",
		Proves: &gameday.Proven{Runbook: "db-pool-exhausted", Digest: "5f0c7a3be1d24c90"}, Scope: []string{`env="prod"`},
		Steady: []gameday.PlanProbe{
			{ID: "checkout", Every: d(time.Second), AbortAfter: d(time.Minute)}, {ID: "stock", Every: d(time.Second), AbortAfter: d(time.Minute)},
		},
		Faults: []gameday.PlanFault{{ID: "hold", Inject: "postgres.hold_connections", For: d(5 * time.Minute)}},
		Expect: gameday.Expect{
			Alert:     &gameday.Alerting{Matchers: []string{`alertname="DBPoolExhausted"`}, Within: d(time.Minute)},
			Runbook:   &gameday.Remedying{Outcome: "fixed", Steps: []string{"release"}, Within: d(30 * time.Second)},
			Recovered: &gameday.Recovering{Within: d(2 * time.Minute), Hold: d(5 * time.Second)},
		},
	}
}

func evidence() gameday.Evidence {
	e := gameday.Evidence{
		ID: "orders-pool-exhaustion.20260303-100000", Digest: "d1", Started: at(0), Ended: at(41),
		Injections: []gameday.Injection{{
			ID: "orders-pool-exhaustion.hold", Fault: "hold", Targets: []string{"database/orders"}, Deadline: at(306), Tries: 1,
			Requested: at(6), Injected: at(6.4), EffectSeen: at(8.1), There: at(34.8), HealIssued: at(35), Healed: at(35.3),
			Proofs: []string{"no session of orders-pool-exhaustion.hold is left", "every steady probe is good again"},
		}},
		Probes: []gameday.Series{{ID: "checkout", Samples: looks(8, 14)}, {ID: "stock", Samples: looks(99, 99)}},
		Alerts: []gameday.Alert{{
			Fingerprint: "f1", Labels: map[string]string{"alertname": "DBPoolExhausted", "severity": "critical", "env": "prod", "note": hostile},
			StartsAt: at(12), ActiveSeen: at(12.4), Webhook: at(12.5), Resolved: at(37), Decision: "started db-pool-exhausted.f1-1", Expected: true,
		}},
		Runs: []gameday.Run{{
			ID: "db-pool-exhausted.f1-1", Runbook: "db-pool-exhausted", Digest: "5f0c7a3be1d24c90", Fingerprint: "f1", Source: "alert", Mode: "live",
			Started: at(12.6), FirstAction: at(12.7), Ended: at(31), Outcome: "fixed", Reason: "its verification held for 10s",
			Steps: []gameday.RunStep{
				{ID: "pressure", Do: "prometheus.query", Outcome: "done", Targets: []string{"query"}, Started: at(12.7), Acted: at(12.72), Ended: at(12.72)},
				{ID: "release", Do: "postgres.terminate_backends", Outcome: "fixed", Targets: []string{"backend/orders/41", "backend/orders/42"}, Started: at(13.1), Acted: at(13.12), Ended: at(13.2), Effect: true},
			},
		}},
		Watched:      []gameday.Watch{{What: gameday.WatchAlerts, From: at(0), To: at(41)}, {What: gameday.WatchRuns, From: at(0), To: at(41)}},
		Incarnations: []gameday.Incarnation{{At: at(1), IDs: []string{"database/orders"}}, {At: at(20), IDs: []string{"database/orders"}}},
		Notes:        []string{"the Grafana hook did not answer: " + hostile},
	}
	p := plan()
	for _, name := range p.Checks() {
		e.Preflight = append(e.Preflight, gameday.Check{Name: name, State: gameday.OK, Text: "as it should be"})
	}
	return e
}

// looks are one a second, slow and bad from one second to another.
func looks(bad, well int) (all []gameday.Sample) {
	for i := range 41 {
		s := gameday.Sample{At: at(float64(i) + 0.1), State: gameday.Good, Took: time.Duration(20+6*math.Sin(float64(i)*1.7)) * time.Millisecond}
		if i >= bad && i < well {
			s.State, s.Took = gameday.Bad, time.Duration(min(420+90*(i-bad), 960))*time.Millisecond
		}
		all = append(all, s)
	}
	return all
}

func result(change func(p *gameday.Plan, e *gameday.Evidence)) report.Result {
	p, e := plan(), evidence()
	if change != nil {
		change(&p, &e)
	}
	return report.Result{Plan: p, Evidence: e, Verdict: verdict.Judge(p, e)}
}

// disabled is the same with the runbook switched off, and people in between.
func disabled(_ *gameday.Plan, e *gameday.Evidence) {
	e.Runs, e.Alerts[0].Decision = nil, "runbook db-pool-exhausted is off"
	e.Probes[0].Samples = looks(8, 36)
	for i := 20; i < 24; i++ {
		e.Probes[0].Samples[i].State, e.Probes[0].Samples[i].Error = gameday.Missing, hostile
	}
	e.Watched[0].To, e.Watched[1].To, e.Alerts[0].Resolved = at(55), at(55), time.Time{}
	e.Interventions = []gameday.Intervention{{At: at(30), Who: hostile, What: "denied step release"}}
	e.Alerts = append(e.Alerts, gameday.Alert{Fingerprint: "f2", Labels: map[string]string{"alertname": hostile}, ActiveSeen: at(25)})
}

func unhealed(_ *gameday.Plan, e *gameday.Evidence) {
	e.Injections[0].Healed, e.Injections[0].HealError = time.Time{}, "pg_stat_activity: "+hostile
}
