package unittest_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions/std"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/shape"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/runbooks/unittest"
)

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/testing.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheExampleOfThePageIsRight(t *testing.T) {
	catalog := std.Catalog(nil)
	sources, err := runbooks.ReadFiles([]string{"../library/db-pool-exhausted.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	set, problems := runbooks.Load(sources, runbooks.Options{Catalog: catalog})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```yaml\n(test:.*?)```").FindStringSubmatch(page(t))
	if example == nil {
		t.Fatal("the page has no example")
	}
	if _, problems := unittest.Load(diag.Sources{"testing.md": []byte(example[1])}, set, catalog); len(problems) > 0 {
		t.Error(problems.Err())
	}
}

// Every key is explained: it stands in a code span of the page.
func TestEveryKeyIsOnThePage(t *testing.T) {
	spans := strings.Join(regexp.MustCompile("`[^`\n]+`").FindAllString(page(t), -1), "\n")
	text := page(t)
	var look func(path string, of *shape.Type)
	look = func(path string, of *shape.Type) {
		for of.Kind == shape.List || of.Kind == shape.Map {
			of = of.Elem
		}
		for _, f := range of.Fields {
			named := regexp.MustCompile(`\b` + f.Name + `\b`).MatchString(spans)
			if !named && !strings.Contains(text, "\n"+f.Name+":") {
				t.Errorf("the key %s%s is missing", path, f.Name)
			}
			look(path+f.Name+".", f.Type)
		}
	}
	look("", shape.For[unittest.File]())
}

func TestFilesAreFoundBesideTheirDocuments(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.yaml", "a_test.yaml", "b.yml", "b_test.yml", "c.yaml", ".hidden_test.yaml", ".git/x_test.yaml"} {
		if err := os.MkdirAll(dir+"/.git", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dir+"/"+name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"": "a_test.yaml b_test.yml", "/a.yaml": "a_test.yaml", "/b.yml": "b_test.yml", "/c.yaml": "", "/a_test.yaml": "a_test.yaml",
	} {
		files, err := unittest.Files([]string{dir + path})
		var names []string
		for _, file := range files {
			names = append(names, file[strings.LastIndex(file, "/")+1:])
		}
		if got := strings.Join(names, " "); got != want || err != nil {
			t.Errorf("beside %q: %q, %v", path, got, err)
		}
	}
	if _, err := unittest.Files([]string{dir + "/none"}); err == nil {
		t.Error("a path that is not there is no error")
	}
	if got := unittest.Documents([]string{dir + "/a_test.yaml", dir}); got[0] != dir+"/a.yaml" || got[1] != dir {
		t.Errorf("documents %v", got)
	}
}
