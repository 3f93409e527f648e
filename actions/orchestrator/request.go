package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/restapi"
)

const (
	answerWithin = restapi.AnswerWithin
	maxNodes     = 16
)

// read asks each node in turn, until one answers, and says which did.
func (c client) read(ctx context.Context, into any, path ...string) (node string, err error) {
	return c.First(ctx, func(node string) error { return c.ask(ctx, answerWithin, node, into, path...) })
}

// ask: everything in this API is a GET, also what changes the topology.
func (c client) ask(ctx context.Context, within time.Duration, node string, into any, path ...string) error {
	where := "/api"
	for _, part := range path {
		where += "/" + url.PathEscape(part)
	}
	text, err := c.Send(ctx, within, http.MethodGet, node, where, nil)
	var no restapi.Refused
	if errors.As(err, &no) {
		return told(no, text)
	}
	if err != nil {
		return err
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

// told is a refusal in the words of its envelope. Who has come in but may not act
// is told so with a 500, as is what will be well in a moment.
func told(no restapi.Refused, text []byte) restapi.Refused {
	var e envelope
	if json.Unmarshal(text, &e) == nil && e.Message != "" {
		no.Text = document.Shorten(e.Message, 300)
	}
	no.Denied = no.Denied || no.Text == "Unauthorized"
	no.Hint = ", and its ReadOnly false"
	return no
}
