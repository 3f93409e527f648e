package report

import (
	"fmt"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

// stretch is a bar from one time to another; the end of the picture stands for
// an end that is not known.
func (c *chart) stretch(y float64, from, to time.Time, kind, text string) bar {
	if to.IsZero() {
		to, text = c.to, text+", with no end that is known"
	}
	x := c.x(from)
	return bar{X: x, Y: y, W: max(c.x(to)-x, 2), H: barHeight, Kind: kind, Text: text}
}

func (c *chart) fault(y float64, i gameday.Injection) float64 {
	l := lane{Name: i.Fault, Note: "fault", Y: y}
	if !i.Requested.IsZero() {
		end := i.Healed
		if end.IsZero() && i.Deadline.Before(c.to) {
			end = i.Deadline
		}
		l.Bars = append(l.Bars, c.stretch(y, i.Requested, end, "fault", fmt.Sprintf("%s on %v", i.Fault, i.Targets)))
	}
	if !i.HealIssued.IsZero() {
		l.Bars = append(l.Bars, c.stretch(y, i.HealIssued, i.Healed, "healing", "healing "+i.Fault))
	}
	c.Lanes = append(c.Lanes, l)
	return y + barHeight + laneGap
}

func (c *chart) alerts(y float64, all []gameday.Alert) float64 {
	for _, a := range all {
		from := a.ActiveSeen
		if from.IsZero() || !a.Webhook.IsZero() && a.Webhook.Before(from) {
			from = a.Webhook
		}
		if from.IsZero() {
			continue
		}
		l := lane{Name: a.Labels["alertname"], Note: "alert", Y: y, Bars: []bar{c.stretch(y, from, a.Resolved, "alert", a.Labels["alertname"]+" firing")}}
		if !a.Webhook.IsZero() {
			l.Bars = append(l.Bars, bar{X: c.x(a.Webhook) - 1, Y: y - 3, W: 3, H: barHeight + 6, Kind: "event", Text: "webhook"})
		}
		c.Lanes = append(c.Lanes, l)
		y += barHeight + laneGap
	}
	return y
}

func (c *chart) run(y float64, r gameday.Run) float64 {
	if r.Started.IsZero() {
		return y
	}
	l := lane{Name: r.Runbook, Note: "run", Y: y, Bars: []bar{c.stretch(y, r.Started, r.Ended, "run", r.ID+" "+r.Outcome)}}
	for _, s := range r.Steps {
		if s.Effect && !s.Acted.IsZero() {
			l.Bars = append(l.Bars, bar{X: c.x(s.Acted) - 1, Y: y - 3, W: 3, H: barHeight + 6, Kind: "event", Text: "step " + s.ID + " acted"})
		}
	}
	c.Lanes = append(c.Lanes, l)
	return y + barHeight + laneGap
}
