package runbooks

import (
	"maps"
	"slices"
	"strings"

	"github.com/runbook-engine/runbook/internal/diag"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func texts(problems diag.List) string {
	all := make([]string, len(problems))
	for i, p := range problems {
		all[i] = p.Text
	}
	return strings.Join(all, "; ")
}
