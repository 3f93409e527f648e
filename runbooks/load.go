package runbooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks/matching"
)

// Runbook is a document that was checked.
type Runbook struct {
	Document
	At         diag.Place // of its first line
	conditions []matching.Condition
	digest     string
}

// Digest identifies the behaviour of the document: everything but the prose.
func (rb *Runbook) Digest() string { return rb.digest }

// Options say what documents are checked against.
type Options struct {
	Catalog *actions.Catalog
	// Connections of the engine; nil when they are not known, as in an editor or
	// in CI, and then the names of connections are not checked.
	Connections *actions.Connections
	// Windows are the names of maintenance windows; nil when not known.
	Windows []string
}

// Files finds the documents in files and folders: those ending in .yaml or .yml,
// without unit tests (NAME_test.yaml) and hidden folders.
func Files(paths []string) ([]string, error) {
	var files []string
	for _, path := range paths {
		found, err := filesIn(path)
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	return files, nil
}

func filesIn(root string) ([]string, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, fmt.Errorf("read documents: %w", err)
	}
	if !info.IsDir() {
		return []string{root}, nil
	}
	var files []string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("read documents: %w", err)
		// A mounted ConfigMap has its files twice, the second time under ..data.
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case !d.IsDir() && isDocument(d.Name()):
			files = append(files, path)
		}
		return nil
	})
	return files, err
}

func isDocument(name string) bool {
	ext := filepath.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	return (ext == ".yaml" || ext == ".yml") && !strings.HasSuffix(stem, "_test") && !strings.HasPrefix(name, ".")
}

// ReadFiles reads what Files found.
func ReadFiles(files []string) (diag.Sources, error) {
	sources := diag.Sources{}
	var failed []error
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			failed = append(failed, fmt.Errorf("read documents: %w", err))
			continue
		}
		sources[file] = src
	}
	return sources, errors.Join(failed...)
}

// Load checks documents. With any problem the set is nil: a set is loaded as a
// whole and only if all of it is valid. Game days in the same files are left
// out.
func Load(sources diag.Sources, o Options) (*Set, diag.List) {
	var problems diag.List
	byName := map[string]*Runbook{}
	for _, file := range sortedKeys(sources) {
		nodes, found := document.Parse(file, sources[file])
		problems = append(problems, found...)
		for _, n := range nodes {
			if n.Kind == document.Map && n.Get("runbook") == nil && n.Get("gameday") != nil {
				continue
			}
			rb, found := check(n, o)
			problems = append(problems, found...)
			if first, twice := byName[rb.Runbook]; twice && rb.Runbook != "" {
				problems.Add(n.Find("runbook").At, "duplicate-name",
					fmt.Sprintf("runbook %q is here twice", rb.Runbook), "it is at "+first.At.String()+" already")
				continue
			}
			byName[rb.Runbook] = rb
		}
	}
	problems.Sort()
	if len(problems) > 0 {
		return nil, problems
	}
	return newSet(byName), nil
}

// LoadPaths is Files, ReadFiles and Load.
func LoadPaths(paths []string, o Options) (*Set, error) {
	files, err := Files(paths)
	if err != nil {
		return nil, err
	}
	sources, err := ReadFiles(files)
	if err != nil {
		return nil, err
	}
	set, problems := Load(sources, o)
	return set, problems.Err()
}
