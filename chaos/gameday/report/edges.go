package report

import (
	"fmt"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
)

// edge is a moment of the timeline as it is shown: by its distance to the first
// injection.
type edge struct {
	verdict.Edge
	N      int    // its number, from 1; 0 of a time of another clock
	Offset string // +4.2s
}

func edges(r Result) []edge {
	zero := origin(r)
	var all []edge
	n := 0
	for _, e := range r.Verdict.Timeline {
		one := edge{Edge: e, Offset: offset(e.At.Sub(zero))}
		if !e.Foreign {
			n++
			one.N = n
		}
		all = append(all, one)
	}
	return all
}

// origin is the first injection, or the start of a drill without one.
func origin(r Result) time.Time {
	zero := r.Evidence.Started
	first := true
	for _, i := range r.Evidence.Injections {
		if !i.Requested.IsZero() && (first || i.Requested.Before(zero)) {
			zero, first = i.Requested, false
		}
	}
	return zero
}

func offset(d time.Duration) string {
	sign := "+"
	if d < 0 {
		sign, d = "−", -d
	}
	if d < time.Minute {
		return fmt.Sprintf("%s%.1fs", sign, d.Seconds())
	}
	d = d.Round(time.Second)
	return fmt.Sprintf("%s%dm%02ds", sign, int(d.Minutes()), int(d.Seconds())%60)
}
