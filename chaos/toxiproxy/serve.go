package toxiproxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	toxi "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/runbook-engine/runbook/chaos/backstop"
)

const serveMode = "toxiproxy"

// serveSpec is one proxy that a child runs.
type serveSpec struct{ Name, Listen, Upstream, Socket string }

// serve is the child: a toxiproxy with one proxy, which ends with the engine and
// ends each fault at its deadline.
func serve(life backstop.Life) error {
	spec, err := decode[serveSpec](life.Spec)
	if err != nil {
		return err
	}
	server := toxi.NewServer(toxi.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	if err := server.Collection.Add(toxi.NewProxy(server, spec.Name, spec.Listen, spec.Upstream), true); err != nil {
		return fmt.Errorf("listen on %s: %w", spec.Listen, err)
	}
	armed := newArmory(server.Routes())
	listener, err := listen(spec.Socket)
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- http.Serve(listener, armed) }()
	if err := life.Ready(); err != nil {
		return err
	}
	for {
		select {
		case <-life.Orphaned:
			return os.RemoveAll(filepath.Dir(spec.Socket))
		case err := <-failed:
			return err
		case due := <-armed.due:
			if err := expire(spec, due); err != nil {
				return life.Anew()
			}
		}
	}
}

// listen takes the place of the process before, which may have been killed.
func listen(socket string) (net.Listener, error) {
	if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return net.Listen("unix", socket)
}

// expire takes away the fault whose deadline has come, through the API, which
// may hang.
func expire(spec serveSpec, due mark) error {
	ctx, cancel := context.WithTimeout(context.Background(), politely)
	defer cancel()
	self := &client{name: spec.Name, proxy: spec.Name, api: api{"http://proxy", overSocket(spec.Socket)}}
	return self.takeAway(ctx, due.id)
}

// until is never negative.
func until(deadline time.Time) time.Duration { return max(0, time.Until(deadline)) }
