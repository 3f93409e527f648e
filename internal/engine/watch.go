package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// quiet is how long nothing must change before the documents are read again: a
// mounted ConfigMap, a git checkout and an editor all change files in several
// steps.
const quiet = 300 * time.Millisecond

// openWatched reads the documents, watching them from before that, so that no
// change is missed. The documents can be reloaded by hand where they can not be
// watched.
func (d *documents) openWatched() error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		d.log.Error("changes of the runbooks will not be noticed", "error", err)
		return d.load()
	}
	d.watcher = watcher
	unfollowed := d.follow()
	if err := d.load(); err != nil {
		return err
	}
	if unfollowed != nil {
		d.log.Error("changes of the runbooks may not be noticed", "error", unfollowed)
	}
	if len(d.Set().Names()) == 0 {
		d.log.Warn("there are no runbooks: alerts will start nothing", "paths", d.paths)
	}
	return nil
}

// close ends the watching.
func (d *documents) close() error {
	if d == nil || d.watcher == nil {
		return nil
	}
	return d.watcher.Close()
}

// watch reloads the documents when their files change, until ctx ends.
func (d *documents) watch(ctx context.Context) {
	if d.watcher == nil {
		return
	}
	timer := time.NewTimer(quiet)
	timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-d.watcher.Events:
			if !open {
				return
			}
			if event.Op != fsnotify.Chmod {
				timer.Reset(quiet)
			}
		case err := <-d.watcher.Errors:
			d.log.Error("watching the runbooks", "error", err)
			timer.Reset(quiet) // events may be lost
		case <-timer.C:
			d.changed()
		}
	}
}

// changed follows new folders before it reads, so that it misses nothing.
func (d *documents) changed() {
	if err := d.follow(); err != nil {
		d.log.Error("changes of the runbooks may not be noticed", "error", err)
	}
	if d.unchanged() {
		return // a log that is written beside them would else be written for ever
	}
	_ = d.reload("a file changed") // it is in the log and the metrics
}

// follow watches every folder that documents come from; of a file the folder it
// is in, since files are replaced rather than written. Folders that are watched
// already stay so.
func (d *documents) follow() error {
	var failed []error
	for _, path := range d.paths {
		folders, err := foldersOf(path)
		failed = append(failed, err)
		for _, folder := range folders {
			failed = append(failed, d.watcher.Add(folder))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("watch the runbooks: %w", err)
	}
	return nil
}

func foldersOf(root string) (folders []string, err error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{filepath.Dir(root)}, nil
	}
	if link, err := os.Lstat(root); err == nil && link.Mode()&fs.ModeSymlink != 0 {
		// A checkout is replaced by turning the link round.
		folders = append(folders, filepath.Dir(root))
	}
	top := root + string(filepath.Separator) // follows the link
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case path != top && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		}
		folders = append(folders, path)
		return nil
	})
	return folders, err
}
