package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
)

type suites struct {
	XMLName xml.Name `xml:"testsuites"`
	Suites  []suite  `xml:"testsuite"`
}

type suite struct {
	Name     string `xml:"name,attr"`
	Tests    int    `xml:"tests,attr"`
	Failures int    `xml:"failures,attr"`
	Errors   int    `xml:"errors,attr"`
	Time     string `xml:"time,attr"`
	Cases    []test `xml:"testcase"`

	took time.Duration
}

type test struct {
	Class   string   `xml:"classname,attr"`
	Name    string   `xml:"name,attr"`
	Time    string   `xml:"time,attr"`
	Failure *trouble `xml:"failure,omitempty"`
	Error   *trouble `xml:"error,omitempty"`
	Out     string   `xml:"system-out,omitempty"`
}

type trouble struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// writeJUnit makes each drill a test. What was seen not to be as expected is a
// failure; what could not be seen, or not be healed, is an error. A degraded drill
// passes, as it does for the exit code, and says so.
func writeJUnit(w io.Writer, results []Result) error {
	var all suites
	for _, r := range results {
		if len(all.Suites) == 0 || all.Suites[len(all.Suites)-1].Name != r.Plan.Gameday {
			all.Suites = append(all.Suites, suite{Name: r.Plan.Gameday})
		}
		all.Suites[len(all.Suites)-1].add(r)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *suite) add(r Result) {
	c := test{Class: r.Plan.Gameday, Name: r.Evidence.ID, Time: seconds(length(r)), Out: lines(r)}
	if r.Plan.Control != "" {
		c.Name += " (control run " + string(r.Plan.Control) + ")"
	}
	found := &trouble{Type: string(r.Verdict.Verdict), Message: headline(r.Verdict), Text: reasons(r.Verdict)}
	switch r.Verdict.Verdict {
	case verdict.Passed:
	case verdict.Degraded:
		c.Out = found.Message + "\n" + found.Text + c.Out
	case verdict.Failed:
		c.Failure = found
		s.Failures++
	default:
		c.Error = found
		s.Errors++
	}
	s.Tests++
	s.Cases = append(s.Cases, c)
	s.took += length(r)
	s.Time = seconds(s.took)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

func length(r Result) time.Duration {
	if r.Evidence.Ended.IsZero() || r.Evidence.Started.IsZero() {
		return 0
	}
	return r.Evidence.Ended.Sub(r.Evidence.Started)
}

// headline is the verdict and what decided it.
func headline(v verdict.Verdict) string {
	if len(v.Reasons) == 0 {
		return string(v.Verdict)
	}
	return fmt.Sprintf("%s: %s", v.Verdict, v.Reasons[0].Text)
}

func reasons(v verdict.Verdict) string {
	var b strings.Builder
	for _, r := range v.Reasons {
		fmt.Fprintf(&b, "%s: %s\n", r.Code, r.Text)
	}
	return b.String()
}

// lines is the timeline as plain text.
func lines(r Result) string {
	var b strings.Builder
	for _, e := range edges(r) {
		fmt.Fprintf(&b, "%10s  %s (%s)\n", e.Offset, e.Name, e.Source)
	}
	return b.String()
}
