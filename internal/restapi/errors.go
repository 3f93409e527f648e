package restapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
)

// Refused is an answer that is no success.
type Refused struct {
	Status int
	Text   string // what the answer says
	Denied bool   // whoever asks may not
	Hint   string // what must be so for one that is not denied
}

func (r Refused) Error() string {
	text := fmt.Sprintf("it answers %d %s: %s", r.Status, http.StatusText(r.Status), r.Text)
	if r.Denied {
		text += "; username and password_file of the connection must be those of its config" + r.Hint
	}
	return text
}

func refusal(status int, text []byte) Refused {
	return Refused{
		Status: status,
		Text:   document.Shorten(strings.TrimSpace(string(text)), 300),
		Denied: status == http.StatusUnauthorized || status == http.StatusForbidden,
	}
}

// Failure says what was being done to what, in one line. What was refused is
// permanent, but for an error of the server that was none of who asks.
func (a *API) Failure(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	wrapped := fmt.Errorf("%s %s: %w", what, a.name, oneLine{err})
	var r Refused
	if actions.ClassOf(err) == actions.ClassPermanent || errors.As(err, &r) && (r.Status < 500 || r.Denied) {
		return actions.Permanent(wrapped)
	}
	return wrapped
}

// oneLine is several errors in one line.
type oneLine struct{ error }

func (o oneLine) Error() string { return strings.ReplaceAll(o.error.Error(), "\n", "; ") }

func (o oneLine) Unwrap() error { return o.error }
