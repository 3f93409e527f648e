package valves

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
)

type closeParams struct {
	Pipeline string `json:"pipeline" connection:"valves" doc:"Connection to the valves."`
	Valve    string `json:"valve" pattern:"^[a-z0-9-]+$" doc:"The valve to close." example:"intake"`
}

func closeValve(i injector) chaos.Fault {
	return chaos.Define(chaos.Def[closeParams]{
		Name:    "valves.close",
		Doc:     "Close a valve, so that nothing passes. At the deadline it opens by itself.",
		Example: "{pipeline: north, valve: intake}",
		Targets: func(ctx context.Context, p closeParams) (chaos.Selection, error) { return i.targets(ctx, p) },
		Inject: func(ctx context.Context, id chaos.ID, p closeParams, d time.Time) error {
			return i.close(ctx, id, p, d)
		},
		Recover: func(ctx context.Context, id chaos.ID, p closeParams) error {
			return i.open(ctx, p.Pipeline, p.Valve, id)
		},
		Healed: func(ctx context.Context, id chaos.ID, p closeParams) error {
			return i.healed(ctx, p.Pipeline, p.Valve, id)
		},
	})
}

// targets is empty when there is no such valve.
func (i injector) targets(ctx context.Context, p closeParams) (chaos.Selection, error) {
	root, err := pipeline.Get(ctx, i.conns, p.Pipeline)
	if err != nil {
		return chaos.Selection{}, err
	}
	if _, err := root.Stat(p.Valve); errors.Is(err, fs.ErrNotExist) {
		return chaos.Selection{}, nil
	}
	return chaos.One("valve/"+p.Pipeline+"/"+p.Valve, ""), ctx.Err()
}

func (i injector) close(ctx context.Context, id chaos.ID, p closeParams, deadline time.Time) error {
	root, err := pipeline.Get(ctx, i.conns, p.Pipeline)
	if err != nil {
		return err
	}
	now, err := read(root, p.Valve)
	switch {
	case err != nil:
		return err
	case now.id == id:
		return nil // an earlier call has done it, and its answer was lost
	case now.id != "" && time.Now().Before(now.until):
		return actions.Permanent(fmt.Errorf("close valve %s: %s has closed it", p.Valve, now.id))
	}
	return root.WriteFile(p.Valve, []byte(state{id, deadline}.String()), 0o644)
}

// open touches nothing that another injection has closed.
func (i injector) open(ctx context.Context, name, valve string, id chaos.ID) error {
	root, err := pipeline.Get(ctx, i.conns, name)
	if err != nil {
		return err
	}
	now, err := read(root, valve)
	if err != nil || now.id != id {
		return err
	}
	return root.WriteFile(valve, []byte(isOpen), 0o644)
}

func (i injector) healed(ctx context.Context, name, valve string, id chaos.ID) error {
	root, err := pipeline.Get(ctx, i.conns, name)
	if err != nil {
		return err
	}
	now, err := read(root, valve)
	if err == nil && now.id == id && time.Now().Before(now.until) {
		err = fmt.Errorf("valve %s of %s is closed until %s", valve, name, now.until)
	}
	return errors.Join(err, ctx.Err())
}
