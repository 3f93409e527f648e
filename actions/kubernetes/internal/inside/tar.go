package inside

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/runbook-engine/runbook/actions"
)

// only is the content of the one regular file that a tar archive holds. What a
// container says is not trusted: anything else in the archive is an error. The
// archive says how long the file is, so one that is cut short is known.
func only(archive io.Reader, name string) io.Reader {
	return &member{archive: archive, tar: tar.NewReader(archive), name: name}
}

type member struct {
	archive io.Reader
	tar     *tar.Reader
	name    string
	begun   bool
}

// Read implements io.Reader.
func (m *member) Read(p []byte) (int, error) {
	if !m.begun {
		if err := m.begin(); err != nil {
			return 0, err
		}
		m.begun = true
	}
	n, err := m.tar.Read(p)
	if errors.Is(err, io.EOF) {
		err = m.end()
	}
	return n, err
}

func (m *member) begin() error {
	header, err := m.tar.Next()
	switch {
	case errors.Is(err, io.EOF):
		return m.drain(errors.New("tar gave nothing"))
	case err != nil:
		return m.drain(fmt.Errorf("read what tar gave: %w", err))
	case header.Typeflag != tar.TypeReg:
		return actions.Permanent(fmt.Errorf("%s is no regular file", m.name))
	case path.Clean(header.Name) != m.name:
		return actions.Permanent(fmt.Errorf("tar gave %q instead of %s", header.Name, m.name))
	}
	return nil
}

// end is io.EOF when there is nothing more, and the command has succeeded.
func (m *member) end() error {
	switch header, err := m.tar.Next(); {
	case err == nil:
		return actions.Permanent(fmt.Errorf("tar also gave %q", header.Name))
	case !errors.Is(err, io.EOF):
		return m.drain(fmt.Errorf("read what tar gave: %w", err))
	}
	return m.drain(io.EOF)
}

// drain reads what is left of the archive, where the command may say that it
// failed: that is why, then.
func (m *member) drain(why error) error {
	if _, err := io.Copy(io.Discard, m.archive); err != nil {
		return err
	}
	return why
}
