package runbooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks/matching"
)

// Runbook is a document that was checked.
type Runbook struct {
	Document
	At         diag.Place // of its first line
	nameAt     diag.Place
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
	// The separator makes it follow a folder that is a symbolic link.
	top := root + string(filepath.Separator)
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("read documents: %w", err)
		// A mounted ConfigMap has its files twice, the second time under ..data.
		case d.IsDir() && path != top && strings.HasPrefix(d.Name(), "."):
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
	for _, checked := range checkFiles(sources, o) {
		problems = append(problems, checked.problems...)
		for _, rb := range checked.runbooks {
			if first, twice := byName[rb.Runbook]; twice && rb.Runbook != "" {
				problems.Add(rb.nameAt, "duplicate-name", fmt.Sprintf("runbook %q is here twice", rb.Runbook), "it is at "+first.At.String()+" already")
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

type checkedFile struct {
	runbooks []*Runbook
	problems diag.List
}

// checkFiles checks each file by itself, as many at a time as there are
// processors.
func checkFiles(sources diag.Sources, o Options) []checkedFile {
	files := sortedKeys(sources)
	checked := make([]checkedFile, len(files))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(files)); i = next.Add(1) - 1 {
				checked[i] = checkFile(files[i], sources[files[i]], o)
			}
		})
	}
	workers.Wait()
	return checked
}

func checkFile(file string, src []byte, o Options) (c checkedFile) {
	nodes, problems := document.Parse(file, src)
	c.problems = problems
	for _, n := range nodes {
		if n.Kind == document.Map && n.Get("runbook") == nil && n.Get("gameday") != nil {
			continue
		}
		rb, problems := check(n, o)
		c.runbooks = append(c.runbooks, rb)
		c.problems = append(c.problems, problems...)
	}
	return c
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
