package runbooks_test

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
)

var today = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// shown is a verdict of some days ago.
func shown(digest, verdict string, days int, recovery time.Duration) ledger.Proof {
	return ledger.Proof{Runbook: "pool", Digest: digest, Gameday: "drill", Verdict: verdict, At: today.AddDate(0, 0, -days), Recovery: model.Duration(recovery)}
}

func TestWhetherAProofHolds(t *testing.T) {
	other := shown("v1", "passed", 1, 0)
	other.Runbook = "restart"
	for name, c := range map[string]struct {
		proofs []ledger.Proof
		holds  bool
		reason string
	}{
		"none":                   {nil, false, "no game day has proven it"},
		"another runbook's":      {[]ledger.Proof{other}, false, "no game day has proven it"},
		"another version's":      {[]ledger.Proof{shown("v0", "passed", 9, 0), shown("v0", "passed", 5, 0)}, false, "changed since its last game day, drill on 2026-11-15"},
		"one":                    {[]ledger.Proof{shown("v1", "passed", 12, 0)}, true, "proof 12 days old, 1 of 1"},
		"just old enough":        {[]ledger.Proof{shown("v1", "passed", 30, 0)}, true, "proof 30 days old, 1 of 1"},
		"too old":                {[]ledger.Proof{shown("v1", "passed", 31, 0)}, false, "its proof is 31 days old, and counts for 30d: drill on 2026-10-20"},
		"failed":                 {[]ledger.Proof{shown("v1", "failed", 1, 0)}, false, "its last game day failed: drill on 2026-11-19"},
		"failed later":           {[]ledger.Proof{shown("v1", "failed", 1, 0), shown("v1", "passed", 2, 0)}, false, "its last game day failed: drill on 2026-11-19"},
		"failed at the same":     {[]ledger.Proof{shown("v1", "failed", 2, 0), shown("v1", "passed", 2, 0)}, false, "its last game day failed: drill on 2026-11-18"},
		"failed before":          {[]ledger.Proof{shown("v1", "passed", 1, 0), shown("v1", "failed", 2, 0)}, true, "proof 1 day old, 1 of 2"},
		"another version failed": {[]ledger.Proof{shown("v0", "failed", 1, 0), shown("v1", "passed", 2, 0)}, true, "proof 2 days old, 1 of 1"},
		"what decides nothing":   {[]ledger.Proof{shown("v1", "passed", 40, 0), shown("v1", "inconclusive", 1, 0), shown("v1", "aborted", 1, 0)}, false, "its proof is 40 days old, and counts for 30d: drill on 2026-10-11"},
		"only degraded":          {[]ledger.Proof{shown("v1", "degraded", 1, 0)}, false, "no game day has proven it"},
		"of a clock ahead":       {[]ledger.Proof{shown("v1", "passed", -1, 0)}, true, "proof 0 days old, 1 of 1"},
	} {
		got := runbooks.Stands(c.proofs, "pool", "v1", model.Duration(30*24*time.Hour), today)
		if got.Holds != c.holds || got.Reason != c.reason {
			t.Errorf("%s: %v %q, want %v %q", name, got.Holds, got.Reason, c.holds, c.reason)
		}
	}
}

func TestWhatGameDaysHaveShown(t *testing.T) {
	var proofs []ledger.Proof
	for i := range 20 {
		proofs = append(proofs, shown("v1", "passed", i+1, time.Duration(i+1)*time.Second))
	}
	proofs = append(proofs, shown("v1", "failed", 30, time.Hour), shown("v0", "passed", 1, time.Hour))
	got := runbooks.Stands(proofs, "pool", "v1", 0, today)
	if !got.Holds || got.Passed != 20 || got.Of != 21 || time.Duration(got.Recovery) != 19*time.Second || got.Gameday != "drill" || !got.At.Equal(today.AddDate(0, 0, -1)) {
		t.Errorf("%+v", got)
	}
	if one := runbooks.Stands(proofs[6:7], "pool", "v1", 0, today); time.Duration(one.Recovery) != 7*time.Second {
		t.Errorf("%+v", one)
	}
}
