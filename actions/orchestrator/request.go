package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
)

const (
	answerWithin = 5 * time.Second
	maxAnswer    = 8 << 20
	maxNodes     = 16
)

// read asks each node in turn, until one answers, and says which did.
func (c *client) read(ctx context.Context, into any, path ...string) (node string, err error) {
	var failed []error
	for _, node := range c.urls {
		err := c.ask(ctx, answerWithin, node, into, path...)
		var no refused
		if err == nil || errors.As(err, &no) || ctx.Err() != nil {
			return node, err
		}
		failed = append(failed, err)
	}
	return "", errors.Join(failed...)
}

// ask: everything in this API is a GET, also what changes the topology.
func (c *client) ask(ctx context.Context, within time.Duration, node string, into any, path ...string) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	where := strings.TrimSuffix(node, "/") + "/api"
	for _, part := range path {
		where += "/" + url.PathEscape(part)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return refusal(answer.StatusCode, text)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("read its answer: %w", err)
	}
	return nil
}

// envelope is what answers other than servers come in.
type envelope struct {
	Code    string
	Message string
	Details json.RawMessage
}

// refused is an answer that is no success.
type refused struct {
	status int
	text   string
}

func refusal(status int, text []byte) refused {
	var e envelope
	if json.Unmarshal(text, &e) != nil || e.Message == "" {
		e.Message = strings.TrimSpace(string(text))
	}
	return refused{status, document.Shorten(e.Message, 300)}
}

func (r refused) Error() string {
	text := fmt.Sprintf("it answers %d %s: %s", r.status, http.StatusText(r.status), r.text)
	if r.unauthorized() {
		text += "; username and password_file of the connection must be those of its config, and its ReadOnly false"
	}
	return text
}

// unauthorized: who has come in but may not act is told so with a 500.
func (r refused) unauthorized() bool {
	return r.status == http.StatusUnauthorized || r.status == http.StatusForbidden || r.text == "Unauthorized"
}

// failure says what was being done to what. Orchestrator has a 500 also for what
// will be well in a moment, such as a recovery that is still at work.
func (c *client) failure(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ctx.Err()) {
		err = fmt.Errorf("%w (%w)", ctx.Err(), err)
	}
	wrapped := fmt.Errorf("%s by orchestrator %q: %w", what, c.name, oneLine{err})
	var r refused
	switch class := actions.ClassOf(err); {
	case class == actions.ClassPermanent, errors.As(err, &r) && (r.status < 500 || r.unauthorized()):
		return actions.Permanent(wrapped)
	case class == actions.ClassAmbiguous:
		return actions.Ambiguous(wrapped)
	}
	return wrapped
}

// oneLine is several errors in one line.
type oneLine struct{ error }

func (o oneLine) Error() string { return strings.ReplaceAll(o.error.Error(), "\n", "; ") }

func (o oneLine) Unwrap() error { return o.error }
