package e2e

import (
	"bytes"
	"net"
	"regexp"
	"testing"

	"github.com/runbook-engine/runbook/internal/lab/tcp"
)

// newPooler stands before PostgreSQL as a pooler does that keeps the session of a
// client that has died, and takes away the limit after which the server would end
// it: what a fault holds there, nothing ends by itself.
func newPooler(t testing.TB, to string) (address string) {
	t.Helper()
	return tcp.Serve(t, func(client net.Conn) {
		session, err := net.Dial("tcp", to)
		if err != nil {
			client.Close()
			return
		}
		go unlimited(client, session)
		pipe(session, client)
	})
}

var sessionLimit = regexp.MustCompile(`idle_in_transaction_session_timeout = \d+`)

// unlimited passes on what a client says, as long as it lives. A session whose
// client has said goodbye, the server ends.
func unlimited(client, session net.Conn) {
	said := make([]byte, 1<<16)
	for {
		n, err := client.Read(said)
		if err != nil {
			return
		}
		if _, err := session.Write(sessionLimit.ReplaceAllFunc(said[:n], noLimit)); err != nil {
			client.Close()
			return
		}
	}
}

// noLimit is as long as what it replaces: the message around it says how long it is.
func noLimit(setting []byte) []byte {
	name, limit, _ := bytes.Cut(setting, []byte("= "))
	return append(append(bytes.Clone(name), "= "...), bytes.Repeat([]byte("0"), len(limit))...)
}
