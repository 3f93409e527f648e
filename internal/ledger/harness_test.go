package ledger_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/ledger"
)

var start = time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC)

// desk is a ledger with a clock that the test turns. After each operation it is
// written and read back, as when its workflow continues as new.
type desk struct {
	t      *testing.T
	l      *ledger.Ledger
	now    time.Time
	limits ledger.Limits
	told   []ledger.Effect
	// rereads spares time: the ledger is read back every so many operations only.
	rereads, ops int
}

func newDesk(t *testing.T) *desk {
	return &desk{t: t, l: ledger.New(start), now: start, limits: ledger.Limits{Lease: model.Duration(30 * time.Second)}}
}

func (d *desk) do(op ledger.Op) ledger.Answer {
	d.t.Helper()
	answers, effects := d.l.Apply(d.now, d.limits, []ledger.Op{op})
	d.told = append(d.told, effects...)
	d.reread()
	return answers[0]
}

func (d *desk) reread() {
	d.t.Helper()
	if d.ops++; d.rereads > 0 && d.ops%d.rereads != 0 {
		return
	}
	packed, err := d.l.Pack()
	if err != nil {
		d.t.Fatal(err)
	}
	before, err := json.Marshal(d.l)
	if err != nil {
		d.t.Fatal(err)
	}
	if d.l, err = ledger.Unpack(packed); err != nil {
		d.t.Fatal(err)
	}
	after, err := json.Marshal(d.l)
	if err != nil || string(before) != string(after) {
		d.t.Fatalf("the ledger is not as it was written: %v\n%s\n%s", err, before, after)
	}
}

// wait turns the clock, and lets the ledger do what it wants to do on the way.
func (d *desk) wait(t time.Duration) {
	d.t.Helper()
	for end := d.now.Add(t); ; {
		next := d.l.Next()
		if next.IsZero() || next.After(end) {
			d.now = end
			return
		}
		if next.After(d.now) {
			d.now = next
		}
		d.told = append(d.told, d.l.Tick(d.now)...)
	}
}

func (d *desk) admit(a ledger.Admit) ledger.Answer {
	d.t.Helper()
	if a.Source == "" {
		a.Source = "alert"
	}
	if a.Runbook == "" {
		a.Runbook = "restart"
	}
	return d.do(ledger.Op{Admit: &a})
}

func (d *desk) admitted(a ledger.Admit) int64 {
	d.t.Helper()
	answer := d.admit(a)
	d.is(answer, ledger.Admitted, "")
	return answer.Token
}

func (d *desk) is(a ledger.Answer, s ledger.State, g ledger.Guard) {
	d.t.Helper()
	if a.State != s || a.Guard != g {
		d.t.Fatalf("%s by %q (%s), want %s by %q", a.State, a.Guard, a.Reason, s, g)
	}
	if s != ledger.Admitted && a.Reason == "" {
		d.t.Fatalf("%s without a reason", s)
	}
	if s == ledger.Queued && !a.Again.After(d.now) {
		d.t.Fatalf("queued, and to ask again at %s", a.Again)
	}
}

func (d *desk) release(run string, acted bool) {
	d.t.Helper()
	d.do(ledger.Op{Release: &ledger.Release{Run: run, Acted: acted}})
}

func (d *desk) confirm(run string, token int64) ledger.Answer {
	d.t.Helper()
	return d.do(ledger.Op{Confirm: &ledger.Confirm{Run: run, Token: token}})
}

// turns are the runs that were told of their turn since it was last asked.
func (d *desk) turns() []string {
	var out []string
	for _, e := range d.told {
		if e.Answer != nil && e.Answer.State == ledger.Admitted {
			out = append(out, e.Run)
		}
	}
	d.told = nil
	return out
}

func (d *desk) expectTurns(want ...string) {
	d.t.Helper()
	if got := d.turns(); !slices.Equal(got, want) {
		d.t.Fatalf("turns %q, want %q", got, want)
	}
}

func rates(t *testing.T, texts ...string) []ledger.Rate {
	t.Helper()
	var out []ledger.Rate
	for _, text := range texts {
		r, err := ledger.ParseRate(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}
