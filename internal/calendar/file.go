package calendar

import (
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// maxSize is how large a file may be, in bytes.
const maxSize = 4 << 20

// File is a calendar that is read again whenever its file changes. It is safe
// for concurrent use.
type File struct {
	path string
	zone *time.Location

	mu       sync.Mutex
	seen     fs.FileInfo
	calendar *Calendar
	err      error
}

// NewFile is the calendar in a file, whose times without a zone are in the given
// one; nil is as in Parse. Nothing is read yet.
func NewFile(path string, zone *time.Location) *File { return &File{path: path, zone: zone} }

// Path is where the file is.
func (f *File) Path() string { return f.path }

// Read is the calendar as it is in the file now. When it can not be read there
// is none: what the file said before may no longer be true.
func (f *File) Read() (*Calendar, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	if f.seen == nil || !unchanged(f.seen, info) {
		f.calendar, f.err = f.parse(info)
		f.seen = info
	}
	return f.calendar, f.err
}

// unchanged also sees that one file took the place of another, as when a link is
// turned round.
func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

func (f *File) parse(info fs.FileInfo) (*Calendar, error) {
	if info.Size() > maxSize {
		return nil, fmt.Errorf("read the calendar %s: it is larger than %d bytes", f.path, maxSize)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, fmt.Errorf("read the calendar: %w", err)
	}
	defer file.Close()
	c, err := Parse(file, f.zone)
	if err != nil {
		return nil, fmt.Errorf("read the calendar %s: %w", f.path, err)
	}
	return c, nil
}
