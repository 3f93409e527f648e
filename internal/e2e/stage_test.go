package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	toxi "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/runbook-engine/runbook/internal/lab"
)

// runEcho sends back what it gets, and says in its folder who and where it is.
func runEcho(dir string) error {
	ctx := untilAsked()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go serveEcho(listener)
	if err := replace(filepath.Join(dir, "pid"), fmt.Append(nil, os.Getpid())); err != nil {
		return err
	}
	if err := replace(filepath.Join(dir, "address"), []byte(listener.Addr().String())); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

func serveEcho(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() { defer conn.Close(); _, _ = io.Copy(conn, conn) }()
	}
}

// errHangs is the answer of a way that takes connections and carries nothing.
var errHangs = errors.New("no answer in time")

// ask sends a line over a way and wants it back.
func ask(address string, within time.Duration) error {
	conn, err := net.DialTimeout("tcp", address, within)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(conn, "hello"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	var slow net.Error
	switch {
	case errors.As(err, &slow) && slow.Timeout():
		return errHangs
	case err == nil && answer != "hello\n":
		return fmt.Errorf("it said %q", answer)
	}
	return err
}

// shop is the service under test: a checkout asks a backend over one of several
// ways, or over a standby that no fault meets. Who watches it stands in for
// Prometheus, whose rounds would take too long for hundreds of drills: it raises
// the alert in a real Alertmanager.
type shop struct {
	*httptest.Server
	standby string
	alerts  *lab.Alertmanager

	mu       sync.Mutex
	way      string // the address over which it asks
	serial   string // a label of the alert, new for each drill
	patience int    // so many bad looks in a row raise it
	idle     bool   // the remedy does nothing
	switched []time.Time
	raised   time.Time

	events chan string // what hooks told, and that the alert was raised or the remedy came
}

const (
	checkoutWithin = 400 * time.Millisecond
	watchEvery     = 150 * time.Millisecond
)

func newShop(t testing.TB, alerts *lab.Alertmanager) *shop {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go serveEcho(listener)
	s := &shop{standby: listener.Addr().String(), way: listener.Addr().String(), alerts: alerts, events: make(chan string, 100)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkout", s.checkout)
	mux.HandleFunc("PUT /standby/{serial}", s.fallBack)
	mux.HandleFunc("POST /", s.hook)
	s.Server = httptest.NewServer(mux)
	stop := make(chan struct{})
	go s.watch(stop)
	t.Cleanup(func() {
		close(stop)
		s.Close()
		listener.Close()
	})
	return s
}

func (s *shop) current() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.way
}

func (s *shop) checkout(w http.ResponseWriter, _ *http.Request) {
	if err := ask(s.current(), checkoutWithin); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	}
}

// fallBack is the remedy. That of a drill before comes too late.
func (s *shop) fallBack(_ http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if r.PathValue("serial") != s.serial {
		s.mu.Unlock()
		return
	}
	if !s.idle {
		s.switched = append(s.switched, time.Now())
		s.way = s.standby
	}
	s.mu.Unlock()
	s.tell("remedy")
}

func (s *shop) hook(_ http.ResponseWriter, r *http.Request) {
	var said struct{ Event string }
	if json.NewDecoder(r.Body).Decode(&said) == nil {
		s.tell(said.Event)
	}
}

func (s *shop) tell(event string) {
	select {
	case s.events <- event:
	default:
	}
}

// use begins anew over a way. The alert is raised so long after the first bad
// look.
func (s *shop) use(way, serial string, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = false
	s.way, s.serial, s.switched, s.raised = way, serial, nil, time.Time{}
	s.patience = 2 + int(after/(watchEvery+checkoutWithin))
	for len(s.events) > 0 {
		<-s.events
	}
}

func (s *shop) remedies() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.switched)
}

func (s *shop) watch(stop <-chan struct{}) {
	bad := 0
	for {
		select {
		case <-stop:
			return
		case <-time.After(watchEvery):
		}
		if ask(s.current(), checkoutWithin) != nil {
			bad++
		} else {
			bad = 0
		}
		s.alarm(bad)
	}
}

// alarm raises the alert when checkouts fail again and again, and ends it when
// they work.
func (s *shop) alarm(bad int) {
	s.mu.Lock()
	serial, raised, patience := s.serial, s.raised, s.patience
	s.mu.Unlock()
	set := map[string]string{"alertname": "ShopDown", "serial": serial}
	now := time.Now()
	switch {
	case serial == "":
	case bad >= patience && raised.IsZero():
		if raiseAt(s.alerts, now, time.Time{}, set) == nil {
			s.keep(serial, now)
			s.tell("raised")
		}
	case bad == 0 && !raised.IsZero():
		if raiseAt(s.alerts, raised, now, set) == nil {
			s.keep(serial, time.Time{})
		}
	}
}

func (s *shop) keep(serial string, raised time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.serial == serial {
		s.raised = raised
	}
}

// stage is a small lab for many drills: the shop, its backend in a process of its
// own, and two toxiproxies in front of that: one of the engine's own, and one on
// a server that nobody restarts.
type stage struct {
	*host
	shop   *shop
	alerts *lab.Alertmanager

	backend string // address
	own     string // of the way through the engine's own proxy
	foreign string // of the way through the proxy on the server
	server  *httptest.Server

	ways map[string]string // addresses
	mesh *mesh             // where there is a cluster
	wire *wire             // to a Temporal in another process
}

const stageConfig = `connections:
  own: {toxiproxy: {listen: "%s", upstream: "%s"}}
  foreign: {toxiproxy: {url: %s, proxy: foreign}}
  backend: {process: {pid_file: %s, state_dir: %s}}
  shop: {http: {url: %s}}
  alerts: {alertmanager: {url: %s}}
`

const stageBook = `
runbook: fall-back
summary: Checkouts go over the standby.
triggers: [{alert: ShopDown}]
params: {serial: {type: string, from: alert.labels.serial}}
autonomy: auto
steps:
  - id: switch
    do: http.request
    with: {connection: shop, method: PUT, url: '/standby/${params.serial}', timeout: 5s}
verify:
  do: http.get
  with: {connection: shop, url: /checkout, timeout: 1s}
  until: status == 200
  every: 200ms
  within: 10s
`

// newStage sets it up, with more connections and more of a config. The engine
// is not started yet.
func newStage(t testing.TB, connections, more string) *stage {
	t.Helper()
	s := &stage{}
	dir := t.TempDir()
	spawn(t, filepath.Join(dir, "log"), beEcho, dir)
	eventually(t, time.Minute, "the backend", func() error {
		text, err := os.ReadFile(filepath.Join(dir, "address"))
		s.backend = string(text)
		return err
	})
	s.serveForeign(t)
	s.alerts = startAlertmanager(t, lab.AlertmanagerOptions{})
	s.shop = newShop(t, s.alerts)
	var err error
	if s.own, err = lab.FreeAddress(); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(stageConfig, s.own, s.backend, s.server.URL, filepath.Join(dir, "pid"), filepath.Join(dir, "notes"), s.shop.URL, s.alerts.URL)
	s.host = newHost(t, config+connections+"webhook: {wait: 2s}\n"+more, stageBook)
	s.ways = map[string]string{ownWay: s.own, foreignWay: s.foreign, backendWay: s.backend}
	s.offer(stageFaults...)
	if err := s.alerts.Reconfigure(t.Context(), lab.AlertmanagerOptions{Webhook: lab.Webhook{URL: s.webhook()}, GroupBy: []string{"..."}}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) serveForeign(t testing.TB) {
	t.Helper()
	server := toxi.NewServer(toxi.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	proxy := toxi.NewProxy(server, "foreign", "127.0.0.1:0", s.backend)
	if err := server.Collection.Add(proxy, true); err != nil {
		t.Fatal(err)
	}
	s.foreign = proxy.Listen
	s.server = httptest.NewServer(server.Routes())
	t.Cleanup(func() {
		s.server.Close()
		_ = server.Collection.Clear()
	})
}

// backstops are the processes that the engine has started for a mode of the
// backstop.
func (s *stage) backstops(modes ...string) (pids []int) {
	s.t.Helper()
	out, err := exec.Command("ps", "-eo", "pid=,ppid=,args=").Output()
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 5 || f[1] != strconv.Itoa(s.process.cmd.Process.Pid) || f[3] != "fault-backstop" || !slices.Contains(modes, f[4]) {
			continue
		}
		pid, err := strconv.Atoi(f[0])
		if err != nil {
			s.t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func signalAll(pids []int, with syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, with) // it may have ended
	}
}
