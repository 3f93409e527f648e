//go:build unix

package lab

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
)

// Signal sends a signal to a process and then to those that it started, which
// those of PostgreSQL need: each is a group of its own. One that was stopped
// before its children were listed has started no others.
func Signal(pid int, signal syscall.Signal) error {
	failed := []error{send(pid, signal)}
	started, err := children(pid)
	for _, pid := range started {
		failed = append(failed, send(pid, signal))
	}
	return errors.Join(append(failed, err)...)
}

func send(pid int, signal syscall.Signal) error {
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to process %d: %w", signal, pid, err)
	}
	return nil
}

// children are the processes that a process has started.
func children(of int) (pids []int, err error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=", "-o", "ppid=").Output()
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var child, parent int
		if _, err := fmt.Sscan(strings.TrimSpace(lines.Text()), &child, &parent); err == nil && parent == of {
			pids = append(pids, child)
		}
	}
	return pids, nil
}
