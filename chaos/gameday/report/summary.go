package report

import (
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
)

// Summary is what several drills come to.
type Summary struct {
	Drills   int                  `json:"drills"`
	Verdicts map[verdict.Name]int `json:"verdicts"`
	Figures  []Spread             `json:"figures"`
}

// Spread is one figure over the drills that have it.
type Spread struct {
	Name string         `json:"name"`
	Of   int            `json:"of"` // drills that have it
	P50  model.Duration `json:"p50"`
	P95  model.Duration `json:"p95"`
	Max  model.Duration `json:"max"`
}

// figure is one of the figures of a verdict, with its name.
type figure struct {
	Name string
	Doc  string
	Took *model.Duration
}

func figures(v verdict.Verdict) []figure {
	f := v.Figures
	return []figure{
		{"time to detect", "effect seen → webhook", f.TimeToDetect},
		{"Alertmanager's share", "alert firing → webhook", f.AlertmanagerShare},
		{"time to act", "webhook → first action", f.TimeToAct},
		{"time to recover", "effect seen → well again", f.TimeToRecover},
		{"time to heal", "healing issued → read back", f.TimeToHeal},
	}
}

// Summarise counts the verdicts, and gives the percentiles of the figures by the
// nearest rank. Only drills that passed, or passed degraded, have figures that
// are of use: the others measured something else, as control runs do.
func Summarise(results []Result) Summary {
	s := Summary{Drills: len(results), Verdicts: map[verdict.Name]int{}}
	took := map[string][]model.Duration{}
	for _, r := range results {
		s.Verdicts[r.Verdict.Verdict]++
		if v := r.Verdict.Verdict; r.Plan.Control != "" || v != verdict.Passed && v != verdict.Degraded {
			continue
		}
		for _, f := range figures(r.Verdict) {
			if f.Took != nil {
				took[f.Name] = append(took[f.Name], *f.Took)
			}
		}
	}
	for _, f := range figures(verdict.Verdict{}) {
		if all := took[f.Name]; len(all) > 0 {
			slices.Sort(all)
			s.Figures = append(s.Figures, Spread{Name: f.Name, Of: len(all), P50: rank(all, 50), P95: rank(all, 95), Max: all[len(all)-1]})
		}
	}
	return s
}

func rank(sorted []model.Duration, percent int) model.Duration {
	return sorted[(percent*len(sorted)+99)/100-1]
}

// counts are the verdicts that there were, the best first.
func (s Summary) counts() (all []count) {
	for _, name := range []verdict.Name{verdict.Passed, verdict.Degraded, verdict.Failed, verdict.Inconclusive, verdict.Aborted, verdict.HealFailed} {
		if n := s.Verdicts[name]; n > 0 {
			all = append(all, count{name, n})
		}
	}
	return all
}

type count struct {
	Verdict verdict.Name
	N       int
}

// took is a duration for people: three digits are enough.
func took(d model.Duration) string {
	t := time.Duration(d)
	switch {
	case t >= time.Minute:
		return t.Round(time.Second).String()
	case t >= 10*time.Second:
		return t.Round(100 * time.Millisecond).String()
	case t >= time.Second:
		return t.Round(10 * time.Millisecond).String()
	}
	return t.Round(time.Millisecond).String()
}
