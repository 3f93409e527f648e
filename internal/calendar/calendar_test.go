package calendar_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/runbook-engine/runbook/internal/calendar"
)

// vcalendar wraps the lines of events, which are separated by an empty line.
func vcalendar(events ...string) string {
	var b strings.Builder
	b.WriteString("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n")
	for _, e := range events {
		b.WriteString("BEGIN:VEVENT\r\n")
		for line := range strings.Lines(e) {
			if line = strings.TrimSpace(line); line != "" {
				b.WriteString(line + "\r\n")
			}
		}
		b.WriteString("END:VEVENT\r\n")
	}
	b.WriteString("END:VCALENDAR\r\n")
	return b.String()
}

func parse(t *testing.T, text string, zone *time.Location) *calendar.Calendar {
	t.Helper()
	c, err := calendar.Parse(strings.NewReader(text), zone)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// Each case is events, and times at which one is under way (+) or none is (-).
func TestOpen(t *testing.T) {
	for name, c := range map[string]struct{ event, times string }{
		"a time": {"DTSTART:20261120T100000Z\nDTEND:20261120T120000Z",
			"-2026-11-20T09:59:59Z +2026-11-20T10:00:00Z +2026-11-20T11:59:59Z -2026-11-20T12:00:00Z -2026-11-21T10:30:00Z"},
		"a duration": {"DTSTART:20261120T100000Z\nDURATION:PT1H30M",
			"+2026-11-20T11:29:00Z -2026-11-20T11:30:00Z"},
		"a moment": {"DTSTART:20261120T100000Z", "-2026-11-20T10:00:00Z"},
		"a day":    {"DTSTART;VALUE=DATE:20261120", "-2026-11-19T23:59:59Z +2026-11-20T00:00:00Z +2026-11-20T23:59:59Z -2026-11-21T00:00:00Z"},
		"days":     {"DTSTART;VALUE=DATE:20261120\nDTEND;VALUE=DATE:20261123", "+2026-11-22T23:59:59Z -2026-11-23T00:00:00Z"},
		"a zone": {"DTSTART;TZID=Asia/Shanghai:20261120T090000\nDTEND;TZID=Asia/Shanghai:20261120T180000",
			"-2026-11-20T00:59:59Z +2026-11-20T01:00:00Z +2026-11-20T09:59:59Z -2026-11-20T10:00:00Z"},
		"a zone with a prefix": {"DTSTART;TZID=/example.org/20260101_1/Europe/Berlin:20261120T090000\nDURATION:PT1H",
			"-2026-11-20T07:59:59Z +2026-11-20T08:00:00Z -2026-11-20T09:00:00Z"},
		"every day over a change of the clocks": {"DTSTART;TZID=Europe/Berlin:20260301T030000\nDURATION:PT1H\nRRULE:FREQ=DAILY",
			"+2026-03-28T02:30:00Z -2026-03-28T01:30:00Z +2026-03-29T01:30:00Z -2026-03-29T02:30:00Z +2026-10-24T01:30:00Z +2026-10-26T02:30:00Z -2026-10-26T01:30:00Z"},
		"working days": {"DTSTART:20261102T080000Z\nDTEND:20261102T180000Z\nRRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
			"+2026-11-20T08:00:00Z -2026-11-21T09:00:00Z -2026-11-22T09:00:00Z +2026-11-23T09:00:00Z -2026-11-01T09:00:00Z"},
		"the last Friday": {"DTSTART:20260130T200000Z\nDURATION:PT4H\nRRULE:FREQ=MONTHLY;BYDAY=-1FR",
			"+2026-11-27T21:00:00Z -2026-11-20T21:00:00Z +2026-12-25T23:59:00Z"},
		"every year for two weeks": {"DTSTART;VALUE=DATE:20201220\nDTEND;VALUE=DATE:20210104\nRRULE:FREQ=YEARLY",
			"+2026-12-20T00:00:00Z +2027-01-03T23:00:00Z -2027-01-04T00:00:00Z -2026-12-19T23:00:00Z"},
		"every other week": {"DTSTART:20261101T000000Z\nDURATION:P1D\nRRULE:FREQ=WEEKLY;INTERVAL=2",
			"+2026-11-01T12:00:00Z -2026-11-08T12:00:00Z +2026-11-15T12:00:00Z"},
		"three times": {"DTSTART:20261101T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3",
			"+2026-11-03T00:30:00Z -2026-11-04T00:30:00Z"},
		"until a time": {"DTSTART:20261101T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20261103T000000Z",
			"+2026-11-03T00:30:00Z -2026-11-04T00:30:00Z"},
		"until a day": {"DTSTART:20261101T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;UNTIL=20261103",
			"+2026-11-03T10:30:00Z -2026-11-04T10:30:00Z"},
		"until a day on which the clocks change": {"DTSTART;VALUE=DATE:20260325\nRRULE:FREQ=DAILY;UNTIL=20260329",
			"+2026-03-29T12:00:00Z -2026-03-30T12:00:00Z"},
		"exceptions": {"DTSTART;TZID=Europe/Berlin:20261101T100000\nDURATION:PT1H\nRRULE:FREQ=DAILY\n" +
			"EXDATE;TZID=Europe/Berlin:20261103T100000,20261104T100000\nEXDATE:20261106T090000Z",
			"+2026-11-02T09:30:00Z -2026-11-03T09:30:00Z -2026-11-04T09:30:00Z +2026-11-05T09:30:00Z -2026-11-06T09:30:00Z +2026-11-07T09:30:00Z"},
		"the first is an exception": {"DTSTART;VALUE=DATE:20261101\nRRULE:FREQ=DAILY\nEXDATE;VALUE=DATE:20261101", "-2026-11-01T09:00:00Z +2026-11-02T09:00:00Z"},
		"further dates": {"DTSTART:20261101T100000Z\nDURATION:PT1H\nRDATE:20261110T100000Z,20261112T100000Z\nRDATE;VALUE=PERIOD:20261120T000000Z/20261120T020000Z,20261121T000000Z/PT30M",
			"+2026-11-01T10:30:00Z +2026-11-10T10:30:00Z +2026-11-12T10:30:00Z +2026-11-20T01:59:00Z -2026-11-20T02:00:00Z +2026-11-21T00:29:00Z -2026-11-21T00:31:00Z"},
		"the first need not meet the rule": {"DTSTART:20261101T100000Z\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;BYDAY=MO", "+2026-11-01T10:30:00Z +2026-11-02T10:30:00Z -2026-11-08T10:30:00Z"},
		"called off":                       {"DTSTART:20261120T100000Z\nDURATION:PT1H\nSTATUS:CANCELLED", "-2026-11-20T10:30:00Z"},
		"what blocks nobody":               {"DTSTART:20261120T100000Z\nDURATION:PT1H\nTRANSP:TRANSPARENT\nSTATUS:TENTATIVE", "+2026-11-20T10:30:00Z"},
		"what never comes":                 {"DTSTART:20000101T000000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "-2026-11-20T10:30:00Z"},
	} {
		cal := parse(t, vcalendar(c.event), nil)
		for _, one := range strings.Fields(c.times) {
			if _, open := cal.Open(at(t, one[1:])); open != (one[0] == '+') {
				t.Errorf("%s: open is %v at %s", name, open, one[1:])
			}
		}
	}
}

// A day is as long as it is where the calendar is: the clocks change on some.
func TestDaysOnWhichTheClocksChange(t *testing.T) {
	for event, times := range map[string]string{
		"DTSTART;VALUE=DATE:20261025":                                  "-2026-10-24T21:59:59Z +2026-10-24T22:00:00Z +2026-10-25T22:59:59Z -2026-10-25T23:00:00Z",
		"DTSTART;VALUE=DATE:20260329":                                  "-2026-03-28T22:59:59Z +2026-03-28T23:00:00Z +2026-03-29T21:59:59Z -2026-03-29T22:00:00Z",
		"DTSTART;VALUE=DATE:20260325\nRRULE:FREQ=DAILY;UNTIL=20260329": "+2026-03-29T21:59:59Z -2026-03-29T22:00:00Z -2026-03-30T12:00:00Z",
	} {
		cal := parse(t, vcalendar(event), zone(t, "Europe/Berlin"))
		for _, one := range strings.Fields(times) {
			if _, open := cal.Open(at(t, one[1:])); open != (one[0] == '+') {
				t.Errorf("%s: open is %v at %s", event, open, one[1:])
			}
		}
	}
}

func TestTimesWithoutAZone(t *testing.T) {
	const floating = "DTSTART:20261120T090000\nDURATION:PT1H"
	named := strings.Replace(vcalendar(floating), "VERSION:2.0\r\n", "VERSION:2.0\r\nX-WR-TIMEZONE:Europe/Berlin\r\n", 1)
	for name, c := range map[string]struct {
		text string
		zone *time.Location
		open string
	}{
		"nothing said":      {vcalendar(floating), nil, "2026-11-20T09:30:00Z"},
		"the calendar's":    {named, nil, "2026-11-20T08:30:00Z"},
		"the config's":      {vcalendar(floating), zone(t, "Asia/Shanghai"), "2026-11-20T01:30:00Z"},
		"the config's wins": {named, zone(t, "Asia/Shanghai"), "2026-11-20T01:30:00Z"},
	} {
		cal := parse(t, c.text, c.zone)
		for _, when := range []string{"2026-11-20T09:30:00Z", "2026-11-20T08:30:00Z", "2026-11-20T01:30:00Z"} {
			if _, open := cal.Open(at(t, when)); open != (when == c.open) {
				t.Errorf("%s: open is %v at %s", name, open, when)
			}
		}
	}
}

func TestAnOccurrenceThatWasMoved(t *testing.T) {
	cal := parse(t, vcalendar(
		"UID:a\nSUMMARY:Release\nDTSTART:20261101T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY",
		"UID:a\nSUMMARY:Late release\nRECURRENCE-ID:20261120T100000Z\nDTSTART:20261120T150000Z\nDURATION:PT2H",
		"UID:a\nRECURRENCE-ID:20261121T100000Z\nDTSTART:20261121T100000Z\nDURATION:PT1H\nSTATUS:CANCELLED",
		"UID:b\nRECURRENCE-ID:20261122T100000Z\nDTSTART:20261122T120000Z\nDURATION:PT1H",
	), nil)
	for when, want := range map[string]string{
		"2026-11-19T10:30:00Z": "Release", "2026-11-20T10:30:00Z": "-", "2026-11-20T16:30:00Z": "Late release",
		"2026-11-21T10:30:00Z": "-", "2026-11-22T10:30:00Z": "Release", "2026-11-22T12:30:00Z": "",
	} {
		under, open := cal.Open(at(t, when))
		if open == (want == "-") || open && under.Summary != want {
			t.Errorf("at %s: %+v, %v", when, under, open)
		}
	}
}

// The times may be asked for in any order, also far apart.
func TestAnyTimeMayBeAskedFor(t *testing.T) {
	cal := parse(t, vcalendar("DTSTART:20200101T100000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY"), nil)
	for _, year := range []int{2026, 2020, 2035, 2021, 2026} {
		for day := 1; day < 40; day++ {
			when := time.Date(year, 3, day, 10, 30, 0, 0, time.UTC)
			if _, open := cal.Open(when); !open {
				t.Fatalf("closed at %s", when)
			}
			if _, open := cal.Open(when.Add(time.Hour)); open {
				t.Fatalf("open at %s", when.Add(time.Hour))
			}
		}
	}
}

func TestWhatCanNotBeReadIsAnError(t *testing.T) {
	const fine = "DTSTART:20261120T100000Z\nDURATION:PT1H\n"
	for name, c := range map[string]struct{ text, says string }{
		"nothing":                   {"", "no BEGIN:VCALENDAR"},
		"half a file":               {strings.TrimSuffix(vcalendar(fine), "END:VCALENDAR\r\n"), "ends before its END"},
		"half a second part":        {vcalendar(fine) + strings.TrimSuffix(vcalendar(fine), "END:VCALENDAR\r\n"), "ends before its END"},
		"a web page":                {"<html><body>Sign in</body></html>\n", ""},
		"no start":                  {vcalendar("DURATION:PT1H"), "no DTSTART"},
		"a wrong time":              {vcalendar("DTSTART:20261120T250000Z"), "is no time"},
		"a wrong end":               {vcalendar("DTSTART:20261120T100000Z\nDTEND:tomorrow"), "is no time"},
		"an end before":             {vcalendar("DTSTART:20261120T100000Z\nDTEND:20261120T090000Z"), "ends before it starts"},
		"a wrong duration":          {vcalendar("DTSTART:20261120T100000Z\nDURATION:1h"), "is no length of time"},
		"backwards":                 {vcalendar("DTSTART:20261120T100000Z\nDURATION:-PT1H"), "is no length of time"},
		"an unknown zone":           {vcalendar("SUMMARY:Freeze\nDTSTART;TZID=Central Standard Time:20261120T100000"), `event 1, "Freeze": the time zone "Central Standard Time" is none`},
		"the local zone":            {vcalendar("DTSTART;TZID=Local:20261120T100000"), `the time zone "Local"`},
		"a wrong rule":              {vcalendar(fine + "RRULE:FREQ=FORTNIGHTLY"), "RRULE"},
		"an hourly rule":            {vcalendar(fine + "RRULE:FREQ=HOURLY"), "only DAILY"},
		"a rule of seconds":         {vcalendar(fine + "RRULE:FREQ=SECONDLY"), "only DAILY"},
		"a month too many":          {vcalendar(fine + "RRULE:FREQ=YEARLY;BYMONTH=13"), "RRULE"},
		"every minute":              {vcalendar(fine + "RRULE:FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=0,1,2,3,4,5,6,7,8,9;BYSECOND=0,30"), "too often"},
		"every million years":       {vcalendar(fine + "RRULE:FREQ=YEARLY;INTERVAL=1000000"), "too seldom"},
		"backwards in time":         {vcalendar(fine + "RRULE:FREQ=YEARLY;INTERVAL=-1"), "RRULE"},
		"an EXRULE":                 {vcalendar(fine + "RRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY"), "EXRULE is not supported"},
		"a wrong exception":         {vcalendar(fine + "RRULE:FREQ=DAILY\nEXDATE:20261121T100000Z,never"), "is no time"},
		"a wrong period":            {vcalendar(fine + "RDATE;VALUE=PERIOD:20261121T100000Z/PX"), "is no length of time"},
		"a duration that overflows": {vcalendar("DTSTART:20261120T100000Z\nDURATION:P26000000W"), "is no length of time"},
		"weeks twice":               {vcalendar("DTSTART:20261120T100000Z\nDURATION:P9999W9999W"), "is no length of time"},
		"for ever":                  {vcalendar("DTSTART:20261120T100000Z\nDTEND:99991231T000000Z"), "more than five years"},
		"for ever, in days":         {vcalendar("DTSTART;VALUE=DATE:20261120\nDTEND;VALUE=DATE:99991231"), "more than five years"},
		"for weeks and weeks":       {vcalendar("DTSTART:20261120T100000Z\nDURATION:P9999W"), "more than five years"},
		"from there on":             {vcalendar(fine+"UID:a\nRRULE:FREQ=DAILY", fine+"UID:a\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261121T100000Z"), "RANGE is not supported"},
		"long ago":                  {vcalendar("DTSTART:00010101T100000Z\nRRULE:FREQ=DAILY"), "before the year 1900"},
		"the second part":           {vcalendar(fine) + vcalendar("DURATION:PT1H"), "no DTSTART"},
		"a zone for all":            {strings.Replace(vcalendar(fine), "VERSION:2.0\r\n", "X-WR-TIMEZONE:Mars\r\n", 1), `the time zone "Mars"`},
	} {
		if cal, err := calendar.Parse(strings.NewReader(c.text), nil); err == nil || cal != nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", name, cal, err)
		}
	}
}
