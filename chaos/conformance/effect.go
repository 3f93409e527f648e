package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
)

func cancelledBefore(tr *trial) error {
	before := tr.state()
	ctx, cancel := context.WithCancel(tr.t.Context())
	cancel()
	calls := map[string]func() error{
		"Targets": func() error { _, err := tr.bound.Targets(ctx); return err },
		"Inject":  func() error { return tr.bound.Inject(ctx, tr.id, time.Now().Add(long)) },
	}
	if !tr.bound.OneShot {
		calls["Healed"] = func() error { return tr.bound.Healed(ctx, tr.id) }
	}
	for what, call := range calls {
		if err := tr.seen(ends(call)); !errors.Is(err, context.Canceled) {
			return fmt.Errorf("%s in a cancelled context gives %w", what, orNil(err))
		}
	}
	return tr.untouched(before, "a call in a cancelled context")
}

func ends(call func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- call() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(promptly):
		return fmt.Errorf("still running %s after its context ended", promptly)
	}
}

func afterDeadline(tr *trial) error {
	before := tr.state()
	if err := tr.inject(-time.Second); actions.ClassOf(err) != actions.ClassPermanent {
		return fmt.Errorf("with a deadline in the past it gives no permanent error, but %w", orNil(err))
	}
	return tr.untouched(before, "an injection after its deadline")
}

// repeatedAdopts: the engine repeats an injection whose answer it lost.
func repeatedAdopts(tr *trial) error {
	if err := tr.well(); err != nil {
		return fmt.Errorf("before the fault: %w", err)
	}
	if err := tr.inject(long); err != nil {
		return err
	}
	if err := tr.felt(); err != nil {
		return err
	}
	before := tr.state()
	if err := tr.inject(long); err != nil {
		return fmt.Errorf("repeated: %w", err)
	}
	if now := tr.state(); now != before {
		return fmt.Errorf("the repeated injection changed the system:\n--- before\n%s\n--- after\n%s", before, now)
	}
	return nil
}

func recoverOfNothing(tr *trial) error {
	before := tr.state()
	if err := tr.recover(); err != nil {
		return err
	}
	if err := tr.eventually("what never happened is healed", tr.healed); err != nil {
		return err
	}
	return tr.untouched(before, "a Recover of what never happened")
}

func healsProvably(tr *trial) error {
	before := tr.state()
	if err := tr.inject(long); err != nil {
		return err
	}
	if tr.healed() == nil {
		return errors.New("it counts as healed while it is on")
	}
	if err := tr.felt(); err != nil {
		return err
	}
	for _, what := range []string{"recovered", "recovered twice"} {
		if err := tr.recover(); err != nil {
			return err
		}
		if err := tr.healed(); err != nil {
			return fmt.Errorf("%s, and not healed: %w", what, err)
		}
	}
	if err := tr.well(); err != nil {
		return err
	}
	return tr.untouched(before, "a fault that was healed")
}

// endsByItself: nobody calls Recover.
func endsByItself(tr *trial) error {
	soon, begin, err := tr.injectSoon()
	if err != nil {
		return err
	}
	if tr.healed() == nil && time.Since(begin) < soon {
		return errors.New("it counts as healed while it is on")
	}
	if err := tr.eventually("it has healed by itself", tr.healed); err != nil {
		return err
	}
	if time.Since(begin) < soon {
		return fmt.Errorf("it ended after %s, before its deadline", time.Since(begin))
	}
	return tr.well()
}

// injectSoon gives a slow machine more time: a fault that is not in force before
// its deadline is none.
func (tr *trial) injectSoon() (soon time.Duration, begin time.Time, err error) {
	for soon = cmp.Or(tr.Soon, 2*time.Second); ; soon *= 3 {
		begin = time.Now()
		if err = tr.inject(soon); err == nil || soon > time.Minute {
			return soon, begin, err
		}
		if err := tr.recover(); err != nil {
			return soon, begin, err
		}
		tr.id = newID()
	}
}

// isSwept: the janitor of another engine knows what it finds, and nothing else.
func isSwept(tr *trial) error {
	deadline := time.Now().Add(long)
	if err := tr.seen(tr.bound.Inject(tr.t.Context(), tr.id, deadline)); err != nil {
		return err
	}
	catalog := tr.anotherEngine()
	found, err := catalog.Active(tr.t.Context())
	if tr.seen(err) != nil {
		return err
	}
	if len(found) != 1 || found[0].ID != tr.id || found[0].Fault != tr.Fault || found[0].Owner != tr.id.Owner() {
		return fmt.Errorf("of %s as %s it finds %+v", tr.Fault, tr.id, found)
	}
	if off := found[0].Deadline.Sub(deadline).Abs(); off > time.Second {
		return fmt.Errorf("it finds the deadline %s instead of %s", found[0].Deadline, deadline)
	}
	if swept, err := catalog.Sweep(tr.t.Context(), time.Now(), false); err != nil || len(swept) > 0 {
		return fmt.Errorf("it heals %v before the deadline (%w)", swept, orNil(err))
	}
	if _, err := catalog.Sweep(tr.t.Context(), deadline, false); err != nil {
		return err
	}
	if err := tr.healed(); err != nil {
		return fmt.Errorf("swept, and not healed: %w", err)
	}
	return errors.Join(tr.well(), tr.nothingActive(catalog))
}

// anotherEngine knows nothing. It sees the injection of this check only: others
// may be under way in the same system.
func (tr *trial) anotherEngine() *chaos.Catalog {
	i := tr.Injector(tr.conns)
	all := i.Active
	i.Active = func(ctx context.Context) ([]chaos.Injection, error) {
		found, err := all(ctx)
		return slices.DeleteFunc(found, func(i chaos.Injection) bool { return i.ID != tr.id }), err
	}
	return chaos.NewCatalog(i)
}

func (tr *trial) nothingActive(catalog *chaos.Catalog) error {
	found, err := catalog.Active(tr.t.Context())
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("it still finds %v", found)
	}
	return err
}

func leavesNothing(tr *trial) error {
	if err := tr.inject(long); err != nil {
		return err
	}
	if err := errors.Join(tr.recover(), tr.healed()); err != nil {
		return err
	}
	return tr.nothingActive(tr.anotherEngine())
}
