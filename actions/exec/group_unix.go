//go:build unix

package exec

import (
	"os/exec"
	"syscall"
)

// endWithGroup puts the command into a process group of its own and has all of
// it asked to end when the context does.
func endWithGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

// killGroup ends what did not obey. Nothing may be left: that is no error.
func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
