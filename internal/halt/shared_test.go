package halt_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/worker"

	"github.com/runbook-engine/runbook/internal/admission"
	"github.com/runbook-engine/runbook/internal/halt"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/temporalserver"
	"github.com/runbook-engine/runbook/internal/temporalserver/temporaltest"
	"github.com/runbook-engine/runbook/workflows"
)

const childDir = "RUNBOOK_HALT_TEST_DIR"

// server is shared by the tests, one after the other: a namespace has one ledger.
var server *temporalserver.Server

// The test program is also the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		s := halt.Open(dir, slog.New(slog.DiscardHandler))
		_, err := s.Halt("ada", "before the kill", time.Time{})
		fmt.Println("halted", err)
		select {}
	}
	os.Exit(temporaltest.Main(m, temporaltest.Keep(&server)))
}

// fleet is two engines, each with its own file, and the ledger between them.
type fleet struct {
	t      *testing.T
	a, b   *halt.Switch
	ledger *admission.Client
	gone   atomic.Bool // nobody reaches the ledger
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	c := temporaltest.Dial(t, server)
	queue := fmt.Sprintf("%s-%d", t.Name(), time.Now().UnixNano())
	w := worker.New(c, queue, worker.Options{})
	workflows.RegisterLedger(w)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		var none *serviceerror.NotFound
		if err := c.TerminateWorkflow(context.Background(), workflows.LedgerID, "", "the test is over"); err != nil && !errors.As(err, &none) {
			t.Error(err)
		}
		w.Stop()
	})
	f := &fleet{t: t, ledger: admission.New(c, queue, func() ledger.Limits { return ledger.Limits{} })}
	f.a, f.b = f.engine(), f.engine()
	return f
}

func (f *fleet) engine() *halt.Switch {
	s := open(f.t, f.t.TempDir())
	s.Join(f.side())
	follow(f.t, s)
	return s
}

var errGone = errors.New("the ledger is gone")

// side is the ledger's side of the switch, from which an engine can be cut off.
func (f *fleet) side() halt.Shared {
	real := halt.Through(f.ledger)
	return halt.Shared{
		Read: func(ctx context.Context) (halt.Record, error) {
			if f.gone.Load() {
				return halt.Record{}, errGone
			}
			return real.Read(ctx)
		},
		Apply: func(ctx context.Context, op ledger.Op) error {
			if f.gone.Load() {
				return errGone
			}
			return real.Apply(ctx, op)
		},
	}
}

func TestTheOtherEngineHears(t *testing.T) {
	f := newFleet(t)
	var slowest time.Duration
	for range 3 {
		since := time.Now()
		mustHalt(t, f.a, "ada", time.Time{})
		if err := f.a.Share(t.Context()); err != nil {
			t.Fatal(err)
		}
		within(t, "the other engine to halt", func() bool { return f.b.State() != nil })
		slowest = max(slowest, time.Since(since))
		if h := halted(t, f.b, "ada"); !h.At.Equal(f.a.State().At) {
			t.Errorf("it heard of another halt: %+v", h)
		}
		mustResume(t, f.b)
		within(t, "the first engine to go on", func() bool { return f.a.State() == nil })
	}
	t.Logf("the slowest of three took %s", slowest)
	if slowest > 5*time.Second { // far more than on a machine at rest
		t.Errorf("the other engine heard after %s", slowest)
	}
}

// A resume that is older than a halt never ends it, whichever arrives first, and
// two sides that were apart come to the same.
func TestTheNewestWordCountsAfterAPartition(t *testing.T) {
	f := newFleet(t)
	mustHalt(t, f.a, "ada", time.Time{})
	within(t, "both to halt", func() bool { return f.b.State() != nil })
	f.gone.Store(true)
	if err := f.a.Share(t.Context()); err == nil || !strings.Contains(err.Error(), "may not have heard") {
		t.Errorf("nobody is told that the others do not hear: %v", err)
	}
	mustResume(t, f.a)
	halted(t, f.a, "")
	mustHalt(t, f.b, "eve", time.Time{}) // newer than the resume of a
	f.gone.Store(false)
	within(t, "the newer halt to reach the first engine", func() bool { h := f.a.State(); return h != nil && h.By == "eve" })
	halted(t, f.b, "eve")

	f.gone.Store(true)
	mustHalt(t, f.a, "ada", time.Time{})
	mustResume(t, f.b) // newer than the halt of a
	halted(t, f.a, "ada")
	halted(t, f.b, "")
	f.gone.Store(false)
	within(t, "both to go on", func() bool { return f.a.State() == nil && f.b.State() == nil })
}

// The clock of the engine that halted is an hour ahead.
func TestAResumeIsNewerThanTheHaltThatItEnds(t *testing.T) {
	f := newFleet(t)
	if _, err := f.ledger.Apply(t.Context(), ledger.Op{Halt: &ledger.Halt{By: "ada", At: time.Now().Add(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	within(t, "the halt to be heard", func() bool { return f.b.State() != nil })
	mustResume(t, f.b)
	halted(t, f.b, "")
	within(t, "the resume to be heard", func() bool { return f.a.State() == nil && f.b.State() == nil })
	mustHalt(t, f.b, "eve", time.Time{})
	within(t, "the halt to be heard", func() bool { return f.a.State() != nil })
	halted(t, f.a, "eve")
}

// Who joins later hears of what was said before, and the longer halt counts on
// all of them.
func TestTheLongerHaltReachesAll(t *testing.T) {
	f := newFleet(t)
	f.gone.Store(true)
	mustHalt(t, f.a, "ada", time.Time{})
	mustHalt(t, f.b, "eve", time.Now().Add(time.Hour))
	f.gone.Store(false)
	c := f.engine()
	for _, s := range []*halt.Switch{f.a, f.b, c} {
		within(t, "the longer halt", func() bool { h := s.State(); return h != nil && h.Until.IsZero() && h.By == "eve" })
	}
}
