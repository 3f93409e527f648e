package actions

import (
	"context"
	"encoding/json"
)

// Script answers in the place of actions, so that a runbook can be rehearsed
// without the systems that it works on. It is asked as they are: what an action
// is for stands in the context.
type Script interface {
	Targets(ctx context.Context, a Action) (Selection, error)
	Run(ctx context.Context, a Action, target Target) (json.RawMessage, error)
	Undo(ctx context.Context, a Action, target Target) error
}

// Scripted is a catalogue with the same declarations, answered by a script.
func (c *Catalog) Scripted(by Script) *Catalog {
	all := c.All()
	for i := range all {
		all[i] = all[i].scripted(by)
	}
	return NewCatalog(System{Actions: all})
}

func (a Action) scripted(by Script) Action {
	declared := a
	a.run = func(ctx context.Context, _ Key, target Target, _ any) (any, error) {
		return by.Run(ctx, declared, target)
	}
	if a.targets != nil {
		a.targets = func(ctx context.Context, _ any) (Selection, error) { return by.Targets(ctx, declared) }
	}
	a.accepts = nil
	if a.undo != nil {
		a.undo = func(ctx context.Context, _ Key, target Target, _ any) error { return by.Undo(ctx, declared, target) }
	}
	return a
}
