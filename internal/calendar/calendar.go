// Package calendar reads .ics files (iCalendar, RFC 5545) and answers whether
// any of their events is under way. What it can not read for certain is an
// error: whoever asks decides what that means.
package calendar

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-ical"
)

// Calendar is the events of one file.
type Calendar struct {
	events []event

	mu       sync.Mutex
	from, to time.Time // what the spans are known for
	spans    []Span
}

// Span is one time at which an event is under way; the end is not part of it.
type Span struct {
	Start, End time.Time
	Summary    string
}

// Parse reads a file. Times without a zone are in the given one; where that is
// nil, in the one that the calendar names for itself, and else in UTC.
func Parse(r io.Reader, zone *time.Location) (*Calendar, error) {
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	parts := len(begin.FindAll(text, -1))
	if parts == 0 {
		return nil, fmt.Errorf("it has no BEGIN:VCALENDAR")
	}
	c, d := &Calendar{}, ical.NewDecoder(bytes.NewReader(text))
	for range parts {
		part, err := decode(d)
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("it ends before its END:VCALENDAR")
		}
		if err != nil {
			return nil, err
		}
		if err := c.add(part, zone); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// decode also takes what the library fails on: it reads other people's text.
func decode(d *ical.Decoder) (part *ical.Calendar, err error) {
	defer func() {
		if failed := recover(); failed != nil {
			err = fmt.Errorf("it is no iCalendar text: %v", failed)
		}
	}()
	return d.Decode()
}

var begin = regexp.MustCompile(`(?mi)^BEGIN:VCALENDAR\r?$`)

func (c *Calendar) add(part *ical.Calendar, zone *time.Location) error {
	zones, err := newZones(part, zone)
	if err != nil {
		return err
	}
	var events []event
	for i, one := range part.Events() {
		e, err := zones.event(one.Component)
		if err != nil {
			return fmt.Errorf("event %d, %s: %w", i+1, describe(one.Component), err)
		}
		events = append(events, e)
	}
	c.events = append(c.events, replace(events)...)
	return nil
}

func describe(c *ical.Component) string {
	if p := c.Props.Get(ical.PropSummary); p != nil {
		return fmt.Sprintf("%q", p.Value)
	}
	if p := c.Props.Get(ical.PropUID); p != nil {
		return "with UID " + p.Value
	}
	return "without a name"
}

// replace takes from recurring events the occurrences that other events replace,
// and what was called off.
func replace(events []event) []event {
	for _, moved := range events {
		if moved.replaces.IsZero() {
			continue
		}
		for i := range events {
			if events[i].uid == moved.uid && events[i].replaces.IsZero() {
				events[i].without = append(events[i].without, moved.replaces)
			}
		}
	}
	return slices.DeleteFunc(events, func(e event) bool { return e.cancelled })
}

// Events are how many there are.
func (c *Calendar) Events() int { return len(c.events) }

// Open is an event that is under way at a time.
func (c *Calendar) Open(at time.Time) (under Span, open bool) {
	for _, s := range c.around(at) {
		if !at.Before(s.Start) && at.Before(s.End) {
			return s, true
		}
	}
	return Span{}, false
}

// kept is how far to both sides spans are worked out at once: recurrences are
// followed from their beginning each time.
const kept = 24 * time.Hour

func (c *Calendar) around(at time.Time) []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.Before(c.from) || !at.Before(c.to) {
		c.from, c.to = at.Add(-kept), at.Add(kept)
		c.spans = c.Spans(c.from, c.to)
	}
	return c.spans
}

// Spans are all times at which an event is under way between two times, by
// their start.
func (c *Calendar) Spans(from, to time.Time) []Span {
	var spans []Span
	for _, e := range c.events {
		spans = append(spans, e.spans(from, to)...)
	}
	slices.SortStableFunc(spans, func(a, b Span) int { return a.Start.Compare(b.Start) })
	return spans
}
