package drills_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/workflows/drills"
)

type nothing struct{}

// switchboard is a system whose one fault is a mark of who injected it.
type switchboard struct {
	marks []chaos.Injection
	// meanwhile is marked between the first look and the injection.
	meanwhile *chaos.Injection
	silent    error // instead of an answer
	forbidden error
}

func (s *switchboard) injector() chaos.Injector {
	return chaos.Injector{
		Name: "board",
		Faults: []chaos.Fault{chaos.Define(chaos.Def[nothing]{
			Name: "board.off", Doc: "Switch it off.", Example: "{}",
			Targets: func(context.Context, nothing) (chaos.Selection, error) { return chaos.One("board/a", ""), nil },
			Allowed: func(context.Context, nothing) error { return s.forbidden },
			Inject: func(_ context.Context, id chaos.ID, _ nothing, _ time.Time) error {
				if s.meanwhile != nil {
					s.marks = append(s.marks, *s.meanwhile)
				}
				s.marks = append(s.marks, chaos.Injection{ID: id, Owner: id.Owner(), Fault: "board.off"})
				return nil
			},
			Recover: func(context.Context, chaos.ID, nothing) error { return nil },
			Healed:  func(context.Context, chaos.ID, nothing) error { return nil },
		})},
		Active: func(context.Context) ([]chaos.Injection, error) { return s.marks, s.silent },
		Heal:   func(context.Context, chaos.Injection) error { return nil },
	}
}

// Two drills at a time could each take the work of the other's fault for that of
// its own.
func TestAFaultIsInjectedBesideNoOther(t *testing.T) {
	other := chaos.Injection{ID: chaos.NewID("other.1", "hold"), Owner: chaos.Owner("other.1"), Fault: "board.off"}
	own := chaos.Injection{ID: chaos.NewID("pool.1", "first"), Owner: chaos.Owner("pool.1"), Fault: "board.off"}
	for name, c := range map[string]struct {
		board   switchboard
		refused bool
		touched int
	}{
		"alone":                       {switchboard{}, false, 1},
		"another fault of this drill": {switchboard{marks: []chaos.Injection{own}}, false, 2},
		"no answer":                   {switchboard{silent: errors.New("no route")}, false, 1},
		"another drill before":        {switchboard{marks: []chaos.Injection{other}}, true, 1},
		"another drill meanwhile":     {switchboard{meanwhile: &other}, true, 2},
	} {
		log, err := audit.Open(t.TempDir() + "/audit.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		a := &drills.Activities{Faults: chaos.NewCatalog(c.board.injector()), Audit: log, Halted: func() string { return "" }}
		env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
		env.RegisterActivity(a.Inject)
		call := drills.FaultCall{
			Drill: "pool.1", Gameday: "pool", Fault: gameday.PlanFault{ID: "hold", Inject: "board.off", With: []byte("{}"), For: plan().Faults[0].For},
			ID: string(chaos.NewID("pool.1", "hold")), Deadline: time.Now().Add(time.Minute), Limits: plan().Limits,
		}
		call.Limits.MaxDuration = plan().Faults[0].For
		_, err = env.ExecuteActivity(a.Inject, call)
		if refused := err != nil && strings.Contains(err.Error(), "another drill began meanwhile"); refused != c.refused || err != nil && !refused {
			t.Errorf("%s: %v", name, err)
		}
		if len(c.board.marks) != c.touched {
			t.Errorf("%s: %d faults are there, not %d", name, len(c.board.marks), c.touched)
		}
	}
}

// What would only fail when it is healed keeps a drill from beginning.
func TestRightsAreACheckOfThePreflight(t *testing.T) {
	for state, forbidden := range map[gameday.State]error{
		gameday.OK: nil, gameday.Failed: actions.Permanent(errors.New("it may not delete")), gameday.Unknown: errors.New("no route"),
	} {
		p := plan()
		p.Faults = []gameday.PlanFault{{ID: "hold", Inject: "board.off", With: []byte("{}")}}
		board := switchboard{forbidden: forbidden}
		a := &drills.Activities{Faults: chaos.NewCatalog(board.injector()), Halted: func() string { return "" }, Alerts: func(context.Context) ([]gameday.Alert, error) { return nil, nil }}
		checks := a.Survey(t.Context(), "pool.1", p).Checks
		at := slices.IndexFunc(checks, func(c gameday.Check) bool { return c.Name == "rights for hold" })
		if at < 0 || checks[at].State != state || forbidden != nil && checks[at].Text != forbidden.Error() {
			t.Errorf("want %s: %+v", state, checks)
		}
	}
}
