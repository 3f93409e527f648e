//go:build !noembedded

package temporalserver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/temporal"

	"github.com/runbook-engine/runbook/internal/temporalcluster"
)

// Server is a running embedded server.
type Server struct {
	address   string
	namespace string
	identity  *identity
	lock      *dirLock
	log       *serverLog
	drain     drain
	impl      temporal.Server
	stop      sync.Once
}

// Start opens the state in o.Dir and serves it. It returns when the frontend answers, the namespace exists and its
// search attributes can be used. The error wraps ErrInUse when another process serves the directory.
func Start(ctx context.Context, o Options) (*Server, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	s, err := startLocked(ctx, o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the embedded temporal server on %s: %w", o.Dir, err), lock.release())
	}
	s.lock = lock
	return s, nil
}

func startLocked(ctx context.Context, o Options) (*Server, error) {
	files, err := openStore(ctx, o)
	if err != nil {
		return nil, err
	}
	s, err := serveRetrying(files, o, newLayout)
	if err != nil {
		return nil, err
	}
	if err := s.ready(ctx, o); err != nil {
		return nil, errors.Join(err, s.halt())
	}
	s.log.enter(running)
	return s, nil
}

const portTaken = "address already in use"

// serveRetrying takes other ports when somebody was quicker to listen on one that was free.
func serveRetrying(files store, o Options, choose func() layout) (s *Server, err error) {
	for range 3 {
		s, err = serve(files, o, choose())
		if err == nil || !strings.Contains(err.Error(), portTaken) {
			break
		}
	}
	return s, err
}

func serve(files store, o Options, ports layout) (*Server, error) {
	id, err := newIdentity()
	if err != nil {
		return nil, fmt.Errorf("creating the key pair of the server: %w", err)
	}
	s := &Server{address: ports.frontend(), namespace: o.Namespace, identity: id, log: newServerLog(o.Log), drain: newDrain()}
	if err := s.build(files, ports); err != nil {
		return nil, err
	}
	if err := s.run(); err != nil {
		return nil, errors.Join(err, s.halt())
	}
	return s, nil
}

func (s *Server) build(files store, ports layout) (err error) {
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case fatal:
			err = cause
		default:
			panic(cause)
		}
	}()
	s.impl, err = temporal.NewServer(
		temporal.WithConfig(serverConfig(files, ports)),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(ports.hosts),
		temporal.WithLogger(s.log),
		temporal.WithNamespaceLogger(s.log),
		temporal.WithDynamicConfigClient(tuning()),
		temporal.WithTLSConfigFactory(s.identity),
		temporal.WithChainedFrontendGrpcInterceptors(s.drain.intercept),
		temporal.WithCustomMetricsHandler(metrics.NoopMetricsHandler),
	)
	return err
}

func (s *Server) run() error {
	s.log.enter(starting)
	err := s.impl.Start()
	if cause := s.log.state.fatal.Load(); cause != nil {
		return *cause
	}
	return err
}

// ready waits until the whole path behind the frontend answers, then completes the namespace.
func (s *Server) ready(ctx context.Context, o Options) error {
	options := s.ClientOptions()
	options.Logger = sdklog.NewStructuredLogger(o.Log)
	c, err := client.DialContext(ctx, options)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", s.address, err)
	}
	defer c.Close()
	if err := waitForShard(ctx, c); err != nil {
		return err
	}
	return temporalcluster.Ensure(ctx, c, o.Namespace, o.Retention, o.SearchAttributes)
}

// waitForShard asks for a run that does not exist until the history service, which has to take its shard first, says so.
func waitForShard(ctx context.Context, c client.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		_, err := c.DescribeWorkflowExecution(ctx, "readiness-probe", "")
		var notFound *serviceerror.NotFound
		if err == nil || errors.As(err, &notFound) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the history service: %w", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Address is where the frontend listens: 127.0.0.1:port.
func (s *Server) Address() string { return s.address }

// ClientOptions are what a client in this process needs to connect. The server refuses everybody else.
func (s *Server) ClientOptions() client.Options {
	return client.Options{
		HostPort:  s.address,
		Namespace: s.namespace,
		// Within one process compression only costs time.
		ConnectionOptions: client.ConnectionOptions{TLS: s.identity.client(), GrpcCompression: &client.GrpcCompressionNone{}},
	}
}

// Stop ends the server and frees the directory. Workers should be stopped first. Calling it again does nothing.
func (s *Server) Stop() {
	s.stop.Do(func() {
		if err := errors.Join(s.halt(), s.lock.release()); err != nil {
			s.log.out.Error("stopping the embedded temporal server", "error", err)
		}
	})
}

func (s *Server) halt() error {
	s.log.enter(stopping)
	s.drain.stop()
	return s.impl.Stop()
}
