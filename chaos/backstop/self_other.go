//go:build !unix

package backstop

import (
	"errors"
	"os"
	"os/exec"
)

func itself() (string, error) { return os.Executable() }

func apart(*exec.Cmd) {}

// Anew needs a Unix.
func (Life) Anew() error { return errors.New("a process can not replace itself on this system") }
