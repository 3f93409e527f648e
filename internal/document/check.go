package document

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/shape"
)

// CheckField checks a value that has the right type against the limits that its
// field declares.
func CheckField(n *Node, f shape.Field) (problems diag.List) {
	if f.Type.Kind == shape.List && n.Kind == List {
		for _, item := range n.Items {
			problems = append(problems, checkText(item, f)...)
		}
	} else {
		problems = checkText(n, f)
	}
	return append(problems, checkBounds(n, f)...)
}

func checkText(n *Node, f shape.Field) (problems diag.List) {
	if f.Enum != nil && !slices.Contains(f.Enum, n.Text) {
		problems.Add(n.At, "not-in-enum",
			fmt.Sprintf("%s can not be %q", f.Name, Shorten(n.Text, 60)), "one of: "+strings.Join(f.Enum, ", "))
	}
	if f.Pattern != nil && !f.Pattern.MatchString(n.Text) {
		problems.Addf(n.At, "no-match", "%s %q does not match %s", f.Name, Shorten(n.Text, 60), f.Pattern)
	}
	return problems
}

func checkBounds(n *Node, f shape.Field) (problems diag.List) {
	size, unit := measure(n, f.Type.Kind)
	if f.Min != nil && size < *f.Min {
		problems.Addf(n.At, "too-small", "%s must be at least %s", f.Name, amount(*f.Min, unit))
	}
	if f.Max != nil && size > *f.Max {
		problems.Addf(n.At, "too-large", "%s must be at most %s", f.Name, amount(*f.Max, unit))
	}
	return problems
}

func amount(n float64, unit string) string {
	if unit == seconds {
		return model.Duration(n * float64(time.Second)).String()
	}
	text := strconv.FormatFloat(n, 'f', -1, 64) + unit
	if n == 1 {
		text = strings.TrimSuffix(text, "s")
	}
	return text
}

const seconds = " seconds"

func measure(n *Node, kind shape.Kind) (size float64, unit string) {
	switch kind {
	case shape.Duration:
		length, _ := shape.Number(n.Text, kind)
		return length, seconds
	case shape.List:
		return float64(len(n.Items)), " items"
	case shape.Map:
		return float64(len(n.Entries)), " keys"
	case shape.String:
		return float64(utf8.RuneCountInString(n.Text)), " characters"
	default:
		f, _ := float(n.Scalar)
		return f, ""
	}
}
