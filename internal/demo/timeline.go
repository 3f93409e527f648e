package demo

import (
	"fmt"
	"slices"
	"time"

	"github.com/runbook-engine/runbook/internal/run"
)

// printer shows the events of a run as they come.
func (s *stage) printer(from time.Time) func(run.Run) {
	shown := 0
	return func(r run.Run) {
		for _, e := range r.Events[min(shown, len(r.Events)):] {
			s.say("  %s  %s", since(from, e.At), e.Text)
		}
		shown = len(r.Events)
	}
}

func since(from, at time.Time) string { return fmt.Sprintf("+%6.3f s", at.Sub(from).Seconds()) }

type moment struct {
	at   time.Time
	what string
}

// timeline is the whole incident on one clock.
func (s *stage) timeline(i *incident) {
	moments := []moment{
		{i.exhausted, fmt.Sprintf("the pool of orders-api is full: %d sessions idle in transaction", s.lab.Orders.PoolSize)},
		{i.pending, "Prometheus: alert " + alertName + " is pending"},
		{i.firing(), "Prometheus: alert " + alertName + " fires"},
		{i.run.StartedAt, "webhook of Alertmanager: run " + i.run.ID + " is durable"},
		{i.relieved, "relief: the service itself counts less than 70 % of its pool in use"},
	}
	moments = append(moments, ofRun(i.run)...)
	moments = slices.DeleteFunc(moments, func(m moment) bool { return m.at.IsZero() })
	slices.SortStableFunc(moments, func(a, b moment) int { return a.at.Compare(b.at) })
	s.say("\nTimeline, measured:")
	for _, m := range moments {
		s.say("  %s  %s", since(i.exhausted, m.at), m.what)
	}
	s.say("\n%s: %s", i.run.Outcome, i.run.OutcomeReason)
	s.intervals(i)
}

func ofRun(r run.Run) []moment {
	var moments []moment
	for _, step := range r.Steps {
		if len(step.Results) == 0 {
			continue
		}
		first, last := step.Results[0].StartedAt, step.Results[0].EndedAt
		for _, result := range step.Results {
			if result.StartedAt.Before(first) {
				first = result.StartedAt
			}
			if result.EndedAt.After(last) {
				last = result.EndedAt
			}
		}
		what := fmt.Sprintf("step %s: %s on %d target(s), done after %s", step.ID, step.Do, len(step.Results), rounded(last.Sub(first)))
		moments = append(moments, moment{first, what})
	}
	if r.Verify != nil && r.Verify.TrueAt != nil {
		moments = append(moments, moment{*r.Verify.TrueAt, "verify: " + r.Verify.Until + " holds from here on"})
	}
	if r.EndedAt != nil {
		moments = append(moments, moment{*r.EndedAt, "run ended: " + string(r.Outcome)})
	}
	return moments
}

func (s *stage) intervals(i *incident) {
	if i.run.FirstActionAt == nil || i.run.EndedAt == nil {
		return
	}
	for _, line := range []struct {
		what     string
		from, to time.Time
	}{
		{"alert fires → webhook", i.firing(), i.run.StartedAt},
		{"webhook → first action", i.run.StartedAt, *i.run.FirstActionAt},
		{"first action → relief", *i.run.FirstActionAt, i.relieved},
		{"alert fires → relief", i.firing(), i.relieved},
		{"alert fires → verified fix", i.firing(), *i.run.EndedAt},
	} {
		s.say("  %-28s %s", line.what, rounded(line.to.Sub(line.from)))
	}
}
