package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/run"
)

const (
	reconnects     = 20
	reconnectPause = 500 * time.Millisecond
)

// Watch gives the state of a run now, after each change, and at its end, when it
// returns nil. A stream that breaks off is taken up again.
func (c *Client) Watch(ctx context.Context, id string, show func(run.Run) error) error {
	w := &watch{show: show}
	for failures := 0; ; failures++ {
		progress := w.seen
		err := c.stream(ctx, id, w)
		if w.ended || ctx.Err() != nil || !w.lost(err) {
			return err
		}
		if w.seen > progress {
			failures = 0
		}
		if failures >= reconnects {
			return fmt.Errorf("follow run %s: %w", id, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(reconnectPause):
		}
	}
}

type watch struct {
	show  func(run.Run) error
	seen  int
	ended bool
	// refused is what show said: it is not a matter of the connection.
	refused error
}

// lost reports that the connection broke, which another may mend.
func (w *watch) lost(err error) bool {
	var p *Problem
	if errors.As(err, &p) {
		return p.Status >= http.StatusInternalServerError
	}
	return w.refused == nil
}

func (w *watch) state(r run.Run) error {
	w.seen++
	if err := w.show(r); err != nil {
		w.refused = err
		return err
	}
	w.ended = r.Status == run.Ended
	return nil
}

func (c *Client) stream(ctx context.Context, id string, w *watch) error {
	answer, err := c.send(ctx, http.MethodGet, "/runs/"+url.PathEscape(id)+"/events", nil, "text/event-stream")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	events := bufio.NewReader(answer.Body)
	for !w.ended {
		name, data, err := next(events)
		if err != nil {
			return c.unreachable(ctx, err)
		}
		if err := w.take(name, data); err != nil {
			return err
		}
	}
	return nil
}

func (w *watch) take(name, data string) error {
	switch name {
	case api.EventRun:
		var r run.Run
		if err := json.Unmarshal([]byte(data), &r); err != nil {
			return fmt.Errorf("read the state of the run: %w", err)
		}
		return w.state(r)
	case api.EventProblem:
		var p api.Problem
		if err := json.Unmarshal([]byte(data), &p); err != nil {
			return fmt.Errorf("read the engine's problem: %w", err)
		}
		return &Problem{Status: p.Status, Code: api.CodeOf(&p), Detail: p.Detail}
	default:
		return nil
	}
}

// next reads one event of a stream:
// https://html.spec.whatwg.org/multipage/server-sent-events.html
func next(r *bufio.Reader) (name, data string, err error) {
	name = "message"
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return "", "", err
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			if data == "" {
				continue
			}
			return name, strings.TrimSuffix(data, "\n"), nil
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			name = value
		case "data":
			data += value + "\n"
		}
	}
}
