package artefact

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"sync"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

// Limits bound a store. All must be above 0.
type Limits struct {
	MaxSize  int64         // bytes of one artefact
	MaxTotal int64         // bytes of all: the oldest go first; of a directory only
	MaxAge   time.Duration // of an artefact; of a directory only
}

// Directory is a store in a directory.
type Directory struct {
	path   string
	root   *os.Root
	limits Limits
	log    *slog.Logger

	sweeping sync.Mutex
}

const (
	// marker says that a directory is ours, so that what a mistaken config names
	// is never swept.
	marker   = ".runbook-artefacts"
	incoming = ".incoming" // what is not whole yet
)

// OpenDirectory makes the directory, or takes up the one that it made earlier;
// any other that has something in it is an error. What goes wrong with the
// removal of old artefacts is logged: it fails no capture.
func OpenDirectory(dir string, limits Limits, log *slog.Logger) (*Directory, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the store of artefacts: %w", err)
	}
	if err := claim(dir); err != nil {
		return nil, fmt.Errorf("open the store of artefacts %s: %w", dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open the store of artefacts: %w", err)
	}
	d := &Directory{path: dir, root: root, limits: limits, log: log}
	d.sweep("")
	return d, nil
}

func claim(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	_, err = os.Stat(filepath.Join(dir, marker))
	if err != nil && len(there) > 0 {
		return fmt.Errorf("it is no store (it has no %s), and not empty; old artefacts are removed from a store, so name a directory of its own", marker)
	}
	if err := os.MkdirAll(filepath.Join(dir, incoming), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, marker), []byte("Captures of the runbook engine. Old ones are removed.\n"), 0o600)
}

// Close gives the directory back.
func (d *Directory) Close() error { return d.root.Close() }

// Put implements actions.Artefacts.
func (d *Directory) Put(ctx context.Context, name string, content io.Reader) (actions.Artefact, error) {
	kept, there, err := d.Find(ctx, name)
	if err != nil || there {
		return kept, err
	}
	if kept, err = d.put(ctx, name, content); err != nil {
		return kept, fmt.Errorf("keep the artefact %s in %s: %w", name, d.path, err)
	}
	d.sweep(name)
	return kept, nil
}

func (d *Directory) put(ctx context.Context, name string, content io.Reader) (kept actions.Artefact, err error) {
	at, err := place(name)
	if err != nil {
		return kept, err
	}
	part := path.Join(incoming, rand.Text())
	defer func() { err = errors.Join(err, d.discard(part)) }()
	in := newIntake(ctx, content, d.limits.MaxSize)
	if err := d.write(part, in); err != nil {
		return kept, err
	}
	switch err := d.publish(part, at); {
	case errors.Is(err, fs.ErrExist): // somebody else was first
		kept, _, err = d.find(ctx, at)
		return kept, err
	case err != nil:
		return kept, err
	}
	return in.artefact(d.url(at)), nil
}

func (d *Directory) write(part string, content io.Reader) error {
	file, err := d.root.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// publish gives what is whole its name, which nobody else has: a link, unlike a
// rename, replaces nothing.
func (d *Directory) publish(part, at string) error {
	folder := path.Dir(at)
	if err := d.root.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if err := d.root.Link(part, at); err != nil {
		return err
	}
	opened, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}

func (d *Directory) discard(part string) error {
	if err := d.root.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Find implements actions.Artefacts.
func (d *Directory) Find(ctx context.Context, name string) (actions.Artefact, bool, error) {
	at, err := place(name)
	if err != nil {
		return actions.Artefact{}, false, err
	}
	kept, there, err := d.find(ctx, at)
	if err != nil {
		err = fmt.Errorf("look for the artefact %s in %s: %w", name, d.path, err)
	}
	return kept, there, err
}

func (d *Directory) find(ctx context.Context, at string) (actions.Artefact, bool, error) {
	file, err := d.root.Open(at)
	if errors.Is(err, fs.ErrNotExist) {
		return actions.Artefact{}, false, nil
	}
	if err != nil {
		return actions.Artefact{}, false, err
	}
	defer file.Close()
	in := newIntake(ctx, file, 1<<62)
	if _, err := io.Copy(io.Discard, in); err != nil {
		return actions.Artefact{}, false, err
	}
	return in.artefact(d.url(at)), true, nil
}

// Open implements actions.Artefacts.
func (d *Directory) Open(_ context.Context, name string) (io.ReadCloser, error) {
	at, err := place(name)
	if err != nil {
		return nil, err
	}
	file, err := d.root.Open(at)
	if err != nil {
		return nil, fmt.Errorf("read the artefact %s of %s: %w", name, d.path, err)
	}
	return file, nil
}

func (d *Directory) url(at string) string {
	full := url.URL{Scheme: "file", Path: filepath.ToSlash(filepath.Join(d.path, filepath.FromSlash(at)))}
	return full.String()
}
