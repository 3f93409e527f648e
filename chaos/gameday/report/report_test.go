package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/report"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
)

var update = flag.Bool("update", false, "write the reports into testdata")

var three = []report.Result{result(nil), result(disabled), result(unhealed)}

func write(t *testing.T, format report.Format, results ...report.Result) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, format, results...); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The reports for people are kept as files, so that a change of them is seen.
// testdata/page.html is for looking at.
func TestReportsAreAsKept(t *testing.T) {
	for name, text := range map[string]string{
		"report.md": write(t, report.Markdown, three...), "report.xml": write(t, report.JUnit, three...), "page.html": write(t, report.HTML, three...),
	} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || string(want) != text {
			t.Errorf("%s is not as kept (%v); go test -update writes it", name, err)
		}
	}
}

func TestEveryFormatTakesAnything(t *testing.T) {
	results := [][]report.Result{{{}}, {result(nil)}, three}
	for _, all := range results {
		for _, format := range report.Formats() {
			if text := write(t, format, all...); text == "" {
				t.Errorf("%s of %d results is empty", format, len(all))
			}
		}
	}
	if err := report.Write(io.Discard, "pdf"); err == nil {
		t.Error("there is a format pdf")
	}
}

// A page says nothing but what the evidence says: what others write is text.
func TestHostileTextStaysText(t *testing.T) {
	html := write(t, report.HTML, three...)
	for _, forbidden := range []string{"<script", "</text> ]", "\x1b"} {
		if strings.Contains(html, forbidden) {
			t.Errorf("the page has %q", forbidden)
		}
	}
	if !strings.Contains(html, "&lt;script&gt;") {
		t.Error("the hostile label does not show")
	}
	md := write(t, report.Markdown, three...)
	for _, forbidden := range []string{"<script", "[a](", "\x1b", "\n# c"} {
		if strings.Contains(md, forbidden) {
			t.Errorf("the Markdown has %q", forbidden)
		}
	}
}

// The page must look the same without a network, and tell nobody that it is read.
func TestPageAsksForNothing(t *testing.T) {
	html := write(t, report.HTML, three...)
	if found := regexp.MustCompile(`(?i)\s(src|href|srcset|action|xlink:href)\s*=|url\(|@import|<link|<iframe|<object`).FindString(html); found != "" {
		t.Errorf("the page has %q", found)
	}
	if !strings.Contains(html, `content="default-src 'none'`) {
		t.Error("the page does not forbid itself to ask for anything")
	}
}

// Each picture is well-formed, and everything in it is inside of it.
func TestPicturesAreWhole(t *testing.T) {
	pictures := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(write(t, report.HTML, three...), -1)
	if len(pictures) != 3 {
		t.Fatalf("%d pictures", len(pictures))
	}
	for _, picture := range pictures {
		d, shapes := xml.NewDecoder(strings.NewReader(picture)), 0
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%v in\n%s", err, picture)
			}
			if start, ok := token.(xml.StartElement); ok {
				shapes++
				inside(t, start)
			}
		}
		if shapes < 60 {
			t.Errorf("only %d shapes", shapes)
		}
	}
}

func inside(t *testing.T, e xml.StartElement) {
	t.Helper()
	for _, a := range e.Attr {
		var v float64
		switch a.Name.Local {
		case "x", "x1", "x2", "cx", "width":
			if err := json.Unmarshal([]byte(a.Value), &v); err != nil || v < 0 || v > 1040 {
				t.Errorf("%s has %s=%q", e.Name.Local, a.Name.Local, a.Value)
			}
		case "points":
			for _, p := range strings.Fields(a.Value) {
				if !regexp.MustCompile(`^\d+\.\d,\d+\.\d$`).MatchString(p) {
					t.Errorf("the curve has the point %q", p)
				}
			}
		}
	}
}

func TestJSONComesBack(t *testing.T) {
	var back struct {
		Summary report.Summary  `json:"summary"`
		Results []report.Result `json:"results"`
	}
	if err := json.Unmarshal([]byte(write(t, report.JSON, three...)), &back); err != nil {
		t.Fatal(err)
	}
	if back.Summary.Drills != 3 || len(back.Results) != 3 {
		t.Fatalf("%+v", back.Summary)
	}
	// A verdict can be made again from what the report has.
	for i, r := range back.Results {
		if again := verdict.Judge(r.Plan, r.Evidence); again.Verdict != three[i].Verdict.Verdict || len(again.Timeline) != len(three[i].Verdict.Timeline) {
			t.Errorf("%s is %s when judged again", three[i].Verdict.Verdict, again.Verdict)
		}
	}
}

func TestJUnitTellsFailuresFromErrors(t *testing.T) {
	var back struct {
		Suites []struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Errors   int `xml:"errors,attr"`
			Cases    []struct {
				Failure *struct {
					Type string `xml:"type,attr"`
				} `xml:"failure"`
				Error *struct {
					Type string `xml:"type,attr"`
				} `xml:"error"`
				Out string `xml:"system-out"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	slow := result(func(p *gameday.Plan, _ *gameday.Evidence) { p.Expect.Alert.Aim = model.Duration(time.Second) })
	if err := xml.Unmarshal([]byte(write(t, report.JUnit, append(slices.Clone(three), slow)...)), &back); err != nil {
		t.Fatal(err)
	}
	s := back.Suites[0]
	if len(back.Suites) != 1 || s.Tests != 4 || s.Failures != 1 || s.Errors != 1 {
		t.Fatalf("%+v", back)
	}
	if s.Cases[0].Failure != nil || s.Cases[0].Error != nil || s.Cases[1].Failure.Type != "failed" || s.Cases[2].Error.Type != "heal_failed" {
		t.Errorf("%+v", s)
	}
	if late := s.Cases[3]; late.Failure != nil || late.Error != nil || !strings.HasPrefix(late.Out, "degraded: ") || !strings.Contains(late.Out, "alert_slow: ") {
		t.Errorf("a degraded drill: %+v", late)
	}
}

func TestSummaryIsOfThoseThatPassed(t *testing.T) {
	var all []report.Result
	for i := range 20 {
		all = append(all, result(func(_ *gameday.Plan, e *gameday.Evidence) {
			e.Injections[0].Healed = e.Injections[0].HealIssued.Add(time.Duration(i+1) * 10 * time.Millisecond)
		}))
	}
	control := result(nil)
	control.Plan.Control = gameday.NoRemedy // what it shows is another thing
	s := report.Summarise(append(all, result(unhealed), control))
	if s.Drills != 22 || s.Verdicts[verdict.Passed] != 21 || s.Verdicts[verdict.HealFailed] != 1 {
		t.Fatalf("%+v", s)
	}
	heal := s.Figures[len(s.Figures)-1]
	ms := func(n int) model.Duration { return model.Duration(n) * model.Duration(time.Millisecond) }
	if heal.Of != 20 || heal.P50 != ms(100) || heal.P95 != ms(190) || heal.Max != ms(200) {
		t.Errorf("%+v", heal)
	}
}
