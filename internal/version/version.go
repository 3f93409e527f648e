// Package version says which build of the program this is.
package version

import (
	"cmp"
	"runtime/debug"
	"strings"
)

// Set by the linker: -X github.com/runbook-engine/runbook/internal/version.version=v1.2.3
var version, commit string

// Version is the release, like "v1.2.3": what the linker was told, else the
// version of the module as go install knows it, else "devel".
func Version() string {
	return cmp.Or(version, fromModule(debug.ReadBuildInfo()), "devel")
}

// Commit is the revision that was built, as far as it is known: what the linker
// was told, else what the go command recorded, with "-dirty" after it when
// files had been changed.
func Commit() string {
	return cmp.Or(commit, fromRepository(debug.ReadBuildInfo()), "unknown")
}

func fromModule(info *debug.BuildInfo, known bool) string {
	if !known {
		return ""
	}
	return strings.Trim(info.Main.Version, "()") // "(devel)" without a version
}

func fromRepository(info *debug.BuildInfo, known bool) string {
	if !known {
		return ""
	}
	recorded := map[string]string{}
	for _, setting := range info.Settings {
		recorded[setting.Key] = setting.Value
	}
	revision := recorded["vcs.revision"]
	if revision != "" && recorded["vcs.modified"] == "true" {
		return revision + "-dirty"
	}
	return revision
}
