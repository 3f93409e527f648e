package engine

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/invopop/jsonschema"
	"github.com/prometheus/alertmanager/timeinterval"

	"github.com/runbook-engine/runbook/internal/calendar"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/shape"
	"github.com/runbook-engine/runbook/runbooks"
)

// Window is open while any of its intervals is, or an event of its calendar is
// under way.
type Window struct {
	intervals []timeinterval.TimeInterval
	calendar  *calendar.File
	autonomy  runbooks.Level
}

// windowForm is a window as written. A list is short for its intervals.
type windowForm struct {
	Intervals []interval     `json:"intervals,omitempty" optional:"true" min:"1" doc:"Alertmanager's time intervals."`
	ICS       Path           `json:"ics,omitempty" optional:"true" doc:"Calendar file (iCalendar): the window is open while any of its events is under way. It is read again when it changes. While it can not be read the window counts as open, and nothing acts without consent."`
	Location  string         `json:"location,omitempty" optional:"true" min:"1" doc:"Time zone of times in the calendar that name none, such as Europe/Berlin; without it the one that the calendar names, else UTC."`
	Autonomy  runbooks.Level `json:"autonomy,omitempty" optional:"true" enum:"off|propose|approve|auto" doc:"The most that runbooks may do by themselves while the window is open."`
}

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

// UnmarshalDocument reads both forms.
func (w *Window) UnmarshalDocument(n *document.Node) (problems diag.List) {
	switch {
	case n.Kind == document.Map:
		return w.readForm(n)
	case n.Kind != document.List || len(n.Items) == 0:
		problems.Add(n.At, "wrong-type", "a window must be a list of time intervals, or a mapping with intervals or ics", "[{weekdays: [saturday, sunday]}]")
		return problems
	}
	return w.readIntervals(n)
}

func (w *Window) readForm(n *document.Node) (problems diag.List) {
	var form windowForm
	n.Title = "a window"
	if problems = document.Decode(n, &form); len(problems) > 0 {
		return problems
	}
	if form.Intervals == nil && form.ICS == "" {
		problems.Add(n.At, "missing-key", "a window needs intervals, ics or both", "")
	}
	if form.Location != "" && form.ICS == "" {
		problems.Add(n.KeyPlace("location"), "no-effect", "location is that of a calendar, and the window has no ics", "write it into the intervals")
	}
	var zone *time.Location
	if form.Location != "" {
		var err error
		if zone, err = time.LoadLocation(form.Location); err != nil {
			problems.Addf(n.Get("location").At, "time-zone", "there is no time zone %q", form.Location)
		}
	}
	if form.ICS != "" {
		w.calendar = calendar.NewFile(string(form.ICS), zone)
	}
	w.autonomy = form.Autonomy
	return append(problems, w.readIntervals(n.Get("intervals"))...)
}

func (w *Window) readIntervals(n *document.Node) (problems diag.List) {
	if n == nil {
		return nil
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

// JSONSchema describes both forms.
func (Window) JSONSchema() *jsonschema.Schema {
	one := uint64(1)
	form := shape.For[windowForm]().Schema(false)
	form.AnyOf = []*jsonschema.Schema{{Required: []string{"intervals"}}, {Required: []string{"ics"}}}
	return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
		{Type: "array", Items: shape.For[interval]().Schema(false), MinItems: &one}, form,
	}}
}

// at is the window at a moment.
func (w Window) at(name string, now time.Time) runbooks.Window {
	state := runbooks.Window{Name: name, Autonomy: w.autonomy}
	state.Open = slices.ContainsFunc(w.intervals, func(i timeinterval.TimeInterval) bool { return i.ContainsTime(now.UTC()) })
	if w.calendar == nil {
		return state
	}
	events, err := w.calendar.Read()
	if err != nil {
		state.Open, state.Unknown = true, fmt.Sprintf("its calendar is not known: %v", err)
		return state
	}
	if under, open := events.Open(now); open {
		state.Open, state.Event, state.Until = true, under.Summary, under.End
	}
	return state
}

// windows are all windows at a moment, by name.
func (c Config) windows(now time.Time) []runbooks.Window {
	all := make([]runbooks.Window, 0, len(c.Windows))
	for _, name := range c.windowNames() {
		all = append(all, c.Windows[name].at(name, now))
	}
	return all
}

// windowNames is never nil: that would say that the windows are not known.
func (c Config) windowNames() []string {
	return append([]string{}, slices.Sorted(maps.Keys(c.Windows))...)
}
