package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"text/template"
	"time"

	"github.com/prometheus/common/model"
)

//go:embed report.md.tmpl
var markdownText string

var markdown = template.Must(template.New("report").Funcs(template.FuncMap{
	"esc": plain, "took": func(d *model.Duration) string { return shown(d) }, "spread": took,
	"edges": edges, "figures": figures, "clock": clock, "length": length, "round": func(d time.Duration) string { return took(model.Duration(d)) },
}).Parse(markdownText))

func writeMarkdown(w io.Writer, results []Result) error {
	var b bytes.Buffer
	s := Summarise(results)
	if err := markdown.Execute(&b, struct {
		Summary Summary
		Counts  []count
		Results []Result
	}{s, s.counts(), results}); err != nil {
		return err
	}
	_, err := b.WriteTo(w)
	return err
}

// plain keeps a text of others from being anything but text: labels, reasons of
// people and messages of systems can hold whatever they like.
func plain(text any) string {
	s, ok := text.(string)
	if !ok {
		s = strings.TrimSpace(fmt.Sprint(text))
	}
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	return special.Replace(s)
}

var special = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;", "|", `\|`, "#", `\#`, "~", `\~`, "!", `\!`,
)

func shown(d *model.Duration) string {
	if d == nil {
		return "–"
	}
	return took(*d)
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05.000 UTC")
}
