package conformance

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
)

// lamp is a real, if small, system: a file that says whether the lamp is lit, or
// who has put it out, and until when. A test breaks one promise of its fault.
type lamp struct {
	file   string
	broken func(l *lamp, d *def, i *chaos.Injector)
}

type lampParams struct {
	Lamp string `json:"lamp" connection:"lamp" doc:"The lamp."`
	Dim  string `json:"dim,omitempty" optional:"true" doc:"How much."`
}

type def = chaos.Def[lampParams]

type socket struct {
	Key string `json:"key" optional:"true" doc:"A secret."`
}

var sockets = actions.Connection[socket, bool]{
	Kind: "lamp", Doc: "A lamp.",
	Open: func(context.Context, string, socket) (bool, error) { return true, nil },
}

const key = "canary-lamp-77"

func newLamp(t *testing.T) *lamp { return &lamp{file: filepath.Join(t.TempDir(), "lamp")} }

func (l *lamp) read() string {
	text, err := os.ReadFile(l.file)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func (l *lamp) write(text string) error { return os.WriteFile(l.file, []byte(text), 0o600) }

// out is who has put the lamp out, and until when.
func (l *lamp) out() (id chaos.ID, until time.Time) {
	who, when, dark := strings.Cut(l.read(), " ")
	if !dark {
		return "", time.Time{}
	}
	until, _ = time.Parse(time.RFC3339Nano, when)
	return chaos.ID(who), until
}

func (l *lamp) def(conns *actions.Connections) def {
	plugged := func(ctx context.Context, p lampParams) error {
		_, err := sockets.Get(ctx, conns, p.Lamp)
		return errors.Join(err, ctx.Err())
	}
	return def{
		Name: "lamp.out", Doc: "Put a lamp out.", Example: "{lamp: door}",
		Targets: func(ctx context.Context, p lampParams) (chaos.Selection, error) {
			if err := plugged(ctx, p); err != nil {
				return chaos.Selection{}, actions.Permanent(err)
			}
			return chaos.One("lamp/"+p.Lamp, ""), nil
		},
		Inject: func(ctx context.Context, id chaos.ID, p lampParams, until time.Time) error {
			if err := plugged(ctx, p); err != nil {
				return err
			}
			if now, _ := l.out(); now == id {
				return nil
			}
			return l.write(string(id) + " " + until.Format(time.RFC3339Nano))
		},
		Recover: func(ctx context.Context, id chaos.ID, p lampParams) error { return l.light(id) },
		Healed: func(ctx context.Context, id chaos.ID, p lampParams) error {
			if now, until := l.out(); now == id && time.Now().Before(until) {
				return errors.New("it is out")
			}
			return plugged(ctx, p)
		},
	}
}

func (l *lamp) light(id chaos.ID) error {
	if now, _ := l.out(); now != id {
		return nil
	}
	return l.write("lit")
}

func (l *lamp) injector(conns *actions.Connections) chaos.Injector {
	d := l.def(conns)
	i := chaos.Injector{
		Name: "lamp", Connection: sockets.Erase(),
		Active: func(context.Context) (found []chaos.Injection, err error) {
			if id, until := l.out(); id != "" {
				found = []chaos.Injection{{ID: id, Fault: "lamp.out", Owner: id.Owner(), Deadline: until}}
			}
			return found, nil
		},
		Heal: func(_ context.Context, found chaos.Injection) error { return l.light(found.ID) },
	}
	if l.broken != nil {
		l.broken(l, &d, &i)
	}
	i.Faults = []chaos.Fault{chaos.Define(d)}
	return i
}

func (l *lamp) testCase() Case {
	return Case{
		Injector: l.injector, Fault: "lamp.out", Connections: "door: {lamp: {key: " + key + "}}", Secrets: []string{key},
		Params: "{lamp: door}",
		Soon:   300 * time.Millisecond,
		Arrange: func(t *testing.T) {
			if err := l.write("lit"); err != nil {
				t.Fatal(err)
			}
		},
		State: func(*testing.T) string { return l.read() },
		Suffers: func(*testing.T) error {
			if id, until := l.out(); id != "" && time.Now().Before(until) {
				return errors.New("it is dark")
			}
			return nil
		},
	}
}
