// Package programs finds the servers that the lab runs, wherever a
// distribution, Homebrew or the user's PATH put them, and names the package
// to install when one is missing. It depends on the standard library only, so
// that the installer can ask it before anything else is built.
package programs

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
)

// Program is a server of the lab or of a test.
type Program struct {
	// Name is what people call it.
	Name string
	// Apt and Brew are the packages that bring it.
	Apt, Brew string

	find func() (string, error)
}

// The programs of the lab.
var (
	PostgreSQL   = Program{Name: "PostgreSQL", Apt: "postgresql", Brew: "postgresql@17", find: newestPostgreSQL}
	Prometheus   = Program{Name: "Prometheus", Apt: "prometheus", Brew: "prometheus", find: first("prometheus")}
	Alertmanager = Program{Name: "Alertmanager", Apt: "prometheus-alertmanager", Brew: "alertmanager",
		find: first("prometheus-alertmanager", "alertmanager")}
	Promtool = Program{Name: "promtool", Apt: "prometheus", Brew: "prometheus", find: first("promtool")}
	Amtool   = Program{Name: "amtool", Apt: "prometheus-alertmanager", Brew: "alertmanager", find: first("amtool")}
)

// What tests of actions run besides.
var (
	Redis   = Program{Name: "Redis", Apt: "redis-server", Brew: "redis", find: first("redis-server")}
	MariaDB = Program{Name: "MariaDB", Apt: "mariadb-server", Brew: "mariadb", find: first("mariadbd")}
	// MariaDBInstall makes the data directory of a MariaDB.
	MariaDBInstall = Program{Name: "mariadb-install-db", Apt: "mariadb-server", Brew: "mariadb", find: first("mariadb-install-db")}
	HAProxy        = Program{Name: "HAProxy", Apt: "haproxy", Brew: "haproxy", find: first("haproxy")}
	Patroni        = Program{Name: "Patroni", Apt: "patroni", Brew: "patroni", find: first("patroni")}
	Etcd           = Program{Name: "etcd", Apt: "etcd-server", Brew: "etcd", find: first("etcd")}
	PgBouncer      = Program{Name: "PgBouncer", Apt: "pgbouncer", Brew: "pgbouncer", find: first("pgbouncer")}
	Chromium       = Program{Name: "Chromium", Apt: "chromium", Brew: "chromium", find: first("chromium", "chromium-browser", "google-chrome")}
	SSHD           = Program{Name: "sshd", Apt: "openssh-server", Brew: "openssh", find: first("sshd")}
)

// All lists what a lab needs.
func All() []Program { return []Program{PostgreSQL, Prometheus, Alertmanager} }

// ForTests lists what the tests need besides what a lab needs.
func ForTests() []Program {
	return []Program{Redis, MariaDB, HAProxy, Patroni, Etcd, PgBouncer, Chromium, SSHD}
}

// Find returns the path of the program; of PostgreSQL, the directory that
// holds initdb and postgres, of the newest version. The error says which
// package to install.
func (p Program) Find() (string, error) {
	path, err := p.find()
	if err != nil {
		return "", fmt.Errorf("find %s: %w; install it with %q, or all that the lab needs with \"make deps\"",
			p.Name, err, p.Install())
	}
	return path, nil
}

// Install is the command that installs the program on this system.
func (p Program) Install() string {
	if runtime.GOOS == "darwin" {
		return "brew install " + p.Brew
	}
	return "apt-get install " + p.Apt
}

// homes are the directories outside PATH in which packages put programs.
var homes = []string{
	"/usr/lib/postgresql/*/bin",                      // Debian, Ubuntu
	"/usr/pgsql-*/bin",                               // packages of the PostgreSQL project for Red Hat
	"/usr/libexec/postgresql*",                       // Alpine
	"/opt/homebrew/bin",                              // Homebrew on Apple silicon
	"/opt/homebrew/opt/postgresql*/bin",              // (PostgreSQL is not linked into bin)
	"/usr/local/bin",                                 // Homebrew on Intel
	"/usr/sbin",                                      // servers, on Linux
	"/usr/local/opt/postgresql*/bin",                 //
	"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin", //
	"/home/linuxbrew/.linuxbrew/bin",                 //
}

// directories lists where to look: PATH first, so that the user can decide.
func directories() []string {
	dirs := filepath.SplitList(os.Getenv("PATH"))
	for _, pattern := range homes {
		found, err := filepath.Glob(pattern)
		if err != nil {
			panic(fmt.Sprintf("programs: bad pattern %q: %v", pattern, err))
		}
		dirs = append(dirs, found...)
	}
	return slices.DeleteFunc(dirs, func(dir string) bool { return !filepath.IsAbs(dir) })
}

// first finds the first of names that exists, in the order of directories.
func first(names ...string) func() (string, error) {
	return func() (string, error) {
		for _, dir := range directories() {
			for _, name := range names {
				if path := filepath.Join(dir, name); executable(path) {
					return path, nil
				}
			}
		}
		return "", fmt.Errorf("no executable %q in PATH or the usual places", names)
	}
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}
