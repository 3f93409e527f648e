package workflows

import (
	"fmt"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/runbooks"
)

// engineMaxTargets is what one step may touch whatever anybody says.
const engineMaxTargets = 1000

// Whose guard it was, for people.
const (
	ofRunbook = "the runbook"
	ofEngine  = "the engine"
)

// radius is how far a step may go: by its runbook and by the engine.
type radius struct {
	own, engine side
	selection   actions.Selection
}

// side is what one of the two says.
type side struct {
	of  string
	max *runbooks.MaxTargets
	min *runbooks.MinHealthy
}

// radius is that of a step. What the engine says must make sense for each
// action: percentages are of those that choose among many, and the healthy are
// counted of what can be healthy at all.
func (r *remediation) radius(p runbooks.Prepared, s actions.Selection) radius {
	g := r.plan.Document.Guards
	out := radius{side{ofRunbook, g.MaxTargets, g.MinHealthy}, side{ofEngine, r.engine.MaxTargets, r.engine.MinHealthy}, s}
	if p.Target != nil && out.engine.max != nil {
		out.engine.max = &runbooks.MaxTargets{Count: out.engine.max.Count}
	}
	if p.Target != nil || s.Healthy == nil {
		out.engine.min = nil
	}
	return out
}

// refuses is why a selection is too large, or leaves too little, or empty.
func (r radius) refuses(batch []actions.Target) string {
	if n := len(r.selection.Targets); n > engineMaxTargets {
		return fmt.Sprintf("%d targets selected, the engine touches at most %d in one step", n, engineMaxTargets)
	}
	for _, s := range []side{r.own, r.engine} {
		if refusal := s.tooMany(r.selection); refusal != "" {
			return refusal
		}
		if refusal := s.leftHealthy(r.selection, batch); refusal != "" {
			return refusal
		}
	}
	return ""
}

// next is why a further batch may not be begun, or empty.
func (r radius) next(touched int, batch []actions.Target) string {
	n := touched + len(batch)
	for _, s := range []side{r.own, r.engine} {
		if s.max != nil && s.max.Percent > 0 && float64(n)*100 > s.max.Percent*float64(r.selection.Population) {
			return fmt.Sprintf("%d of %d would be touched by now, guards.max_targets of %s allows %v %%", n, r.selection.Population, s.of, s.max.Percent)
		}
		if refusal := s.leftHealthy(r.selection, batch); refusal != "" {
			return refusal
		}
	}
	return ""
}

func (g side) tooMany(s actions.Selection) string {
	n := len(s.Targets)
	switch {
	case g.max == nil || n == 0:
		return ""
	case g.max.Count > 0 && n > g.max.Count:
		return fmt.Sprintf("%d targets selected, guards.max_targets of %s allows %d", n, g.of, g.max.Count)
	case g.max.Percent > 0 && s.Population <= 0:
		return fmt.Sprintf("guards.max_targets of %s has a percentage and the size of the population is not known", g.of)
	case g.max.Percent > 0 && float64(n)*100 > g.max.Percent*float64(s.Population):
		return fmt.Sprintf("%d of %d targets selected, guards.max_targets of %s allows %v %%", n, s.Population, g.of, g.max.Percent)
	}
	return ""
}

// leftHealthy is why too little would stay healthy, or empty. All of the batch
// counts as lost, but for what is unhealthy already.
func (g side) leftHealthy(s actions.Selection, batch []actions.Target) string {
	switch {
	case g.min == nil || len(batch) == 0:
		return ""
	case s.Healthy == nil || s.Population <= 0:
		return fmt.Sprintf("guards.min_healthy of %s is set and it is not known how many are healthy", g.of)
	}
	left := *s.Healthy
	for _, t := range batch {
		if !t.Unhealthy {
			left--
		}
	}
	if left < g.min.Count {
		return fmt.Sprintf("%d of %d would stay healthy, guards.min_healthy of %s asks for %d", left, s.Population, g.of, g.min.Count)
	}
	if float64(left)*100 < g.min.Percent*float64(s.Population) {
		return fmt.Sprintf("%d of %d would stay healthy, guards.min_healthy of %s asks for %v %%", left, s.Population, g.of, g.min.Percent)
	}
	return ""
}
