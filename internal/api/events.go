package api

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/danielgtaylor/huma/v2/sse"

	"github.com/runbook-engine/runbook/internal/run"
)

// Names of the events of a stream.
const (
	EventRun     = "run"     // the whole state of the run
	EventProblem = "problem" // the stream ends here; connect again
)

// defaultKeepAlive is shorter than the idle timeout of the usual proxies.
const defaultKeepAlive = 10 * time.Second

type streamKey struct{}

func (s *server) events() {
	op := operation("follow-run", http.MethodGet, "/runs/{id}/events",
		"Follow a run: its whole state now, after each change, and at its end, with which the stream ends",
		http.StatusNotFound, http.StatusServiceUnavailable)
	op.Middlewares = huma.Middlewares{s.openStream}
	sse.Register(s.api, op, map[string]any{EventRun: run.Run{}, EventProblem: Problem{}}, s.follow)
}

// openStream refuses while a status can still be sent, and keeps the connection
// at hand for comments.
func (s *server) openStream(ctx huma.Context, next func(huma.Context)) {
	_, w := humago.Unwrap(ctx)
	within, stop := context.WithTimeout(ctx.Context(), patience)
	defer stop()
	if _, err := s.Runs.Get(within, ctx.Param("id")); err != nil {
		s.write(w, s.failed(err))
		return
	}
	ctx.SetHeader("Cache-Control", "no-store")
	ctx.SetHeader("X-Accel-Buffering", "no")
	next(huma.WithValue(ctx, streamKey{}, w))
	// The next request on this connection must not meet the stream's deadline.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		s.Log.Debug("a write deadline could not be lifted", "error", err)
	}
}

func (s *server) follow(ctx context.Context, in *runInput, send sse.Sender) {
	if err := s.stream(ctx, in.ID, send); err != nil {
		s.Log.Debug("a stream broke off", "run", in.ID, "error", err)
	}
}

func (s *server) stream(ctx context.Context, id string, send sse.Sender) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	states, ended := s.watch(ctx, id)
	ticker := time.NewTicker(cmp.Or(s.KeepAlive, defaultKeepAlive))
	defer ticker.Stop()
	for {
		var err error
		select {
		case r := <-states:
			err = send(sse.Message{ID: len(r.Events), Data: r})
		case <-ticker.C:
			err = comment(ctx)
		case failure := <-ended:
			if failure == nil || ctx.Err() != nil {
				return ctx.Err()
			}
			return send.Data(s.asProblem(failure))
		}
		if err != nil {
			return err
		}
	}
}

// watch passes on the states of a run. What ended it comes after the last of
// them.
func (s *server) watch(ctx context.Context, id string) (<-chan run.Run, <-chan error) {
	states, ended := make(chan run.Run), make(chan error, 1)
	go func() {
		ended <- s.Runs.Watch(ctx, id, func(r run.Run) error {
			select {
			case states <- r:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	return states, ended
}

func comment(ctx context.Context) error {
	w, _ := ctx.Value(streamKey{}).(http.ResponseWriter)
	rc := http.NewResponseController(w)
	if err := rc.SetWriteDeadline(time.Now().Add(sse.WriteTimeout)); err != nil {
		return err
	}
	if _, err := io.WriteString(w, ": keep-alive\n\n"); err != nil {
		return err
	}
	return rc.Flush()
}
