package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/client"
	"github.com/runbook-engine/runbook/internal/run"
)

func serve(t *testing.T, handler http.HandlerFunc) *client.Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, err := client.New(server.URL+"/", client.Options{Token: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestProblemsKeepTheirCodeAndAllErrors(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer s3cret" {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		io.WriteString(w, `{"type":"urn:runbook:problem:params","status":422,"detail":"not valid","errors":[{"message":"a"},{"message":"b"}]}`)
	})
	_, err := c.Start(t.Context(), api.Start{Runbook: "x", Mode: "live"})
	var p *client.Problem
	if !errors.As(err, &p) || p.Code != api.CodeParams || p.Status != http.StatusUnprocessableEntity || err.Error() != "not valid\n  a\n  b" {
		t.Errorf("error: %v", err)
	}
}

func TestAnswersOfOtherServersAreReported(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "<title>who are you</title>\nand more", http.StatusUnauthorized)
	})
	_, err := c.Runbooks(t.Context())
	var p *client.Problem
	if !errors.As(err, &p) || p.Status != http.StatusUnauthorized || p.Code != "" || !strings.HasSuffix(p.Detail, "not as an engine does: <title>who are you</title>") {
		t.Errorf("error: %v", err)
	}
	c = serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") })
	var lost *client.Unreachable
	if _, err := c.Runbooks(t.Context()); !errors.As(err, &lost) || !strings.Contains(err.Error(), "read the engine's answer") {
		t.Errorf("error: %v", err)
	}
}

func TestNobodyThereIsUnreachable(t *testing.T) {
	c, err := client.New("http://127.0.0.1:1", client.Options{Token: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Runbooks(t.Context())
	var lost *client.Unreachable
	if !errors.As(err, &lost) || lost.URL != "http://127.0.0.1:1" || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error: %v", err)
	}
	for _, bad := range []string{"", "127.0.0.1:7250", "ftp://x", "http://"} {
		if _, err := client.New(bad, client.Options{}); err == nil {
			t.Errorf("%q is taken for a server", bad)
		}
	}
}

func event(w io.Writer, r run.Run) {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(w, "id: 1\nevent: run\ndata: %s\n\n", text)
}

// The engine restarts, a proxy gives up, a comment comes between: the watch goes
// on, and ends with the run.
func TestWatchOutlivesItsConnection(t *testing.T) {
	var calls atomic.Int64
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		switch calls.Add(1) {
		case 1: // breaks off after a state
			event(w, run.Run{ID: "x", Status: run.Running, Phase: run.Acting})
		case 2: // is starting
			http.Error(w, "the engine is starting", http.StatusServiceUnavailable)
		case 3: // says that it can not go on
			io.WriteString(w, "event: problem\ndata: {\"status\":503,\"detail\":\"temporal is away\"}\n\n")
		default:
			io.WriteString(w, ": keep-alive\n\n")
			event(w, run.Run{ID: "x", Status: run.Ended, Outcome: run.Fixed})
		}
	})
	var seen []run.Status
	err := c.Watch(t.Context(), "x", func(r run.Run) error {
		seen = append(seen, r.Status)
		return nil
	})
	if err != nil || fmt.Sprint(seen) != "[running ended]" || calls.Load() != 4 {
		t.Errorf("%v after %d calls: %v", seen, calls.Load(), err)
	}
}

func TestWatchGivesUpWhereNoConnectionHelps(t *testing.T) {
	missing := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"type":"urn:runbook:problem:no-such-run","status":404,"detail":"no such run: x"}`)
	})
	err := missing.Watch(t.Context(), "x", func(run.Run) error { return nil })
	var p *client.Problem
	if !errors.As(err, &p) || p.Code != api.CodeNoSuchRun {
		t.Errorf("error: %v", err)
	}

	running := serve(t, func(w http.ResponseWriter, r *http.Request) {
		event(w, run.Run{Status: run.Running})
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	enough := errors.New("enough")
	if err := running.Watch(t.Context(), "x", func(run.Run) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("error: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	err = running.Watch(ctx, "x", func(run.Run) error { stop(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error: %v", err)
	}
}
