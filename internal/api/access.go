package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/runbook-engine/runbook/internal/identity"
)

// access is the role that an operation needs, and where.
type access struct {
	role  identity.Role
	where scope
}

type scope int

const (
	anywhere   scope = iota // also when it is limited to some runbooks
	everywhere              // it concerns all runbooks
	ofRun                   // for the runbook of the run in the path
)

// needs is what each operation needs; there is none without. What is in a body
// is checked where it is read: the runbook of a run that is to be started.
var needs = map[string]access{
	"get-status":    {identity.Viewer, anywhere},
	"list-runbooks": {identity.Viewer, anywhere},
	"get-runbook":   {identity.Viewer, anywhere},
	"list-actions":  {identity.Viewer, anywhere},
	"list-runs":     {identity.Viewer, anywhere},
	"get-run":       {identity.Viewer, anywhere},
	"follow-run":    {identity.Viewer, anywhere},
	"list-queue":    {identity.Viewer, anywhere},
	"list-windows":  {identity.Viewer, anywhere},
	"list-trust":    {identity.Viewer, anywhere},
	"plan-run":      {identity.Viewer, anywhere},
	"start-run":     {identity.Operator, anywhere},
	"cancel-run":    {identity.Operator, ofRun},
	"approve-run":   {identity.Approver, ofRun},
	"deny-run":      {identity.Approver, ofRun},
	"resolve-run":   {identity.Operator, ofRun},
	// To stop is allowed to all who may start something.
	"halt":   {identity.Operator, anywhere},
	"resume": {identity.Admin, everywhere},

	"list-gamedays":    {identity.Viewer, anywhere},
	"plan-drill":       {identity.Operator, everywhere},
	"start-drill":      {identity.Operator, everywhere},
	"list-drills":      {identity.Viewer, anywhere},
	"get-drill":        {identity.Viewer, anywhere},
	"list-injections":  {identity.Viewer, anywhere},
	"list-schedules":   {identity.Viewer, anywhere},
	"pause-schedule":   {identity.Operator, anywhere},
	"unpause-schedule": {identity.Operator, everywhere},
	"trigger-schedule": {identity.Operator, everywhere},
	// To end a fault is allowed to all who may start something.
	"abort-drill":  {identity.Operator, anywhere},
	"settle-drill": {identity.Operator, everywhere},
	"heal":         {identity.Operator, anywhere},
	"reset-storm":  {identity.Admin, everywhere},
}

// roleExtension is where the OpenAPI document has the role.
const roleExtension = "x-role"

func (a access) allows(who identity.Identity, run string) error {
	switch a.where {
	case everywhere:
		return who.Everywhere(a.role)
	case ofRun:
		runbook, _, _ := strings.Cut(run, ".")
		return who.For(a.role, runbook)
	default:
		return who.Has(a.role)
	}
}

// authorize lets a request through to its operation, or answers 403.
func (s *server) authorize(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	err := needs[op.OperationID].allows(identity.FromContext(ctx.Context()), ctx.Param("id"))
	if err == nil {
		next(ctx)
		return
	}
	r, w := humago.Unwrap(ctx)
	s.write(w, s.denied(ctx.Context(), r.Method+" "+r.URL.Path, err))
}

// looking lets nobody see anything below Prefix who may not look, its
// description included.
func (s *server) looking(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := identity.FromContext(r.Context()).Has(identity.Viewer); err != nil {
			s.write(w, s.denied(r.Context(), r.Method+" "+r.URL.Path, err))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// denied records that somebody asked for what is not theirs, and is the answer.
func (s *server) denied(ctx context.Context, what string, err error) error {
	identity.RecordDenied(ctx, s.Audit, s.Log, what, err)
	return problem(http.StatusForbidden, CodeForbidden, err.Error())
}
