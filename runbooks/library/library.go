// Package library holds the runbooks that are shipped with the program.
package library

import (
	"embed"
	"io/fs"
)

//go:embed *.yaml
var documents embed.FS

// FS is the documents, NAME.yaml, and their unit tests, NAME_test.yaml.
func FS() fs.FS { return documents }
