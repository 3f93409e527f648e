package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/shape"
)

// declared: the example lints, everything has a meaning in words, and
// parameters survive the way to another process.
func declared(tr *trial) error {
	a := tr.action(nil)
	problems := []error{
		undocumented(a.Name+" parameter ", a.Params),
		undocumented(a.Name+" result ", a.Result),
	}
	for _, params := range []string{a.Example, tr.Params, tr.Nothing, tr.Slow} {
		if params != "" {
			problems = append(problems, travels(a, params))
		}
	}
	for _, name := range tr.Measured {
		if !slices.Contains(a.Result.Names(), name) {
			problems = append(problems, fmt.Errorf("the case measures %q, which the result does not have", name))
		}
	}
	return errors.Join(problems...)
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

// travels: the engine binds twice, once to check and once, from JSON with the
// defaults filled in, to act.
func travels(a actions.Action, params string) error {
	here, problems := a.Bind([]byte(params))
	if err := problems.Err(); err != nil {
		return fmt.Errorf("%s does not lint: %w", params, err)
	}
	sent, err := here.JSON()
	if err != nil {
		return fmt.Errorf("%s can not be sent: %w", params, err)
	}
	there, problems := a.Bind(sent)
	if err := problems.Err(); err != nil {
		return fmt.Errorf("%s is not accepted as JSON, %s: %w", params, sent, err)
	}
	again, err := there.JSON()
	if err != nil || !bytes.Equal(sent, again) {
		return fmt.Errorf("%s changes on the way: %s, then %s (%w)", params, sent, again, err)
	}
	if here.Limit() <= 0 || here.Limit() != there.Limit() {
		return fmt.Errorf("%s has the time limit %s, then %s", params, here.Limit(), there.Limit())
	}
	return nil
}
