package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/internal/shape"
)

// declared: the example lints, everything has a meaning in words, and
// parameters survive the way to another process.
func declared(tr *trial) error {
	f := tr.fault(nil)
	return errors.Join(undocumented(f.Name+" parameter ", f.Params), travels(f, f.Example), travels(f, tr.Params))
}

func undocumented(path string, t *shape.Type) error {
	var problems []error
	for ; t.Elem != nil; t = t.Elem {
	}
	for _, f := range t.Fields {
		if f.Doc == "" {
			problems = append(problems, fmt.Errorf("%s%s has no doc", path, f.Name))
		}
		problems = append(problems, undocumented(path+f.Name+".", f.Type))
	}
	return errors.Join(problems...)
}

func travels(f chaos.Fault, params string) error {
	here, problems := f.Bind([]byte(params))
	if err := problems.Err(); err != nil {
		return fmt.Errorf("%s does not lint: %w", params, err)
	}
	sent, err := here.JSON()
	if err != nil {
		return fmt.Errorf("%s can not be sent: %w", params, err)
	}
	there, problems := f.Bind(sent)
	if err := problems.Err(); err != nil {
		return fmt.Errorf("%s is not accepted as JSON, %s: %w", params, sent, err)
	}
	again, err := there.JSON()
	if err != nil || !bytes.Equal(sent, again) {
		return fmt.Errorf("%s changes on the way: %s, then %s (%w)", params, sent, again, orNil(err))
	}
	return nil
}

func withoutConnection(tr *trial) error {
	b, err := tr.bind(nil)
	if err != nil {
		return err
	}
	if _, err := b.Targets(tr.t.Context()); actions.ClassOf(err) != actions.ClassPermanent {
		return fmt.Errorf("without its connection it gives no permanent error, but %w", orNil(err))
	}
	return nil
}

func targetsOnlyRead(tr *trial) error {
	before := tr.state()
	s, err := tr.bound.Targets(tr.t.Context())
	if tr.seen(err) != nil {
		return fmt.Errorf("the call of Targets: %w", err)
	}
	tr.look("targets", fmt.Sprint(s.Targets))
	if err := wellFormed(s); err != nil {
		return err
	}
	again, err := tr.bound.Targets(tr.t.Context())
	if err != nil || !slices.Equal(s.IDs(), again.IDs()) {
		return fmt.Errorf("the call of Targets gives %v, and asked again %v (%w)", s.IDs(), again.IDs(), orNil(err))
	}
	return tr.untouched(before, "Targets")
}

func wellFormed(s chaos.Selection) error {
	ids := s.IDs()
	if len(ids) == 0 {
		return errors.New("the case selects nothing with Params, so that it proves nothing")
	}
	if s.Population != 0 && s.Population < len(ids) {
		return fmt.Errorf("of a population of %d it selects %d", s.Population, len(ids))
	}
	for n, id := range ids {
		if kind, place, _ := strings.Cut(id, "/"); kind == "" || place == "" {
			return fmt.Errorf("the target %q is not kind/place", id)
		}
		if slices.Contains(ids[:n], id) {
			return fmt.Errorf("the target %s is there twice", id)
		}
	}
	return nil
}
