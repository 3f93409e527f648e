package programs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindsWhatIsInstalled(t *testing.T) {
	for _, program := range append(append(All(), ForTests()...), Promtool, Amtool, MariaDBInstall) {
		path, err := program.Find()
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s: %v", program.Name, err)
		}
	}
}

func TestMissingProgramNamesThePackage(t *testing.T) {
	nowhere(t)
	for _, program := range append(All(), ForTests()...) {
		_, err := program.Find()
		if err == nil {
			t.Errorf("%s: found in an empty directory", program.Name)
			continue
		}
		for _, want := range []string{program.Name, program.Install(), "make deps"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q does not say %q", program.Name, err, want)
			}
		}
	}
}

func TestNewestPostgreSQLWins(t *testing.T) {
	nowhere(t)
	root := t.TempDir()
	for _, version := range []string{"9.6", "17beta1", "16.4 (Debian 16.4-1)"} {
		fakeServer(t, filepath.Join(root, "pg"+strings.Fields(version)[0]), version)
	}
	homes = []string{filepath.Join(root, "pg*")}
	dir, err := PostgreSQL.Find()
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(dir) != "pg17beta1" {
		t.Errorf("chose %s", dir)
	}
}

func TestLinkInPathLeadsToTheRealPlace(t *testing.T) {
	nowhere(t)
	real, links := filepath.Join(t.TempDir(), "pg15"), t.TempDir()
	fakeServer(t, real, "15.1")
	if err := os.Symlink(filepath.Join(real, "initdb"), filepath.Join(links, "initdb")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", links)
	dir, err := PostgreSQL.Find()
	if err != nil || filepath.Base(dir) != "pg15" {
		t.Errorf("found %q, %v", dir, err)
	}
}

// nowhere hides everything that is installed.
func nowhere(t *testing.T) {
	t.Helper()
	before := homes
	t.Cleanup(func() { homes = before })
	homes = nil
	t.Setenv("PATH", t.TempDir())
}

func fakeServer(t *testing.T, dir, version string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
	for _, name := range []string{"initdb", "postgres"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
