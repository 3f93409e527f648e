// Package problem writes the errors of the engine's HTTP interface, as RFC 9457
// has them.
package problem

import (
	"encoding/json"
	"net/http"
)

// Type is what the type of each problem begins with; a stable code follows.
const Type = "urn:runbook:problem:"

// Write answers with a problem.
func Write(w http.ResponseWriter, status int, code, detail string) error {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(map[string]any{
		"type": Type + code, "title": http.StatusText(status), "status": status, "detail": detail,
	})
}
