//go:build !noembedded

package temporalserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/gofrs/flock"
)

const lockName = "lock"

// dirLock holds a directory for one server. The kernel drops it with the process, however the process ends. The file
// stays: removing it would let two processes lock two different files of the same name.
type dirLock struct{ file *flock.Flock }

// held keeps every lock reachable: of a server that its caller has forgotten, the garbage collector would close the file.
var held sync.Map

func lockDir(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating data directory: %w", err)
	}
	path := filepath.Join(dir, lockName)
	file := flock.New(path, flock.SetPermissions(0o600))
	locked, err := file.TryLock()
	if err != nil {
		return nil, fmt.Errorf("locking data directory %s: %w", dir, err)
	}
	if !locked {
		return nil, fmt.Errorf("%w: %s is served by %s; stop it first or choose another directory", ErrInUse, dir, holder(path))
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("noting our process id in %s: %w", path, err), file.Unlock())
	}
	lock := &dirLock{file: file}
	held.Store(lock, true)
	return lock, nil
}

// holder names the process that wrote the lock file. It may not have come to that yet.
func holder(path string) string {
	pid, err := os.ReadFile(path)
	if text := strings.TrimSpace(string(pid)); err == nil && text != "" {
		return "process " + text
	}
	return "another process"
}

func (l *dirLock) release() error {
	held.Delete(l)
	return l.file.Unlock()
}
