package calendar

import (
	"fmt"
	"slices"
	"time"

	"github.com/teambition/rrule-go"
)

// event is one VEVENT.
type event struct {
	uid       string
	summary   string
	start     time.Time
	length    length
	rules     []rrule.ROption
	extra     []Span      // RDATE; one without an end has the event's length
	without   []time.Time // EXDATE, and occurrences that another event replaces
	replaces  time.Time   // RECURRENCE-ID
	cancelled bool
}

// length is how long an event takes: days on the calendar, which a change of
// the clocks makes longer or shorter, or an exact time.
type length struct {
	days  int
	exact time.Duration
}

func (l length) from(start time.Time) time.Time { return start.AddDate(0, 0, l.days).Add(l.exact) }

// atMost bounds the length.
func (l length) atMost() time.Duration {
	return time.Duration(l.days)*24*time.Hour + l.exact + 24*time.Hour
}

// spans are the occurrences that touch a range.
func (e event) spans(from, to time.Time) []Span {
	var spans []Span
	take := func(s Span) {
		gone := slices.ContainsFunc(e.without, s.Start.Equal)
		again := slices.ContainsFunc(spans, func(o Span) bool { return o.Start.Equal(s.Start) })
		if !gone && !again && s.End.After(from) && s.Start.Before(to) {
			s.Summary = e.summary
			spans = append(spans, s)
		}
	}
	take(Span{Start: e.start, End: e.length.from(e.start)})
	for _, s := range e.extra {
		if s.End.IsZero() {
			s.End = e.length.from(s.Start)
		}
		take(s)
	}
	for _, rule := range e.rules {
		for _, start := range e.starts(rule, from.Add(-e.length.atMost()), to) {
			take(Span{Start: start, End: e.length.from(start)})
		}
	}
	return spans
}

// starts are when a rule lets the event begin in a range. The rule is cut off
// there: one that nothing meets would be followed to the year 9999.
func (e event) starts(rule rrule.ROption, from, to time.Time) []time.Time {
	if rule.Until.IsZero() || rule.Until.After(to) {
		rule.Until = to
	}
	r, err := rrule.NewRRule(rule)
	if err != nil {
		panic(fmt.Sprintf("calendar: a rule that was checked: %v", err))
	}
	return r.Between(from, to, true)
}
