package report

import (
	"fmt"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
)

// The picture in units of its own; the page scales it.
const (
	chartWidth  = 1040.0
	gutter      = 170.0 // for the names of the lanes
	margin      = 18.0
	barHeight   = 16.0
	laneGap     = 14.0
	curveHeight = 46.0
	markRow     = 20.0
)

// chart is the drill as a picture: a lane for each fault, for the alert, the run
// and each probe, over one axis of time, with the numbered moments across.
type chart struct {
	Width, Height float64
	Top, Bottom   float64 // of the lanes
	Left, Right   float64
	Ticks         []tick
	Marks         []mark
	Lanes         []lane
	Unwell        *bar // from the effect of the fault to the recovery, or else to its healing

	from, to time.Time
	zero     time.Time
}

type tick struct {
	X     float64
	Label string
}

// mark is a moment of the timeline.
type mark struct {
	X, Y float64
	N    int
	Name string
	Kind string // how it is coloured
}

// lane is one row. Bars say what was when, the curve how long looks took.
type lane struct {
	Name, Note string
	Y, Base    float64 // of the bars, and of the foot of the curve
	Bars       []bar
	Curves     []string
	Scale      string // what the top of the curve stands for
}

type bar struct {
	X, Y, W, H float64
	Kind, Text string
}

func draw(r Result) chart {
	c := chart{Width: chartWidth, Left: gutter, Right: chartWidth - margin, zero: origin(r)}
	c.from, c.to = span(r)
	c.marks(edges(r))
	y := c.Top + laneGap
	for _, i := range r.Evidence.Injections {
		y = c.fault(y, i)
	}
	y = c.alerts(y, r.Evidence.Alerts)
	for _, run := range r.Evidence.Runs {
		y = c.run(y, run)
	}
	for _, p := range r.Plan.Steady {
		y = c.probe(y, p, samples(r.Evidence, p.ID))
	}
	c.Bottom = y
	c.Height = y + 26
	c.ticks()
	c.unwell(r)
	return c
}

func (c *chart) unwell(r Result) {
	var from, to time.Time
	for _, e := range r.Verdict.Timeline {
		switch e.Name {
		case verdict.EffectSeen:
			from = e.At
		case verdict.Recovered:
			to = e.At
		}
	}
	for _, i := range r.Evidence.Injections {
		if to.IsZero() {
			to = i.Healed
		}
	}
	if !from.IsZero() {
		b := c.stretch(0, from, to, "", "the system was unwell")
		c.Unwell = &b
	}
}

// span is the time that is shown: the drill, but of a long quiet before the
// first injection and after the healing only the nearer part.
func span(r Result) (from, to time.Time) {
	from, to = r.Evidence.Started, r.Evidence.Ended
	for _, e := range r.Verdict.Timeline {
		if e.Foreign {
			continue
		}
		if from.IsZero() || e.At.Before(from) {
			from = e.At
		}
		if e.At.After(to) {
			to = e.At
		}
	}
	if !to.After(from) {
		to = from.Add(time.Second)
	}
	return from, to
}

func (c *chart) x(at time.Time) float64 {
	part := float64(at.Sub(c.from)) / float64(c.to.Sub(c.from))
	return round(c.Left + min(max(part, 0), 1)*(c.Right-c.Left))
}

func round(f float64) float64 { return float64(int(f*10+0.5)) / 10 }

// marks puts the numbers in as few rows as they fit into without covering each
// other.
func (c *chart) marks(all []edge) {
	var rows []float64 // where each ends
	for _, e := range all {
		if e.Foreign {
			continue
		}
		x, row := c.x(e.At), 0
		for row < len(rows) && rows[row] > x-18 {
			row++
		}
		if row == len(rows) {
			rows = append(rows, 0)
		}
		rows[row] = x
		c.Marks = append(c.Marks, mark{X: x, Y: markRow*float64(row) + 12, N: e.N, Name: e.Offset + " " + e.Name, Kind: kindOf(e.Edge)})
	}
	c.Top = markRow*float64(max(len(rows), 1)) + 6
}

func kindOf(e verdict.Edge) string {
	switch e.Source {
	case "probe":
		return "probe"
	case "alertmanager", "webhook":
		return "alert"
	case "injector":
		return "fault"
	case "person":
		return "person"
	}
	return "engine"
}

// steps between ticks that people count in.
var steps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour,
}

func (c *chart) ticks() {
	step := steps[len(steps)-1]
	for _, s := range steps {
		if c.to.Sub(c.from)/s <= 12 {
			step = s
			break
		}
	}
	before := c.zero.Sub(c.from) / step
	for at := c.zero.Add(-before * step); !at.After(c.to) && len(c.Ticks) < 100; at = at.Add(step) {
		c.Ticks = append(c.Ticks, tick{X: c.x(at), Label: label(at.Sub(c.zero))})
	}
}

func label(d time.Duration) string {
	sign := ""
	if d < 0 {
		sign, d = "−", -d
	}
	switch {
	case d == 0:
		return "0"
	case d%time.Minute == 0:
		return fmt.Sprintf("%s%dm", sign, int(d.Minutes()))
	case d > time.Minute:
		return fmt.Sprintf("%s%d:%02d", sign, int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%s%ds", sign, int(d.Seconds()))
}
