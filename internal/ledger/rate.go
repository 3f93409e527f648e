package ledger

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/invopop/jsonschema"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// Rate is at most N in any window of a length. Its text is that of documents:
// 3/h, 7/d or 2/30m.
type Rate struct {
	N   int
	Per model.Duration
}

const (
	maxRate  = 1_000_000
	rateHint = "such as 3/h, 7/d or 2/30m"
)

// ParseRate reads N/LENGTH, where a length of one unit is the unit alone.
func ParseRate(text string) (Rate, error) {
	count, length, _ := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 || n > maxRate || count[0] == '+' {
		return Rate{}, fmt.Errorf("rate %q is not a number of times in a length of time", document.Shorten(text, 60))
	}
	if len(length) == 1 {
		length = "1" + length
	}
	per, err := model.ParseDuration(length)
	if err != nil || per <= 0 {
		return Rate{}, fmt.Errorf("rate %q is not a number of times in a length of time", document.Shorten(text, 60))
	}
	return Rate{N: n, Per: per}, nil
}

// oneUnit is a length that is written as its unit alone.
var oneUnit = regexp.MustCompile(`^1([a-z])$`)

func (r Rate) String() string {
	return fmt.Sprintf("%d/%s", r.N, oneUnit.ReplaceAllString(r.Per.String(), "$1"))
}

// MarshalText implements encoding.TextMarshaler.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text))
	return err
}

// UnmarshalDocument reads the text of a document.
func (r *Rate) UnmarshalDocument(n *document.Node) (problems diag.List) {
	if err := r.UnmarshalText([]byte(n.Text)); err != nil {
		problems.Add(n.At, "rate", err.Error(), rateHint)
	}
	return problems
}

// JSONSchema describes the text.
func (Rate) JSONSchema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Pattern: `^[1-9][0-9]*/[0-9smhdwy]+$`, Description: "A number of times in a length of time, " + rateHint + "."}
}
