package calendar_test

import (
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/calendar"
)

// Whatever a file holds, it is read or refused, and can be asked about any time.
func FuzzParse(f *testing.F) {
	for _, event := range []string{
		"UID:a\nDTSTART;TZID=Europe/Berlin:20260301T030000\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=9\nEXDATE:20260302T020000Z",
		"UID:a\nRECURRENCE-ID:20260303T020000Z\nDTSTART;VALUE=DATE:20201220\nDTEND;VALUE=DATE:20210104\nRRULE:FREQ=YEARLY;BYDAY=-1FR;BYSETPOS=1",
		"DTSTART:20261101T100000Z\nRDATE;VALUE=PERIOD:20261120T000000Z/20261120T020000Z,20261121T000000Z/PT30M\nSTATUS:CANCELLED",
	} {
		f.Add(vcalendar(event), int64(1763600000))
	}
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		defer time.AfterFunc(5*time.Second, func() { panic("it takes too long") }).Stop()
		c, err := calendar.Parse(strings.NewReader(text), nil)
		if (c == nil) == (err == nil) {
			t.Fatalf("%v, %v", c, err)
		}
		if err != nil {
			return
		}
		at := time.Unix(seconds%(1<<33), 0)
		if under, open := c.Open(at); open && (at.Before(under.Start) || !at.Before(under.End)) {
			t.Fatalf("%s is open at %s", under, at)
		}
	})
}
