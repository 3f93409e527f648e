package engine

import (
	"path/filepath"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// Path is a file or a folder. In a config file a relative path is relative to
// that file.
type Path string

// UnmarshalDocument resolves the path against the folder of the config file.
func (p *Path) UnmarshalDocument(n *document.Node) (problems diag.List) {
	path, ok := n.Scalar.(string)
	if !ok || path == "" {
		problems.Addf(n.At, "wrong-type", "a path must be a string, not a %s", n.Kind)
		return problems
	}
	*p = Path(beside(n.At.File, path))
	return nil
}

// beside is a path as seen from a file; no file is the working directory.
func beside(file, path string) string {
	if filepath.IsAbs(path) || file == "" {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}
