package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"go.temporal.io/api/serviceerror"

	problems "github.com/runbook-engine/runbook/internal/problem"
	"github.com/runbook-engine/runbook/internal/runs"
)

// Problem is an error as the interface reports it.
type Problem = huma.ErrorModel

// Codes of problems, stable: programs rely on them.
const (
	CodeInvalid        = "invalid-request"
	CodeTooLarge       = "too-large"
	CodeNoSuchPath     = "no-such-path"
	CodeNoSuchRunbook  = "no-such-runbook"
	CodeNoSuchRun      = "no-such-run"
	CodeNoSuchGameday  = "no-such-gameday"
	CodeNoSuchDrill    = "no-such-drill"
	CodeNoSuchSchedule = "no-such-schedule"    // the game day does not run by itself
	CodeUpstream       = "systems-unavailable" // what injectors reach does not answer
	CodeParams         = "params"              // parameters of a runbook that do not resolve; `errors` has all
	CodeChanged        = "document-changed"    // the digest is not that of the loaded document
	CodeRequestReused  = "request-id-reused"   // the same request_id for something else
	CodeEnded          = "run-ended"
	CodeNotStuck       = "nothing-to-settle"
	CodeNoStorm        = "no-storm"          // the storm breaker is not open
	CodeForbidden      = "forbidden"         // a role is lacking; the detail names it
	CodeNotAsked       = "not-asked"         // the run does not ask for consent now
	CodeHalted         = "halted"            // the kill switch can not be turned
	CodeAudit          = "audit-unavailable" // nothing is started that can not be recorded
	CodeUnavailable    = "temporal-unavailable"
	CodeStarting       = "starting" // the engine will answer in a moment
	CodeInternal       = "internal"
)

const problemType = problems.Type

// CodeOf is the code of a problem.
func CodeOf(p *Problem) string {
	code, ok := strings.CutPrefix(p.Type, problemType)
	if !ok {
		return ""
	}
	return code
}

func problem(status int, code, detail string, errs ...error) *Problem {
	p := &Problem{Status: status, Type: problemType + code, Title: http.StatusText(status), Detail: detail}
	for _, err := range errs {
		p.Add(err)
	}
	return p
}

// addCode gives the problems that the framework finds a code too.
func addCode(_ huma.Context, _ string, v any) (any, error) {
	p, ok := v.(*Problem)
	if !ok || p.Type != "" {
		return v, nil
	}
	switch {
	case p.Status == http.StatusRequestEntityTooLarge:
		p.Type = problemType + CodeTooLarge
	case p.Status >= http.StatusInternalServerError:
		p.Type = problemType + CodeInternal
	default:
		p.Type = problemType + CodeInvalid
	}
	return v, nil
}

// failed is an error of the parts below as a problem.
func (s *server) failed(err error) error {
	var unavailable *serviceerror.Unavailable
	var exhausted *serviceerror.ResourceExhausted
	var deadline *serviceerror.DeadlineExceeded
	switch {
	case errors.Is(err, runs.ErrNotFound):
		return problem(http.StatusNotFound, CodeNoSuchRun, err.Error())
	case errors.Is(err, runs.ErrEnded):
		return problem(http.StatusConflict, CodeEnded, err.Error())
	case errors.As(err, &unavailable), errors.As(err, &exhausted), errors.As(err, &deadline), errors.Is(err, context.DeadlineExceeded):
		s.Log.Warn("a request could not be answered", "error", err)
		return problem(http.StatusServiceUnavailable, CodeUnavailable, err.Error())
	default:
		s.Log.Error("a request failed", "error", err)
		return problem(http.StatusInternalServerError, CodeInternal, err.Error())
	}
}

// write sends a problem where the framework does not.
func (s *server) write(w http.ResponseWriter, err error) {
	p, ok := err.(*Problem)
	if !ok {
		p = problem(http.StatusInternalServerError, CodeInternal, err.Error())
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		s.Log.Debug("a problem could not be sent", "error", err)
	}
}

func (s *server) noSuchPath(w http.ResponseWriter, r *http.Request) {
	s.write(w, problem(http.StatusNotFound, CodeNoSuchPath, "there is no "+r.Method+" "+r.URL.Path))
}
