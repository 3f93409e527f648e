package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/halt"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/ledger"
)

// HaltedHeader is in each answer while the engine is halted: the halt, as JSON
// in ASCII.
const HaltedHeader = "Runbook-Halted"

// HaltRequest asks for everything to stop.
type HaltRequest struct {
	Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why, for everybody who meets it."`
	For    string `json:"for,omitempty" maxLength:"20" doc:"How long, such as 2h; without it until somebody resumes."`
}

// ResumeRequest asks for everything to go on.
type ResumeRequest struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why, for the record."`
}

// Status is how the engine is.
type Status struct {
	Name    string          `json:"name" doc:"Always engine."`
	Version string          `json:"version"`
	Halt    *ledger.Halt    `json:"halt,omitempty" doc:"The kill switch, where it is on."`
	Storm   *ledger.Breaker `json:"storm,omitempty" doc:"The storm breaker, while it is open."`
	// Warnings are what keeps the engine from doing all of its work.
	Warnings []string `json:"warnings,omitempty" doc:"What is not as it should be, such as other engines that may not have heard of a halt."`
}

type (
	statusOutput struct{ Body Status }
	haltInput    struct{ Body HaltRequest }
	resumeInput  struct{ Body ResumeRequest }
)

func (s *server) halt() {
	huma.Register(s.api, operation("get-status", http.MethodGet, "/status", "How the engine is"), s.getStatus)
	huma.Register(s.api, operation("halt", http.MethodPost, "/halt",
		"Stop everything: no run begins a step until it is resumed; works without Temporal"), s.haltAll)
	huma.Register(s.api, operation("resume", http.MethodPost, "/resume", "Let everything go on", http.StatusServiceUnavailable), s.resumeAll)
}

func (s *server) getStatus(ctx context.Context, _ *struct{}) (*statusOutput, error) {
	out := s.status()
	s.storm(ctx, &out)
	return &statusOutput{out}, nil
}

func (s *server) status() Status {
	return Status{Name: "engine", Version: s.Version, Halt: s.Halt.State()}
}

// haltAll halts in any case: what it can not write down or pass on is a warning.
func (s *server) haltAll(ctx context.Context, in *haltInput) (*statusOutput, error) {
	until, err := until(in.Body.For, time.Now())
	if err == nil {
		err = inWords(in.Body.Reason)
	}
	if err != nil {
		return nil, err
	}
	by := identity.FromContext(ctx).Name
	holds, written := s.Halt.Halt(by, in.Body.Reason, until)
	s.Log.Warn("halted", "by", by, "reason", in.Body.Reason, "until", until)
	recorded := s.Audit.Write(switchEntry(by, in.Body.Reason, "halt "+in.Body.For))
	out := s.status()
	if longer := halt.NotShortened(until, holds); longer != "" {
		out.Warnings = append(out.Warnings, longer)
	}
	for _, failed := range []error{written, s.Halt.Share(ctx), recorded} {
		if failed != nil {
			s.Log.Error("halted, but not all is well", "error", failed)
			out.Warnings = append(out.Warnings, failed.Error())
		}
	}
	return &statusOutput{out}, nil
}

const longestHalt = 365 * 24 * time.Hour

func until(length string, now time.Time) (time.Time, error) {
	if length == "" {
		return time.Time{}, nil
	}
	d, err := model.ParseDuration(length)
	if err != nil || d <= 0 || time.Duration(d) > longestHalt {
		return time.Time{}, problem(http.StatusUnprocessableEntity, CodeInvalid, "for must be a duration such as 30m or 2h, up to a year, not "+strconv.Quote(length))
	}
	return now.Add(time.Duration(d)), nil
}

// resumeAll does nothing that it can not write down.
func (s *server) resumeAll(ctx context.Context, in *resumeInput) (*statusOutput, error) {
	by := identity.FromContext(ctx).Name
	if err := s.Audit.Write(switchEntry(by, in.Body.Reason, "resume")); err != nil {
		return nil, problem(http.StatusServiceUnavailable, CodeAudit, "a resume can not be recorded, so nothing goes on: "+err.Error())
	}
	if err := s.Halt.Resume(by, in.Body.Reason); err != nil {
		return nil, problem(http.StatusServiceUnavailable, CodeHalted, "still halted: "+err.Error())
	}
	s.Log.Warn("resumed", "by", by, "reason", in.Body.Reason)
	shared := s.Halt.Share(ctx)
	out := s.status()
	if shared != nil {
		out.Warnings = append(out.Warnings, shared.Error())
	}
	return &statusOutput{out}, nil
}

func switchEntry(by, reason, what string) audit.Entry {
	return audit.Entry{Kind: audit.Switched, Actor: by, Reason: reason, Decision: strings.TrimSpace(what)}
}

// tellHalted adds the header to all answers.
func (s *server) tellHalted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h := s.Halt.State(); h != nil {
			w.Header().Set(HaltedHeader, haltText(h))
		}
		next.ServeHTTP(w, r)
	})
}

// haltText fits into a header whatever the reason is.
func haltText(h *ledger.Halt) string {
	raw, err := json.Marshal(h)
	if err != nil {
		return `{"reason":"unknown"}`
	}
	var b strings.Builder
	for _, r := range string(raw) {
		switch {
		case r < 0x7f:
			b.WriteRune(r)
		case r <= 0xffff:
			b.WriteString(`\u` + hex4(r))
		default:
			r -= 0x10000
			b.WriteString(`\u` + hex4(0xd800+r>>10) + `\u` + hex4(0xdc00+r&0x3ff))
		}
	}
	return b.String()
}

func hex4(r rune) string { return strconv.FormatInt(0x10000+int64(r), 16)[1:] }

// HaltOf reads HaltedHeader; nil without one.
func HaltOf(header http.Header) *ledger.Halt {
	text := header.Get(HaltedHeader)
	if text == "" {
		return nil
	}
	h := &ledger.Halt{}
	if err := json.Unmarshal([]byte(text), h); err != nil {
		h.Reason = text
	}
	return h
}
