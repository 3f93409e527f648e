package calendar

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/emersion/go-ical"
)

// fromRules makes a zone of the rules that a calendar brings along, as Exchange
// does for names of its own. They become the text of a POSIX TZ variable, which
// package time follows.
func fromRules(c *ical.Component) (*time.Location, error) {
	var standard, daylight *ical.Component
	for _, child := range c.Children {
		slot := &standard
		if child.Name == ical.CompTimezoneDaylight {
			slot = &daylight
		}
		if *slot != nil {
			return nil, fmt.Errorf("it has changed its rules, which is not supported")
		}
		*slot = child
	}
	if standard == nil {
		return nil, fmt.Errorf("it has no standard time")
	}
	text, err := posix(standard, daylight)
	if err != nil {
		return nil, err
	}
	return time.LoadLocationFromTZData(c.Props.Get(ical.PropTimezoneID).Value, zoneFile(text))
}

// posix writes <S>-1:00<D>-2:00,M3.5.0/2:00,M10.5.0/3:00 and the like.
func posix(standard, daylight *ical.Component) (string, error) {
	offset, err := offsetOf(standard)
	if err != nil {
		return "", err
	}
	text := "<STD>" + offset
	if daylight == nil {
		return text, nil
	}
	summer, err := offsetOf(daylight)
	if err != nil {
		return "", err
	}
	text += "<DST>" + summer
	for _, one := range []*ical.Component{daylight, standard} {
		change, err := changeOf(one)
		if err != nil {
			return "", err
		}
		text += "," + change
	}
	return text, nil
}

var offsetForm = regexp.MustCompile(`^([+-])(0[0-9]|1[0-4])([0-5][0-9])(?:00)?$`)

// offsetOf turns +0100 into -01:00: POSIX counts to the west.
func offsetOf(c *ical.Component) (string, error) {
	m := offsetForm.FindStringSubmatch(text(c, ical.PropTimezoneOffsetTo))
	if m == nil {
		return "", fmt.Errorf("TZOFFSETTO %q is no offset", text(c, ical.PropTimezoneOffsetTo))
	}
	sign := map[string]string{"+": "-", "-": "+"}[m[1]]
	return sign + m[2] + ":" + m[3], nil
}

var (
	weekForm  = regexp.MustCompile(`^(-1|[1-4])(SU|MO|TU|WE|TH|FR|SA)$`)
	monthForm = regexp.MustCompile(`^([1-9]|1[0-2])$`)
	startForm = regexp.MustCompile(`^[0-9]{8}T([01][0-9]|2[0-3])([0-5][0-9])[0-5][0-9]$`)
)

// changeOf is when the clocks change each year: M10.5.0/03:00 is the last Sunday
// of October at three.
func changeOf(c *ical.Component) (string, error) {
	rule := map[string]string{}
	for part := range strings.SplitSeq(strings.ToUpper(text(c, ical.PropRecurrenceRule)), ";") {
		key, value, _ := strings.Cut(part, "=")
		rule[key] = value
	}
	week, month := weekForm.FindStringSubmatch(rule["BYDAY"]), monthForm.FindString(rule["BYMONTH"])
	start := startForm.FindStringSubmatch(text(c, ical.PropDateTimeStart))
	_, bounded := rule["UNTIL"]
	every, often := rule["INTERVAL"]
	if rule["FREQ"] != "YEARLY" || week == nil || month == "" || start == nil || bounded || often && every != "1" {
		return "", fmt.Errorf("RRULE %q of its clocks is not supported", text(c, ical.PropRecurrenceRule))
	}
	number := week[1]
	if number == "-1" {
		number = "5"
	}
	day := strings.Index("SUMOTUWETHFRSA", week[2]) / 2
	return fmt.Sprintf("M%s.%s.%d/%s:%s", month, number, day, start[1], start[2]), nil
}

// zoneFile is the least TZif file (RFC 8536) of which only the footer counts.
func zoneFile(posix string) []byte {
	var b bytes.Buffer
	header := func(times, types, chars uint32) {
		b.WriteString("TZif2" + strings.Repeat("\x00", 15))
		for _, n := range []uint32{0, 0, 0, times, types, chars} {
			_ = binary.Write(&b, binary.BigEndian, n) // a buffer takes everything
		}
	}
	header(0, 0, 0)
	header(1, 1, 4)
	const longAgo = -1 << 40
	_ = binary.Write(&b, binary.BigEndian, int64(longAgo))
	b.WriteByte(0)                            // the type of that transition
	b.WriteString("\x00\x00\x00\x00\x00\x00") // its offset, no daylight saving, its name
	b.WriteString("UTC\x00\n" + posix + "\n")
	return b.Bytes()
}
