package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/problem"
)

// server is what the engine serves over HTTP. It listens from the first moment,
// and answers 503 until the rest of the engine is there.
type server struct {
	listener net.Listener
	http     *http.Server
	scheme   string
	routes   atomic.Pointer[http.ServeMux]
	// stopStreams ends the requests that last: streams of events.
	stopStreams context.CancelFunc
	failed      chan error
}

// WebhookPath is where Alertmanager sends its notifications.
const WebhookPath = "/webhook/alertmanager"

func listen(c Config, auth *identity.Authenticator, ready func() error, log *slog.Logger) (*server, error) {
	config, err := c.TLS.config(log)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	s := &server{listener: listener, scheme: "http", failed: make(chan error, 1)}
	base, stop := context.WithCancel(context.Background())
	s.stopStreams = stop
	s.http = &http.Server{
		Handler: s.outside(auth, ready), BaseContext: func(net.Listener) context.Context { return base },
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	if config != nil {
		s.scheme, s.http.TLSConfig = "https", config
	}
	go s.serve()
	return s, nil
}

func (s *server) serve() {
	var err error
	if s.scheme == "https" {
		err = s.http.ServeTLS(s.listener, "", "")
	} else {
		err = s.http.Serve(s.listener)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		s.failed <- fmt.Errorf("serve on %s: %w", s.listener.Addr(), err)
	}
}

// outside is what is served without authentication, the health, and before it
// everything else.
func (s *server) outside(auth *identity.Authenticator, ready func() error) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "The engine is healthy.") })
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, "The engine is not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "The engine is ready.")
	})
	mux.Handle("/", auth.Middleware(http.HandlerFunc(s.inside)))
	return mux
}

func (s *server) inside(w http.ResponseWriter, r *http.Request) {
	routes := s.routes.Load()
	if routes == nil {
		_ = problem.Write(w, http.StatusServiceUnavailable, api.CodeStarting, errStarting.Error()) // nobody listens any more
		return
	}
	routes.ServeHTTP(w, r)
}

func (s *server) url() string { return s.scheme + "://" + s.listener.Addr().String() }

const (
	stopWithin    = 15 * time.Second
	streamsWithin = 2 * time.Second
)

// stop lets the requests under way end; those that last are ended a little
// later.
func (s *server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	streams := time.AfterFunc(streamsWithin, s.stopStreams)
	defer streams.Stop()
	defer s.stopStreams()
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("stop serving: %w", err), s.http.Close())
	}
	return nil
}
