package gameday_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/diag"
)

var update = flag.Bool("update", false, "write what lint says into testdata/lint")

const goldens = "testdata/lint/*.txtar"

func archives(t testing.TB) map[string]*txtar.Archive {
	t.Helper()
	files, err := filepath.Glob(goldens)
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	all := map[string]*txtar.Archive{}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[file] = archive
	}
	return all
}

// Each file of testdata/lint holds documents and, as `want`, the report on them.
// Its first lines may set what documents are checked against:
//
//	windows: maintenance, freeze
//	connections: {orders: {postgres: {name: a}}}
//	runbooks: unknown
func TestLint(t *testing.T) {
	for file, archive := range archives(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			got, want := report(t, archive), wanted(archive)
			if *update && got != want {
				write(t, file, archive, got)
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func report(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	sources := diag.Sources{}
	for _, f := range archive.Files {
		if f.Name != "want" {
			sources[f.Name] = f.Data
		}
	}
	set, problems := gameday.Load(sources, testOptions(t, string(archive.Comment)))
	if (set == nil) != (len(problems) > 0) {
		t.Errorf("%d problems and the set %v", len(problems), set)
	}
	var b bytes.Buffer
	if err := diag.WriteText(&b, problems, sources); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func wanted(archive *txtar.Archive) string {
	for _, f := range archive.Files {
		if f.Name == "want" {
			return string(f.Data)
		}
	}
	return ""
}

func write(t *testing.T, file string, archive *txtar.Archive, report string) {
	t.Helper()
	archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "want" })
	archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(report)})
	if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Every code that this package can report is shown in a golden file.
func TestEveryCodeHasAGolden(t *testing.T) {
	var reports strings.Builder
	for _, archive := range archives(t) {
		reports.WriteString(wanted(archive))
	}
	for _, code := range codes(t) {
		if !strings.Contains(reports.String(), "("+code+")\n") {
			t.Errorf("no golden shows %s", code)
		}
	}
}

var addCall = regexp.MustCompile(`\.[aA]dd\(.*?(?:At|\)), "([a-z-]+)", (?:"|` + "`" + `|fmt|err)`)

func codes(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range addCall.FindAllStringSubmatch(string(src), -1) {
			all = append(all, m[1])
		}
	}
	if len(all) < 25 {
		t.Errorf("only %d calls found in the source", len(all))
	}
	return all
}
