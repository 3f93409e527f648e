//go:build unix

package backstop

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// itself is the program that runs now, also when its file was replaced.
func itself() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// apart keeps a Ctrl-C at the engine's terminal from its children.
func apart(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// Anew replaces this process by a new one that does the same: everything else
// that it holds, each connection and each listener, is gone at that moment. It
// returns only when that fails.
func (l Life) Anew() error {
	self, err := itself()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, append(os.Environ(), again+"="+string(l.Spec)))
}
