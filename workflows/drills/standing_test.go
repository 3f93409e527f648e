package drills_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"

	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// held is a fault of which a test says whether it is there.
func held(healed func() error) chaos.Fault {
	type params struct{}
	return chaos.Define(chaos.Def[params]{
		Name: "test.held", Doc: "Is there as long as a test says so.", Example: "{}",
		Targets: func(context.Context, params) (chaos.Selection, error) { return chaos.One("thing/a", ""), nil },
		Inject:  func(context.Context, chaos.ID, params, time.Time) error { return nil },
		Recover: func(context.Context, chaos.ID, params) error { return nil },
		Healed:  func(context.Context, chaos.ID, params) error { return healed() },
	})
}

func injector(f chaos.Fault) chaos.Injector {
	return chaos.Injector{
		Name: "test", Faults: []chaos.Fault{f},
		Active: func(context.Context) ([]chaos.Injection, error) { return nil, nil },
		Heal:   func(context.Context, chaos.Injection) error { return nil },
	}
}

// A fault that ends with what holds it is not there because nobody answers.
func TestALookAtAFaultCountsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		says        error
		there, gone bool
	}{
		"it is there":                   {says: errors.New("a toxic is still there"), there: true},
		"its system does not answer":    {says: context.DeadlineExceeded, there: true},
		"what holds it does not answer": {says: fmt.Errorf("read back: %w", chaos.ErrHolderSilent)},
		"it is gone":                    {gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &drills.Activities{
				Faults: chaos.NewCatalog(injector(held(func() error { return c.says }))),
				Alerts: func(context.Context) ([]gameday.Alert, error) { return nil, nil },
				Runs:   func(context.Context, time.Time) ([]gameday.Run, []gameday.Intervention, error) { return nil, nil, nil },
			}
			env := (&testsuite.WorkflowTestSuite{}).NewTestActivityEnvironment()
			env.RegisterActivity(a.Look)
			answer, err := env.ExecuteActivity(a.Look, drills.Look{
				Task:     drills.Task{ID: "gd-1", Plan: gameday.Plan{Faults: []gameday.PlanFault{{ID: "hold", Inject: "test.held", With: []byte("{}")}}}},
				Injected: map[string]string{"gd-1.hold": "hold"},
			})
			var sight drills.Sight
			if err == nil {
				err = answer.Get(&sight)
			}
			if err != nil || len(sight.Faults) != 1 {
				t.Fatal(sight, err)
			}
			if got := sight.Faults[0]; got.There.IsZero() == c.there || got.Gone.IsZero() == c.gone {
				t.Errorf("%+v", got)
			}
		})
	}
}
