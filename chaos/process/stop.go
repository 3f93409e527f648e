package process

import (
	"context"
	"time"

	"github.com/runbook-engine/runbook/chaos"
)

type stopParams struct {
	Process string `json:"process" connection:"process" doc:"Connection to the process."`
	Tree    bool   `json:"tree" default:"true" doc:"Also the processes that it has started, and those that these have."`
}

// stop does not yield: what was stopped counts as held until our own child lets it
// go, whatever others do to the process. Gone before its time, it was lost.
func stop(i *injector) chaos.Fault {
	const name = "process.stop"
	return chaos.Define(chaos.Def[stopParams]{
		Name:    name,
		Doc:     "Freeze a process (SIGSTOP), as a hung machine does: its connections stay open, and nobody answers. Healing lets it go on (SIGCONT).",
		Example: "{process: orders-db}",
		Targets: func(ctx context.Context, p stopParams) (chaos.Selection, error) { return i.targets(ctx, p.Process) },
		Inject: func(ctx context.Context, id chaos.ID, p stopParams, deadline time.Time) error {
			return i.hold(ctx, note{ID: id, Fault: name, Process: p.Process, Deadline: deadline, Tree: p.Tree}, 0, 0)
		},
		Recover: func(ctx context.Context, id chaos.ID, p stopParams) error { return i.recover(ctx, p.Process, id) },
		Healed:  func(ctx context.Context, id chaos.ID, p stopParams) error { return i.healed(ctx, p.Process, id) },
	})
}
