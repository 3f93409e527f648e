package ledger

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Population is what a step chooses its targets from. Runs that choose from one
// population at the same time keep to the limits of all of them together.
type Population struct {
	Name    string `json:"name"` // the same for all that choose from it
	Size    int    `json:"size,omitempty"`
	Healthy *int   `json:"healthy,omitempty"` // nil when it is not known
	// Counted is when the counting of it began.
	Counted time.Time `json:"counted"`
	// Batch is how many healthy targets are worked on at once.
	Batch  int     `json:"batch,omitempty"`
	Limits []Share `json:"limits,omitempty"`
}

// Share is how much of a population may be under remedy. The zero value of a
// field sets no limit.
type Share struct {
	Of             string  `json:"of"` // whose limit it is, for people
	Count          int     `json:"count,omitempty"`
	Percent        float64 `json:"percent,omitempty"`
	Healthy        int     `json:"healthy,omitempty"` // what must stay healthy
	HealthyPercent float64 `json:"healthy_percent,omitempty"`
}

// work is what a step of a lease's run has under remedy.
type work struct {
	Step   string  `json:"s"`
	Name   string  `json:"n"`
	Size   int     `json:"z"`
	Batch  int     `json:"b,omitempty"`
	Limits []Share `json:"l,omitempty"`
	Ended  int64   `json:"e,omitempty"`
}

func newWork(r Reserve) *work {
	p := r.Population
	return &work{Step: r.Step, Name: p.Name, Size: len(r.Targets), Batch: p.Batch, Limits: p.Limits}
}

// beside reports that who counts the population now may not see yet what became
// of the work.
func (w *work) beside(p *Population) bool {
	return w.Name == p.Name && (w.Ended == 0 || w.Ended >= p.Counted.UnixNano())
}

// lasts reports work that has not ended.
func (h *lease) lasts() bool {
	return slices.ContainsFunc(h.Work, func(w *work) bool { return w.Ended == 0 })
}

// work notes what a step has under remedy from now on.
func (l *Ledger) work(r Reserve) {
	h := l.runs[r.Run]
	if h == nil || h.Linger {
		return
	}
	if r.Population != nil {
		h.Work = append(slices.DeleteFunc(h.Work, func(w *work) bool { return w.Step == r.Step }), newWork(r))
		return
	}
	for _, w := range h.Work {
		if w.Step == r.Step && len(r.Targets) == 0 {
			w.Ended = l.Now
		}
	}
}

// crowd is who works on one population, together with a run that asks.
type crowd struct {
	touched, atOnce int
	limits          []Share
	others          []string
}

// askPopulation is why a run may not work on its targets beside the others that
// are at work on the same population, or "". What one run does alone it has
// counted itself.
func (l *Ledger) askPopulation(r Reserve) string {
	l.expireLeases()
	own := l.runs[r.Run]
	if own == nil || own.Linger {
		return fmt.Sprintf("the lease of %s is over", r.Run)
	}
	c := l.crowdOf(own, r.Population)
	if len(c.others) == 0 {
		return ""
	}
	c.add(newWork(r))
	for _, limit := range c.limits {
		if reason := c.exceeds(limit, r.Population); reason != "" {
			return fmt.Sprintf("%s, with what %s is at work on", reason, strings.Join(c.others, ", "))
		}
	}
	return ""
}

// crowdOf is that of the others. A target of two of them counts twice: rather
// too few than too many are touched.
func (l *Ledger) crowdOf(own *lease, p *Population) (c crowd) {
	for _, h := range l.Leases {
		for _, w := range h.Work {
			if h == own || !w.beside(p) {
				continue
			}
			c.add(w)
			if !slices.Contains(c.others, h.Run) {
				c.others = append(c.others, h.Run)
			}
		}
	}
	return c
}

func (c *crowd) add(w *work) {
	c.touched += w.Size
	c.atOnce += w.Batch
	c.limits = append(c.limits, w.Limits...)
}

func (c *crowd) exceeds(s Share, p *Population) string {
	n := c.touched
	switch {
	case s.Count > 0 && n > s.Count:
		return fmt.Sprintf("guards.max_targets of %s allows %d of %s, and it would be %d", s.Of, s.Count, p.Name, n)
	case s.Percent > 0 && float64(n)*100 > s.Percent*float64(p.Size):
		return fmt.Sprintf("guards.max_targets of %s allows %v %% of %s, and it would be %d of %d", s.Of, s.Percent, p.Name, n, p.Size)
	case s.Healthy == 0 && s.HealthyPercent == 0:
		return ""
	case p.Healthy == nil:
		return fmt.Sprintf("guards.min_healthy of %s is set, and it is not known how many of %s are healthy", s.Of, p.Name)
	}
	// Those of the others may be counted as unhealthy already: rather too many than
	// too few stay.
	left := *p.Healthy - c.atOnce
	if left < s.Healthy || float64(left)*100 < s.HealthyPercent*float64(p.Size) {
		return fmt.Sprintf("guards.min_healthy of %s would not be kept: %d of %d of %s would stay healthy", s.Of, left, p.Size, p.Name)
	}
	return ""
}
