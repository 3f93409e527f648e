package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/run"
)

// span is a length of time as a person reads it.
func span(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd", int(d.Hours())/24)
	}
}

// Ago is how long ago something was.
func Ago(at, now time.Time) string { return span(now.Sub(at)) + " ago" }

func took(from, to *time.Time) string {
	if from == nil || to == nil {
		return ""
	}
	return span(to.Sub(*from))
}

func clock(at time.Time) string { return at.Local().Format("15:04:05.000") }

// riskWord is a risk in words.
func riskWord(r actions.Risk) string { return strings.ReplaceAll(string(r), "_", " ") }

// outcomeWord is an outcome in words.
func outcomeWord(o run.Outcome) string { return strings.ReplaceAll(string(o), "_", " ") }

// count is a number of things in words.
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

const briefWidth = 90

// brief is an answer in JSON in a few words: the plain fields of an object by
// name, in their order, without what is empty or false. What hangs deeper is for
// the place where nothing is cut.
func brief(raw json.RawMessage) string {
	if len(raw) == 0 || string(raw) == "null" {
		return ""
	}
	fields, ok := plainFields(raw)
	if !ok || len(fields) == 0 {
		return shortened(string(raw))
	}
	return shortened(strings.Join(fields, ", "))
}

func shortened(s string) string { return document.Shorten(Clean(s), briefWidth) }

// plainFields is false for what is no object.
func plainFields(raw json.RawMessage) (fields []string, ok bool) {
	d := json.NewDecoder(bytes.NewReader(raw))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, false
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, false
		}
		if text := plainValue(value); text != "" {
			fields = append(fields, fmt.Sprintf("%v %s", key, text))
		}
	}
	return fields, true
}

func plainValue(raw json.RawMessage) string {
	var text string
	switch {
	case json.Unmarshal(raw, &text) == nil:
		return text
	case bytes.ContainsAny(raw[:1], "[{fn"):
		return ""
	}
	return string(raw)
}

// params are values by name, in one line.
func params(values map[string]any) string {
	parts := make([]string, 0, len(values))
	for _, name := range sortedKeys(values) {
		parts = append(parts, fmt.Sprintf("%s=%v", name, values[name]))
	}
	return Clean(strings.Join(parts, " "))
}

// fit cuts a line to the screen.
func fit(line string, width int) string { return ansi.Truncate(line, width, "…") }
