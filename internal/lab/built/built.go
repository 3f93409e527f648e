// Package built makes what takes long to make once, and keeps it in the user's
// cache directory.
package built

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Once returns a directory of the user's cache; fill makes what is in it when it
// is not there yet. Of several that make it at once, one wins, and all get the
// same.
func Once(ctx context.Context, name string, fill func(ctx context.Context, dir string) error) (dir string, err error) {
	home, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the user's cache directory: %w", err)
	}
	home = filepath.Join(home, "runbook", "lab")
	dir = filepath.Join(home, name)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(home, ".new-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := fill(ctx, work); err != nil {
		return "", err
	}
	if err := os.Rename(work, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return dir, nil
}

// Go runs the go command in a directory ("" is ours) and returns what it prints.
func Go(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", args[0], err, bytes.TrimSpace(failure.Bytes()))
	}
	return out, nil
}
