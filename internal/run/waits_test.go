package run_test

import (
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
)

func TestARunUnderWaySaysWhatItWaitsFor(t *testing.T) {
	consent := &run.Approval{
		Steps: []string{"restart"}, By: []string{"oncall"}, Count: 2, Decisions: []run.Decision{{By: "ada", Approve: true}},
		Deadline: time.Date(2026, 11, 20, 3, 10, 0, 0, time.UTC),
	}
	queued := &run.Admission{State: ledger.Queued, Guard: ledger.GuardResource, Reason: "db is held by heal.1", Position: 3}
	halted := &run.Admission{State: ledger.Queued, Guard: ledger.GuardHalt, Reason: "ann halted the engine"}
	waiting := []run.Event{{Kind: "started", Text: "started"}, {Kind: "waiting", Text: "waits until the alert has been firing for 2m"}}
	for want, r := range map[string]run.Run{
		"consent to restart by oncall, 1 of 2, until 2026-11-20 03:10:00 UTC": {Phase: run.Approving, Approval: consent},
		"its turn, place 3 in the queue: db is held by heal.1":                {Phase: run.Admitting, Admission: queued},
		"the end of the halt: ann halted the engine":                          {Phase: run.Admitting, Admission: halted},
		"the end of the halt: enough":                                         {Phase: run.Acting, Halted: "enough", Admission: &run.Admission{State: ledger.Admitted}},
		"waits until the alert has been firing for 2m":                        {Phase: run.Admitting, Events: waiting},
	} {
		r.Status = run.Running
		if got := r.WaitsFor(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if r.Status = run.Ended; r.WaitsFor() != "" {
			t.Errorf("it has ended and waits for %q", r.WaitsFor())
		}
	}
	works := run.Run{Status: run.Running, Phase: run.Acting, Approval: consent, Admission: queued, Events: waiting}
	if got := works.WaitsFor(); got != "" {
		t.Errorf("it works, and waits for %q", got)
	}
}
