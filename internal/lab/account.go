package lab

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// account is a user of the system.
type account struct{ uid, gid int }

// databaseAccount is the user that PostgreSQL runs as: nil, ourselves, unless
// we are root, whom it refuses.
func databaseAccount() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	found, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("find a user to run PostgreSQL as, which refuses root: %w; the package postgresql brings it, or run as another user", err)
	}
	uid, err := strconv.Atoi(found.Uid)
	if err != nil {
		return nil, fmt.Errorf("read the user id of postgres: %w", err)
	}
	gid, err := strconv.Atoi(found.Gid)
	if err != nil {
		return nil, fmt.Errorf("read the group id of postgres: %w", err)
	}
	return &account{uid, gid}, nil
}

// privateDir makes a new directory for the account: below parent when the
// account can reach it there, else in the system's temporary directory.
func (a *account) privateDir(parent, pattern string) (string, error) {
	for _, parent := range []string{parent, os.TempDir(), "/tmp"} {
		if a != nil && !openToAll(parent) {
			continue
		}
		dir, err := os.MkdirTemp(parent, pattern)
		if err != nil {
			return "", err
		}
		return dir, a.own(dir)
	}
	return "", fmt.Errorf("no directory for the user postgres: neither %s nor %s nor /tmp lets other users through", parent, os.TempDir())
}

// own gives a directory and all below it to the account.
func (a *account) own(dir string) error {
	if a == nil {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, a.uid, a.gid)
	})
}

// openToAll reports whether any user can pass through a directory and all
// above it.
func openToAll(dir string) bool {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return false
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return false
	}
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		if above := filepath.Dir(dir); above != dir {
			dir = above
			continue
		}
		return true
	}
}
