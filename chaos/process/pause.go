package process

import (
	"context"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos"
)

type pauseParams struct {
	Process string         `json:"process" connection:"process" doc:"Connection to the process."`
	Length  model.Duration `json:"length" min:"10ms" max:"1m" doc:"How long each pause is." example:"500ms"`
	Between model.Duration `json:"between" min:"10ms" max:"1m" doc:"How long the process runs between two pauses." example:"2s"`
	Tree    bool           `json:"tree" default:"true" doc:"Also the processes that it has started, and those that these have."`
}

func pause(i *injector) chaos.Fault {
	const name = "process.pause"
	return chaos.Define(chaos.Def[pauseParams]{
		Name:    name,
		Doc:     "Freeze a process again and again for a moment, as long garbage collections or a starved machine do.",
		Example: "{process: orders-api, length: 500ms, between: 2s}",
		Yields:  true,
		Targets: func(ctx context.Context, p pauseParams) (chaos.Selection, error) { return i.targets(ctx, p.Process) },
		Inject: func(ctx context.Context, id chaos.ID, p pauseParams, deadline time.Time) error {
			n := note{ID: id, Fault: name, Process: p.Process, Deadline: deadline, Tree: p.Tree}
			return i.hold(ctx, n, time.Duration(p.Length), time.Duration(p.Between))
		},
		Recover: func(ctx context.Context, id chaos.ID, p pauseParams) error { return i.recover(ctx, p.Process, id) },
		Healed:  func(ctx context.Context, id chaos.ID, p pauseParams) error { return i.healed(ctx, p.Process, id) },
	})
}
