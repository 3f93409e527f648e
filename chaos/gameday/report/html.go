package report

import (
	"bytes"
	_ "embed"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
)

// The page has no script and asks for nothing: it can be kept, mailed and
// printed.
var (
	//go:embed page.html.tmpl
	pageText string
	//go:embed page.css
	pageStyle string
)

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"took": shown, "spread": took, "edges": edges, "figures": figures, "clock": clock, "draw": draw, "labels": labels,
	"since":   func(r Result, at time.Time) string { return since(r, at) },
	"length":  func(r Result) string { return took(model.Duration(length(r))) },
	"title":   func(v verdict.Name) string { return words(string(v)) },
	"join":    func(all []string) string { return strings.Join(all, ", ") },
	"control": func(c gameday.ControlRun) string { return words(string(c)) },
	"because": func(b gameday.Because) string { return words(string(b)) },
	"kind":    kindOf, "cut": cut,
	"sub": func(a, b float64) float64 { return a - b },
	"add": func(a, b float64) float64 { return a + b },
}).Parse(pageText))

func writeHTML(w io.Writer, results []Result) error {
	var b bytes.Buffer
	s := Summarise(results)
	title := "Game day"
	if len(results) > 0 {
		title = results[0].Plan.Gameday
	}
	err := page.Execute(&b, struct {
		Title   string
		Style   template.CSS
		Summary Summary
		Counts  []count
		Results []Result
	}{title, template.CSS(pageStyle), s, s.counts(), results})
	if err != nil {
		return err
	}
	_, err = w.Write(bytes.Map(printable, b.Bytes()))
	return err
}

// printable drops what no page may hold, escaped or not.
func printable(r rune) rune {
	if r < ' ' && r != '\n' && r != '\t' || r == 0x7f {
		return -1
	}
	return r
}

func since(r Result, at time.Time) string {
	if at.IsZero() {
		return "–"
	}
	return offset(at.Sub(origin(r)))
}

func labels(a gameday.Alert) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		all = append(all, name+"="+a.Labels[name])
	}
	return all
}

func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// cut keeps a name within its gutter.
func cut(name string) string {
	const most = 18
	if letters := []rune(name); len(letters) > most {
		return string(letters[:most-1]) + "…"
	}
	return name
}
