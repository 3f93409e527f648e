package flags

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/runbook-engine/runbook/actions"
)

type disableParams struct {
	Store string `json:"store" connection:"flags" doc:"Connection to the store of flags."`
	Match string `json:"match" doc:"Names of the flags, as a shell pattern." example:"checkout-*"`
	Limit int    `json:"limit" default:"1" min:"1" max:"100" doc:"At most this many flags, the first by name."`
}

type disableResult struct {
	Disabled bool `json:"disabled" doc:"True when this run turned the flag off; false when it was off already."`
}

func disable(conns *actions.Connections) actions.Action {
	d := disabler{conns}
	return actions.Define(actions.Def[disableParams, disableResult]{
		Name:    "flags.disable",
		Doc:     "Turn feature flags off. Undo turns on again what this run turned off, and nothing else.",
		Risk:    actions.Reversible,
		Example: `{store: shop, match: "checkout-*", limit: 5}`,
		Targets: d.targets,
		Run:     d.run,
		Undo:    d.undo,
	})
}

type disabler struct{ conns *actions.Connections }

func (d disabler) targets(ctx context.Context, p disableParams) (actions.Selection, error) {
	c, err := store.Get(ctx, d.conns, p.Store)
	if err != nil {
		return actions.Selection{}, err
	}
	files, err := fs.ReadDir(c.root.FS(), ".")
	if err != nil {
		return actions.Selection{}, fmt.Errorf("list the flags of %s: %w", c.name, err)
	}
	s := actions.Selection{Population: len(files)}
	for _, file := range files {
		match, err := path.Match(p.Match, file.Name())
		if err != nil {
			return s, actions.Permanent(fmt.Errorf("match %q: %w", p.Match, err))
		}
		state, err := c.root.ReadFile(file.Name())
		if err != nil {
			return s, fmt.Errorf("read flag %s of %s: %w", file.Name(), c.name, err)
		}
		if match && string(state) == "on" && len(s.Targets) < p.Limit {
			s.Targets = append(s.Targets, actions.Target{ID: "flag/" + c.name + "/" + file.Name(), Doc: "on"})
		}
	}
	return s, ctx.Err()
}

func (d disabler) run(ctx context.Context, key actions.Key, target actions.Target, p disableParams) (disableResult, error) {
	c, flag, state, err := d.open(ctx, target, p)
	if err != nil {
		return disableResult{}, err
	}
	if state == "on" {
		state = offBy(key)
		if err := c.root.WriteFile(flag, []byte(state), 0o644); err != nil {
			return disableResult{}, fmt.Errorf("turn off flag %s of %s: %w", flag, c.name, err)
		}
	}
	return disableResult{Disabled: state == offBy(key)}, nil
}

func (d disabler) undo(ctx context.Context, key actions.Key, target actions.Target, p disableParams) error {
	c, flag, state, err := d.open(ctx, target, p)
	if err != nil || state != offBy(key) {
		return err
	}
	if err := c.root.WriteFile(flag, []byte("on"), 0o644); err != nil {
		return fmt.Errorf("turn on flag %s of %s: %w", flag, c.name, err)
	}
	return nil
}

// offBy is how run recognises its own earlier attempt, and undo what it may
// touch.
func offBy(key actions.Key) string { return "off by " + string(key) }

func (d disabler) open(ctx context.Context, target actions.Target, p disableParams) (c *client, flag, state string, err error) {
	if c, err = store.Get(ctx, d.conns, p.Store); err != nil {
		return nil, "", "", err
	}
	flag, ours := strings.CutPrefix(target.ID, "flag/"+c.name+"/")
	if !ours || flag == "" {
		return nil, "", "", actions.Permanent(fmt.Errorf("%q is no flag of %s", target.ID, c.name))
	}
	text, err := c.root.ReadFile(flag)
	if err != nil {
		return nil, "", "", actions.Permanent(fmt.Errorf("read flag %s of %s: %w", flag, c.name, err))
	}
	return c, flag, string(text), ctx.Err()
}
