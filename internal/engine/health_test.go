package engine

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/runbook-engine/runbook/internal/metrics"
)

// An engine starts on a machine that is too busy for a first answer in time.
func TestAnEngineThatStartsAsksAgain(t *testing.T) {
	h, asked := newHealth(metrics.New("test"), slog.New(slog.DiscardHandler)), 0
	h.ask = func(context.Context) error {
		if asked++; asked < 3 {
			return context.DeadlineExceeded
		}
		return nil
	}
	if err := h.begin(t.Context()); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

func TestAnEngineThatIsStoppedWhileItStartsAsksNoMore(t *testing.T) {
	h := newHealth(metrics.New("test"), slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	h.ask = func(context.Context) error { stop(); return errors.New("no answer") }
	if err := h.begin(ctx); err == nil {
		t.Error("it is ready")
	}
}
