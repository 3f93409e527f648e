package halt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/gofrs/flock"
)

// FileName is the name of the file in an engine's data directory.
const FileName = "halt.json"

// file is where a record survives everything that happens to the engine. Several
// processes may use it.
type file struct {
	path string
	seen os.FileInfo // what was last read
}

func newFile(dir string) *file { return &file{path: filepath.Join(dir, FileName)} }

// read is the record in the file, which is empty while there is none.
func (f *file) read() (r Record, err error) {
	text, err := os.ReadFile(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, nil
	}
	if err != nil {
		return r, fmt.Errorf("read the kill switch: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return Record{}, fmt.Errorf("read the kill switch %s: %w", f.path, err)
	}
	return r, nil
}

// changed reports that the file is not the one that was last read.
func (f *file) changed() bool {
	now, err := os.Stat(f.path)
	was := f.seen
	f.seen = now
	if err != nil || was == nil {
		return !errors.Is(err, fs.ErrNotExist) || was != nil
	}
	return !os.SameFile(was, now) || !was.ModTime().Equal(now.ModTime()) || was.Size() != now.Size()
}

const lockWithin = 2 * time.Second

// update replaces the record by what change makes of it, and keeps other
// processes out meanwhile. It is on the disk when update returns. A file that
// can not be read is passed to change as an error.
func (f *file) update(change func(Record, error) (Record, error)) (r Record, err error) {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return r, fmt.Errorf("write the kill switch: %w", err)
	}
	lock := flock.New(f.path+".lock", flock.SetPermissions(0o600))
	for deadline := time.Now().Add(lockWithin); ; time.Sleep(5 * time.Millisecond) {
		locked, err := lock.TryLock()
		if err != nil {
			return r, fmt.Errorf("write the kill switch: lock it: %w", err)
		}
		if locked {
			break
		}
		if time.Now().After(deadline) {
			return r, fmt.Errorf("write the kill switch: another process holds %s.lock", f.path)
		}
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if r, err = change(f.read()); err != nil {
		return r, err
	}
	return r, f.write(r)
}

func (f *file) write(r Record) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("write the kill switch: %w", err)
	}
	if err := replace(f.path, append(text, '\n')); err != nil {
		return fmt.Errorf("write the kill switch: %w", err)
	}
	return nil
}

// replace puts a file in place of another as a whole, and returns when it would
// survive a loss of power.
func replace(path string, text []byte) (err error) {
	dir := filepath.Dir(path)
	fresh, err := os.CreateTemp(dir, FileName+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(fresh.Name()))
		}
	}()
	_, err = fresh.Write(text)
	if err == nil {
		err = fresh.Sync()
	}
	if err = errors.Join(err, fresh.Close()); err != nil {
		return err
	}
	if err = os.Rename(fresh.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the renaming durable. Windows has no such call, and needs none.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
