package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/runbook-engine/runbook/internal/metrics"
)

const (
	askEvery  = 2 * time.Second
	askWithin = 2 * time.Second
	// beginWithin is how long a Temporal that was there a moment ago may leave an
	// engine that starts without an answer: machines are busy when it matters.
	beginWithin = 20 * time.Second
)

// health knows whether the engine can do its work now.
type health struct {
	ask     func(context.Context) error
	metrics *metrics.Metrics
	log     *slog.Logger

	reason   atomic.Pointer[error] // why not; nil inside means ready
	stopping atomic.Bool
}

var (
	errStarting = errors.New("the engine is starting")
	errStopping = errors.New("the engine is stopping")
)

func newHealth(m *metrics.Metrics, log *slog.Logger) *health {
	h := &health{metrics: m, log: log}
	h.set(errStarting)
	return h
}

func (h *health) set(reason error) { h.reason.Store(&reason) }

// stop is for good.
func (h *health) stop() { h.stopping.Store(true) }

// Ready is nil, or why the engine can not do its work.
func (h *health) Ready() error {
	if h.stopping.Load() {
		return errStopping
	}
	return *h.reason.Load()
}

// begin asks Temporal until it answers, for a while.
func (h *health) begin(ctx context.Context) error {
	for end := time.Now().Add(beginWithin); ; {
		h.look(ctx)
		if err := h.Ready(); err == nil || time.Now().After(end) || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// follow asks Temporal until ctx ends.
func (h *health) follow(ctx context.Context) {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		h.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (h *health) look(ctx context.Context) {
	asking, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	err := h.ask(asking)
	if ctx.Err() != nil {
		return
	}
	was := h.Ready()
	if err != nil {
		err = fmt.Errorf("temporal does not answer: %w", err)
	}
	switch {
	case err != nil && was == nil:
		h.log.Error("not ready: temporal is lost; alerts are answered with 503 until it is back", "error", err)
	case err == nil && was != nil:
		h.log.Info("ready")
	}
	h.metrics.Temporal(err == nil, err != nil && was == nil)
	h.set(err)
}
