package calendar

import (
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-ical"
)

// zones turns the times of one calendar into instants.
type zones struct {
	floating *time.Location
	own      map[string]*ical.Component // VTIMEZONE by name
}

func newZones(c *ical.Calendar, zone *time.Location) (z zones, err error) {
	z = zones{floating: zone, own: map[string]*ical.Component{}}
	for _, child := range c.Children {
		if child.Name == ical.CompTimezone {
			z.own[text(child, ical.PropTimezoneID)] = child
		}
	}
	if zone != nil {
		return z, nil
	}
	z.floating = time.UTC
	if name := text(c.Component, "X-WR-TIMEZONE"); name != "" {
		z.floating, err = z.load(name)
	}
	return z, err
}

// time reads a date or a time.
func (z zones) time(p *ical.Prop) (time.Time, error) {
	loc := z.floating
	if id := p.Params.Get(ical.ParamTimezoneID); id != "" {
		var err error
		if loc, err = z.load(id); err != nil {
			return time.Time{}, err
		}
	}
	plain := ical.Prop{Name: p.Name, Params: ical.Params{}, Value: p.Value}
	plain.SetValueType(ical.ValueDateTime)
	if isDate(p) {
		plain.SetValueType(ical.ValueDate)
	}
	at, err := plain.DateTime(loc)
	if err != nil {
		return at, fmt.Errorf("%s %q is no time", p.Name, p.Value)
	}
	return at, nil
}

// load finds a zone of the IANA database, and else one of which the calendar
// brings the rules along.
func (z zones) load(id string) (*time.Location, error) {
	if loc := known(id); loc != nil {
		return loc, nil
	}
	own, there := z.own[id]
	if !there {
		return nil, fmt.Errorf("the time zone %q is none of the IANA database, such as Europe/Berlin", id)
	}
	loc, err := fromRules(own)
	if err != nil {
		return nil, fmt.Errorf("the time zone %q: %w", id, err)
	}
	return loc, nil
}

// known is a zone of the IANA database; nil when it is none. Some programs put
// their own name before it: /example.org/20260101_1/Europe/Berlin.
func known(id string) *time.Location {
	parts := strings.Split(strings.Trim(id, "/"), "/")
	for i := range parts {
		name := strings.Join(parts[i:], "/")
		if i > 0 && len(parts)-i < 2 || name == "Local" || name == "" {
			break
		}
		if loc, err := time.LoadLocation(name); err == nil {
			return loc
		}
	}
	return nil
}
