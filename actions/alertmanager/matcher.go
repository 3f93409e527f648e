package alertmanager

import (
	"errors"
	"strings"

	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/matcher/parse"
	"github.com/prometheus/alertmanager/pkg/labels"
)

// matcher is one matcher in Alertmanager's syntax. A document with a malformed
// one does not load.
type matcher string

// UnmarshalText takes the text if Alertmanager's parser does.
func (m *matcher) UnmarshalText(text []byte) error {
	if _, err := parse.Matcher(string(text)); err != nil {
		return err
	}
	*m = matcher(text)
	return nil
}

// parsed reads matchers again; their texts were checked when they were decoded.
func parsed(texts []matcher) (labels.Matchers, error) {
	matchers := make(labels.Matchers, len(texts))
	for i, text := range texts {
		m, err := parse.Matcher(string(text))
		if err != nil {
			return nil, err
		}
		matchers[i] = m
	}
	return matchers, nil
}

// queries are matchers in the form that each version of the API reads.
func queries(matchers labels.Matchers) []string {
	texts := make([]string, len(matchers))
	for i, m := range matchers {
		texts[i] = m.String()
	}
	return texts
}

// braced shows matchers as one selector: {a="b",c=~"d"}.
func braced(texts []matcher) string {
	list := make([]string, len(texts))
	for i, text := range texts {
		list[i] = string(text)
	}
	return "{" + strings.Join(list, ",") + "}"
}

// anyValue stands for a label value that nobody has in mind.
const anyValue = "runbook-any-value"

// mustNarrow refuses matchers that would take in every alert: those of which
// none rules out both an absent label and an arbitrary value of it.
func mustNarrow(matchers labels.Matchers) error {
	for _, m := range matchers {
		if !m.Matches("") && !m.Matches(anyValue) {
			return nil
		}
	}
	return errors.New(`the matchers would match every alert; add one that says what a label is, such as alertname="DBPoolExhausted"`)
}

func apiMatchers(matchers labels.Matchers) models.Matchers {
	list := make(models.Matchers, len(matchers))
	for i, m := range matchers {
		isRegex := m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp
		isEqual := m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp
		list[i] = &models.Matcher{Name: &m.Name, Value: &m.Value, IsRegex: &isRegex, IsEqual: &isEqual}
	}
	return list
}
