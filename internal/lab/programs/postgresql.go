package programs

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// newestPostgreSQL returns the bin directory of the newest PostgreSQL that
// has a server.
func newestPostgreSQL() (string, error) {
	var newest string
	var highest [2]int
	var broken []error
	for _, dir := range serverDirectories() {
		version, err := PostgreSQLVersion(dir)
		if err != nil {
			broken = append(broken, err)
			continue
		}
		if number := major(version); newest == "" || less(highest, number) {
			newest, highest = dir, number
		}
	}
	if newest == "" {
		return "", errors.Join(append(broken, errors.New("no initdb with a postgres beside it in PATH or the usual places"))...)
	}
	return newest, nil
}

// serverDirectories follows links, because initdb finds its share files from
// where it really is, and PATH often holds only links to some of the programs.
func serverDirectories() []string {
	var dirs []string
	for _, dir := range directories() {
		initdb, err := filepath.EvalSymlinks(filepath.Join(dir, "initdb"))
		if err != nil {
			continue
		}
		if bin := filepath.Dir(initdb); executable(initdb) && executable(filepath.Join(bin, "postgres")) {
			dirs = append(dirs, bin)
		}
	}
	return dirs
}

// PostgreSQLVersion is the version text of the server in a bin directory,
// like "15.14 (Debian 15.14-0+deb12u1)".
func PostgreSQLVersion(bin string) (string, error) {
	path := filepath.Join(bin, "postgres")
	out, err := exec.Command(path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", path, err)
	}
	_, version, found := strings.Cut(strings.TrimSpace(string(out)), "(PostgreSQL) ")
	if !found {
		return "", fmt.Errorf("ask %s for its version: unexpected answer %q", path, out)
	}
	return version, nil
}

var leadingNumbers = regexp.MustCompile(`^(\d+)(?:\.(\d+))?`)

func major(version string) [2]int {
	var numbers [2]int
	for i, text := range leadingNumbers.FindStringSubmatch(version) {
		if i > 0 && text != "" {
			numbers[i-1], _ = strconv.Atoi(text)
		}
	}
	return numbers
}

func less(a, b [2]int) bool {
	return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
}
