package api_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
)

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// breakAudit puts a file in the place of the audit file's folder.
func (b *bench) breakAudit() {
	b.t.Helper()
	folder := filepath.Dir(b.audit)
	for _, err := range []error{b.record.Close(), os.RemoveAll(folder), os.WriteFile(folder, nil, 0o600)} {
		if err != nil {
			b.t.Fatal(err)
		}
	}
}

// awaitList polls a list, which is behind by a moment, until it holds exactly
// those of the runs that it should.
func (b *bench) awaitList(path string, want map[string]bool) {
	b.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		var rows []runs.Row
		b.send(http.MethodGet, path, nil, &rows)
		listed := map[string]bool{}
		for _, row := range rows {
			listed[row.ID] = true
		}
		wrong := ""
		for id, expected := range want {
			if listed[id] != expected {
				wrong = id
			}
		}
		if wrong == "" {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: run %s is listed: %v, should be: %v", path, wrong, listed[wrong], want[wrong])
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// event is an event of a stream, or a comment, which has no name.
type event struct{ name, data, comment string }

// follow reads a stream until its end.
func (b *bench) follow(id string, each func(event)) {
	b.t.Helper()
	answer, err := http.Get(b.url + "/runs/" + id + "/events")
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	if got := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || got != "text/event-stream" {
		b.t.Fatalf("%s %s", answer.Status, got)
	}
	var e event
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), ": "); ok {
			each(event{comment: text})
		}
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if e.name != "" {
				each(e)
			}
			e = event{}
		}
	}
	if err := lines.Err(); err != nil {
		b.t.Fatal(err)
	}
}

func TestStreamShowsEachChangeAndEndsWithTheRun(t *testing.T) {
	b := newBench(t)
	started := b.start(api.Start{Runbook: "turn-up", Mode: "live"})
	var states []run.Run
	b.follow(started.ID, func(e event) {
		var r run.Run
		if err := json.Unmarshal([]byte(e.data), &r); err != nil || e.name != api.EventRun {
			t.Fatalf("event %+v: %v", e, err)
		}
		states = append(states, r)
	})
	if len(states) == 0 {
		t.Fatal("no events")
	}
	last := states[len(states)-1]
	if last.Status != run.Ended || last.Outcome != run.Fixed || len(last.Events) == 0 {
		t.Errorf("the last state: %+v", last)
	}
	for _, r := range states[:len(states)-1] {
		if r.Status == run.Ended {
			t.Error("the stream went on after the end")
		}
	}
}

func TestStreamOfNoRunIsRefused(t *testing.T) {
	b := newBench(t)
	b.refused(http.MethodGet, "/runs/turn-up.exec-none/events", nil, http.StatusNotFound, api.CodeNoSuchRun)
}

func TestCancelStopsARunAndIsRecorded(t *testing.T) {
	b := newBench(t)
	id := b.start(api.Start{Runbook: "slow", Mode: "live"}).ID
	b.await(id, func(r run.Run) bool { return r.Phase == run.Acting && len(r.Events) > 1 })
	cancelled := make(chan struct{})
	go func() {
		defer close(cancelled)
		var out api.Started
		if answer := b.send(http.MethodPost, "/runs/"+id+"/cancel", api.Cancel{Reason: "too slow"}, &out); answer.StatusCode != http.StatusAccepted {
			t.Errorf("cancel: %s", answer.Status)
		}
	}()
	var last run.Run
	b.follow(id, func(e event) {
		if err := json.Unmarshal([]byte(e.data), &last); err != nil {
			t.Error(err)
		}
	})
	<-cancelled
	if last.Outcome != run.Cancelled || !strings.Contains(last.OutcomeReason, "ada asked to stop: too slow") || b.meter.value.Load() != 0 {
		t.Errorf("meter %d, run %+v", b.meter.value.Load(), last)
	}
	lines := b.lines(audit.Cancel)
	if len(lines) != 1 || lines[0].Actor != actor || lines[0].Reason != "too slow" || lines[0].Run != id {
		t.Errorf("audit: %+v", lines)
	}
	b.refused(http.MethodPost, "/runs/"+id+"/cancel", api.Cancel{}, http.StatusConflict, api.CodeEnded)
}

// The deadline of one message must be over before the next sign of life.
func TestQuietStreamStaysOpen(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.start(api.Start{Runbook: "slow", Mode: "live"}).ID
	comments := 0
	b.follow(id, func(e event) {
		if e.comment == "" {
			return
		}
		if comments++; comments == 1 {
			b.send(http.MethodPost, "/runs/"+id+"/cancel", api.Cancel{}, &api.Started{})
		}
	})
	if comments == 0 {
		t.Error("no comment was sent")
	}
}
