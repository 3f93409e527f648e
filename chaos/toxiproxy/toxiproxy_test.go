package toxiproxy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	toxi "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/backstop"
	"github.com/runbook-engine/runbook/chaos/conformance"
	"github.com/runbook-engine/runbook/chaos/toxiproxy"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/lab/tcp"
)

func TestMain(m *testing.M) {
	code, ours := backstop.Main(os.Args[1:], append(toxiproxy.Modes(), backstop.Mode{Name: "engine", Run: engineProcess})...)
	if !ours {
		code = m.Run()
	}
	os.Exit(code)
}

// patience of a user of the proxy.
const patience = time.Second

// echo is a server that sends back what it gets.
func echo(t testing.TB) string {
	t.Helper()
	return tcp.Serve(t, func(conn net.Conn) {
		defer conn.Close()
		_, _ = io.Copy(conn, conn)
	})
}

// suffers is what a user sees who sends some data, gets it back, and leaves.
func suffers(address string) error {
	conn, err := net.DialTimeout("tcp", address, patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	sent := bytes.Repeat([]byte("ping"), 5000)
	got := make([]byte, len(sent))
	if _, err := conn.Write(sent); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(sent, got) {
		return fmt.Errorf("the echo is not what was sent: %w", err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	if n, err := conn.Read(got); !errors.Is(err, io.EOF) {
		return fmt.Errorf("the end of the echo is %d bytes and %w", n, err)
	}
	return nil
}

func freeAddress(t testing.TB) string {
	t.Helper()
	address, err := child.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

func own(t testing.TB) (connections, listen string) { return ownNamed(t, "orders") }

func ownNamed(t testing.TB, name string) (connections, listen string) {
	t.Helper()
	listen = freeAddress(t)
	return fmt.Sprintf("%s: {toxiproxy: {listen: %q, upstream: %q}}", name, listen, echo(t)), listen
}

// server is a toxiproxy-server of somebody else, in our process.
func server(t testing.TB) (connections, listen string) {
	t.Helper()
	s := toxi.NewServer(toxi.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	api := httptest.NewServer(s.Routes())
	t.Cleanup(api.Close)
	p := toxi.NewProxy(s, "pool", "127.0.0.1:0", echo(t))
	if err := s.Collection.Add(p, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return fmt.Sprintf("orders: {toxiproxy: {url: %q, proxy: pool}}", api.URL), p.Listen
}

func conform(t *testing.T, c conformance.Case, of func(testing.TB) (connections, listen string)) {
	t.Parallel()
	c.Injector = toxiproxy.Injector
	var listen string
	c.Connections, listen = of(t)
	c.Suffers = func(*testing.T) error { return suffers(listen) }
	conformance.Run(t, c)
}

func TestLatencyConforms(t *testing.T) {
	conform(t, conformance.Case{Fault: "toxiproxy.latency", Params: "{proxy: orders, latency: 2s, jitter: 1ms}"}, own)
}

func TestBandwidthConforms(t *testing.T) {
	conform(t, conformance.Case{Fault: "toxiproxy.bandwidth", Params: "{proxy: orders, rate: 1}"}, own)
}

func TestResetPeerConforms(t *testing.T) {
	conform(t, conformance.Case{Fault: "toxiproxy.reset_peer", Params: "{proxy: orders}"}, own)
}

func TestBlackHoleConforms(t *testing.T) {
	conform(t, conformance.Case{Fault: "toxiproxy.black_hole", Params: "{proxy: orders}"}, own)
}

func TestDownConforms(t *testing.T) {
	conform(t, conformance.Case{Fault: "toxiproxy.down", Params: "{proxy: orders}"}, own)
}

func TestSlowCloseConforms(t *testing.T) {
	conform(t, conformance.Case{Fault: "toxiproxy.slow_close", Params: "{proxy: orders, delay: 1m}"}, own)
}

func TestLimitDataConforms(t *testing.T) {
	conform(t, conformance.Case{Fault: "toxiproxy.limit_data", Params: "{proxy: orders, bytes: 100, stream: both}"}, own)
}

func TestLatencyOnAServerThatIsThereConforms(t *testing.T) {
	conform(t, conformance.Case{Fault: "toxiproxy.latency", Params: "{proxy: orders, latency: 2s}"}, server)
}

func TestDownOnAServerThatIsThereConforms(t *testing.T) {
	conform(t, conformance.Case{Fault: "toxiproxy.down", Params: "{proxy: orders}"}, server)
}

// open is the injector over the connections of a config.
func open(t testing.TB, connections string) (*actions.Connections, *chaos.Catalog) {
	t.Helper()
	conns, err := openConnections(connections)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conns.Close)
	return conns, chaos.NewCatalog(toxiproxy.Injector(conns))
}

func openConnections(text string) (*actions.Connections, error) {
	nodes, problems := document.Parse("connections.yaml", []byte(text))
	if err := problems.Err(); err != nil {
		return nil, err
	}
	conns, problems := actions.NewConnections([]*actions.ConnectionKind{toxiproxy.Injector(nil).Connection}, nodes[0])
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return conns, conns.Open(context.Background())
}

func bind(t testing.TB, catalog *chaos.Catalog, fault, params string) chaos.Bound {
	t.Helper()
	f, _ := catalog.Get(fault)
	b, problems := f.Bind([]byte(params))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return b
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after a minute: %s", what)
		}
	}
}
