// Package wait passes time between steps.
package wait

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

// System is the action wait. It needs no connection.
func System(*actions.Connections) actions.System {
	return actions.System{Actions: []actions.Action{wait()}}
}

type params struct {
	Duration model.Duration `json:"duration" min:"0s" max:"24h" doc:"How long to wait." example:"30s"`
}

type result struct {
	Duration model.Duration `json:"duration" doc:"How long it waited."`
}

// spare is what the end of the wait may take beyond the wait itself.
const spare = time.Minute

func wait() actions.Action {
	return actions.Define(actions.Def[params, result]{
		Name:    "wait",
		Doc:     "Wait before the next step. To wait for something, verify it with `until` instead: that ends as soon as it is true.",
		Risk:    actions.ReadOnly,
		Example: "{duration: 30s}",
		Target:  func(p params) string { return "time/" + p.Duration.String() },
		Idle:    true,
		Limit:   func(p params) time.Duration { return time.Duration(p.Duration) + spare },
		Run:     run,
	})
}

func run(ctx context.Context, _ actions.Key, _ actions.Target, p params) (result, error) {
	timer := time.NewTimer(time.Duration(p.Duration))
	defer timer.Stop()
	if err := ctx.Err(); err != nil {
		return result{}, stopped(p, err)
	}
	select {
	case <-timer.C:
		return result(p), nil
	case <-ctx.Done():
		return result{}, stopped(p, ctx.Err())
	}
}

func stopped(p params, err error) error { return fmt.Errorf("wait for %s: %w", p.Duration, err) }
