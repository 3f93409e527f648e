package calendar_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/calendar"
)

// exchange is a calendar as Exchange writes it: zones have names of its own, and
// their rules come along.
func exchange(name, rules, event string) string {
	zone := "BEGIN:VTIMEZONE\r\nTZID:" + name + "\r\n" + strings.ReplaceAll(rules, "\n", "\r\n") + "\r\nEND:VTIMEZONE\r\n"
	return strings.Replace(vcalendar(strings.ReplaceAll(event, "ZONE", name)), "BEGIN:VEVENT", zone+"BEGIN:VEVENT", 1)
}

const (
	berlin = "BEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+0200\nTZOFFSETTO:+0100\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10\nEND:STANDARD\n" +
		"BEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+0100\nTZOFFSETTO:+0200\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3\nEND:DAYLIGHT"
	newYork = "BEGIN:STANDARD\nDTSTART:16010101T020000\nTZOFFSETFROM:-0400\nTZOFFSETTO:-0500\nRRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11\nEND:STANDARD\n" +
		"BEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:-0500\nTZOFFSETTO:-0400\nRRULE:FREQ=YEARLY;BYDAY=2SU;BYMONTH=3\nEND:DAYLIGHT"
	sydney = "BEGIN:STANDARD\nDTSTART:16010101T030000\nTZOFFSETFROM:+1100\nTZOFFSETTO:+1000\nRRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=4\nEND:STANDARD\n" +
		"BEGIN:DAYLIGHT\nDTSTART:16010101T020000\nTZOFFSETFROM:+1000\nTZOFFSETTO:+1100\nRRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=10\nEND:DAYLIGHT"
	shanghai = "BEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0800\nTZOFFSETTO:+0800\nEND:STANDARD"
	kolkata  = "BEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:+0530\nTZOFFSETTO:+0530\nEND:STANDARD"
)

// A zone by its rules is the one of the database, in each half hour of a year.
func TestZonesThatComeAlong(t *testing.T) {
	const daily = "DTSTART;TZID=ZONE:20260101T093000\nDURATION:PT1H\nRRULE:FREQ=DAILY"
	for iana, rules := range map[string]string{
		"Europe/Berlin": berlin, "America/New_York": newYork, "Australia/Sydney": sydney, "Asia/Shanghai": shanghai, "Asia/Kolkata": kolkata,
	} {
		ours := parse(t, exchange("Some Standard Time", rules, daily), nil)
		theirs := parse(t, vcalendar(strings.ReplaceAll(daily, "ZONE", iana)), nil)
		opened := 0
		for at := time.Date(2026, 1, 2, 0, 15, 0, 0, time.UTC); at.Year() == 2026; at = at.Add(30 * time.Minute) {
			_, got := ours.Open(at)
			_, want := theirs.Open(at)
			if got != want {
				t.Fatalf("%s: open is %v at %s", iana, got, at)
			}
			if got {
				opened++
			}
		}
		if opened != 2*364 {
			t.Errorf("%s: open in %d half hours", iana, opened)
		}
	}
}

func TestZonesThatAreNotUnderstood(t *testing.T) {
	for rules, says := range map[string]string{
		"":                     "no standard time",
		berlin + "\n" + berlin: "changed its rules",
		strings.Replace(berlin, "STANDARD", "DAYLIGHT", 2):                          "changed its rules",
		strings.Replace(shanghai, "TZOFFSETTO:+0800", "TZOFFSETTO:+8", 1):           "is no offset",
		strings.Replace(berlin, "BYDAY=-1SU", "BYMONTHDAY=25", 1):                   "of its clocks",
		strings.Replace(berlin, "BYMONTH=3", "BYMONTH=3;UNTIL=20300101T000000Z", 1): "of its clocks",
		strings.Replace(berlin, "INTERVAL=1", "INTERVAL=2", 1):                      "of its clocks",
		strings.Replace(berlin, "BYDAY=-1SU", "BYDAY=-2SU", 1):                      "of its clocks",
		strings.Replace(berlin, "BYMONTH=10", "BYMONTH=13", 1):                      "of its clocks",
		strings.Replace(berlin, "RRULE:", "COMMENT:", 1):                            "of its clocks",
		strings.Replace(berlin, "16010101T020000", "16010101", 1):                   "of its clocks",
	} {
		text := exchange("Some Standard Time", rules, "DTSTART;TZID=ZONE:20261120T100000")
		if _, err := calendar.Parse(strings.NewReader(text), nil); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), `"Some Standard Time"`) {
			t.Errorf("%s: %v", fmt.Sprint(rules), err)
		}
	}
}
