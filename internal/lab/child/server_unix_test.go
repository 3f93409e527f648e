//go:build unix

package child

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// Who asks for any port is given one that even who does not set SO_REUSEADDR
// could have.
func TestAFreeAddressIsGivenToNobodyElse(t *testing.T) {
	address, err := FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	other := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) { failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 0) })
		return errors.Join(err, failed)
	}}
	if taken, err := other.Listen(t.Context(), "tcp", address); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%s is for anybody: %v, %v", address, taken, err)
	}
	mine, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	mine.Close()
}
