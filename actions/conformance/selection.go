package conformance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/runbook-engine/runbook/actions"
)

func targetsOnlyRead(tr *trial) error {
	b, targets, err := tr.selected()
	if err != nil {
		return err
	}
	before := tr.state()
	for range 2 {
		again, err := b.Targets(tr.t.Context())
		if err != nil {
			return fmt.Errorf("Targets: %w", err)
		}
		if err := wellFormed(again); err != nil {
			return err
		}
		if got, want := ids(again.Targets), ids(targets); got != want {
			return fmt.Errorf("Targets gives %s, and asked again %s", want, got)
		}
	}
	return tr.unchanged(before, "Targets")
}

func wellFormed(s actions.Selection) error {
	if s.Population != 0 && s.Population < len(s.Targets) {
		return fmt.Errorf("the population is %d, but %d of them are targets", s.Population, len(s.Targets))
	}
	if n := len(s.Members); n > 0 && n != s.Population {
		return fmt.Errorf("the population is %d, and has %d members", s.Population, n)
	}
	seen := map[string]bool{}
	for _, target := range s.Targets {
		kind, place, _ := strings.Cut(target.ID, "/")
		if kind == "" || place == "" {
			return fmt.Errorf("the target %q is not named like kind/place", target.ID)
		}
		if seen[target.ID] {
			return fmt.Errorf("the target %q is there twice", target.ID)
		}
		seen[target.ID] = true
		if len(s.Members) > 0 && !slices.Contains(s.Members, target.Which()) {
			return fmt.Errorf("the target %q is no member of the population", target.ID)
		}
	}
	return nil
}

func ids(targets []actions.Target) string {
	names := make([]string, len(targets))
	for i, target := range targets {
		names[i] = target.ID
	}
	return strings.Join(names, " ")
}

func selectsNothing(tr *trial) error {
	b, err := tr.at(tr.Address, tr.Nothing)
	if err != nil {
		return err
	}
	s, err := b.Targets(tr.t.Context())
	if err != nil {
		return fmt.Errorf("an empty selection is for the engine to judge, no error of Targets: %w", err)
	}
	if len(s.Targets) != 0 {
		return fmt.Errorf("%s selects %s", tr.Nothing, ids(s.Targets))
	}
	return nil
}

// acceptsChangesNothing: a dry run asks, and the system has what Params need.
func acceptsChangesNothing(tr *trial) error {
	b, targets, err := tr.selected()
	if err != nil {
		return err
	}
	before := tr.state()
	for _, target := range targets {
		if err := b.Accepts(tr.t.Context(), target); err != nil {
			return fmt.Errorf("what Run would do on %s is not accepted: %w", target.ID, err)
		}
	}
	return tr.unchanged(before, "Accepts")
}

// foreignTarget: an action acts on what it selected itself, or on nothing.
func foreignTarget(tr *trial) error {
	b, targets, err := tr.selected()
	if err != nil {
		return err
	}
	before := tr.state()
	kind, _, _ := strings.Cut(targets[0].ID, "/")
	for _, id := range []string{"", "nonsense", kind, kind + "/", kind + "/*", kind + "/../..", kind + "/' OR true --"} {
		_, err := b.Run(tr.t.Context(), newKey(), actions.Target{ID: id})
		if err == nil {
			return fmt.Errorf("ran on the target %q", id)
		}
		if class := actions.ClassOf(err); class != actions.ClassPermanent {
			return fmt.Errorf("a run on the target %q fails as %s, not permanent: %w", id, class, err)
		}
	}
	return tr.unchanged(before, "a run on a target that is none")
}
