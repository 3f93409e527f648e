package gameday

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/robfig/cron/v3"

	"github.com/runbook-engine/runbook/internal/document"
)

func (c *checker) schedule() {
	s := c.doc.Schedule
	if s == nil {
		return
	}
	node := c.node.Get("schedule")
	if _, err := time.LoadLocation(s.Timezone); err != nil || s.Timezone == "Local" {
		c.add(node.Find("timezone").At, "timezone", fmt.Sprintf("there is no time zone %q", s.Timezone), "a name such as Europe/Berlin, or UTC")
	}
	if s.Cron != "" {
		c.cron(node, *s)
	}
	for i, name := range s.NotDuring {
		if c.Windows != nil && !slices.Contains(c.Windows, name) {
			c.add(node.Find("not_during", i).At, "unknown-window", fmt.Sprintf("there is no maintenance window %q", name),
				suggest(name, c.Windows, "windows are in the engine's config"))
		}
	}
}

// fields is the five fields and nothing else: the zone has a key of its own.
var fields = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

func (c *checker) cron(node *document.Node, s Schedule) {
	at := node.Find("cron").At
	parts := strings.Fields(s.Cron)
	times, err := fields.Parse(s.Cron)
	switch {
	case strings.ContainsAny(s.Cron, "@=?#"):
		c.add(at, "cron", fmt.Sprintf("cron %q is not five fields", document.Shorten(s.Cron, 60)), "minute, hour, day of the month, month, day of the week, such as 0 10 * * TUE")
		return
	case err != nil:
		c.add(at, "cron", fmt.Sprintf("cron %q: %v", document.Shorten(s.Cron, 60), err), "minute, hour, day of the month, month, day of the week, such as 0 10 * * TUE")
		return
	// cron itself means either of the two, Temporal both of them.
	case parts[2] != "*" && parts[4] != "*":
		c.add(at, "cron", "a day of the month and a day of the week at once means different things to different programs", "leave one of them *")
		return
	}
	c.spread(node, s, times)
}

// spread checks the jitter against the shortest time between two starts.
func (c *checker) spread(node *document.Node, s Schedule, times cron.Schedule) {
	shortest := shortestGap(times)
	switch {
	case shortest == 0:
		c.add(node.Find("cron").At, "cron", fmt.Sprintf("cron %q never comes", s.Cron), "")
	case time.Duration(s.Jitter) >= shortest:
		c.add(node.Find("jitter").At, "times", fmt.Sprintf("jitter %s is not shorter than the %s between two starts", s.Jitter, model.Duration(shortest)), "shorten it")
	}
}

// shortestGap looks at a few hundred starts from a fixed day on, so that the
// same document always gets the same answer; 0 when there are none.
func shortestGap(times cron.Schedule) (shortest time.Duration) {
	at := times.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))
	for range 400 {
		if at.IsZero() {
			return shortest
		}
		next := times.Next(at)
		if gap := next.Sub(at); !next.IsZero() && (shortest == 0 || gap < shortest) {
			shortest = gap
		}
		at = next
	}
	return shortest
}
