// Package proxy runs what stands between clients and servers: links that can be
// cut, and the proxies HAProxy and PgBouncer.
package proxy

import (
	"context"
	"net"
	"sync"
)

// Link is a way of the network to one server, which can be cut: then nothing
// passes any more in either direction, and neither side is told. Nothing is lost
// either, as TCP loses nothing; what was held up passes once the link is whole
// again. (A proxy that drops bytes out of a living stream shows what no network
// does.)
type Link struct {
	listener net.Listener
	target   string
	ended    context.Context
	end      context.CancelFunc

	mu    sync.Mutex
	whole chan struct{} // closed while the link is whole
}

// NewLink makes a way to an address (host:port).
func NewLink(target string) (*Link, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &Link{listener: listener, target: target, whole: make(chan struct{})}
	close(l.whole)
	l.ended, l.end = context.WithCancel(context.Background())
	go l.accept()
	return l, nil
}

// Address is where the link begins.
func (l *Link) Address() string { return l.listener.Addr().String() }

// Cut lets nothing pass any more.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.whole:
		l.whole = make(chan struct{})
	default:
	}
}

// Mend makes the link whole again.
func (l *Link) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.whole:
	default:
		close(l.whole)
	}
}

// Close ends the link and all that goes through it.
func (l *Link) Close() error {
	l.end()
	return l.listener.Close()
}

// passes waits until the link is whole, and reports false when it has ended.
func (l *Link) passes() bool {
	l.mu.Lock()
	whole := l.whole
	l.mu.Unlock()
	select {
	case <-whole:
		return l.ended.Err() == nil
	case <-l.ended.Done():
		return false
	}
}

func (l *Link) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		go l.connect(near)
	}
}

func (l *Link) connect(near net.Conn) {
	defer near.Close()
	if !l.passes() {
		return
	}
	far, err := (&net.Dialer{}).DialContext(l.ended, "tcp", l.target)
	if err != nil {
		return
	}
	defer far.Close()
	stop := context.AfterFunc(l.ended, func() { near.Close(); far.Close() })
	defer stop()
	over := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		go func() {
			l.pump(way[0], way[1])
			over <- struct{}{}
		}()
	}
	<-over
}

// pump also holds up the news that one side has ended.
func (l *Link) pump(from, to net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if !l.passes() {
			return
		}
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			return
		}
	}
}
