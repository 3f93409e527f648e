package calendar

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/emersion/go-ical"
	"github.com/teambition/rrule-go"
)

// event reads one VEVENT. What would change when the event is, and is not
// understood, is an error.
func (z zones) event(c *ical.Component) (e event, err error) {
	e.uid, e.summary = text(c, ical.PropUID), text(c, ical.PropSummary)
	e.cancelled = strings.EqualFold(text(c, ical.PropStatus), string(ical.EventCancelled))
	if c.Props.Get("EXRULE") != nil {
		return e, fmt.Errorf("EXRULE is not supported")
	}
	for _, read := range []func(*ical.Component, *event) error{z.readStart, z.readLength, bounded, z.readRules, z.readExtra, z.readWithout} {
		if err := read(c, &e); err != nil {
			return e, err
		}
	}
	return e, nil
}

// text is a property that only people read, or that is compared.
func text(c *ical.Component, name string) string {
	if p := c.Props.Get(name); p != nil {
		return p.Value
	}
	return ""
}

func (z zones) readStart(c *ical.Component, e *event) (err error) {
	if c.Props.Get(ical.PropDateTimeStart) == nil {
		return fmt.Errorf("it has no DTSTART")
	}
	if e.start, err = z.time(c.Props.Get(ical.PropDateTimeStart)); err != nil {
		return err
	}
	if e.start.Year() < earliest {
		return fmt.Errorf("DTSTART is before the year %d", earliest)
	}
	p := c.Props.Get(ical.PropRecurrenceID)
	if p == nil {
		return nil
	}
	if p.Params.Get("RANGE") != "" {
		return fmt.Errorf("RECURRENCE-ID with a RANGE is not supported")
	}
	e.replaces, err = z.time(p)
	return err
}

// earliest bounds how many occurrences there can be.
const earliest = 1900

func (z zones) readLength(c *ical.Component, e *event) error {
	start, end, duration := c.Props.Get(ical.PropDateTimeStart), c.Props.Get(ical.PropDateTimeEnd), c.Props.Get(ical.PropDuration)
	switch {
	case end != nil:
		at, err := z.time(end)
		if err != nil {
			return err
		}
		if at.Before(e.start) {
			return fmt.Errorf("it ends before it starts")
		}
		if isDate(end) {
			e.length.days = daysBetween(e.start, at)
			return nil
		}
		e.length.exact = at.Sub(e.start)
	case duration != nil:
		took, err := lengthOf(duration.Value)
		if err != nil {
			return err
		}
		e.length.exact = took
	case isDate(start):
		e.length.days = 1
	}
	return nil
}

// longest bounds an event: what takes longer is a mistake, and is not to be
// reckoned with.
const longest = 5 * 366 * 24 * time.Hour

// lengthForm keeps numbers small enough to be multiplied; the library does not
// look.
var lengthForm = regexp.MustCompile(`^\+?P([0-9]{1,4}W|[0-9]{1,4}D)?(T([0-9]{1,6}H)?([0-9]{1,6}M)?([0-9]{1,8}S)?)?$`)

// lengthOf reads PT1H30M and the like.
func lengthOf(text string) (time.Duration, error) {
	p := ical.NewProp(ical.PropDuration)
	p.Value = strings.ToUpper(text)
	took, err := p.Duration()
	if err != nil || !lengthForm.MatchString(p.Value) {
		return 0, fmt.Errorf("%q is no length of time", text)
	}
	return took, nil
}

func bounded(_ *ical.Component, e *event) error {
	if e.length.exact > longest || e.length.days > int(longest/(24*time.Hour)) {
		return fmt.Errorf("it takes more than five years")
	}
	return nil
}

func daysBetween(from, to time.Time) int {
	utc := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC) }
	return int(utc(to).Sub(utc(from)) / (24 * time.Hour))
}

func (z zones) readRules(c *ical.Component, e *event) error {
	for _, p := range c.Props.Values(ical.PropRecurrenceRule) {
		rule, err := readRule(strings.ToUpper(p.Value), e.start)
		if err != nil {
			return fmt.Errorf("RRULE %q: %w", p.Value, err)
		}
		e.rules = append(e.rules, rule)
	}
	return nil
}

// untilDay is an end without a time: that day still counts.
var untilDay = regexp.MustCompile(`UNTIL=[0-9]{8}(;|$)`)

// What a rule may ask of whoever follows it.
const (
	maxInterval = 1000
	maxTimes    = 96 // in a day
)

func readRule(text string, start time.Time) (rrule.ROption, error) {
	rule, err := rrule.StrToROptionInLocation(text, start.Location())
	if err != nil {
		return rrule.ROption{}, err
	}
	// The library is wrong about shorter ones when the clocks change, and they
	// could be followed for very long.
	if rule.Freq > rrule.DAILY {
		return rrule.ROption{}, fmt.Errorf("only DAILY, WEEKLY, MONTHLY and YEARLY are supported")
	}
	times := max(1, len(rule.Byhour)) * max(1, len(rule.Byminute)) * max(1, len(rule.Bysecond))
	if rule.Interval > maxInterval || times > maxTimes {
		return rrule.ROption{}, fmt.Errorf("it recurs too often, or too seldom")
	}
	if untilDay.MatchString(text) {
		rule.Until = rule.Until.AddDate(0, 0, 1).Add(-time.Second)
	}
	rule.Dtstart = start
	_, err = rrule.NewRRule(*rule)
	return *rule, err
}

func (z zones) readExtra(c *ical.Component, e *event) error {
	return each(c, ical.PropRecurrenceDates, func(p *ical.Prop) error {
		s, err := z.span(p)
		e.extra = append(e.extra, s)
		return err
	})
}

func (z zones) readWithout(c *ical.Component, e *event) error {
	return each(c, ical.PropExceptionDates, func(p *ical.Prop) error {
		at, err := z.time(p)
		e.without = append(e.without, at)
		return err
	})
}

// each takes the values of a property one by one.
func each(c *ical.Component, name string, take func(*ical.Prop) error) error {
	for _, p := range c.Props.Values(name) {
		for _, value := range strings.Split(p.Value, ",") {
			one := p
			one.Value = value
			if err := take(&one); err != nil {
				return err
			}
		}
	}
	return nil
}

// span reads a date, a time or a period.
func (z zones) span(p *ical.Prop) (s Span, err error) {
	start, end, period := strings.Cut(p.Value, "/")
	one := *p
	if period {
		one.Params = ical.Params{}
		one.Params.Set(ical.ParamTimezoneID, p.Params.Get(ical.ParamTimezoneID))
	}
	one.Value = start
	if s.Start, err = z.time(&one); err != nil || !period {
		return s, err
	}
	one.Value = end
	if !strings.HasPrefix(strings.TrimLeft(end, "+"), "P") {
		s.End, err = z.time(&one)
		return s, err
	}
	took, err := lengthOf(end)
	s.End = s.Start.Add(took)
	return s, err
}

const dateForm = "20060102"

func isDate(p *ical.Prop) bool {
	return p.ValueType() == ical.ValueDate || len(p.Value) == len(dateForm)
}
