// Package tcp serves connections within a test.
package tcp

import (
	"net"
	"testing"
)

// Serve has each connection to an address of the loopback answered, one beside
// the other, until the test ends. Who answers closes the connection.
func Serve(t testing.TB, answer func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return listener.Addr().String()
}
