package admission_test

import (
	"crypto/tls"
	"net"
	"sync"
	"testing"
)

// proxy is the network between some workers and Temporal. It speaks TLS to the
// server and none to the workers, so that another process can have one.
type proxy struct {
	listener net.Listener
	up, down gate
}

func newProxy(t testing.TB) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l}
	p.up.changed.L, p.down.changed.L = &p.up.mu, &p.down.mu
	t.Cleanup(func() {
		l.Close()
		p.heal()
	})
	options := server.ClientOptions()
	config := options.ConnectionOptions.TLS.Clone()
	config.NextProtos = []string{"h2"}
	go p.serve(func() (net.Conn, error) { return tls.Dial("tcp", options.HostPort, config) })
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) serve(dial func() (net.Conn, error)) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			server, err := dial()
			if err != nil {
				client.Close()
				return
			}
			go p.up.carry(server, client)
			p.down.carry(client, server)
		}()
	}
}

// cut lets nothing through that way: what is sent arrives after heal, as after
// a partition.
func (p *proxy) cut(up, down bool) {
	p.up.set(up)
	p.down.set(down)
}

func (p *proxy) heal() { p.cut(false, false) }

type gate struct {
	mu      sync.Mutex
	changed sync.Cond
	closed  bool
}

func (g *gate) set(closed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = closed
	g.changed.Broadcast()
}

func (g *gate) pass() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.closed {
		g.changed.Wait()
	}
}

func (g *gate) carry(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		g.pass()
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}
