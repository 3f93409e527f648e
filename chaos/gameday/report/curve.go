package report

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos/gameday"
)

func samples(e gameday.Evidence, probe string) []gameday.Sample {
	for _, s := range e.Probes {
		if s.ID == probe {
			return s.Samples
		}
	}
	return nil
}

// probe draws the looks of a probe: what they came to as bars, how long they
// took as a curve.
func (c *chart) probe(y float64, p gameday.PlanProbe, looks []gameday.Sample) float64 {
	l := lane{Name: p.ID, Note: "probe", Y: y, Base: y + barHeight + 4 + curveHeight}
	gap := 3*time.Duration(p.Every) + 2*time.Second
	slowest := slowestOf(looks)
	var curve []string
	for i, s := range looks {
		until := s.End()
		if i+1 < len(looks) && looks[i+1].At.Sub(until) <= gap {
			until = looks[i+1].At
		}
		l.Bars = append(l.Bars, c.stretch(y, s.At, until, string(s.State), stateText(p.ID, s)))
		if broken := i > 0 && s.At.Sub(looks[i-1].End()) > gap; broken || s.State == gameday.Missing {
			l.Curves, curve = ended(l.Curves, curve), nil
		}
		if s.State != gameday.Missing {
			high := curveHeight * float64(s.Took) / float64(max(slowest, time.Millisecond))
			curve = append(curve, fmt.Sprintf("%.1f,%.1f", c.x(s.At), l.Base-high))
		}
	}
	l.Bars = merged(l.Bars)
	l.Curves = ended(l.Curves, curve)
	l.Scale = took(model.Duration(slowest))
	c.Lanes = append(c.Lanes, l)
	return l.Base + laneGap
}

func ended(curves, points []string) []string {
	if len(points) == 0 {
		return curves
	}
	return append(curves, strings.Join(points, " "))
}

func slowestOf(looks []gameday.Sample) (slowest time.Duration) {
	for _, s := range looks {
		if s.State != gameday.Missing {
			slowest = max(slowest, s.Took)
		}
	}
	return slowest
}

func stateText(probe string, s gameday.Sample) string {
	text := fmt.Sprintf("%s is %s", probe, s.State)
	if s.Error != "" {
		text += ": " + s.Error
	}
	return text
}

// merged joins bars that touch and say the same.
func merged(bars []bar) (out []bar) {
	for _, b := range bars {
		if n := len(out) - 1; n >= 0 && out[n].Kind == b.Kind && b.X-(out[n].X+out[n].W) < 1 {
			out[n].W = round(b.X + b.W - out[n].X)
			continue
		}
		out = append(out, b)
	}
	return out
}
