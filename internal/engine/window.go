package engine

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/invopop/jsonschema"
	"github.com/prometheus/alertmanager/timeinterval"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
)

// Window is open while any of its intervals is.
type Window struct{ intervals []timeinterval.TimeInterval }

// interval is one of Alertmanager's time intervals, as its documentation has
// them. Alertmanager's own code gives the values their meaning.
type interval struct {
	Times       []timeRange `json:"times,omitempty" optional:"true" doc:"Times of the day; none is all day."`
	Weekdays    []string    `json:"weekdays,omitempty" optional:"true" doc:"Days of the week, such as monday:friday or sunday."`
	DaysOfMonth []string    `json:"days_of_month,omitempty" optional:"true" doc:"Days of the month, such as 1:5 or -3:-1, which counts from the end."`
	Months      []string    `json:"months,omitempty" optional:"true" doc:"Months, by name or number, such as 1:3 or december."`
	Years       []string    `json:"years,omitempty" optional:"true" doc:"Years, such as 2026:2027."`
	Location    string      `json:"location,omitempty" optional:"true" doc:"Time zone, such as Europe/Berlin; UTC without it."`
}

type timeRange struct {
	StartTime string `json:"start_time" doc:"First minute, such as 09:00."`
	EndTime   string `json:"end_time" doc:"Minute after the last, up to 24:00."`
}

// UnmarshalDocument reads a list of intervals.
func (w *Window) UnmarshalDocument(n *document.Node) (problems diag.List) {
	if n.Kind != document.List || len(n.Items) == 0 {
		problems.Add(n.At, "wrong-type", "a window must be a list of time intervals", "[{weekdays: [saturday, sunday]}]")
		return problems
	}
	for _, item := range n.Items {
		one, found := readInterval(item)
		problems = append(problems, found...)
		w.intervals = append(w.intervals, one)
	}
	return problems
}

func readInterval(n *document.Node) (out timeinterval.TimeInterval, problems diag.List) {
	var read interval
	if problems := document.Decode(n, &read); len(problems) > 0 {
		return out, problems
	}
	text, err := json.Marshal(read)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		problems.Addf(n.At, "time-interval", "the time interval is not valid: %v", err)
	}
	return out, problems
}

// JSONSchema describes a window.
func (Window) JSONSchema() *jsonschema.Schema {
	one := uint64(1)
	return &jsonschema.Schema{Type: "array", Items: shape.For[interval]().Schema(false), MinItems: &one}
}

func (w Window) open(at time.Time) bool {
	return slices.ContainsFunc(w.intervals, func(i timeinterval.TimeInterval) bool { return i.ContainsTime(at.UTC()) })
}

// openWindows names the windows that are open at a time, sorted.
func (c Config) openWindows(at time.Time) []string {
	open := []string{}
	for _, name := range c.windowNames() {
		if c.Windows[name].open(at) {
			open = append(open, name)
		}
	}
	return open
}

// windowNames is never nil: that would say that the windows are not known.
func (c Config) windowNames() []string {
	return append([]string{}, slices.Sorted(maps.Keys(c.Windows))...)
}
