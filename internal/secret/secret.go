// Package secret reads secrets by reference: configs name files, never values.
package secret

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// File is the path of a file that holds one secret. In a document a relative
// path is relative to that document.
type File string

// UnmarshalText takes the path as it is.
func (f *File) UnmarshalText(text []byte) error {
	*f = File(text)
	return nil
}

// UnmarshalDocument resolves the path against the document's folder.
func (f *File) UnmarshalDocument(n *document.Node) (problems diag.List) {
	path, ok := n.Scalar.(string)
	if !ok || path == "" {
		problems.Addf(n.At, "wrong-type", "a secret must be the path of a file, not a %s", n.Kind)
		return problems
	}
	if !filepath.IsAbs(path) && n.At.File != "" {
		path = filepath.Join(filepath.Dir(n.At.File), path)
	}
	*f = File(path)
	return nil
}

// Read is the secret, without the white space around it. The error names the
// file and never shows what is in it.
func (f File) Read() (string, error) {
	b, err := os.ReadFile(string(f))
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	text := strings.TrimSpace(string(b))
	if text == "" {
		return "", fmt.Errorf("read secret: %s is empty", f)
	}
	return text, nil
}
