package rehearsal

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/run"
)

// WriteText prints the cases that did not pass, each with what was wrong, and
// how many there were. Verbose adds what happened in them, and the other cases.
func WriteText(w io.Writer, results []Result, sources diag.Sources, verbose bool) error {
	var b strings.Builder
	for _, r := range results {
		switch {
		case !r.Passed:
			fmt.Fprintf(&b, "FAIL  %s: %s\n", r.Runbook, r.Case)
			if err := diag.WriteText(&b, r.Problems, sources); err != nil {
				return err
			}
			if verbose {
				writeEvents(&b, r)
			}
		case verbose:
			fmt.Fprintf(&b, "ok    %s: %s (%s)\n", r.Runbook, r.Case, r.Took)
		}
	}
	failed := Failed(results)
	if failed > 0 {
		fmt.Fprintf(&b, "%d of %d cases failed\n", failed, len(results))
	} else {
		fmt.Fprintf(&b, "%d cases passed\n", len(results))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeEvents(b *strings.Builder, r Result) {
	for _, e := range r.Events {
		fmt.Fprintf(b, "      %s %s\n", sinceStart(r, e), firstLine(e.Text))
	}
}

// sinceStart is when something happened, on the virtual clock.
func sinceStart(r Result, e run.Event) string {
	return fmt.Sprintf("%9s", "+"+e.At.Sub(r.Events[0].At).Round(time.Millisecond).String())
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// WriteJSON prints the results as an array.
func WriteJSON(w io.Writer, results []Result) error {
	if results == nil {
		results = []Result{}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(results)
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Seconds float64       `xml:"time,attr"` // virtual
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit prints the results as the XML that CI systems read, one suite for
// each runbook.
func WriteJUnit(w io.Writer, results []Result) error {
	var all junitSuites
	for _, r := range results {
		n := len(all.Suites)
		if n == 0 || all.Suites[n-1].Name != r.Runbook {
			all.Suites = append(all.Suites, junitSuite{Name: r.Runbook})
			n++
		}
		all.Suites[n-1].add(r)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *junitSuite) add(r Result) {
	c := junitCase{Name: r.Case, Class: r.Runbook, File: r.File, Line: r.Line, Seconds: time.Duration(r.Took).Seconds()}
	if !r.Passed {
		s.Failures++
		c.Failure = &junitFailure{Message: r.Problems[0].Text, Text: r.Problems.Err().Error()}
	}
	s.Tests++
	s.Cases = append(s.Cases, c)
}
