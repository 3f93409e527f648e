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

// Signal sends a signal to a process and to those that it started, which those
// of PostgreSQL need: each is a group of its own.
func Signal(pid int, signal syscall.Signal) error {
	pids, err := family(pid)
	if err != nil {
		return err
	}
	var failed []error
	for _, pid := range pids {
		if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
			failed = append(failed, fmt.Errorf("send %s to process %d: %w", signal, pid, err))
		}
	}
	return errors.Join(failed...)
}

// family is a process and its children.
func family(pid int) ([]int, error) {
	out, err := exec.Command("ps", "-A", "-o", "pid=", "-o", "ppid=").Output()
	if err != nil {
		return nil, fmt.Errorf("list the processes: %w", err)
	}
	pids := []int{pid}
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		var child, parent int
		if _, err := fmt.Sscan(strings.TrimSpace(lines.Text()), &child, &parent); err == nil && parent == pid {
			pids = append(pids, child)
		}
	}
	return pids, nil
}
