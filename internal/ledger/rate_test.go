package ledger_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/ledger"
)

func TestRatesAreReadAndWritten(t *testing.T) {
	for text, want := range map[string]struct {
		n     int
		per   time.Duration
		again string
	}{
		"3/h":     {3, time.Hour, "3/h"},
		"7/d":     {7, 24 * time.Hour, "7/d"},
		"2/30m":   {2, 30 * time.Minute, "2/30m"},
		"1/w":     {1, 7 * 24 * time.Hour, "1/w"},
		"10/60s":  {10, time.Minute, "10/m"},
		"5/1h30m": {5, 90 * time.Minute, "5/1h30m"},
		"5/250ms": {5, 250 * time.Millisecond, "5/250ms"},
	} {
		got, err := ledger.ParseRate(text)
		if err != nil || got != (ledger.Rate{N: want.n, Per: model.Duration(want.per)}) || got.String() != want.again {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
		raw, err := json.Marshal([]ledger.Rate{got})
		if err != nil {
			t.Fatal(err)
		}
		var back []ledger.Rate
		if err := json.Unmarshal(raw, &back); err != nil || len(back) != 1 || back[0] != got {
			t.Errorf("%s comes back from %s as %v, %v", text, raw, back, err)
		}
	}
}

func TestWhatIsNoRate(t *testing.T) {
	for _, text := range []string{"", "3", "/h", "0/h", "-1/h", "+3/h", "3/", "3/0", "3/0s", "3/hour", "3 per hour", "3/h/d", "1.5/h", "9999999999999999999/h", "1000001/h"} {
		if got, err := ledger.ParseRate(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
