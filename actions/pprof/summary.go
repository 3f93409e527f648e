package pprof

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/runbook-engine/runbook/actions"
)

const topMost = 10

func summary(kept actions.Artefact, parsed *profile.Profile, p captureParams) captureResult {
	which := index(parsed)
	parts, total := map[string]int{}, 0
	for _, sample := range parsed.Sample {
		value := int(sample.Value[which])
		parts[owner(sample)] += value
		total += value
	}
	r := captureResult{Artefact: kept, Total: total, Unit: parsed.SampleType[which].Unit, Top: top(parts, total)}
	if p.Profile == "goroutine" {
		r.Goroutines = &total
	}
	return r
}

// index is the kind of value that go tool pprof shows: the default, or the last.
func index(parsed *profile.Profile) int {
	i := slices.IndexFunc(parsed.SampleType, func(t *profile.ValueType) bool { return t.Type == parsed.DefaultSampleType })
	if i < 0 {
		i = len(parsed.SampleType) - 1
	}
	return i
}

// owner is the first function of the program itself: what waits, waits in the
// runtime, which tells nothing.
func owner(sample *profile.Sample) string {
	first := "unknown"
	for _, place := range sample.Location {
		for _, line := range place.Line {
			if line.Function == nil {
				continue
			}
			if first == "unknown" {
				first = line.Function.Name
			}
			if !ofRuntime(line.Function.Name) {
				return line.Function.Name
			}
		}
	}
	return first
}

func ofRuntime(name string) bool {
	for _, prefix := range []string{"runtime.", "runtime/", "internal/", "sync.", "syscall.", "time.Sleep"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

func top(parts map[string]int, total int) []function {
	all := []function{}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if parts[name] > 0 {
			all = append(all, function{name, parts[name], float64(parts[name]) / float64(total)})
		}
	}
	slices.SortStableFunc(all, func(a, b function) int { return cmp.Compare(b.Value, a.Value) })
	return all[:min(topMost, len(all))]
}
