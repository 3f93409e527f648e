package unittest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks"
)

// Tested is the unit tests of one file, checked against its runbook.
type Tested struct {
	File
	Runbook *runbooks.Runbook
	// Node says where everything is written.
	Node *document.Node
}

// Case is where a case is written.
func (t *Tested) Case(i int) *document.Node { return t.Node.Find("cases", i) }

// Files finds the unit tests in files and folders: NAME_test.yaml or .yml,
// without hidden folders. Of a document that is named itself they are those
// beside it.
func Files(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		found, err := filesIn(path)
		if err != nil {
			return nil, fmt.Errorf("read unit tests: %w", err)
		}
		files = append(files, found...)
	}
	return files, nil
}

func filesIn(root string) (files []string, err error) {
	info, err := os.Stat(root)
	switch {
	case err != nil:
		return nil, err
	case !info.IsDir() && IsTest(root):
		return []string{root}, nil
	case !info.IsDir():
		return beside(root)
	}
	top := root + string(filepath.Separator)
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != top && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case !d.IsDir() && IsTest(path) && !strings.HasPrefix(d.Name(), "."):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

// IsTest reports that a file has the name of unit tests.
func IsTest(path string) bool {
	ext := filepath.Ext(path)
	return (ext == ".yaml" || ext == ".yml") && strings.HasSuffix(strings.TrimSuffix(path, ext), "_test")
}

func beside(document string) (files []string, err error) {
	ext := filepath.Ext(document)
	test := strings.TrimSuffix(document, ext) + "_test" + ext
	if _, err := os.Stat(test); err != nil {
		return nil, nil // a document without unit tests
	}
	return []string{test}, nil
}

// Load checks unit tests against the documents that they are about. All that is
// wrong is reported, sorted by its place.
func Load(sources diag.Sources, set *runbooks.Set, catalog *actions.Catalog) (all []*Tested, problems diag.List) {
	for _, file := range sorted(sources) {
		nodes, found := document.Parse(file, sources[file])
		problems = append(problems, found...)
		for _, n := range nodes {
			t, found := load(n, set, catalog)
			all, problems = append(all, t), append(problems, found...)
		}
	}
	problems.Sort()
	if len(problems) > 0 {
		return nil, problems
	}
	return all, nil
}

func load(n *document.Node, set *runbooks.Set, catalog *actions.Catalog) (*Tested, diag.List) {
	t := &Tested{Node: n}
	n.Title = "a file of unit tests"
	problems := document.Decode(n, &t.File)
	if t.Test == "" {
		return t, problems
	}
	rb, known := set.Get(t.Test)
	if !known {
		problems.Add(n.Find("test").At, "unknown-runbook", fmt.Sprintf("there is no runbook %q", t.Test), document.Suggest(t.Test, set.Names()))
		return t, problems
	}
	t.Runbook = rb
	c := checker{Tested: t, catalog: catalog, steps: map[string]runbooks.Step{}}
	c.all()
	return t, append(problems, c.problems...)
}

// Documents are the paths in which the documents are: where unit tests are named
// themselves, the document beside them.
func Documents(paths []string) []string {
	out := make([]string, len(paths))
	for i, path := range paths {
		out[i] = path
		ext := filepath.Ext(path)
		if info, err := os.Stat(path); err == nil && !info.IsDir() && IsTest(path) {
			out[i] = strings.TrimSuffix(path, "_test"+ext) + ext
		}
	}
	return out
}
