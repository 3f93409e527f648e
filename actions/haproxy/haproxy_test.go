package haproxy_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/haproxy"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/lab/proxy"
	"github.com/runbook-engine/runbook/internal/lab/tcp"
)

// start is a HAProxy before a PostgreSQL, which it knows by two names.
func start(t *testing.T) (*proxy.HAProxy, *lab.Postgres) {
	t.Helper()
	server, err := lab.StartPostgres(t.Context(), t.TempDir(), lab.PostgresOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	front, err := proxy.StartHAProxy(t.Context(), t.TempDir(), "orders", []proxy.HAProxyServer{
		{Name: "a", Address: server.Address()}, {Name: "b", Address: server.Address(), Out: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = front.Kill() })
	return front, server
}

func config(address string) string { return "edge: {haproxy: {address: '" + address + "'}}" }

// tell is the runtime API by another client than ours.
func tell(t *testing.T, front *proxy.HAProxy, command string) string {
	t.Helper()
	conn, err := net.Dial("tcp", front.Admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintln(conn, command)
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// places are the states and addresses of the servers.
func places(t *testing.T, front *proxy.HAProxy) string {
	t.Helper()
	var all []string
	for line := range strings.Lines(tell(t, front, "show servers state orders")) {
		if f := strings.Fields(line); len(f) > 18 && f[1] == "orders" {
			all = append(all, fmt.Sprintf("%s admin=%s at %s:%s", f[3], f[6], f[4], f[18]))
		}
	}
	return strings.Join(all, "\n")
}

func TestSetStateConforms(t *testing.T) {
	front, _ := start(t)
	conformance.Run(t, conformance.Case{
		System:      haproxy.System,
		Action:      "haproxy.set_state",
		Connections: config,
		Address:     front.Admin,
		Params:      "{backend: orders, server: a, state: maint, end_sessions: true}",
		Arrange:     func(t *testing.T) { tell(t, front, "set server orders/a state ready") },
		State:       func(t *testing.T) string { return places(t, front) },
		Measured:    []string{"up", "sessions"},
	})
}

func TestSetAddressConforms(t *testing.T) {
	front, server := start(t)
	_, port, _ := net.SplitHostPort(server.Address())
	conformance.Run(t, conformance.Case{
		System:      haproxy.System,
		Action:      "haproxy.set_address",
		Connections: config,
		Address:     front.Admin,
		Params:      "{backend: orders, server: a, ip: 127.0.0.2, port: 4711}",
		Arrange:     func(t *testing.T) { tell(t, front, "set server orders/a addr 127.0.0.1 port "+port) },
		State:       func(t *testing.T) string { return places(t, front) },
		Measured:    []string{"up", "sessions"},
	})
}

func TestServersConforms(t *testing.T) {
	front, _ := start(t)
	conformance.Run(t, conformance.Case{
		System:      haproxy.System,
		Action:      "haproxy.servers",
		Connections: config,
		Address:     front.Admin,
		Params:      "{backend: orders}",
		State:       func(t *testing.T) string { return places(t, front) },
		Measured:    []string{"servers", "up"},
	})
}

// act runs an action on the proxy.
func act(t *testing.T, front *proxy.HAProxy, action, params string) (map[string]any, error) {
	t.Helper()
	b := conformance.Bind(t, conformance.Open(t, haproxy.System, config(front.Admin)), action, params)
	raw, err := b.Run(t.Context(), "key", *b.OnlyTarget())
	var result map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &result)
	}
	return result, err
}

// A fence that leaves a client connected is none.
func TestAServerOutOfServiceKeepsNoClient(t *testing.T) {
	front, server := start(t)
	dsn := front.Through(server.DSN(), server.Address())
	client, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.Background()) })
	if _, err := act(t, front, "haproxy.set_state", "{backend: orders, server: a, state: maint, end_sessions: true}"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Exec(t.Context(), "SELECT 1"); err == nil {
		t.Error("a client that was connected still is")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if late, err := pgx.Connect(ctx, dsn); err == nil {
		_ = late.Close(ctx)
		t.Error("a new client gets through")
	}
	r, err := act(t, front, "haproxy.servers", "{backend: orders}")
	if err != nil || r["up"] != 0.0 {
		t.Errorf("then there are %v, %v", r, err)
	}
	if _, err := act(t, front, "haproxy.set_state", "{backend: orders, server: b, state: ready}"); err != nil {
		t.Fatal(err)
	}
	again, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatalf("after the other server was made ready: %v", err)
	}
	_ = again.Close(t.Context())
}

func TestWhatIsNotThereIsSaid(t *testing.T) {
	front, _ := start(t)
	for params, says := range map[string]string{
		"{backend: orders, server: c, state: maint}": `backend "orders" has no server "c"`,
		"{backend: other, server: a, state: maint}":  `no backend "other"`,
	} {
		_, err := act(t, front, "haproxy.set_state", params)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), `haproxy "edge"`) || actions.ClassOf(err) != actions.ClassPermanent {
			t.Errorf("%s fails as %s with %v", params, actions.ClassOf(err), err)
		}
	}
}

// deaf is the runtime API of a HAProxy that answers to what would change it, and
// does not do it.
func deaf(t *testing.T, front *proxy.HAProxy) string {
	t.Helper()
	return tcp.Serve(t, func(conn net.Conn) {
		defer conn.Close()
		command, _ := bufio.NewReader(conn).ReadString('\n')
		if to, err := net.Dial("tcp", front.Admin); err == nil && strings.HasPrefix(command, "show") {
			defer to.Close()
			_, _ = io.WriteString(to, command)
			_, _ = io.Copy(conn, to)
		}
	})
}

// A fence that HAProxy does not show is none.
func TestWhatHAProxyDoesNotShowIsNotDone(t *testing.T) {
	front, _ := start(t)
	catalog := conformance.Open(t, haproxy.System, config(deaf(t, front)))
	before := places(t, front)
	for action, params := range map[string]string{
		"haproxy.set_state":   "{backend: orders, server: a, state: maint, end_sessions: true}",
		"haproxy.set_address": "{backend: orders, server: a, ip: 127.0.0.2, port: 4711}",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		b := conformance.Bind(t, catalog, action, params)
		_, err := b.Run(ctx, "key", *b.OnlyTarget())
		cancel()
		if err == nil || !strings.Contains(err.Error(), "it was told to") || actions.ClassOf(err) == actions.ClassPermanent {
			t.Errorf("%s fails as %s with %v", action, actions.ClassOf(err), err)
		}
	}
	if now := places(t, front); now != before {
		t.Errorf("it was %s and is %s", before, now)
	}
}

// A name that comes out of an alert must not become a second command.
func TestANameIsNoCommand(t *testing.T) {
	a, _ := actions.NewCatalog(haproxy.System(nil)).Get("haproxy.set_state")
	for _, name := range []string{"a; disable server orders/b", "a\nshow info", "a b", ""} {
		params, _ := json.Marshal(map[string]any{"backend": "orders", "server": name, "state": "maint"})
		if _, problems := a.Bind(params); len(problems) == 0 {
			t.Errorf("%q is accepted", name)
		}
	}
}
