//go:build unix && !linux

package child

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
)

// startChild starts cmd in a process group of its own, so that a Ctrl-C in our
// terminal does not reach it before we decide. No signal tells a child here
// that its parent died: a shell waits for the end of a pipe that only we hold,
// and then sends the orphan signal. The function returned ends that shell; it
// is called once cmd has ended.
func startChild(cmd *exec.Cmd, as *Account, orphan syscall.Signal) (unwatch func(), err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as.credential()}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	unwatch, err = watch(cmd.Process.Pid, orphan)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch over %s: %w", cmd.Path, err), cmd.Process.Kill(), cmd.Wait())
	}
	return unwatch, nil
}

func watch(pid int, orphan syscall.Signal) (unwatch func(), err error) {
	shell := exec.Command("/bin/sh", "-c", fmt.Sprintf("cat >/dev/null; kill -%d %d", orphan, pid))
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	held, err := shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := shell.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL)
		_ = shell.Wait()
		_ = held.Close()
	}, nil
}
