package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/identity"
)

func TestHaltIsInEveryAnswerUntilItIsResumed(t *testing.T) {
	b := newBench(t)
	b.client.Close() // as when Temporal is lost
	reason := "the régression \"42\"\r\nX-Evil: 😀"
	var status api.Status
	b.as(holder(role(identity.Operator)))
	answer := b.send(http.MethodPost, "/halt", api.HaltRequest{Reason: reason, For: "2h"}, &status)
	if h := status.Halt; answer.StatusCode != http.StatusOK || h == nil || h.By != "eve" || h.Reason != reason || len(status.Warnings) != 0 {
		t.Fatalf("%s %+v", answer.Status, status)
	}
	if left := time.Until(status.Halt.Until); left < time.Hour || left > 2*time.Hour {
		t.Errorf("it ends in %s", left)
	}
	var ignored any
	for _, path := range []string{"/status", "/runbooks", "/nothing", "/openapi.json", "/runs/none"} {
		answer := b.send(http.MethodGet, path, nil, &ignored)
		if h := api.HaltOf(answer.Header); h == nil || h.Reason != reason || h.By != "eve" {
			t.Errorf("%s does not say that the engine is halted: %q", path, answer.Header.Get(api.HaltedHeader))
		}
		if text := answer.Header.Get(api.HaltedHeader); strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%s: the header is not plain ASCII: %q", path, text)
		}
	}
	b.as(holder(role(identity.Admin)))
	answer = b.send(http.MethodPost, "/resume", api.ResumeRequest{Reason: "mended"}, &status)
	if answer.StatusCode != http.StatusOK || answer.Header.Get(api.HaltedHeader) == "" {
		t.Errorf("resume: %s", answer.Status)
	}
	if answer := b.send(http.MethodGet, "/status", nil, &status); api.HaltOf(answer.Header) != nil || status.Halt != nil && b.halt.State() != nil {
		t.Errorf("it is halted still: %+v", status)
	}
	got := b.lines(audit.Switched)
	if len(got) != 2 || got[0].Actor != "eve" || got[0].Reason != reason || got[0].Decision != "halt 2h" || got[1].Decision != "resume" || got[1].Reason != "mended" {
		t.Errorf("audit: %+v", got)
	}
}

// Who asks for a shorter halt than holds is told that it stays as it was.
func TestALongerHaltIsNotShortenedSilently(t *testing.T) {
	b := newBench(t)
	for _, c := range []struct{ length, warning string }{
		{"2h", ""}, {"1m", "a longer halt holds already and is not shortened: it lasts until "}, {"3h", ""}, {"", ""},
		{"1h", "a halt without an end holds already and is not shortened: it lasts until somebody resumes"},
	} {
		var status api.Status
		b.send(http.MethodPost, "/halt", api.HaltRequest{Reason: "x", For: c.length}, &status)
		if got := strings.Join(status.Warnings, "; "); (got == "") != (c.warning == "") || !strings.HasPrefix(got, c.warning) {
			t.Errorf("halt for %q: warned %q, want %q", c.length, got, c.warning)
		}
	}
}

func TestHaltNeedsAReasonAndALength(t *testing.T) {
	b := newBench(t)
	for _, bad := range []api.HaltRequest{{}, {Reason: " \t"}, {Reason: "x", For: "soon"}, {Reason: "x", For: "-1h"}, {Reason: "x", For: "0s"}, {Reason: "x", For: "2y"}} {
		b.refused(http.MethodPost, "/halt", bad, http.StatusUnprocessableEntity, api.CodeInvalid)
	}
	if h := b.halt.State(); h != nil {
		t.Errorf("halted: %+v", h)
	}
}

// To stop is possible when nothing can be recorded; to go on is not.
func TestHaltAndResumeWithoutAnAuditFile(t *testing.T) {
	b := newBench(t)
	b.breakAudit()
	var status api.Status
	b.send(http.MethodPost, "/halt", api.HaltRequest{Reason: "x"}, &status)
	if b.halt.State() == nil || len(status.Warnings) != 1 || !strings.Contains(status.Warnings[0], "audit") {
		t.Errorf("%+v", status)
	}
	b.refused(http.MethodPost, "/resume", api.ResumeRequest{}, http.StatusServiceUnavailable, api.CodeAudit)
	if b.halt.State() == nil {
		t.Error("it goes on although that was not recorded")
	}
}
