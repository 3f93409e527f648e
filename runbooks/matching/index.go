package matching

import (
	"cmp"
	"maps"
	"slices"
)

// Index finds the conditions that labels meet. It is flat in their number, as
// long as each demands one of a few values of some label: an alert then only
// meets those that name one of its own labels. It does not change.
type Index struct {
	byLabel map[label][]entry
	// rest demand no certain value of any label; each is looked at.
	rest []entry
}

type label struct{ name, value string }

type entry struct {
	owner     int
	condition Condition
}

// NewIndex indexes the conditions of several owners, who are numbered as they
// stand.
func NewIndex(owners [][]Condition) *Index {
	x := &Index{byLabel: map[label][]entry{}}
	popular := popularity(owners)
	for owner, conditions := range owners {
		for _, c := range conditions {
			x.add(entry{owner, c}, popular)
		}
	}
	return x
}

// popularity is how many conditions name a label: env="prod" most of them,
// alertname="DBPoolExhausted" one.
func popularity(owners [][]Condition) map[label]int {
	popular := map[label]int{}
	for _, conditions := range owners {
		for _, c := range conditions {
			for name, values := range c.Demands() {
				for _, value := range values {
					popular[label{name, value}]++
				}
			}
		}
	}
	return popular
}

// add puts a condition under the label that tells most.
func (x *Index) add(e entry, popular map[label]int) {
	demands := e.condition.Demands()
	if len(demands) == 0 {
		x.rest = append(x.rest, e)
		return
	}
	load := func(name string) (worst int) {
		for _, value := range demands[name] {
			worst = max(worst, popular[label{name, value}])
		}
		return worst
	}
	names := slices.Sorted(maps.Keys(demands))
	best := slices.MinFunc(names, func(a, b string) int { return cmp.Compare(load(a), load(b)) })
	for _, value := range demands[best] {
		x.byLabel[label{best, value}] = append(x.byLabel[label{best, value}], e)
	}
}

// Match is the owners whose conditions the labels of an alert meet, in order.
func (x *Index) Match(alert map[string]string) []int {
	var owners []int
	for name, value := range alert {
		owners = collect(owners, x.byLabel[label{name, value}], alert)
	}
	owners = collect(owners, x.rest, alert)
	slices.Sort(owners)
	return slices.Compact(owners)
}

func collect(owners []int, candidates []entry, alert map[string]string) []int {
	for _, e := range candidates {
		if e.condition.Matches(alert) {
			owners = append(owners, e.owner)
		}
	}
	return owners
}
