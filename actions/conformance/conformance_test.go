package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

func TestASoundActionConforms(t *testing.T) {
	Run(t, newLamps(t, nil).testCase())
}

type (
	def     = actions.Def[lampParams, lampResult]
	targets = func(context.Context, lampParams) (actions.Selection, error)
	runs    = func(context.Context, actions.Key, actions.Target, lampParams) (lampResult, error)
)

// TestEachBrokenPromiseIsFound breaks one promise at a time, and wants it found
// by the check that is there for it.
func TestEachBrokenPromiseIsFound(t *testing.T) {
	for _, broken := range []struct {
		name  string
		by    string
		wants string
		how   func(l *lamps, d *def)
	}{
		{"Targets writes", "Targets only reads", "Targets changed the system", func(l *lamps, d *def) {
			d.Targets = aroundTargets(d.Targets, func() { l.write(l.read() + "!") })
		}},
		{"a target has no kind", "Targets only reads", "kind/place", func(_ *lamps, d *def) {
			d.Targets = fixedTargets(actions.Selection{Targets: []actions.Target{{ID: "door"}}})
		}},
		{"a target is there twice", "Targets only reads", "twice", func(_ *lamps, d *def) {
			d.Targets = fixedTargets(actions.Selection{Targets: []actions.Target{{ID: "lamp/door"}, {ID: "lamp/door"}}})
		}},
		{"the population is too small", "Targets only reads", "population is 1", func(_ *lamps, d *def) {
			d.Targets = fixedTargets(actions.Selection{Targets: []actions.Target{{ID: "lamp/a"}, {ID: "lamp/b"}}, Population: 1})
		}},
		{"a member is missing", "Targets only reads", "has 1 members", func(_ *lamps, d *def) {
			d.Targets = fixedTargets(actions.Selection{Targets: []actions.Target{{ID: "lamp/a"}}, Population: 2, Members: []string{"lamp/a"}})
		}},
		{"a target is no member", "Targets only reads", "no member", func(_ *lamps, d *def) {
			d.Targets = fixedTargets(actions.Selection{Targets: []actions.Target{{ID: "lamp/a"}}, Population: 1, Members: []string{"lamp/b"}})
		}},
		{"Targets changes its mind", "Targets only reads", "asked again", func(_ *lamps, d *def) {
			calls := 0
			d.Targets = func(context.Context, lampParams) (actions.Selection, error) {
				calls++
				return actions.Selection{Targets: []actions.Target{{ID: fmt.Sprint("lamp/", calls)}}}, nil
			}
		}},
		{"Accepts writes", "Accepts changes nothing", "Accepts changed the system", func(l *lamps, d *def) {
			d.Accepts = func(context.Context, actions.Target, lampParams) error { l.write("asked"); return nil }
		}},
		{"Accepts refuses what Run does", "Accepts changes nothing", "is not accepted: fused", func(_ *lamps, d *def) {
			d.Accepts = func(context.Context, actions.Target, lampParams) error { return errors.New("fused") }
		}},
		{"nothing means all", "selects nothing", "selects lamp/door", func(_ *lamps, d *def) {
			d.Targets = fixedTargets(actions.Selection{Targets: []actions.Target{{ID: "lamp/door"}}})
		}},
		{"an empty selection is an error", "selects nothing", "for the engine to judge", func(_ *lamps, d *def) {
			sound := d.Targets
			d.Targets = func(ctx context.Context, p lampParams) (actions.Selection, error) {
				s, err := sound(ctx, p)
				if len(s.Targets) == 0 {
					err = errors.New("nothing to do")
				}
				return s, err
			}
		}},
		{"Run takes any target", "refuses a target it never gave", "ran on the target", func(_ *lamps, d *def) {
			sound := d.Run
			d.Run = func(ctx context.Context, key actions.Key, _ actions.Target, p lampParams) (lampResult, error) {
				return sound(ctx, key, actions.Target{ID: "lamp/door"}, p)
			}
		}},
		{"Run does nothing", "repeated changes nothing", "the state went from", func(_ *lamps, d *def) {
			d.Run = func(context.Context, actions.Key, actions.Target, lampParams) (lampResult, error) {
				return lampResult{}, nil
			}
		}},
		{"a read only action writes", "repeated changes nothing", "is read_only, and the state went from", func(_ *lamps, d *def) {
			d.Risk, d.Undo = actions.ReadOnly, nil
		}},
		{"Run acts twice", "repeated changes nothing", "the repeated run changed the system", func(l *lamps, d *def) {
			d.Run = aroundRun(d.Run, func() { l.write(l.read() + "!") })
		}},
		{"Run answers differently", "repeated changes nothing", "and repeated", func(l *lamps, d *def) {
			sound := d.Run
			d.Run = func(ctx context.Context, key actions.Key, target actions.Target, p lampParams) (lampResult, error) {
				was := l.read()
				_, err := sound(ctx, key, target, p)
				return lampResult{Was: was}, err
			}
		}},
		{"Undo does nothing", "Undo restores", "run and undo changed the system", func(_ *lamps, d *def) {
			d.Undo = func(context.Context, actions.Key, actions.Target, lampParams) error { return nil }
		}},
		{"Undo fails the second time", "Undo restores", "already bright", func(l *lamps, d *def) {
			sound := d.Undo
			d.Undo = func(ctx context.Context, key actions.Key, target actions.Target, p lampParams) error {
				if l.read() == "bright" {
					return errors.New("already bright")
				}
				return sound(ctx, key, target, p)
			}
		}},
		{"Undo takes what others did", "Undo of what never happened changes nothing", "the key of another run", func(l *lamps, d *def) {
			d.Undo = func(context.Context, actions.Key, actions.Target, lampParams) error { l.write("bright"); return nil }
		}},
		{"Run does not look at its context", "does nothing when cancelled before", "Run in a cancelled context gives", func(l *lamps, d *def) {
			sound := d.Run
			d.Run = func(_ context.Context, key actions.Key, target actions.Target, p lampParams) (lampResult, error) {
				return sound(context.Background(), key, target, p)
			}
		}},
		{"Targets does not look at its context", "does nothing when cancelled before", "Targets in a cancelled context gives", func(l *lamps, d *def) {
			sound := d.Targets
			d.Targets = func(_ context.Context, p lampParams) (actions.Selection, error) {
				return sound(context.Background(), p)
			}
		}},
		{"Run acts, then looks at its context", "does nothing when cancelled before", "changed the system", func(l *lamps, d *def) {
			d.Run = aroundRun(d.Run, func() { l.write("dark") })
		}},
		{"Run hides that it was cancelled", "stops when cancelled", "cancelled, it gives", func(_ *lamps, d *def) {
			d.Run = hiding(d.Run)
		}},
		{"Run does not stop", "stops when cancelled", "still running 5s after", func(_ *lamps, d *def) {
			d.Run = func(context.Context, actions.Key, actions.Target, lampParams) (lampResult, error) { select {} }
		}},
		{"Slow is not slow", "stops when cancelled", "ended before", func(_ *lamps, d *def) {
			sound := d.Run
			d.Run = func(ctx context.Context, key actions.Key, target actions.Target, p lampParams) (lampResult, error) {
				p.Mode = ""
				return sound(ctx, key, target, p)
			}
		}},
		{"an error does not say which system", "says that the system can not be reached", "does not name the connection", func(_ *lamps, d *def) {
			d.Run = hiding(d.Run)
		}},
		{"an unreachable system is permanent", "says that the system can not be reached", "wrongly permanent", func(_ *lamps, d *def) {
			sound := d.Undo
			d.Undo = func(ctx context.Context, key actions.Key, target actions.Target, p lampParams) error {
				if err := sound(ctx, key, target, p); err != nil {
					return actions.Permanent(err)
				}
				return nil
			}
		}},
		{"a failure is taken for success", "says that the system can not be reached", "Undo works without a system", func(_ *lamps, d *def) {
			sound := d.Undo
			d.Undo = func(ctx context.Context, key actions.Key, target actions.Target, p lampParams) error {
				_ = sound(ctx, key, target, p)
				return nil
			}
		}},
		{"Run waits for ever", "gives up when the system does not answer", "Run is still running 5s after", func(_ *lamps, d *def) {
			sound := d.Run
			d.Run = func(ctx context.Context, key actions.Key, target actions.Target, p lampParams) (lampResult, error) {
				r, err := sound(ctx, key, target, p)
				if err != nil {
					time.Sleep(promptly + time.Second)
				}
				return r, err
			}
		}},
		{"a missing connection looks like it could come back", "says that its connection is missing", "no permanent error", func(_ *lamps, d *def) {
			sound := d.Run
			d.Run = func(ctx context.Context, key actions.Key, target actions.Target, p lampParams) (lampResult, error) {
				r, err := sound(ctx, key, target, p)
				if err != nil {
					err = errors.New(err.Error())
				}
				return r, err
			}
		}},
		{"a secret in an error", "says that the system can not be reached", "a secret shows in the error", func(_ *lamps, d *def) {
			sound := d.Run
			d.Run = func(ctx context.Context, key actions.Key, target actions.Target, p lampParams) (lampResult, error) {
				r, err := sound(ctx, key, target, p)
				if err != nil {
					err = fmt.Errorf("with the password %s: %w", password, err)
				}
				return r, err
			}
		}},
		{"a secret in a result", "repeated changes nothing", "a secret shows in the result", func(_ *lamps, d *def) {
			sound := d.Run
			d.Run = func(ctx context.Context, key actions.Key, target actions.Target, p lampParams) (lampResult, error) {
				_, err := sound(ctx, key, target, p)
				return lampResult{Was: password}, err
			}
		}},
		{"a secret in a target", "Targets only reads", "a secret shows in the targets", func(_ *lamps, d *def) {
			d.Targets = fixedTargets(actions.Selection{Targets: []actions.Target{{ID: "lamp/door", Doc: password}}})
		}},
	} {
		t.Run(broken.name, func(t *testing.T) {
			t.Parallel()
			l := newLamps(t, nil)
			l.broken = func(d *def) { broken.how(l, d) }
			err := l.testCase().try(t, named(t, broken.by))
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

func fixedTargets(s actions.Selection) targets {
	return func(context.Context, lampParams) (actions.Selection, error) { return s, nil }
}

func aroundTargets(sound targets, also func()) targets {
	return func(ctx context.Context, p lampParams) (actions.Selection, error) {
		also()
		return sound(ctx, p)
	}
}

func aroundRun(sound runs, also func()) runs {
	return func(ctx context.Context, key actions.Key, target actions.Target, p lampParams) (lampResult, error) {
		r, err := sound(ctx, key, target, p)
		also()
		return r, err
	}
}

func hiding(sound runs) runs {
	return func(ctx context.Context, key actions.Key, target actions.Target, p lampParams) (lampResult, error) {
		r, err := sound(ctx, key, target, p)
		if err != nil {
			err = errors.New("it did not work")
		}
		return r, err
	}
}

func TestDeclarationsThatDoNotHoldAreFound(t *testing.T) {
	type nested struct {
		Inner []struct {
			Bare string `json:"bare"`
		} `json:"inner,omitempty" optional:"true" doc:"Documented, but not what is in it."`
	}
	type unsendable struct {
		Mode string `json:"mode" optional:"true" enum:"quick|slow" doc:"Not left out when empty."`
	}
	sound := actions.Nothing{}
	for name, test := range map[string]struct {
		action actions.Action
		wants  string
	}{
		"a nested field has no doc":       {sample(nested{}, sound), "parameter inner.bare has no doc"},
		"a nested result has no doc":      {sample(sound, nested{}), "result inner.bare has no doc"},
		"parameters do not survive JSON":  {sample(unsendable{}, sound), "is not accepted as JSON"},
		"measured is not part of results": {sample(sound, sound), `measures "duration"`},
	} {
		t.Run(name, func(t *testing.T) {
			c := Case{
				System: func(*actions.Connections) actions.System {
					return actions.System{Actions: []actions.Action{test.action}}
				},
				Action:   "sample",
				Params:   "{}",
				Measured: []string{"duration"},
			}
			err := c.try(t, named(t, "is declared whole"))
			if err == nil || !strings.Contains(err.Error(), test.wants) {
				t.Errorf("says %v, want …%s…", err, test.wants)
			}
		})
	}
}

func sample[P, R any](_ P, _ R) actions.Action {
	return actions.Define(actions.Def[P, R]{
		Name: "sample", Doc: "A sample.", Risk: actions.ReadOnly, Example: "{}",
		Target: func(P) string { return "sample/one" },
		Run:    func(context.Context, actions.Key, actions.Target, P) (r R, err error) { return r, nil },
	})
}
