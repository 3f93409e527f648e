package child

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
)

// Account is a user of the system. A nil *Account is the user that we are.
type Account struct{ uid, gid int }

// AccountNamed finds a user by name.
func AccountNamed(name string) (*Account, error) {
	found, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("find the user %s: %w", name, err)
	}
	uid, err := strconv.Atoi(found.Uid)
	if err != nil {
		return nil, fmt.Errorf("read the user id of %s: %w", name, err)
	}
	gid, err := strconv.Atoi(found.Gid)
	if err != nil {
		return nil, fmt.Errorf("read the group id of %s: %w", name, err)
	}
	return &Account{uid, gid}, nil
}

// Unprivileged is the account for a server that refuses to run as root: ourselves,
// unless we are root.
func Unprivileged(name string) (*Account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := AccountNamed(name)
	if err != nil {
		return nil, fmt.Errorf("%w: the server refuses to run as root; its package brings that user", err)
	}
	return account, nil
}

// PrivateDir makes a new directory for the account: below parent when the
// account can reach it there, else in the system's temporary directory.
func (a *Account) PrivateDir(parent, pattern string) (string, error) {
	for _, parent := range []string{parent, os.TempDir(), "/tmp"} {
		if a != nil && !openToAll(parent) {
			continue
		}
		dir, err := os.MkdirTemp(parent, pattern)
		if err != nil {
			return "", err
		}
		return dir, a.Own(dir)
	}
	return "", fmt.Errorf("neither %s nor %s nor /tmp lets other users through", parent, os.TempDir())
}

// Own gives a directory and all below it to the account.
func (a *Account) Own(dir string) error {
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
		above := filepath.Dir(dir)
		if above == dir {
			return true
		}
		dir = above
	}
}
