package document

import (
	"fmt"
	"strings"
)

// Suggest is a hint for a misspelt name: the nearest known one, or all of them
// when none is near and they are few.
func Suggest(name string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if tooDifferent(name, k) {
			continue
		}
		if d := editDistance(name, k); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %q?", best)
	case len(known) > 0 && len(known) <= 20:
		return "known: " + strings.Join(known, ", ")
	}
	return ""
}

// tooDifferent spares the comparison of names that share little: of two letters,
// two changes leave nothing.
func tooDifferent(a, b string) bool {
	return max(len(a), len(b)) < 4 || len(a)-len(b) > 2 || len(b)-len(a) > 2
}

func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}

// Shorten cuts a text that is shown to a person.
func Shorten(s string, limit int) string {
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
