package identity

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/runbook-engine/runbook/internal/audit"
)

// Require gives next only the requests of those who have a role without limits,
// answers the others with 403 and records them. It belongs behind the
// authenticator's middleware.
func Require(need Role, record *audit.Log, log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := FromContext(r.Context()).Everywhere(need); err != nil {
			RecordDenied(r.Context(), record, log, r.Method+" "+r.URL.Path, err)
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// RecordDenied writes down that somebody asked for what is not theirs to ask.
func RecordDenied(ctx context.Context, record *audit.Log, log *slog.Logger, what string, denied error) {
	e := audit.Entry{Kind: audit.Denied, Actor: FromContext(ctx).Name, Decision: what, Error: denied.Error()}
	log.Warn("request denied", "by", e.Actor, "request", what, "reason", denied.Error())
	if err := record.Write(e); err != nil {
		log.Error("the audit line of a denied request is lost", "error", err)
	}
}
