package calendar

import (
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-ical"
)

// zones turns the times of one calendar into instants.
type zones struct{ floating *time.Location }

func newZones(c *ical.Calendar, zone *time.Location) (zones, error) {
	if zone != nil {
		return zones{zone}, nil
	}
	own := text(c.Component, "X-WR-TIMEZONE")
	if own == "" {
		return zones{time.UTC}, nil
	}
	loc, err := load(own)
	return zones{loc}, err
}

// time reads a date or a time.
func (z zones) time(p *ical.Prop) (time.Time, error) {
	loc := z.floating
	if id := p.Params.Get(ical.ParamTimezoneID); id != "" {
		var err error
		if loc, err = load(id); err != nil {
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

// load finds a zone of the IANA database. Some programs put their own name
// before it: /example.org/20260101_1/Europe/Berlin.
func load(id string) (*time.Location, error) {
	parts := strings.Split(strings.Trim(id, "/"), "/")
	for i := range parts {
		name := strings.Join(parts[i:], "/")
		if i > 0 && len(parts)-i < 2 || name == "Local" || name == "" {
			break
		}
		if loc, err := time.LoadLocation(name); err == nil {
			return loc, nil
		}
	}
	return nil, fmt.Errorf("the time zone %q is none of the IANA database, such as Europe/Berlin", id)
}
