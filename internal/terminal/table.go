package terminal

import (
	"maps"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// columns aligns cells. The last column of a row is as wide as it likes.
func columns(rows [][]string) []string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], ansi.StringWidth(cell))
		}
	}
	lines := make([]string, len(rows))
	for i, row := range rows {
		var b strings.Builder
		for n, cell := range row {
			b.WriteString(cell)
			if n < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[n]-ansi.StringWidth(cell)+2))
			}
		}
		lines[i] = strings.TrimRight(b.String(), " ")
	}
	return lines
}

// Table prints rows under a heading.
func (t *Terminal) Table(heading []string, rows [][]string) error {
	all := [][]string{make([]string, len(heading))}
	for i, h := range heading {
		all[0][i] = t.style.dim.Render(h)
	}
	for _, row := range rows {
		clean := make([]string, len(row))
		for i, cell := range row {
			clean[i] = Clean(cell)
		}
		all = append(all, clean)
	}
	return t.Print(columns(all)...)
}
