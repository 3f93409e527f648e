package ledger

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Population is what a step chooses its targets from. Runs that choose from one
// population at the same time, or from two that share targets, keep to the limits
// of all of them together.
type Population struct {
	Name    string `json:"name"` // the same for all that choose from it
	Size    int    `json:"size,omitempty"`
	Healthy *int   `json:"healthy,omitempty"` // nil when it is not known
	// Counted is when the counting of it began.
	Counted time.Time `json:"counted"`
	// Batch is how many healthy targets are worked on at once.
	Batch  int     `json:"batch,omitempty"`
	Limits []Share `json:"limits,omitempty"`
	// Members are all of it; without them it is known by its name only.
	Members *Members `json:"members,omitempty"`
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

// work is what a step of a lease's run has under remedy, and the population that
// it counted before.
type work struct {
	Step    string   `json:"s"`
	Name    string   `json:"n"`
	Targets []uint64 `json:"i,omitempty"`
	Batch   int      `json:"b,omitempty"`
	Limits  []Share  `json:"l,omitempty"`
	Ended   int64    `json:"e,omitempty"`
	Size    int      `json:"z,omitempty"` // of the population, as the next three
	Healthy *int     `json:"h,omitempty"`
	Counted int64    `json:"c,omitempty"`
	Members *Members `json:"m,omitempty"`
}

func newWork(r Reserve) *work {
	p := r.Population
	w := &work{
		Step: r.Step, Name: p.Name, Batch: p.Batch, Limits: p.Limits,
		Size: p.Size, Healthy: p.Healthy, Counted: p.Counted.UnixNano(), Members: p.Members,
	}
	for _, target := range r.Targets {
		w.Targets = append(w.Targets, idOf(target))
	}
	return w
}

// lastsAt reports that who counted then may not have seen what became of the
// work.
func (w *work) lastsAt(counted int64) bool { return w.Ended == 0 || w.Ended >= counted }

// within is how many targets of the work belong to the population of another.
func (w *work) within(o *work) int {
	if w.Name == o.Name {
		return len(w.Targets)
	}
	return o.Members.among(w.Targets)
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

// askPopulation is why a run may not work on its targets beside the others that
// are at work on the same population, or on one that shares targets with it; or
// "". What one run does alone it has counted itself.
func (l *Ledger) askPopulation(r Reserve) string {
	l.expireLeases()
	own := l.runs[r.Run]
	if own == nil || own.Linger {
		return fmt.Sprintf("the lease of %s is over", r.Run)
	}
	mine := newWork(r)
	others := l.besides(own)
	if reason := crowdOf(mine, mine, others).exceeds(mine.Limits); reason != "" {
		return reason
	}
	for _, o := range others {
		if !o.lastsAt(mine.Counted) || mine.within(o.work) == 0 {
			continue
		}
		if reason := crowdOf(o.work, mine, others).exceeds(o.Limits); reason != "" {
			return reason
		}
	}
	return ""
}

// working is the work of a run.
type working struct {
	*work
	run string
}

// besides is the work of others.
func (l *Ledger) besides(own *lease) (others []working) {
	for _, h := range l.Leases {
		for _, w := range h.Work {
			if h != own {
				others = append(others, working{w, h.Run})
			}
		}
	}
	return others
}

// crowd is who works on one population, together with a run that asks.
type crowd struct {
	of              *work // counted the population
	touched, atOnce int
	others          []string
}

// crowdOf goes by the newest count of a population. A target of two of the works
// counts twice: rather too few than too many are touched.
func crowdOf(population, mine *work, others []working) (c crowd) {
	if c.of = population; population.Name == mine.Name {
		c.of = mine
	}
	c.add(mine, mine.Counted)
	for _, o := range others {
		if c.add(o.work, mine.Counted) && !slices.Contains(c.others, o.run) {
			c.others = append(c.others, o.run)
		}
	}
	return c
}

// add takes in work that lasts now, and for the health that which the population
// was counted too early to show.
func (c *crowd) add(w *work, now int64) (counts bool) {
	n, lasts, unseen := w.within(c.of), w.lastsAt(now), w.lastsAt(c.of.Counted)
	if lasts {
		c.touched += n
	}
	if unseen {
		c.atOnce += min(n, w.Batch)
	}
	return n > 0 && (lasts || unseen)
}

// exceeds says which limit the crowd is too large for. Who is alone has counted.
func (c crowd) exceeds(limits []Share) string {
	if len(c.others) == 0 {
		return ""
	}
	for _, limit := range limits {
		if reason := c.over(limit); reason != "" {
			return fmt.Sprintf("%s, with what %s is at work on", reason, strings.Join(c.others, ", "))
		}
	}
	return ""
}

func (c crowd) over(s Share) string {
	n, p := c.touched, c.of
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
