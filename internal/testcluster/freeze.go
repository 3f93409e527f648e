//go:build unix

package testcluster

import (
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Freeze stops the whole cluster without ending it, as a machine that hangs: its
// connections stay open, and nothing answers. It thaws when the test ends.
func (c *Cluster) Freeze(t testing.TB) {
	t.Helper()
	c.signal(t, syscall.SIGSTOP)
	t.Cleanup(func() { c.Thaw(t) })
	Eventually(t, "frozen cluster", c.stopped)
}

// stopped fails while the signal has not stopped the cluster: it is sent before
// it is heeded.
func (c *Cluster) stopped() error {
	state, err := exec.Command("ps", "-o", "state=", "-p", strconv.Itoa(c.server.PID())).Output()
	if err == nil && !strings.HasPrefix(string(state), "T") {
		err = fmt.Errorf("it is in state %s", state)
	}
	return err
}

// Thaw lets a frozen cluster go on.
func (c *Cluster) Thaw(t testing.TB) {
	t.Helper()
	c.signal(t, syscall.SIGCONT)
}

func (c *Cluster) signal(t testing.TB, signal syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(c.server.PID(), signal); err != nil {
		t.Fatalf("send %s to the cluster: %v", signal, err)
	}
}
