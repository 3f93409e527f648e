package process

import (
	"context"
	"fmt"
	"time"

	"github.com/runbook-engine/runbook/chaos"
)

type killParams struct {
	Process string `json:"process" connection:"process" doc:"Connection to the process."`
	Signal  string `json:"signal" default:"KILL" enum:"KILL|TERM|INT|QUIT|ABRT" doc:"What it is sent. KILL is waited for; the others it may answer in its own time."`
}

const (
	killedWithin = 10 * time.Second
	lookEvery    = 5 * time.Millisecond
)

func kill(i *injector) chaos.Fault {
	return chaos.Define(chaos.Def[killParams]{
		Name:    "process.kill",
		Doc:     "Kill a process once. Whoever looks after it may start it again.",
		Example: "{process: orders-api}",
		Targets: func(ctx context.Context, p killParams) (chaos.Selection, error) { return i.targets(ctx, p.Process) },
		Inject: func(ctx context.Context, id chaos.ID, p killParams, deadline time.Time) error {
			return i.kill(ctx, note{ID: id, Fault: "process.kill", Process: p.Process, Deadline: deadline}, p.Signal)
		},
		OneShot: true,
	})
}

// kill writes down whom it kills: a repeated call kills no process that was
// started after the first one.
func (i *injector) kill(ctx context.Context, n note, signal string) error {
	c, err := i.get(ctx, n.Process)
	if err != nil {
		return err
	}
	there, err := c.notes.read(n.ID, killedNote)
	if err == nil && there == nil {
		there = &n
		if there.Root, err = c.free(ctx, n.ID); err == nil {
			err = c.notes.write(*there, killedNote)
		}
	}
	if err == nil {
		err = c.notes.forget(time.Now())
	}
	if err == nil {
		err = there.Root.signal(signals[signal])
	}
	if err == nil && signal == "KILL" {
		err = there.Root.awaitEnd(ctx)
	}
	if err != nil {
		return c.failure("kill", err)
	}
	return nil
}

func (p proc) awaitEnd(ctx context.Context) error {
	for deadline := time.Now().Add(killedWithin); p.state() != ""; {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d is still there %s after it was killed", p.PID, killedWithin)
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
