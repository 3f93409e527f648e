package artefact

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// torn is the age at which something that is not whole yet never will be: no
// capture takes that long.
const torn = 24 * time.Hour

type found struct {
	at   string
	size int64
	made time.Time
}

// sweep removes what is too old, and of the rest the oldest while they take too
// much room; never the artefact of the name, which was just kept.
func (d *Directory) sweep(name string) {
	d.sweeping.Lock()
	defer d.sweeping.Unlock()
	all, err := d.list()
	if err == nil {
		err = d.remove(d.surplus(all, name))
	}
	if err != nil {
		d.log.Error("old artefacts can not be removed; the store may grow beyond its limits", "dir", d.path, "error", err)
	}
}

// list is all artefacts and what is left of torn ones, the newest first.
func (d *Directory) list() (all []found, err error) {
	err = fs.WalkDir(d.root.FS(), ".", func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || at == marker {
			return ignoreGone(err)
		}
		info, err := entry.Info()
		if err == nil {
			all = append(all, found{at, info.Size(), info.ModTime()})
		}
		return ignoreGone(err)
	})
	slices.SortFunc(all, func(a, b found) int { return cmp.Or(b.made.Compare(a.made), strings.Compare(a.at, b.at)) })
	return all, err
}

func (d *Directory) surplus(newestFirst []found, name string) (gone []found) {
	just, _ := place(name)
	total := int64(0)
	for _, f := range newestFirst {
		age := time.Since(f.made)
		if strings.HasPrefix(f.at, incoming+"/") {
			if age > torn {
				gone = append(gone, f)
			}
			continue
		}
		total += f.size
		if f.at != just && (age > d.limits.MaxAge || total > d.limits.MaxTotal) {
			gone = append(gone, f)
		}
	}
	return gone
}

func (d *Directory) remove(gone []found) error {
	var failed []error
	for _, f := range gone {
		if err := d.root.Remove(f.at); ignoreGone(err) != nil {
			failed = append(failed, err)
		}
		d.removeEmpty(path.Dir(f.at))
	}
	return errors.Join(failed...)
}

// removeEmpty removes folders from the inside out; one that is not empty stays,
// and so do those around it.
func (d *Directory) removeEmpty(folder string) {
	for folder != "." && folder != incoming && d.root.Remove(folder) == nil {
		folder = path.Dir(folder)
	}
}

// ignoreGone: several engines may sweep one directory.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
