//go:build linux

package process_test

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// childrenOf are the process ids of an engine's children that have a label.
func childrenOf(t *testing.T, engine int, label string) (pids []int) {
	t.Helper()
	out, err := exec.Command("ps", "-eo", "pid=,ppid=,args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(out), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 6 || fields[1] != strconv.Itoa(engine) || fields[3] != "fault-backstop" || fields[5] != label {
			continue
		}
		pid, err := strconv.Atoi(fields[0])
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func children(t *testing.T, engine int, label string) int { return len(childrenOf(t, engine, label)) }

// killChildren kills the one child of an engine that has a label.
func killChildren(t *testing.T, engine int, label string) {
	t.Helper()
	pids := childrenOf(t, engine, label)
	if len(pids) != 1 {
		t.Fatalf("%d children have the label %s", len(pids), label)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
