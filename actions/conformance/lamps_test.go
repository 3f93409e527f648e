package conformance

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
)

const password = "canary-4711"

// lamps is a system in a file, served over TCP, and an action on it that keeps
// every promise, but for what a test breaks.
type lamps struct {
	t      *testing.T
	file   string
	listen net.Listener
	broken func(*actions.Def[lampParams, lampResult])
}

type lampParams struct {
	At    string `json:"at" connection:"lamps" doc:"Connection."`
	Match string `json:"match" doc:"Part of the name."`
	Mode  string `json:"mode,omitempty" optional:"true" enum:"quick|slow" doc:"How."`
}

type lampResult struct {
	Was string `json:"was" doc:"State before."`
}

type lampConfig struct {
	Address string `json:"address" doc:"host:port."`
}

type lampClient struct{ name, address string }

var lampStore = actions.Connection[lampConfig, *lampClient]{
	Kind: "lamps", Doc: "Lamps.",
	Open: func(_ context.Context, name string, c lampConfig) (*lampClient, error) {
		return &lampClient{name, c.Address}, nil
	},
}

func newLamps(t *testing.T, broken func(*actions.Def[lampParams, lampResult])) *lamps {
	t.Helper()
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listen.Close() })
	go func() {
		for {
			conn, err := listen.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, "lamps")
			conn.Close()
		}
	}()
	return &lamps{t: t, file: filepath.Join(t.TempDir(), "lamp"), listen: listen, broken: broken}
}

func (l *lamps) read() string {
	text, err := os.ReadFile(l.file)
	if err != nil {
		l.t.Error(err)
	}
	return string(text)
}

func (l *lamps) write(text string) {
	if err := os.WriteFile(l.file, []byte(text), 0o600); err != nil {
		l.t.Error(err)
	}
}

// reach is what every call does first: it greets the server.
func reach(ctx context.Context, conns *actions.Connections, name string) error {
	c, err := lampStore.Get(ctx, conns, name)
	if err != nil {
		return err
	}
	if err := greet(ctx, c.address); err != nil {
		return fmt.Errorf("reach the lamps %s: %w", c.name, err)
	}
	return nil
}

func greet(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	if _, err = conn.Read(make([]byte, 1)); ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (l *lamps) system(conns *actions.Connections) actions.System {
	d := actions.Def[lampParams, lampResult]{
		Name: "lamps.dim", Doc: "Dim lamps.", Risk: actions.Reversible, Example: "{at: hall, match: door}",
		Targets: func(ctx context.Context, p lampParams) (actions.Selection, error) {
			if err := reach(ctx, conns, p.At); err != nil || !strings.Contains("door", p.Match) {
				return actions.Selection{}, err
			}
			return actions.Selection{Targets: []actions.Target{{ID: "lamp/door"}}, Population: 1}, nil
		},
		Run: func(ctx context.Context, key actions.Key, target actions.Target, p lampParams) (lampResult, error) {
			if err := reach(ctx, conns, p.At); err != nil {
				return lampResult{}, err
			}
			if target.ID != "lamp/door" {
				return lampResult{}, actions.Permanent(errors.New("no such lamp"))
			}
			if p.Mode == "slow" {
				<-ctx.Done()
				return lampResult{}, ctx.Err()
			}
			if l.read() == "bright" {
				l.write("dimmed by " + string(key))
			}
			return lampResult{Was: "bright"}, nil
		},
		Undo: func(ctx context.Context, key actions.Key, _ actions.Target, p lampParams) error {
			if err := reach(ctx, conns, p.At); err != nil {
				return err
			}
			if l.read() == "dimmed by "+string(key) {
				l.write("bright")
			}
			return nil
		},
	}
	if l.broken != nil {
		l.broken(&d)
	}
	return actions.System{Connection: lampStore.Erase(), Actions: []actions.Action{actions.Define(d)}}
}

func (l *lamps) testCase() Case {
	return Case{
		System: l.system, Action: "lamps.dim",
		Connections: func(address string) string { return "hall: {lamps: {address: '" + address + "'}}" },
		Address:     l.listen.Addr().String(), Secrets: []string{password},
		Params: "{at: hall, match: door}", Nothing: "{at: hall, match: window}", Slow: "{at: hall, match: door, mode: slow}",
		Arrange: func(*testing.T) { l.write("bright") },
		State:   func(*testing.T) string { return l.read() },
	}
}
