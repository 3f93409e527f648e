//go:build linux

package process_test

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// killChildren kills the children of this package with a label.
func killChildren(t *testing.T, label string) {
	t.Helper()
	out, err := exec.Command("ps", "-eo", "pid=,args=").Output()
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for _, line := range strings.Split(string(out), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 5 || fields[2] != "fault-backstop" || fields[3] != "process" || fields[4] != label {
			continue
		}
		pid, err := strconv.Atoi(fields[0])
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err != nil {
			t.Fatal(err)
		}
		killed++
	}
	if killed != 1 {
		t.Fatalf("%d children have the label %s", killed, label)
	}
}
