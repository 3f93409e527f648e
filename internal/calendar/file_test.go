package calendar_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/calendar"
)

func write(t *testing.T, path, text string, changed time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, changed, changed); err != nil {
		t.Fatal(err)
	}
}

// What changes in the file is seen by the next question, and what it said before
// does not outlive it.
func TestAFileIsReadAgainWhenItChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "freeze.ics")
	now, day := time.Now(), at(t, "2026-11-20T10:30:00Z")
	f := calendar.NewFile(path, nil)
	expect := func(what string, want bool, says string) {
		t.Helper()
		c, err := f.Read()
		if says != "" {
			if err == nil || c != nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v, %v", what, c, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if _, open := c.Open(day); open != want {
			t.Errorf("%s: open is %v", what, open)
		}
	}
	expect("before there is a file", false, "no such file")
	write(t, path, vcalendar("DTSTART;VALUE=DATE:20261120"), now)
	expect("with an event", true, "")
	write(t, path, vcalendar("DTSTART;VALUE=DATE:20261121"), now.Add(time.Second))
	expect("with another one", false, "")
	write(t, path, vcalendar("DTSTART;VALUE=DATE:2026"), now.Add(2*time.Second))
	expect("with a broken one", false, "is no time")
	expect("with the same broken one", false, "is no time")
	write(t, path, vcalendar("DTSTART;VALUE=DATE:20261120"), now.Add(3*time.Second))
	expect("mended", true, "")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	expect("removed", false, "no such file")
	write(t, path, strings.Repeat(" ", 4<<20+1), now.Add(3*time.Second))
	expect("too large", false, "larger than")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	expect("a folder", false, "read")
}

// As Kubernetes does with a ConfigMap: the link is turned round to a file of the
// same size and time.
func TestALinkThatIsTurnedRound(t *testing.T) {
	dir, now, day := t.TempDir(), time.Now(), at(t, "2026-11-20T10:30:00Z")
	for name, start := range map[string]string{"a": "20261120", "b": "20261121"} {
		write(t, filepath.Join(dir, name), vcalendar("DTSTART;VALUE=DATE:"+start), now)
	}
	link := filepath.Join(dir, "freeze.ics")
	f := calendar.NewFile(link, nil)
	for target, want := range map[string]bool{"a": true, "b": false} {
		_ = os.Remove(link) // not there the first time
		if err := os.Symlink(filepath.Join(dir, target), link); err != nil {
			t.Fatal(err)
		}
		c, err := f.Read()
		if err != nil {
			t.Fatal(err)
		}
		if _, open := c.Open(day); open != want {
			t.Errorf("%s: open is %v", target, open)
		}
	}
}
