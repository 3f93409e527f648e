package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/internal/lab"
)

// wire is a connection to Temporal that can be cut.
type wire struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	isCut bool
	open  []net.Conn
}

func newWire(t testing.TB, to string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	w := &wire{listener: listener, to: to}
	go w.serve()
	return w
}

func (w *wire) serve() {
	for {
		from, err := w.listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", w.to)
		if err != nil || !w.keep(from, to) {
			from.Close()
			continue
		}
		go pipe(from, to)
		go pipe(to, from)
	}
}

func pipe(from, to net.Conn) {
	_, _ = io.Copy(to, from)
	from.Close()
	to.Close()
}

func (w *wire) keep(connections ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.isCut {
		w.open = append(w.open, connections...)
	}
	return !w.isCut
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	for _, c := range w.open {
		c.Close()
	}
	w.open = nil
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = false
}

// startCluster starts a Temporal server in a process of its own, and gives the
// config of an engine that uses it over the wire.
func startCluster(t testing.TB) (*wire, string) {
	t.Helper()
	dir := t.TempDir()
	spawn(t, filepath.Join(dir, "log"), beCluster, dir)
	var address []byte
	eventually(t, time.Minute, "the cluster to start", func() (err error) {
		address, err = os.ReadFile(filepath.Join(dir, "address"))
		return err
	})
	w := newWire(t, string(address))
	return w, fmt.Sprintf("temporal:\n  address: %s\n  namespace: remediation\n  tls: {ca_file: %s, cert_file: %[2]s, key_file: %s}\n",
		w.listener.Addr(), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
}

// While Temporal can not be reached the engine says so, and Alertmanager sends
// again what was not taken.
func TestAnOutageOfTheCluster(t *testing.T) {
	t.Parallel()
	w, temporal := startCluster(t)
	a := startAlertmanager(t, lab.AlertmanagerOptions{})
	h := newHost(t, temporal+connect(a)+"webhook: {wait: 1s}\n", silencer).start()
	p := newTap(t, h.webhook())
	sender := startAlertmanager(t, lab.AlertmanagerOptions{Webhook: lab.Webhook{URL: p.URL}, GroupBy: []string{"..."}})
	raise(t, sender, time.Now(), mark(1))
	fixed(t, h, time.Minute, 1)

	w.cut()
	raise(t, sender, time.Now(), mark(2), mark(3))
	eventually(t, time.Minute, "deliveries to be answered with 503", func() error {
		if got := p.statuses(); got[503] < 2 {
			return fmt.Errorf("%v", got)
		}
		return nil
	})
	eventually(t, time.Minute, "the engine not to be ready", func() error {
		if h.ready() == nil {
			return fmt.Errorf("it is")
		}
		return nil
	})
	w.mend()
	eventually(t, time.Minute, "the engine to be ready again", h.ready)
	fixed(t, h, time.Minute, 3)
	marks(t, a, 3)
	t.Logf("deliveries by status: %v", p.statuses())
}
