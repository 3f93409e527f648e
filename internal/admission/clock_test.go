package admission_test

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/admission"
)

// rates are those of the workers' clocks in a contest: about as far apart as
// leases bear. The slowest believes for 1/0.85 of a lease in what the ledger gives
// to others after 6/5 of it.
var rates = []float64{0.85, 0.95, 1, 1.15}

// wrong is a clock that is set again and again, by up to an hour.
func wrong(seed uint64) func() time.Duration {
	const again = 2 * time.Second
	return func() time.Duration {
		turn := uint64(time.Now().UnixNano()) / uint64(again)
		return upTo(rand.New(rand.NewPCG(seed, turn)), 2*time.Hour) - time.Hour
	}
}

func TestOfTwoClocksTheOneThatSaysMoreCounts(t *testing.T) {
	for _, c := range []struct{ steady, wall, want time.Duration }{
		{time.Second, time.Minute, time.Minute}, {time.Second, -time.Hour, time.Second}, {time.Second, 0, time.Second},
	} {
		if got := admission.Elapsed(c.steady, c.wall); got != c.want {
			t.Errorf("%s by the one and %s by the other is %s", c.steady, c.wall, got)
		}
	}
}

func TestAClockThatIsSetKeepsNoLease(t *testing.T) {
	var set atomic.Int64
	wall := func() time.Duration { return time.Duration(set.Load()) }
	t.Run("forward", func(t *testing.T) {
		d := newDesk(t, lease(30*time.Second), 0)
		d.Skew(1, wall)
		a := d.admit("heal.1", "db")
		held, stop, err := d.Hold(t.Context(), "heal.1", a.Token)
		if err != nil || held.Err() != nil {
			t.Fatalf("%v, %v", err, context.Cause(held))
		}
		set.Store(int64(time.Minute))
		if held.Err() == nil {
			t.Error("a machine that slept for a minute still holds a lease of half a minute")
		}
		if err := stop(); !isLost(err) {
			t.Error(err)
		}
	})
	t.Run("back", func(t *testing.T) {
		d := newDesk(t, lease(2*time.Second), 0)
		d.Skew(1, wall)
		a := d.admit("heal.1", "db")
		held, stop, err := d.Hold(t.Context(), "heal.1", a.Token)
		if err != nil {
			t.Fatal(err)
		}
		d.worker.Stop()
		defer d.work()
		set.Add(-int64(time.Hour))
		select {
		case <-held.Done():
		case <-time.After(10 * time.Second):
			t.Error("it goes on, by a clock that was set back")
		}
		if err := stop(); !isLost(err) {
			t.Error(err)
		}
	})
}
