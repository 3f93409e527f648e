package conformance

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
)

// trial is one promise of one action being checked.
type trial struct {
	Case
	t       *testing.T
	opened  []*actions.Connections
	leaking error
}

func (c Case) try(t *testing.T, p promise) error {
	if c.Arrange != nil {
		c.Arrange(t)
	}
	tr := &trial{Case: c, t: t}
	defer tr.close()
	return errors.Join(p.kept(tr), tr.leaking)
}

func (tr *trial) close() {
	for _, all := range tr.opened {
		all.Close()
	}
}

// at is the action over a system at an address, with the parameters bound.
func (tr *trial) at(address, params string) (*bound, error) {
	var all *actions.Connections
	if tr.Connections != nil {
		var err error
		if all, err = tr.connections(address); err != nil {
			return nil, err
		}
		tr.opened = append(tr.opened, all)
	}
	b, problems := tr.action(all).Bind([]byte(params))
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("parameters %s: %w", params, err)
	}
	return &bound{b, tr}, nil
}

func (tr *trial) connections(address string) (*actions.Connections, error) {
	text := tr.Connections(address)
	nodes, problems := document.Parse("connections.yaml", []byte(text))
	if len(nodes) != 1 {
		return nil, fmt.Errorf("connections: %q is not one document: %w", text, problems.Err())
	}
	all, problems := actions.NewConnections([]*actions.ConnectionKind{tr.System(nil).Connection}, nodes[0])
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("connections: %w", err)
	}
	return all, nil
}

// selected is the action over the real system, and what it would touch.
func (tr *trial) selected() (*bound, []actions.Target, error) {
	b, err := tr.at(tr.Address, tr.Params)
	if err != nil {
		return nil, nil, err
	}
	s, err := b.Targets(tr.t.Context())
	if err != nil {
		return nil, nil, fmt.Errorf("Targets: %w", err)
	}
	if len(s.Targets) == 0 {
		return nil, nil, errors.New("the case selects nothing with Params, so that it proves nothing")
	}
	return b, s.Targets, nil
}

func (tr *trial) state() string {
	if tr.State == nil {
		return ""
	}
	return tr.State(tr.t)
}

// unchanged compares the state with an earlier one.
func (tr *trial) unchanged(before, what string) error {
	if now := tr.state(); now != before {
		return fmt.Errorf("%s changed the system:\n--- before\n%s\n--- after\n%s", what, before, now)
	}
	return nil
}

func (tr *trial) look(where, text string) {
	for _, secret := range tr.Secrets {
		if strings.Contains(text, secret) {
			tr.leaking = fmt.Errorf("a secret shows in the %s of %s: %s", where, tr.Action, text)
		}
	}
}

// bound is a bound action all of whose answers are searched for secrets.
type bound struct {
	actions.Bound
	tr *trial
}

func (b *bound) Targets(ctx context.Context) (actions.Selection, error) {
	s, err := b.Bound.Targets(ctx)
	b.tr.look("targets", fmt.Sprint(s.Targets))
	return s, b.seen(err)
}

func (b *bound) Run(ctx context.Context, key actions.Key, target actions.Target) (json.RawMessage, error) {
	result, err := b.Bound.Run(ctx, key, target)
	b.tr.look("result", string(result))
	return result, b.seen(err)
}

func (b *bound) Undo(ctx context.Context, key actions.Key, target actions.Target) error {
	return b.seen(b.Bound.Undo(ctx, key, target))
}

func (b *bound) Accepts(ctx context.Context, target actions.Target) error {
	return b.seen(b.Bound.Accepts(ctx, target))
}

func (b *bound) seen(err error) error {
	if err != nil {
		b.tr.look("error", err.Error())
	}
	return err
}

// runAll runs on each target as the engine does: one key for each.
func (b *bound) runAll(key actions.Key, targets []actions.Target) ([]any, error) {
	answers := make([]any, len(targets))
	for i, target := range targets {
		raw, err := b.Run(b.tr.t.Context(), keyOf(key, target), target)
		if err != nil {
			return nil, fmt.Errorf("run on %s: %w", target.ID, err)
		}
		if answers[i], err = b.tr.lasting(raw); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

func (b *bound) undoAll(key actions.Key, targets []actions.Target) error {
	for _, target := range targets {
		if err := b.Undo(b.tr.t.Context(), keyOf(key, target), target); err != nil {
			return fmt.Errorf("undo on %s: %w", target.ID, err)
		}
	}
	return nil
}

// lasting is the part of a result that a repeated call gives again.
func (tr *trial) lasting(raw json.RawMessage) (any, error) {
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, fmt.Errorf("the result %s is no JSON object: %w", raw, err)
	}
	for _, name := range tr.Measured {
		delete(fields, name)
	}
	return fields, nil
}

func newKey() actions.Key { return actions.Key("conformance/" + rand.Text()) }

func keyOf(key actions.Key, target actions.Target) actions.Key {
	return actions.Key(string(key) + "/" + target.ID)
}

func same(a, b any) bool { return reflect.DeepEqual(a, b) }
