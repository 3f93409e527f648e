package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
)

func TestASoundFaultConforms(t *testing.T) {
	Run(t, newLamp(t).testCase())
}

type (
	injects  = func(context.Context, chaos.ID, lampParams, time.Time) error
	recovers = func(context.Context, chaos.ID, lampParams) error
)

func never(context.Context, chaos.ID, lampParams) error { return nil }

// TestEachBrokenPromiseIsFound breaks one promise at a time, and wants it found
// by the check that is there for it.
func TestEachBrokenPromiseIsFound(t *testing.T) {
	forever := func(l *lamp) injects {
		return func(_ context.Context, id chaos.ID, _ lampParams, _ time.Time) error {
			return l.write(string(id) + " " + time.Now().Add(time.Hour).Format(time.RFC3339Nano))
		}
	}
	for _, broken := range []struct {
		name, by, wants string
		how             func(l *lamp, d *def, i *chaos.Injector)
	}{
		{"Targets writes", "Targets only reads", "Targets changed the system", func(l *lamp, d *def, _ *chaos.Injector) {
			sound := d.Targets
			d.Targets = func(ctx context.Context, p lampParams) (chaos.Selection, error) {
				_ = l.write(l.read() + "!")
				return sound(ctx, p)
			}
		}},
		{"Targets gives none", "Targets only reads", "selects nothing", func(_ *lamp, d *def, _ *chaos.Injector) {
			d.Targets = func(context.Context, lampParams) (chaos.Selection, error) { return chaos.Selection{}, nil }
		}},
		{"a target has no kind", "Targets only reads", "kind/place", func(_ *lamp, d *def, _ *chaos.Injector) {
			d.Targets = func(context.Context, lampParams) (chaos.Selection, error) { return chaos.One("door", ""), nil }
		}},
		{"a secret in a target", "Targets only reads", "a secret shows in the targets", func(_ *lamp, d *def, _ *chaos.Injector) {
			d.Targets = func(context.Context, lampParams) (chaos.Selection, error) { return chaos.One("lamp/door", key), nil }
		}},
		{"a missing connection looks like it could come back", "says that its connection is missing", "no permanent error", func(_ *lamp, d *def, _ *chaos.Injector) {
			d.Targets = func(context.Context, lampParams) (chaos.Selection, error) { return chaos.Selection{}, errors.New("no") }
		}},
		{"Healed does not look at its context", "does nothing when cancelled before", "Healed in a cancelled context", func(_ *lamp, d *def, _ *chaos.Injector) {
			d.Healed = never
		}},
		{"Inject does nothing", "repeated adopts", "the fault is felt: not after", func(_ *lamp, d *def, _ *chaos.Injector) {
			d.Inject = func(context.Context, chaos.ID, lampParams, time.Time) error { return nil }
		}},
		{"Inject acts twice", "repeated adopts", "the repeated injection changed", func(l *lamp, d *def, _ *chaos.Injector) {
			d.Inject = forever(l)
		}},
		{"Recover takes what others did", "Recover of what never happened changes nothing", "changed the system", func(l *lamp, d *def, _ *chaos.Injector) {
			d.Recover = func(context.Context, chaos.ID, lampParams) error { return l.write("bright") }
		}},
		{"Recover does nothing", "takes effect and heals, and Healed tells them apart", "recovered, and not healed", func(_ *lamp, d *def, _ *chaos.Injector) {
			d.Recover = never
		}},
		{"Recover fails the second time", "takes effect and heals, and Healed tells them apart", "already lit", func(l *lamp, d *def, _ *chaos.Injector) {
			d.Recover = recovers(func(_ context.Context, id chaos.ID, _ lampParams) error {
				if l.read() == "lit" {
					return errors.New("already lit")
				}
				return l.light(id)
			})
		}},
		{"Healed believes", "takes effect and heals, and Healed tells them apart", "counts as healed while it is on", func(_ *lamp, d *def, _ *chaos.Injector) {
			d.Healed = never
		}},
		{"Healed believes until the deadline", "ends by itself at its deadline", "counts as healed while it is on", func(_ *lamp, d *def, _ *chaos.Injector) {
			d.Healed = never
		}},
		{"nothing ends it", "ends by itself at its deadline", "it has healed by itself: not after", func(l *lamp, d *def, _ *chaos.Injector) {
			d.Inject = forever(l)
		}},
		{"it ends too early", "ends by itself at its deadline", "counts as healed while it is on", func(_ *lamp, d *def, _ *chaos.Injector) {
			sound := d.Inject
			d.Inject = func(ctx context.Context, id chaos.ID, p lampParams, _ time.Time) error {
				return sound(ctx, id, p, time.Now())
			}
		}},
		{"Active does not find it", "is found and healed by an engine that knows nothing", "it finds []", func(_ *lamp, _ *def, i *chaos.Injector) {
			i.Active = func(context.Context) ([]chaos.Injection, error) { return nil, nil }
		}},
		{"Active does not know the deadline", "is found and healed by an engine that knows nothing", "it finds the deadline", func(_ *lamp, _ *def, i *chaos.Injector) {
			sound := i.Active
			i.Active = func(ctx context.Context) ([]chaos.Injection, error) {
				found, err := sound(ctx)
				for n := range found {
					found[n].Deadline = time.Time{}
				}
				return found, err
			}
		}},
		{"Heal does nothing", "is found and healed by an engine that knows nothing", "swept, and not healed", func(_ *lamp, _ *def, i *chaos.Injector) {
			i.Heal = func(context.Context, chaos.Injection) error { return nil }
		}},
		{"a secret in an error", "repeated adopts", "a secret shows in the error", func(_ *lamp, d *def, _ *chaos.Injector) {
			d.Inject = func(context.Context, chaos.ID, lampParams, time.Time) error {
				return fmt.Errorf("with the key %s: no", key)
			}
		}},
	} {
		t.Run(broken.name, func(t *testing.T) {
			t.Parallel()
			l := newLamp(t)
			l.broken = broken.how
			c := l.testCase()
			c.Patience = 500 * time.Millisecond
			err := c.try(t, named(t, broken.by))
			if err == nil || !strings.Contains(err.Error(), broken.wants) {
				t.Errorf("%q says %v, want …%s…", broken.by, err, broken.wants)
			}
		})
	}
}

func named(t *testing.T, name string) promise {
	t.Helper()
	for _, p := range promises {
		if p.name == name {
			return p
		}
	}
	t.Fatalf("no promise %q", name)
	return promise{}
}

func TestDeclarationsThatDoNotHoldAreFound(t *testing.T) {
	type nested struct {
		Inner struct {
			Bare string `json:"bare" optional:"true"`
		} `json:"inner" optional:"true" doc:"Documented, but not what is in it."`
	}
	type unsendable struct {
		Mode string `json:"mode" optional:"true" enum:"quick|slow" doc:"Not left out when empty."`
	}
	for name, test := range map[string]struct {
		fault chaos.Fault
		wants string
	}{
		"a nested field has no doc":      {sample[nested](), "parameter inner.bare has no doc"},
		"parameters do not survive JSON": {sample[unsendable](), "is not accepted as JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			i := func(*actions.Connections) chaos.Injector {
				return chaos.Injector{Name: "sample", Connection: sockets.Erase(), Faults: []chaos.Fault{test.fault}}
			}
			err := Case{Injector: i, Fault: "sample.one", Connections: "{}", Params: "{}"}.try(t, named(t, "is declared whole"))
			if err == nil || !strings.Contains(err.Error(), test.wants) {
				t.Errorf("says %v, want …%s…", err, test.wants)
			}
		})
	}
}

func sample[P any]() chaos.Fault {
	return chaos.Define(chaos.Def[P]{
		Name: "sample.one", Doc: "A sample.", Example: "{}", OneShot: true,
		Targets: func(context.Context, P) (chaos.Selection, error) { return chaos.Selection{}, nil },
		Inject:  func(context.Context, chaos.ID, P, time.Time) error { return nil },
	})
}
