package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/client"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/terminal"
)

// Exit codes, for scripts.
const (
	exitOK          = 0 // fixed, or no problem
	exitNotFixed    = 1 // not fixed, or problems were found
	exitUsage       = 2 // the command line is wrong
	exitUnreachable = 3 // what was asked can not be reached
	exitRefused     = 4 // a guard or a condition said no
)

// failure is an error with the exit code that it means.
type failure struct {
	code int
	err  error // nil where everything is said already
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit code %d", f.code)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

func usage(format string, args ...any) error { return &failure{exitUsage, fmt.Errorf(format, args...)} }

// unknown names what is probably meant.
func unknown(what, name string, known []string) error {
	if hint := document.Suggest(name, known); hint != "" {
		return usage("there is no %s %q; %s", what, name, hint)
	}
	return usage("there is no %s %q", what, name)
}

// report prints what went wrong and gives the exit code.
func (p *program) report(err error) int {
	if err == nil {
		return exitOK
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{p.codeOf(err), err}
	}
	if f.err != nil {
		fmt.Fprintln(p.err, "runbook:", terminal.CleanText(f.err.Error()))
	}
	if errors.As(err, new(x509.UnknownAuthorityError)) {
		fmt.Fprintln(p.err, "  --ca-file FILE says whose certificates to trust")
	}
	return f.code
}

func (p *program) codeOf(err error) int {
	var problem *client.Problem
	var unreachable *client.Unreachable
	switch {
	case !p.begun:
		return exitUsage
	case errors.As(err, &problem):
		return problemCode(problem)
	case errors.As(err, &unreachable):
		return exitUnreachable
	}
	return exitNotFixed
}

func problemCode(p *client.Problem) int {
	switch p.Code {
	case api.CodeChanged, api.CodeForbidden, api.CodeHalted:
		return exitRefused
	case api.CodeNoSuchRunbook, api.CodeNoSuchRun, api.CodeNoSuchGameday, api.CodeNoSuchDrill, api.CodeNoSuchSchedule, api.CodeParams, api.CodeInvalid, api.CodeTooLarge, api.CodeEnded, api.CodeNotStuck, api.CodeNotAsked, api.CodeNoStorm:
		return exitUsage
	case "": // it was something else that answered
		return exitUnreachable
	}
	switch p.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return exitUnreachable
	}
	return exitNotFixed
}

// exitOf is what the outcome of a live run means to a script.
func exitOf(r run.Run) error {
	switch r.Outcome {
	case run.Fixed:
		return nil
	case run.Skipped:
		return &failure{code: exitRefused}
	default:
		return &failure{code: exitNotFixed}
	}
}
