package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/runbook-engine/runbook/internal/lab/built"
	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/lab/programs"
)

// The output of initdb is made once per version of PostgreSQL and user, and
// copied: that takes a tenth of the time. A template is a directory with these
// two.
const (
	templateData     = "data"
	templatePassword = "password"
)

// newCluster fills the empty directory data with a database cluster and
// returns the password of its superuser postgres.
func newCluster(ctx context.Context, bin string, as *child.Account, data string) (password string, err error) {
	template, err := clusterTemplate(ctx, bin, as)
	if err != nil {
		return "", err
	}
	secret, err := os.ReadFile(filepath.Join(template, templatePassword))
	if err != nil {
		return "", err
	}
	if err := os.CopyFS(data, os.DirFS(filepath.Join(template, templateData))); err != nil {
		return "", err
	}
	return string(secret), as.Own(data)
}

// clusterTemplate returns the template for this version, made now if need be.
func clusterTemplate(ctx context.Context, bin string, as *child.Account) (string, error) {
	version, err := programs.PostgreSQLVersion(bin)
	if err != nil {
		return "", err
	}
	return built.Once(ctx, "postgresql-"+fileName(version), func(ctx context.Context, dir string) error {
		return initdb(ctx, bin, as, dir)
	})
}

// initdb makes a template in dir. initdb itself works in a directory that its
// user can reach, which the cache need not be.
func initdb(ctx context.Context, bin string, as *child.Account, dir string) (err error) {
	work, err := as.PrivateDir(os.TempDir(), "runbook-lab-initdb-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	password := filepath.Join(work, templatePassword)
	if err := os.WriteFile(password, []byte(rand.Text()), 0o600); err != nil {
		return err
	}
	if err := as.Own(password); err != nil {
		return err
	}
	if err := runInitdb(ctx, bin, as, work, password); err != nil {
		return err
	}
	return os.CopyFS(dir, os.DirFS(work))
}

func runInitdb(ctx context.Context, bin string, as *child.Account, work, password string) error {
	log := filepath.Join(work, "initdb.log")
	err := child.RunToEnd(ctx, child.Program{
		Name: "initdb", Path: filepath.Join(bin, "initdb"), User: as, Dir: work, Log: log, Orphan: syscall.SIGTERM,
		Args: []string{"--pgdata=" + filepath.Join(work, templateData), "--username=postgres", "--pwfile=" + password,
			"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"},
	})
	if err != nil {
		return err
	}
	return os.Remove(log)
}

var unfit = regexp.MustCompile(`[^A-Za-z0-9.]+`)

func fileName(text string) string { return unfit.ReplaceAllString(text, "-") }
