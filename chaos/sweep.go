package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Swept is an injection that a sweep healed, or could not heal.
type Swept struct {
	Injection
	Error string `json:"error,omitempty"` // empty when it is healed, and read back
}

// sweepTimeout bounds what one injector may take of a sweep, so that one that
// hangs does not end all sweeping.
const sweepTimeout = time.Minute

// Active is what of ours is in all systems. What one injector can not tell is in
// the error, and hides nothing of the others.
func (c *Catalog) Active(ctx context.Context) ([]Injection, error) {
	found := make([][]Injection, len(c.injectors))
	err := c.each(ctx, func(ctx context.Context, n int, i Injector) (err error) {
		found[n], err = i.Active(ctx)
		return err
	})
	return inOrder(slices.Concat(found...)), err
}

// Sweep heals what is past its deadline, or everything of ours, in all systems
// at the same time. It needs no memory of what was injected. An error means that
// something may be left that the sweep did not find or could not heal.
func (c *Catalog) Sweep(ctx context.Context, now time.Time, all bool) ([]Swept, error) {
	swept := make([][]Swept, len(c.injectors))
	err := c.each(ctx, func(ctx context.Context, n int, i Injector) (err error) {
		swept[n], err = c.sweep(ctx, i, now, all)
		return err
	})
	return inOrder(slices.Concat(swept...)), err
}

func (c *Catalog) sweep(ctx context.Context, i Injector, now time.Time, all bool) ([]Swept, error) {
	found, err := i.Active(ctx)
	failed := []error{err}
	var swept []Swept
	for _, injection := range found {
		if !all && !injection.Due(now) {
			continue
		}
		s := Swept{Injection: injection}
		if f, known := c.faults[injection.Fault]; known {
			f.flights.end(ctx, injection.ID)
		}
		if err := i.Heal(ctx, injection); err != nil {
			s.Error = err.Error()
			failed = append(failed, fmt.Errorf("heal %s: %w", injection, err))
		}
		swept = append(swept, s)
	}
	return swept, errors.Join(failed...)
}

// each calls f for all injectors at the same time.
func (c *Catalog) each(ctx context.Context, f func(context.Context, int, Injector) error) error {
	ctx, cancel := context.WithTimeout(ctx, sweepTimeout)
	defer cancel()
	failed := make([]error, len(c.injectors))
	var group sync.WaitGroup
	for n, i := range c.injectors {
		group.Go(func() {
			if err := f(ctx, n, i); err != nil {
				failed[n] = fmt.Errorf("%s: %w", i.Name, err)
			}
		})
	}
	group.Wait()
	return errors.Join(failed...)
}

func inOrder[I interface{ name() string }](all []I) []I {
	slices.SortFunc(all, func(a, b I) int { return strings.Compare(a.name(), b.name()) })
	return all
}

func (i Injection) name() string { return i.Fault + "\x00" + string(i.ID) + "\x00" + i.Place }
