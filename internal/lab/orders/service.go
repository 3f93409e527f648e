// Package orders is the demo service "orders-api": a small shop backend with a
// connection pool and the classic bug of holding a transaction open while it
// waits for somebody else. The lab breaks it, and the runbooks repair it.
package orders

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config is what the service needs to run.
type Config struct {
	// DSN is the connection URL of the database orders.
	DSN string
	// PoolSize is the highest number of database connections.
	PoolSize int
	// Traffic is the number of its own checkouts a second; 0 is none.
	Traffic float64
	Log     *slog.Logger
}

// Name is the name of the service, which its database sessions carry too.
const Name = "orders-api"

const (
	// requestTimeout bounds a request, the wait for a connection included.
	requestTimeout = time.Second
	// statementTimeout bounds what is done on a connection. It is far longer than it takes to
	// connect anew, which a statement that is cut short costs: else a pool that is
	// held by a lock seems to have free connections on a busy machine.
	statementTimeout = 4 * requestTimeout
)

// Service is a running orders-api.
type Service struct {
	pool    *pool
	leak    *leak
	metrics *prometheus.Registry
	config  Config
}

const schema = `CREATE TABLE IF NOT EXISTS orders (
	id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	amount_cents integer NOT NULL,
	created_at   timestamptz NOT NULL DEFAULT now()
)`

// New connects to the database and creates the table of the service there if
// need be. Close releases it.
func New(ctx context.Context, config Config) (*Service, error) {
	settings, err := pgxpool.ParseConfig(config.DSN)
	if err != nil {
		return nil, fmt.Errorf("read the database URL: %w", err)
	}
	settings.MaxConns = int32(config.PoolSize)
	settings.ConnConfig.RuntimeParams["application_name"] = Name
	connections, err := pgxpool.NewWithConfig(ctx, settings)
	if err != nil {
		return nil, fmt.Errorf("open the connection pool: %w", err)
	}
	if _, err := connections.Exec(ctx, schema); err != nil {
		connections.Close()
		return nil, fmt.Errorf("prepare the database: %w", err)
	}
	pool := &pool{Pool: connections}
	registry := prometheus.NewRegistry()
	registry.MustRegister(pool, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &Service{pool: pool, leak: newLeak(pool, config.Log), metrics: registry, config: config}, nil
}

// Close ends the leak and closes the connections.
func (s *Service) Close() {
	s.leak.end()
	s.pool.Close()
}

// Handler serves the service's requests, its metrics and its faults.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /checkout", measured(s.metrics, "/checkout", http.HandlerFunc(s.checkout)))
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("POST /fault/leak", s.leak.start)
	mux.HandleFunc("DELETE /fault/leak", s.leak.stop)
	return mux
}

// Serve answers requests on the listener, and sends itself the traffic it was
// asked for, until the context ends.
func (s *Service) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go generate(ctx, s.config.Traffic, "http://"+reachable(listener.Addr())+"/checkout")
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		s.leak.end()
		stopped <- end(server)
	})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", listener.Addr(), err)
	}
	return <-stopped
}

// end lets requests finish that are under way. A connection that was opened and
// never used counts as one for a while; it is not waited for in the end.
func end(server *http.Server) error {
	grace, cancel := context.WithTimeout(context.Background(), 5*requestTimeout)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	return err
}

// reachable is an address through which we reach a listener of our own, which
// may listen on all addresses.
func reachable(address net.Addr) string {
	tcp, ok := address.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return address.String()
	}
	return net.JoinHostPort("localhost", fmt.Sprint(tcp.Port))
}
