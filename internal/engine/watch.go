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

// watch reloads the documents when their files change, until ctx ends.
func (d *documents) watch(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch the runbooks: %w", err)
	}
	defer watcher.Close()
	if err := d.follow(watcher); err != nil {
		return err
	}
	timer := time.NewTimer(quiet)
	timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event := <-watcher.Events:
			if event.Op != fsnotify.Chmod {
				timer.Reset(quiet)
			}
		case err := <-watcher.Errors:
			d.log.Error("watching the runbooks", "error", err)
			timer.Reset(quiet) // events may be lost
		case <-timer.C:
			_ = d.reload("a file changed") // it is in the log and the metrics
			if err := d.follow(watcher); err != nil {
				d.log.Error("watching the runbooks", "error", err)
			}
		}
	}
}

// follow watches every folder that documents come from; of a file the folder it
// is in, since files are replaced rather than written. Folders that are watched
// already stay so.
func (d *documents) follow(watcher *fsnotify.Watcher) error {
	var failed []error
	for _, path := range d.paths {
		folders, err := foldersOf(path)
		failed = append(failed, err)
		for _, folder := range folders {
			failed = append(failed, watcher.Add(folder))
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
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			return nil
		case path != root && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		}
		folders = append(folders, path)
		return nil
	})
	return folders, err
}
