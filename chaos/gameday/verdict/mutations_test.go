package verdict_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
)

type mutation struct {
	name    string
	change  func(p *gameday.Plan, e *gameday.Evidence)
	verdict verdict.Name
	code    string // of one of the reasons
	because gameday.Because
}

// unrecovered takes the recovery away: bad until the end of the fault.
func unrecovered(e *gameday.Evidence) {
	e.Probes[0].Samples = append(looks(0, 100, 12, 100), looks(101, 105, 0, -1)...)
	lasting(e, 100)
}

// lasting lets the drill go on until the healing at a time.
func lasting(e *gameday.Evidence, heal float64) {
	e.Injections[0].HealIssued, e.Injections[0].Healed, e.Ended = at(heal), at(heal+0.3), at(heal+6)
	e.Injections[0].There = at(heal - 0.2)
	e.Watched[0].To, e.Watched[1].To = at(heal+6), at(heal+6)
	e.Probes[1].Samples = looks(0, int(heal)+5, 0, -1)
}

// healsAt lets the system be well again at a second, whatever was done.
func healsAt(e *gameday.Evidence, bad, well int) {
	e.Probes[0].Samples = looks(0, 35, bad, well)
	e.Injections[0].EffectSeen = at(float64(bad))
}

func secondFault(p *gameday.Plan, e *gameday.Evidence) {
	p.Faults = append(p.Faults, gameday.PlanFault{ID: "second"})
	e.Preflight = append(e.Preflight, gameday.Check{Name: gameday.CheckTargets("second"), State: gameday.OK})
}

// gone lets the fault be gone without anybody's doing.
func gone(e *gameday.Evidence, there, gone float64) {
	e.Injections[0].There, e.Injections[0].Gone = at(there), at(gone)
}

func label(e *gameday.Evidence, name, value string) { e.Alerts[0].Labels[name] = value }

var mutations = []mutation{
	// What the issue names.
	{"the alert is silenced", func(_ *gameday.Plan, e *gameday.Evidence) {
		unrecovered(e)
		e.Alerts[0].Webhook, e.Alerts[0].Suppressed, e.Runs = time.Time{}, true, nil
	}, verdict.Failed, "webhook_missing", ""},
	{"the alert never fires", func(_ *gameday.Plan, e *gameday.Evidence) {
		unrecovered(e)
		e.Alerts, e.Runs = nil, nil
	}, verdict.Failed, "alert_missing", ""},
	{"the alert has another name", func(_ *gameday.Plan, e *gameday.Evidence) {
		label(e, "alertname", "PoolExhausted")
		label(e, "env", "staging")
	}, verdict.Failed, "alert_missing", gameday.ByUnknown},
	{"the alert has a wrong label, and is in scope", func(_ *gameday.Plan, e *gameday.Evidence) { label(e, "alertname", "PoolExhausted") },
		verdict.Inconclusive, "incident", gameday.ByUnknown},
	{"the runbook is disabled", func(_ *gameday.Plan, e *gameday.Evidence) {
		unrecovered(e)
		e.Runs, e.Alerts[0].Decision = nil, "runbook db-pool-exhausted is off"
	}, verdict.Failed, "run_missing", ""},
	{"the runbook only proposes", func(_ *gameday.Plan, e *gameday.Evidence) {
		unrecovered(e)
		e.Runs[0].Mode, e.Runs[0].Steps[1].Effect = "propose", false
	}, verdict.Failed, "run_not_live", ""},
	{"the runbook does nothing, and the system heals itself", func(_ *gameday.Plan, e *gameday.Evidence) { e.Runs[0].Steps[1].Effect = false },
		verdict.Failed, "because_other", gameday.ByItself},
	{"the runbook does nothing", func(_ *gameday.Plan, e *gameday.Evidence) {
		unrecovered(e)
		e.Runs[0].Steps[1].Effect = false
	}, verdict.Failed, "not_recovered", ""},
	{"the runbook acts in vain", func(_ *gameday.Plan, e *gameday.Evidence) {
		unrecovered(e)
		e.Runs[0].Outcome = "not_fixed"
	}, verdict.Failed, "run_outcome", ""},
	{"the pods are replaced", func(_ *gameday.Plan, e *gameday.Evidence) { e.Incarnations[1].IDs = []string{"database/orders@2"} },
		verdict.Failed, "because_other", gameday.ByReplacement},
	{"the system heals itself before the action", func(_ *gameday.Plan, e *gameday.Evidence) { healsAt(e, 11, 13) },
		verdict.Failed, "because_other", gameday.ByItself},
	{"the webhook is lost", func(_ *gameday.Plan, e *gameday.Evidence) { e.Alerts[0].Webhook = time.Time{} },
		verdict.Failed, "webhook_missing", gameday.ByRunbook},
	{"the engine that the webhook reached is killed before it says so", func(_ *gameday.Plan, e *gameday.Evidence) {
		e.Alerts[0].Webhook = time.Time{}
		e.Engines = append(e.Engines, gameday.Arrival{At: at(19), Name: "another"})
	}, verdict.Inconclusive, "alert_unknown", gameday.ByRunbook},
	{"the alert is silenced, and an engine is killed", func(_ *gameday.Plan, e *gameday.Evidence) {
		unrecovered(e)
		e.Alerts[0].Webhook, e.Alerts[0].Suppressed, e.Runs = time.Time{}, true, nil
		e.Engines = append(e.Engines, gameday.Arrival{At: at(19), Name: "another"})
	}, verdict.Failed, "webhook_missing", ""},
	{"the probe is down", func(_ *gameday.Plan, e *gameday.Evidence) {
		for i := range e.Probes[0].Samples {
			if s := &e.Probes[0].Samples[i]; i > 10 && i < 34 {
				s.State = gameday.Missing
			}
		}
	}, verdict.Inconclusive, "no_effect", ""},
	{"the probe is down around the action", func(_ *gameday.Plan, e *gameday.Evidence) {
		for i := 14; i < 22; i++ {
			e.Probes[0].Samples[i].State = gameday.Missing
		}
		e.Incarnations[1].At = at(25)
	}, verdict.Inconclusive, "because_unknown", gameday.ByUnknown},
	{"the probe is down from the effect to the end of the fault", func(_ *gameday.Plan, e *gameday.Evidence) {
		for i := 14; i < 33; i++ {
			e.Probes[0].Samples[i].State = gameday.Missing
		}
	}, verdict.Inconclusive, "recovery_unknown", ""},
	{"the probe is down for a part of a fault that nothing ends", func(_ *gameday.Plan, e *gameday.Evidence) {
		unrecovered(e)
		for i := 30; i < 50; i++ {
			e.Probes[0].Samples[i].State = gameday.Missing
		}
	}, verdict.Inconclusive, "recovery_unknown", ""},
	{"the run started before the fault", func(_ *gameday.Plan, e *gameday.Evidence) { e.Runs[0].Started = at(9) },
		verdict.Failed, "run_missing", gameday.ByUnknown},
	{"the wrong runbook runs", func(_ *gameday.Plan, e *gameday.Evidence) { e.Runs[0].Runbook = "restart-everything" },
		verdict.Failed, "other_runbook", gameday.ByUnknown},
	{"another runbook acts as well", func(_ *gameday.Plan, e *gameday.Evidence) {
		other := baseRun()
		other.ID, other.Runbook, other.Fingerprint = "x.1", "restart-everything", "f2"
		e.Runs = append(e.Runs, other)
	}, verdict.Inconclusive, "because_unknown", gameday.ByUnknown},
	{"another runbook's call has no answer", func(_ *gameday.Plan, e *gameday.Evidence) {
		e.Runs = append(e.Runs, gameday.Run{ID: "x.1", Runbook: "restart-everything", Source: "alert", Mode: "live", Started: at(1),
			Steps: []gameday.RunStep{{ID: "restart", Started: at(2), Acted: at(3), Ended: at(3), Effect: true, Unsure: true}}})
	}, verdict.Inconclusive, "because_unknown", gameday.ByUnknown},
	{"the answer of the remedy is lost", func(_ *gameday.Plan, e *gameday.Evidence) {
		e.Runs[0].Steps[1] = gameday.RunStep{ID: "release", Outcome: "unknown", Started: at(17), Ended: at(17.2), Unsure: true}
	}, verdict.Inconclusive, "because_unknown", gameday.ByUnknown},
	{"it is run by hand", func(_ *gameday.Plan, e *gameday.Evidence) { e.Runs[0].Source = "exec" },
		verdict.Failed, "run_by_hand", gameday.ByHuman},
	{"somebody approves", func(_ *gameday.Plan, e *gameday.Evidence) {
		e.Interventions = []gameday.Intervention{{At: at(16.8), Who: "ann", What: "approved step release"}}
	}, verdict.Failed, "because_other", gameday.ByHuman},
	{"the fault expires first", func(_ *gameday.Plan, e *gameday.Evidence) { e.Injections[0].Deadline = at(16) },
		verdict.Failed, "because_other", gameday.ByExpiry},
	{"the system is well when the fault is taken away", func(_ *gameday.Plan, e *gameday.Evidence) {
		unrecovered(e)
		e.Probes[0].Samples = append(e.Probes[0].Samples, looks(106, 110, 0, -1)...)
		e.Ended = at(110)
	}, verdict.Failed, "because_other", gameday.ByExpiry},
	{"the fault is healed first", func(_ *gameday.Plan, e *gameday.Evidence) {
		e.Injections[0].HealIssued, e.Injections[0].Healed = at(16), at(16.2)
	}, verdict.Failed, "because_other", gameday.ByExpiry},
	{"the effect is never seen", func(_ *gameday.Plan, e *gameday.Evidence) { e.Probes[0].Samples = looks(0, 35, 0, -1) },
		verdict.Inconclusive, "no_effect", ""},
	{"the healing is not proven", func(_ *gameday.Plan, e *gameday.Evidence) { e.Injections[0].Proofs = nil },
		verdict.HealFailed, "not_healed", gameday.ByRunbook},
	{"the healing failed", func(_ *gameday.Plan, e *gameday.Evidence) { e.Injections[0].HealError = "connection refused" },
		verdict.HealFailed, "not_healed", gameday.ByRunbook},
	{"nobody heals", func(_ *gameday.Plan, e *gameday.Evidence) {
		e.Injections[0].HealIssued, e.Injections[0].Healed = time.Time{}, time.Time{}
	}, verdict.HealFailed, "not_healed", gameday.ByRunbook},
	{"healed before it was asked for", func(_ *gameday.Plan, e *gameday.Evidence) { e.Injections[0].HealIssued = at(32) },
		verdict.HealFailed, "not_healed", gameday.ByRunbook},
	{"the answer to the injection was lost, and nobody heals", func(_ *gameday.Plan, e *gameday.Evidence) {
		e.Injections[0] = gameday.Injection{ID: "drill-1.hold", Fault: "hold", Tries: 3, Requested: at(10), Error: "timeout"}
	}, verdict.HealFailed, "not_healed", gameday.ByRunbook},
	{"the system is unwell after the healing", func(_ *gameday.Plan, e *gameday.Evidence) { e.Probes[1].Samples[35].State = gameday.Bad },
		verdict.HealFailed, "not_steady", gameday.ByRunbook},
	{"nobody looks after the healing", func(_ *gameday.Plan, e *gameday.Evidence) { e.Probes[1].Samples = e.Probes[1].Samples[:31] },
		verdict.HealFailed, "not_steady", gameday.ByRunbook},
	{"the last look has no answer", func(_ *gameday.Plan, e *gameday.Evidence) { e.Probes[1].Samples[35].State = gameday.Missing },
		verdict.HealFailed, "not_steady", gameday.ByRunbook},
	{"an unproven healing outweighs an abort", func(_ *gameday.Plan, e *gameday.Evidence) {
		e.Injections[0].Healed = time.Time{}
		e.Abort = &gameday.Abort{At: at(20), By: gameday.AbortAlert, Why: "incident"}
	}, verdict.HealFailed, "not_healed", gameday.ByRunbook},
	{"a one-shot has nothing to heal, and the system stays unwell", func(p *gameday.Plan, e *gameday.Evidence) {
		p.Faults[0].OneShot = true
		e.Probes[0].Samples = looks(0, 35, 12, 35)
	}, verdict.HealFailed, "not_steady", ""},
	{"no probe tells whether the system is well", func(p *gameday.Plan, e *gameday.Evidence) { p.Steady = nil },
		verdict.HealFailed, "not_steady", ""},
	{"somebody cancels", func(_ *gameday.Plan, e *gameday.Evidence) {
		e.Abort = &gameday.Abort{At: at(20), By: gameday.AbortPerson, Why: "ann: not now"}
	}, verdict.Aborted, "aborted", gameday.ByRunbook},
	{"somebody cancels a drill that had failed", func(_ *gameday.Plan, e *gameday.Evidence) {
		unrecovered(e)
		e.Runs = nil
		e.Abort = &gameday.Abort{At: at(100), By: gameday.AbortPerson, Why: "ann: enough"}
	}, verdict.Aborted, "aborted", ""},
	{"a real alert comes", func(_ *gameday.Plan, e *gameday.Evidence) {
		e.Alerts = append(e.Alerts, gameday.Alert{Fingerprint: "f9", Labels: map[string]string{"alertname": "DiskFull", "env": "prod"}, ActiveSeen: at(14)})
		e.Abort = &gameday.Abort{At: at(14.2), By: gameday.AbortAlert, Why: "DiskFull"}
	}, verdict.Aborted, "aborted", gameday.ByRunbook},
	{"a real alert comes, and the drill goes on", func(_ *gameday.Plan, e *gameday.Evidence) {
		e.Alerts = append(e.Alerts, gameday.Alert{Fingerprint: "f9", Labels: map[string]string{"alertname": "DiskFull", "env": "prod"}, ActiveSeen: at(14)})
	}, verdict.Inconclusive, "incident", gameday.ByRunbook},
	{"a probe stops the drill before anything was due", func(_ *gameday.Plan, e *gameday.Evidence) {
		e.Runs, e.Watched[1].To, e.Watched[0].To = nil, at(19), at(19)
		e.Probes[0].Samples = looks(0, 35, 12, 31)
		e.Abort = &gameday.Abort{At: at(19), By: gameday.AbortProbe, Why: "checkout"}
	}, verdict.Aborted, "aborted", ""},
	{"a probe stops the drill after the runbook should have run", func(_ *gameday.Plan, e *gameday.Evidence) {
		unrecovered(e)
		e.Runs = nil
		e.Abort = &gameday.Abort{At: at(100), By: gameday.AbortProbe, Why: "checkout"}
	}, verdict.Failed, "run_missing", ""},

	// What could be told wrongly.
	{"the evidence is of another version", func(_ *gameday.Plan, e *gameday.Evidence) { e.Digest = "d0" }, verdict.Inconclusive, "incomplete", gameday.ByRunbook},
	{"the pre-flight is not green", func(_ *gameday.Plan, e *gameday.Evidence) { e.Preflight[1].State = gameday.Unknown },
		verdict.Inconclusive, "preflight", gameday.ByRunbook},
	{"there was no pre-flight", func(_ *gameday.Plan, e *gameday.Evidence) { e.Preflight = nil }, verdict.Inconclusive, "preflight", gameday.ByRunbook},
	{"the plan can not be read", func(p *gameday.Plan, _ *gameday.Evidence) { p.Scope = []string{"="} }, verdict.Inconclusive, "plan", ""},
	{"the clock goes back", func(_ *gameday.Plan, e *gameday.Evidence) { e.Injections[0].Injected = at(9) }, verdict.Inconclusive, "clock", gameday.ByRunbook},
	{"the looks are out of order", func(_ *gameday.Plan, e *gameday.Evidence) {
		s := e.Probes[0].Samples
		s[20], s[21] = s[21], s[20]
	}, verdict.Inconclusive, "clock", gameday.ByRunbook},
	{"a look takes less than nothing", func(_ *gameday.Plan, e *gameday.Evidence) { e.Probes[1].Samples[3].Took = -second }, verdict.Inconclusive, "clock", gameday.ByRunbook},
	{"a run acts before it starts", func(_ *gameday.Plan, e *gameday.Evidence) { e.Runs[0].Started = at(17) }, verdict.Inconclusive, "clock", gameday.ByRunbook},
	{"something happens after the end", func(_ *gameday.Plan, e *gameday.Evidence) { e.Alerts[0].Resolved = at(50) }, verdict.Inconclusive, "clock", gameday.ByRunbook},
	{"a fault of two is not injected", func(p *gameday.Plan, e *gameday.Evidence) {
		secondFault(p, e)
	},
		verdict.Inconclusive, "not_injected", gameday.ByRunbook},
	{"a fault of two does nothing", func(p *gameday.Plan, e *gameday.Evidence) {
		secondFault(p, e)
		i := e.Injections[0]
		i.Fault, i.EffectSeen = "second", time.Time{}
		e.Injections = append(e.Injections, i)
	}, verdict.Inconclusive, "no_effect", gameday.ByRunbook},
	{"the injection failed", func(_ *gameday.Plan, e *gameday.Evidence) { e.Injections[0].Error = "refused" }, verdict.Inconclusive, "not_injected", gameday.ByRunbook},
	{"the plan has no fault", func(p *gameday.Plan, _ *gameday.Evidence) { p.Faults = nil }, verdict.Inconclusive, "not_injected", gameday.ByRunbook},
	{"the fault is lost before the action", func(_ *gameday.Plan, e *gameday.Evidence) { gone(e, 15.4, 15.9) }, verdict.Inconclusive, "fault_lost", gameday.ByRunbook},
	{"the fault is lost as the runbook acts", func(_ *gameday.Plan, e *gameday.Evidence) { gone(e, 16.9, 17.4) }, verdict.Inconclusive, "fault_lost", gameday.ByRunbook},
	{"the fault is lost, and no alert fires", func(_ *gameday.Plan, e *gameday.Evidence) {
		gone(e, 15.4, 15.9)
		e.Alerts, e.Runs = nil, nil
	}, verdict.Inconclusive, "fault_lost", gameday.ByItself},
	{"a fault that the runbook could end is gone before it acts", func(p *gameday.Plan, e *gameday.Evidence) {
		p.Faults[0].Yields = true
		gone(e, 16.4, 16.9)
	}, verdict.Inconclusive, "fault_lost", gameday.ByRunbook},
	{"a fault that the runbook could end is gone, and the system well, before it acts", func(p *gameday.Plan, e *gameday.Evidence) {
		p.Faults[0].Yields = true
		gone(e, 15.9, 17.4)
		e.Probes[0].Samples = looks(0, 35, 12, 16)
		e.Runs[0].Steps[1].Started, e.Runs[0].Steps[1].Acted = at(17.1), at(17.15)
	}, verdict.Inconclusive, "fault_lost", gameday.ByItself},
	{"a fault that the runbook could end was not looked at for long", func(p *gameday.Plan, e *gameday.Evidence) {
		p.Faults[0].Yields = true
		gone(e, 11.8, 17.4)
	}, verdict.Inconclusive, "fault_lost", gameday.ByRunbook},
	{"nobody looks whether the fault stays", func(_ *gameday.Plan, e *gameday.Evidence) { e.Injections[0].There = at(10.2) }, verdict.Inconclusive, "fault_unknown", gameday.ByRunbook},
	{"an engine is started while it holds the fault", func(p *gameday.Plan, e *gameday.Evidence) {
		p.Faults[0].Yields = true
		e.Injections[0].There, e.Injections[0].Gone = at(16.8), at(17.3)
		e.Engines = append(e.Engines, gameday.Arrival{At: at(19), Name: "another"})
	}, verdict.Inconclusive, "fault_unknown", gameday.ByRunbook},
	{"the system was unwell before", func(_ *gameday.Plan, e *gameday.Evidence) { e.Probes[0].Samples = looks(0, 35, 8, 17) }, verdict.Inconclusive, "no_baseline", gameday.ByRunbook},
	{"the alert was there before", func(_ *gameday.Plan, e *gameday.Evidence) { e.Alerts[0].ActiveSeen = at(5) }, verdict.Inconclusive, "alert_stale", gameday.ByRunbook},
	{"the alert comes late", func(p *gameday.Plan, _ *gameday.Evidence) { p.Expect.Alert.Within = d(4 * second) }, verdict.Failed, "alert_late", gameday.ByRunbook},
	{"the alert is slower than aimed at", func(p *gameday.Plan, _ *gameday.Evidence) { p.Expect.Alert.Aim = d(4 * second) }, verdict.Degraded, "alert_slow", gameday.ByRunbook},
	{"nobody looked for alerts all the time", func(_ *gameday.Plan, e *gameday.Evidence) { e.Alerts, e.Watched[0].From = nil, at(20) },
		verdict.Inconclusive, "alert_unknown", gameday.ByUnknown},
	{"nobody saw whether the webhook came", func(p *gameday.Plan, e *gameday.Evidence) {
		p.Expect.Silent = nil
		e.Alerts[0].Webhook, e.Watched[0].To = time.Time{}, at(18)
	}, verdict.Inconclusive, "alert_unknown", gameday.ByRunbook},
	{"an alert fires that must not", func(p *gameday.Plan, e *gameday.Evidence) {
		e.Alerts = append(e.Alerts, gameday.Alert{Fingerprint: "f3", Labels: map[string]string{"alertname": "Page", "severity": "page"}, ActiveSeen: at(15)})
	}, verdict.Failed, "silent_fired", gameday.ByRunbook},
	{"our own page fires, which must not", func(p *gameday.Plan, e *gameday.Evidence) {
		e.Alerts = append(e.Alerts, gameday.Alert{Fingerprint: "f3", Labels: map[string]string{"env": "prod", "raised_by": "runbook", "severity": "page"}, Webhook: at(15)})
	}, verdict.Failed, "silent_fired", gameday.ByRunbook},
	{"an alert that must not fire did so before", func(p *gameday.Plan, e *gameday.Evidence) {
		e.Alerts = append(e.Alerts, gameday.Alert{Fingerprint: "f3", Labels: map[string]string{"severity": "page"}, ActiveSeen: at(5)})
	}, verdict.Inconclusive, "silent_stale", gameday.ByRunbook},
	{"nobody looked whether an alert fired that must not", func(_ *gameday.Plan, e *gameday.Evidence) { e.Watched[0].To = at(22) },
		verdict.Inconclusive, "silent_unknown", gameday.ByRunbook},
	{"there is a gap in the looks for alerts", func(_ *gameday.Plan, e *gameday.Evidence) {
		e.Watched = append(e.Watched, gameday.Watch{What: gameday.WatchAlerts, From: at(20), To: at(36)})
		e.Watched[0].To = at(13)
	}, verdict.Inconclusive, "silent_unknown", gameday.ByRunbook},
	{"nobody looked for runs all the time", func(_ *gameday.Plan, e *gameday.Evidence) { e.Watched[1].From = at(20) },
		verdict.Inconclusive, "because_unknown", gameday.ByUnknown},
	{"no run is seen, and nobody looked", func(_ *gameday.Plan, e *gameday.Evidence) { e.Runs, e.Watched = nil, e.Watched[:1] },
		verdict.Inconclusive, "run_unwatched", gameday.ByUnknown},
	{"another version of the runbook runs", func(_ *gameday.Plan, e *gameday.Evidence) { e.Runs[0].Digest = "r2" },
		verdict.Inconclusive, "other_version", gameday.ByUnknown},
	{"the runbook runs for another alert", func(_ *gameday.Plan, e *gameday.Evidence) { e.Runs[0].Fingerprint = "f2" },
		verdict.Inconclusive, "run_unknown", gameday.ByUnknown},
	{"the run can not tell its outcome", func(_ *gameday.Plan, e *gameday.Evidence) { e.Runs[0].Outcome = "unknown" },
		verdict.Inconclusive, "run_unknown", gameday.ByRunbook},
	{"the run has not ended", func(_ *gameday.Plan, e *gameday.Evidence) { e.Runs[0].Ended, e.Runs[0].Outcome = time.Time{}, "" },
		verdict.Inconclusive, "run_not_ended", gameday.ByRunbook},
	{"the run does nothing at all", func(_ *gameday.Plan, e *gameday.Evidence) { e.Runs[0].FirstAction, e.Runs[0].Steps = time.Time{}, nil },
		verdict.Failed, "no_action", gameday.ByItself},
	{"the run acts late", func(p *gameday.Plan, _ *gameday.Evidence) { p.Expect.Runbook.Within = d(100 * time.Millisecond) },
		verdict.Failed, "action_late", gameday.ByRunbook},
	{"the run is slower than aimed at", func(p *gameday.Plan, _ *gameday.Evidence) { p.Expect.Runbook.Aim = d(100 * time.Millisecond) },
		verdict.Degraded, "action_slow", gameday.ByRunbook},
	{"a step is skipped", func(p *gameday.Plan, e *gameday.Evidence) { e.Runs[0].Steps[1].Outcome = "skipped" },
		verdict.Failed, "step_not_done", gameday.ByRunbook},
	{"a step is not there", func(p *gameday.Plan, e *gameday.Evidence) { p.Expect.Runbook.Steps = []string{"restart"} },
		verdict.Failed, "step_not_done", gameday.ByRunbook},
	{"it is not known what became of a step", func(p *gameday.Plan, e *gameday.Evidence) { e.Runs[0].Steps[1].Outcome = "unknown" },
		verdict.Inconclusive, "step_unknown", gameday.ByRunbook},
	{"a step that only reads touched nothing", func(p *gameday.Plan, e *gameday.Evidence) {
		p.Expect.Runbook.Steps, e.Runs[0].Steps[0].Targets = []string{"pressure"}, nil
	}, verdict.Inconclusive, "step_unknown", gameday.ByRunbook},
	{"a step touched nothing", func(p *gameday.Plan, e *gameday.Evidence) { e.Runs[0].Steps[1].Targets = nil },
		verdict.Failed, "because_other", gameday.ByItself},
	{"it is not known when a step acted", func(p *gameday.Plan, e *gameday.Evidence) { e.Runs[0].Steps[1].Acted = time.Time{} },
		verdict.Inconclusive, "because_unknown", gameday.ByUnknown},
	{"the action comes after the recovery", func(_ *gameday.Plan, e *gameday.Evidence) {
		s := &e.Runs[0].Steps[1]
		s.Started, s.Acted, s.Ended = at(18.1), at(18.2), at(18.3)
	}, verdict.Failed, "because_other", gameday.ByItself},
	{"the recovery is late", func(p *gameday.Plan, _ *gameday.Evidence) { p.Expect.Recovered.Within = d(6 * second) },
		verdict.Failed, "recovered_late", gameday.ByRunbook},
	{"the recovery is slower than aimed at", func(p *gameday.Plan, _ *gameday.Evidence) { p.Expect.Recovered.Aim = d(5 * second) },
		verdict.Degraded, "recovered_slow", gameday.ByRunbook},
	{"the recovery does not last", func(p *gameday.Plan, e *gameday.Evidence) {
		unrecovered(e)
		e.Probes[0].Samples[50].State, e.Probes[0].Samples[51].State = gameday.Good, gameday.Good
	}, verdict.Failed, "not_recovered", ""},
	{"the system is unwell again while the fault is on", func(_ *gameday.Plan, e *gameday.Evidence) { e.Probes[0].Samples[26].State = gameday.Bad },
		verdict.Degraded, "relapsed", gameday.ByRunbook},
	{"a probe is bad for too long, and nothing stops the drill", func(p *gameday.Plan, e *gameday.Evidence) {
		p.Steady[1].AbortAfter = d(2 * second)
		e.Probes[1].Samples = looks(0, 35, 12, 24)
	}, verdict.Degraded, "steady_breach", gameday.ByRunbook},
	{"nobody knows what became of the targets", func(_ *gameday.Plan, e *gameday.Evidence) { e.Incarnations = e.Incarnations[:1] },
		verdict.Inconclusive, "because_unknown", gameday.ByUnknown},
	{"nobody knows what the targets were", func(_ *gameday.Plan, e *gameday.Evidence) { e.Incarnations = e.Incarnations[1:] },
		verdict.Inconclusive, "because_unknown", gameday.ByUnknown},
	{"the targets are replaced before the remedy that replaces them", func(p *gameday.Plan, e *gameday.Evidence) {
		p.Expect.Runbook.Replaces = true
		e.Incarnations = []gameday.Incarnation{e.Incarnations[0], {At: at(16.9), IDs: []string{"pod/b"}}, {At: at(19), IDs: []string{"pod/b"}}}
	}, verdict.Failed, "because_other", gameday.ByReplacement},

	// Control runs.
	{"without a fault the alert fires", controlled(gameday.NoFault, func(e *gameday.Evidence) { e.Alerts = baseEvidence().Alerts }), verdict.Failed, "control_fired", ""},
	{"without a fault a runbook acts", controlled(gameday.NoFault, func(e *gameday.Evidence) { e.Runs = baseEvidence().Runs }), verdict.Failed, "control_acted", ""},
	{"without a fault a probe is bad", controlled(gameday.NoFault, func(e *gameday.Evidence) { e.Probes[1].Samples[20].State = gameday.Bad }), verdict.Failed, "control_unsteady", ""},
	{"without a fault nobody looks at a probe", controlled(gameday.NoFault, func(e *gameday.Evidence) { e.Probes = e.Probes[:1] }), verdict.Inconclusive, "control_unknown", ""},
	{"without a fault nobody looks for runs", controlled(gameday.NoFault, func(e *gameday.Evidence) { e.Watched = e.Watched[:1] }), verdict.Inconclusive, "control_unknown", ""},
	{"without a fault something is injected", controlled(gameday.NoFault, func(e *gameday.Evidence) { e.Injections = baseEvidence().Injections }), verdict.Inconclusive, "not_injected", ""},
	{"without a fault something is said to be injected", controlled(gameday.NoFault, func(e *gameday.Evidence) { e.Injections = []gameday.Injection{{Fault: "hold"}} }), verdict.Inconclusive, "not_injected", ""},
	{"without the runbook it recovers", controlled(gameday.NoRemedy, func(e *gameday.Evidence) { e.Probes[0].Samples = looks(0, 65, 12, 30) }), verdict.Failed, "control_recovered", gameday.ByUnknown},
	{"without the runbook it acts", controlled(gameday.NoRemedy, func(e *gameday.Evidence) { e.Runs = baseEvidence().Runs }), verdict.Inconclusive, "control_acted", ""},
	{"without the runbook nobody looks long enough", controlled(gameday.NoRemedy, func(e *gameday.Evidence) {
		e.Injections[0].HealIssued, e.Injections[0].Healed = at(31), at(32)
	}), verdict.Inconclusive, "recovery_unknown", ""},
	{"without the runbook the fault is healed early", controlled(gameday.NoRemedy, func(e *gameday.Evidence) {
		e.Injections[0].HealIssued, e.Injections[0].Healed = at(31), at(32)
		e.Probes[0].Samples = looks(0, 65, 12, 31)
	}), verdict.Inconclusive, "recovery_unknown", gameday.ByExpiry},
	{"without the runbook the alert is missing", controlled(gameday.NoRemedy, func(e *gameday.Evidence) { e.Alerts = nil }), verdict.Failed, "alert_missing", ""},
}

func controlled(control gameday.ControlRun, change func(e *gameday.Evidence)) func(*gameday.Plan, *gameday.Evidence) {
	return func(p *gameday.Plan, e *gameday.Evidence) {
		*p, *e = controlRun(control)
		change(e)
	}
}

// controlRun is a control run that passes.
func controlRun(control gameday.ControlRun) (gameday.Plan, gameday.Evidence) {
	p, e := basePlan(), baseEvidence()
	p.Control = control
	e.Runs = nil
	lasting(&e, 60)
	if control == gameday.NoRemedy {
		e.Probes[0].Samples = append(looks(0, 60, 12, 60), looks(61, 65, 0, -1)...)
		return p, e
	}
	p.Faults, e.Injections, e.Alerts, e.Incarnations = nil, nil, nil, nil
	e.Probes[0].Samples, e.Probes[1].Samples = looks(0, 62, 0, -1), looks(0, 62, 0, -1)
	return p, e
}

func TestControlRunWithoutTheRunbookMayCallPeople(t *testing.T) {
	p, e := controlRun(gameday.NoRemedy)
	e.Alerts = append(e.Alerts, gameday.Alert{Fingerprint: "f7", Labels: map[string]string{"alertname": "Slow", "severity": "page"}, ActiveSeen: at(30)})
	p.Expect.Silent = []string{`severity="page"`}
	if v := judge(p, e); v.Verdict != verdict.Passed {
		t.Errorf("it is %s: %+v", v.Verdict, v.Reasons)
	}
}

func TestControlRunsPass(t *testing.T) {
	for _, control := range []gameday.ControlRun{gameday.NoFault, gameday.NoRemedy} {
		if v := judge(controlRun(control)); v.Verdict != verdict.Passed || v.Proof {
			t.Errorf("%s: %+v", control, v)
		}
	}
}

// Drills of other kinds than the base, which pass as well.
func TestOtherDrillsPass(t *testing.T) {
	unproven := func(because gameday.Because) func(p *gameday.Plan, e *gameday.Evidence) {
		return func(p *gameday.Plan, e *gameday.Evidence) {
			p.Proves, p.Expect.Runbook, p.Expect.Recovered.Because = nil, nil, because
			e.Runs = nil
		}
	}
	for name, change := range map[string]func(p *gameday.Plan, e *gameday.Evidence){
		"of a fault that is over once it happened": func(p *gameday.Plan, e *gameday.Evidence) {
			p.Faults[0].OneShot = true
			e.Injections[0] = gameday.Injection{ID: "x", Fault: "hold", Targets: []string{"pod/a"}, Requested: at(10), Injected: at(10.2), EffectSeen: at(12), Deadline: at(10)}
		},
		"of a remedy that replaces the targets": func(p *gameday.Plan, e *gameday.Evidence) {
			p.Expect.Runbook.Replaces = true
			e.Incarnations[1].IDs = []string{"pod/b"}
		},
		"of a system that heals itself": unproven(gameday.ByItself),
		"of targets that are replaced": func(p *gameday.Plan, e *gameday.Evidence) {
			unproven(gameday.ByReplacement)(p, e)
			e.Incarnations[1].IDs = []string{"pod/b"}
		},
		"of a fault that ends": func(p *gameday.Plan, e *gameday.Evidence) {
			unproven(gameday.ByExpiry)(p, e)
			e.Injections[0].Deadline = at(17)
		},
		"of people": func(p *gameday.Plan, e *gameday.Evidence) {
			unproven(gameday.ByHuman)(p, e)
			e.Interventions = []gameday.Intervention{{At: at(16), Who: "ann", What: "ran it by hand"}}
		},
		"with a person who acts when all is well": func(_ *gameday.Plan, e *gameday.Evidence) {
			e.Interventions = []gameday.Intervention{{At: at(25), Who: "ann", What: "had a look"}}
		},
		"that expects silence alone": func(p *gameday.Plan, e *gameday.Evidence) {
			p.Proves, p.Expect = nil, gameday.Expect{Silent: []string{`severity="page"`}}
			e.Alerts = nil
		},
		"with an alert out of scope, and one that was over before": func(_ *gameday.Plan, e *gameday.Evidence) {
			e.Alerts = append(e.Alerts,
				gameday.Alert{Fingerprint: "f8", Labels: map[string]string{"alertname": "Other", "env": "test"}, ActiveSeen: at(12)},
				gameday.Alert{Fingerprint: "f9", Labels: map[string]string{"alertname": "Other", "env": "prod"}, ActiveSeen: at(2), Resolved: at(8)})
		},
		"with a run of another runbook that was over before": func(_ *gameday.Plan, e *gameday.Evidence) {
			other := baseRun()
			other.Runbook, other.Started, other.FirstAction, other.Ended = "other", at(1), at(2), at(8)
			other.Steps[1].Started, other.Steps[1].Acted, other.Steps[1].Ended = at(3), at(4), at(5)
			other.Steps = other.Steps[1:]
			e.Runs = append([]gameday.Run{other}, e.Runs...)
		},
		"in which it is well before the call that did it is over": func(_ *gameday.Plan, e *gameday.Evidence) {
			e.Runs[0].Steps[1].Acted, e.Runs[0].Steps[1].Ended = at(19), at(19.1)
		},
		"of a runbook that is to leave it alone": func(p *gameday.Plan, e *gameday.Evidence) {
			p.Expect.Recovered, p.Expect.Runbook = nil, &gameday.Remedying{Outcome: "skipped", Within: d(10 * second)}
			e.Runs[0].Outcome, e.Runs[0].FirstAction, e.Runs[0].Steps = "skipped", time.Time{}, nil
		},
	} {
		p, e := basePlan(), baseEvidence()
		change(&p, &e)
		if v := judge(p, e); v.Verdict != verdict.Passed {
			t.Errorf("a drill %s is %s: %+v", name, v.Verdict, v.Reasons)
		}
	}
}

func TestEachMutationChangesTheVerdict(t *testing.T) {
	for _, m := range mutations {
		t.Run(m.name, func(t *testing.T) {
			p, e := basePlan(), baseEvidence()
			m.change(&p, &e)
			v := judge(p, e)
			if v.Verdict != m.verdict || v.Because != m.because {
				t.Errorf("the verdict is %s because of %q, not %s because of %q: %+v", v.Verdict, v.Because, m.verdict, m.because, v.Reasons)
			}
			if !slices.ContainsFunc(v.Reasons, func(r verdict.Reason) bool { return r.Code == m.code && r.Text != "" }) {
				t.Errorf("no reason is %s: %+v", m.code, v.Reasons)
			}
			if v.Proof != (decides(v.Verdict) && p.Control == "") {
				t.Errorf("%s is taken for a proof: %v", v.Verdict, v.Proof)
			}
		})
	}
}

// decides asks the guards whether they count such a proof.
func decides(v verdict.Name) bool {
	return runbooks.Stands([]ledger.Proof{{Runbook: "r", Digest: "d", Verdict: string(v)}}, "r", "d", 0, time.Now()).Of == 1
}

// Every code that the source can give is reached by a mutation, and explained.
func TestEveryCodeIsReachedAndExplained(t *testing.T) {
	explained, err := os.ReadFile("../../../docs/verdicts.md")
	if err != nil {
		t.Fatal(err)
	}
	reached := []string{"passed", "not_judged"} // the second when the judge could not be asked
	for _, m := range mutations {
		reached = append(reached, m.code)
	}
	for _, code := range codes(t) {
		if !slices.Contains(reached, code) {
			t.Errorf("no mutation gives %s", code)
		}
		if !strings.Contains(string(explained), "`"+code+"`") {
			t.Errorf("docs/verdicts.md does not explain %s", code)
		}
	}
}

var codeForm = regexp.MustCompile(`(?:reason\(|\.fail\(|\.doubt\(|\.slow\(|Code: )"([^"]+)"`)

func codes(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	drill, err := filepath.Glob("../../../workflows/drills/*.go")
	if err != nil || len(drill) == 0 {
		t.Fatalf("the source of drills: %v, %v", drill, err)
	}
	for _, file := range append(files, drill...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range codeForm.FindAllStringSubmatch(string(src), -1) {
			all = append(all, m[1])
		}
	}
	if len(all) < 40 {
		t.Errorf("only %d codes found in the source", len(all))
	}
	return all
}
