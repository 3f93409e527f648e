//go:build unix

package testcluster

import (
	"syscall"
	"testing"
)

// Freeze stops the whole cluster without ending it, as a machine that hangs: its
// connections stay open, and nothing answers. It thaws when the test ends.
func (c *Cluster) Freeze(t testing.TB) {
	t.Helper()
	c.signal(t, syscall.SIGSTOP)
	t.Cleanup(func() { c.Thaw(t) })
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
