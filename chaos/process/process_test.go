//go:build linux

package process_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/backstop"
	"github.com/runbook-engine/runbook/chaos/conformance"
	"github.com/runbook-engine/runbook/chaos/process"
	"github.com/runbook-engine/runbook/internal/document"
)

func TestMain(m *testing.M) {
	code, ours := backstop.Main(os.Args[1:], append(process.Modes(),
		backstop.Mode{Name: "echo", Run: echo}, backstop.Mode{Name: "engine", Run: engineProcess})...)
	if !ours {
		code = m.Run()
	}
	os.Exit(code)
}

// echoSpec is a server that sends back what it gets: it writes its own id and
// that of the process that answers, which may be one that it starts.
type echoSpec struct {
	PIDFile, AddressFile string
	Below                bool
}

func echo(life backstop.Life) error {
	var spec echoSpec
	if err := json.Unmarshal(life.Spec, &spec); err != nil {
		return err
	}
	if spec.PIDFile != "" {
		if err := os.WriteFile(spec.PIDFile, fmt.Appendln(nil, os.Getpid()), 0o600); err != nil {
			return err
		}
	}
	if spec.Below {
		if _, err := backstop.Start(context.Background(), "echo", "below", echoSpec{AddressFile: spec.AddressFile}); err != nil {
			return err
		}
	} else if err := answer(spec.AddressFile); err != nil {
		return err
	}
	if err := life.Ready(); err != nil {
		return err
	}
	<-life.Orphaned
	return nil
}

func answer(addressFile string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { defer conn.Close(); _, _ = io.Copy(conn, conn) }()
		}
	}()
	return os.WriteFile(addressFile, []byte(listener.Addr().String()), 0o600)
}

// service is an echo server in a process of its own, and its config.
type service struct {
	spec  echoSpec
	state string

	mu    sync.Mutex
	child *backstop.Child
	kept  bool // it is started again when it ends
	begun int
	first int
}

func newService(t testing.TB, below bool) *service {
	t.Helper()
	dir := t.TempDir()
	s := &service{spec: echoSpec{filepath.Join(dir, "pid"), filepath.Join(dir, "address"), below}, state: filepath.Join(dir, "state")}
	t.Cleanup(s.end)
	return s
}

func (s *service) start(t testing.TB) {
	t.Helper()
	s.end()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	s.kept, s.begun, s.first = true, 1, s.child.PID()
	go s.keep(s.child)
}

func (s *service) begin() (err error) {
	s.child, err = backstop.Start(context.Background(), "echo", s.spec.PIDFile, s.spec)
	return err
}

// keep starts the service again when it was killed, as an init does.
func (s *service) keep(child *backstop.Child) {
	for {
		<-child.Done()
		s.mu.Lock()
		if !s.kept || s.child != child {
			s.mu.Unlock()
			return
		}
		err := s.begin()
		s.begun++
		child = s.child
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *service) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = false
	if s.child != nil {
		s.child.Kill()
	}
}

func (s *service) config() string {
	return fmt.Sprintf("api: {process: {pid_file: %q, state_dir: %q}}", s.spec.PIDFile, s.state)
}

func (s *service) pid(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile(s.spec.PIDFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// suffers is what a user sees who wants an answer.
func (s *service) suffers() error {
	address, err := os.ReadFile(s.spec.AddressFile)
	if err != nil {
		return err
	}
	conn, err := net.DialTimeout("tcp", string(address), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("ping")); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 4))
	return err
}

func TestStopConforms(t *testing.T) {
	s := newService(t, true)
	conformance.Run(t, conformance.Case{
		Injector: process.Injector, Fault: "process.stop", Connections: s.config(), Params: "{process: api}",
		Arrange: func(t *testing.T) { s.start(t) },
		Suffers: func(*testing.T) error { return s.suffers() },
	})
}

func TestPauseConforms(t *testing.T) {
	s := newService(t, true)
	conformance.Run(t, conformance.Case{
		Injector: process.Injector, Fault: "process.pause", Connections: s.config(), Params: "{process: api, length: 1s, between: 20ms}",
		Arrange: func(t *testing.T) { s.start(t) },
		Suffers: func(*testing.T) error { return s.suffers() },
	})
}

func TestKillConforms(t *testing.T) {
	s := newService(t, false)
	conformance.Run(t, conformance.Case{
		Injector: process.Injector, Fault: "process.kill", Connections: s.config(), Params: "{process: api}",
		Arrange: func(t *testing.T) { s.start(t) },
		State: func(*testing.T) string {
			s.mu.Lock()
			defer s.mu.Unlock()
			return fmt.Sprint("started ", s.begun, " times")
		},
		Suffers: func(t *testing.T) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.begun > 1 {
				return errors.New("it was killed")
			}
			return nil
		},
	})
}

func open(config string) (*actions.Connections, *chaos.Catalog, error) {
	nodes, problems := document.Parse("connections.yaml", []byte(config))
	if err := problems.Err(); err != nil {
		return nil, nil, err
	}
	conns, problems := actions.NewConnections([]*actions.ConnectionKind{process.Injector(nil).Connection}, nodes[0])
	if err := problems.Err(); err != nil {
		return nil, nil, err
	}
	return conns, chaos.NewCatalog(process.Injector(conns)), conns.Open(context.Background())
}

func engine(t testing.TB, config string) *chaos.Catalog {
	t.Helper()
	conns, catalog, err := open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conns.Close)
	return catalog
}

func bind(catalog *chaos.Catalog, fault, params string) (chaos.Bound, error) {
	f, _ := catalog.Get(fault)
	b, problems := f.Bind([]byte(params))
	return b, problems.Err()
}

func mustBind(t testing.TB, catalog *chaos.Catalog, fault, params string) chaos.Bound {
	t.Helper()
	b, err := bind(catalog, fault, params)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after a minute: %s", what)
		}
	}
}

// engineSpec is an engine of its own, in a process that a test can kill.
type engineSpec struct{ Connections, Child string }

func engineProcess(life backstop.Life) error {
	var spec engineSpec
	if err := json.Unmarshal(life.Spec, &spec); err != nil {
		return err
	}
	_, catalog, err := open(spec.Connections)
	if err != nil {
		return err
	}
	b, err := bind(catalog, "process.stop", "{process: api}")
	if err != nil {
		return err
	}
	if err := b.Inject(context.Background(), "gd-1.stop", time.Now().Add(time.Hour)); err != nil {
		return err
	}
	if err := life.Ready(); err != nil {
		return err
	}
	select {}
}

func TestAnEngineThatIsKilledLeavesNothingStopped(t *testing.T) {
	s := newService(t, true)
	s.start(t)
	engine, err := backstop.Start(t.Context(), "engine", "test", engineSpec{Connections: s.config()})
	if err != nil {
		t.Fatal(err)
	}
	if s.suffers() == nil {
		t.Error("there is no fault")
	}
	engine.Kill()
	eventually(t, "the service answers", func() bool { return s.suffers() == nil })
}

// The child that holds the processes is lost: its engine lets them go.
func TestWithoutABackstopThereIsNoFault(t *testing.T) {
	s := newService(t, true)
	s.start(t)
	b := mustBind(t, engine(t, s.config()), "process.stop", "{process: api}")
	if err := b.Inject(t.Context(), "gd-lost.stop", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	killChildren(t, os.Getpid(), "api/gd-lost.stop")
	eventually(t, "the service answers", func() bool { return s.suffers() == nil })
	eventually(t, "it is healed", func() bool { return b.Healed(t.Context(), "gd-lost.stop") == nil })
}

// Engine and child are killed at once: the note tells the next engine.
func TestTheNextEngineFindsWhatEngineAndBackstopLeft(t *testing.T) {
	s := newService(t, true)
	s.start(t)
	child, err := backstop.Start(t.Context(), "engine", "test", engineSpec{Connections: s.config()})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(child.PID(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	killChildren(t, child.PID(), "api/gd-1.stop")
	child.Kill()
	if s.suffers() == nil {
		t.Error("there is no fault")
	}
	next := engine(t, s.config())
	swept, err := next.Sweep(t.Context(), time.Now().Add(2*time.Hour), false)
	if err != nil || len(swept) != 1 || swept[0].ID != "gd-1.stop" {
		t.Errorf("swept %v: %v", swept, err)
	}
	eventually(t, "the service answers", func() bool { return s.suffers() == nil })
}

// A pause that another engine has healed does not go on.
func TestAPauseThatAnotherEngineHealsIsOver(t *testing.T) {
	s := newService(t, false)
	s.start(t)
	b := mustBind(t, engine(t, s.config()), "process.pause", "{process: api, length: 50ms, between: 10ms}")
	if err := b.Inject(t.Context(), "gd-1.pause", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	next := engine(t, s.config())
	if swept, err := next.Sweep(t.Context(), time.Now(), true); len(swept) != 1 {
		t.Errorf("swept %v: %v", swept, err)
	}
	eventually(t, "the child has ended", func() bool { return children(t, os.Getpid(), "api/gd-1.pause") == 0 })
	if left, err := next.Active(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("left %v: %v", left, err)
	}
	eventually(t, "the service answers", func() bool { return s.suffers() == nil })
	again := mustBind(t, next, "process.stop", "{process: api}")
	if err := again.Inject(t.Context(), "gd-1.pause", time.Now().Add(time.Hour)); err == nil || !strings.Contains(err.Error(), "healed already") {
		t.Errorf("injected again: %v", err)
	}
}

func TestTheProcessMustBeTheOneThatIsMeant(t *testing.T) {
	s := newService(t, false)
	s.start(t)
	catalog := func(config string) *chaos.Catalog {
		return engine(t, "api: {process: "+config+", state_dir: "+s.state+"}}")
	}
	targets := func(config string) (string, error) {
		selected, err := mustBind(t, catalog(config), "process.stop", "{process: api}").Targets(t.Context())
		return strings.Join(selected.IDs(), " "), err
	}
	pid := s.pid(t)
	command := "{command: [/proc/self/exe, fault-backstop, echo, " + s.spec.PIDFile + "]"
	for config, want := range map[string]string{
		fmt.Sprintf("{pid_file: %q", s.spec.PIDFile): fmt.Sprintf("process/api/%d@", pid),
		command: fmt.Sprintf("process/api/%d@", pid),
		"{command: [/proc/self/exe, fault-backstop, nothing]": "",
		fmt.Sprintf("{pid_file: %q", s.spec.PIDFile+".not"):   "",
		fmt.Sprintf("{pid_file: %q", pidFile(t, "4194999")):   "",
	} {
		got, err := targets(config)
		if err != nil || !strings.HasPrefix(got, want) || (want == "") != (got == "") {
			t.Errorf("%s means %q, want %q: %v", config, got, want, err)
		}
	}
	for config, says := range map[string]string{
		fmt.Sprintf("{pid_file: %q", pidFile(t, "1")):                       "the system",
		fmt.Sprintf("{pid_file: %q", pidFile(t, strconv.Itoa(os.Getpid()))): "is the engine",
		fmt.Sprintf("{pid_file: %q", pidFile(t, "many")):                    "holds no process id",
	} {
		if got, err := targets(config); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s means %q: %v", config, got, err)
		}
	}
	other := newService(t, false)
	other.start(t)
	if got, err := targets("{command: [/proc/self/exe, fault-backstop, echo]"); err == nil || !strings.Contains(err.Error(), "several processes") {
		t.Errorf("two services are %q: %v", got, err)
	}
}

func pidFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConnectionsAreStrict(t *testing.T) {
	loose := filepath.Join(t.TempDir(), "loose")
	if err := errors.Join(os.Mkdir(loose, 0o700), os.Chmod(loose, 0o777)); err != nil {
		t.Fatal(err)
	}
	for config, says := range map[string]string{
		"{}":                     "exactly one",
		"{pid_file: a, unit: b}": "exactly one",
		"{command: []}":          "list of words",
		"{command: [1]}":         "must be a string",
		"{unit: '--x y'}":        "unit",
		"{pid_file: a, state_dir: " + loose + "}": "only we can write to",
	} {
		if _, _, err := open("api: {process: " + config + "}"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

func TestOneInjectionHoldsAProcess(t *testing.T) {
	s := newService(t, false)
	s.start(t)
	catalog := engine(t, s.config())
	until := time.Now().Add(time.Minute)
	first := mustBind(t, catalog, "process.stop", "{process: api}")
	if err := first.Inject(t.Context(), "gd-1.a", until); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = first.Recover(context.Background(), "gd-1.a") })
	for _, fault := range []string{"process.pause", "process.kill"} {
		params := map[string]string{"process.pause": "{process: api, length: 1s, between: 1s}", "process.kill": "{process: api}"}[fault]
		err := mustBind(t, catalog, fault, params).Inject(t.Context(), "gd-1.b", until)
		if err == nil || !strings.Contains(err.Error(), "gd-1.a holds it") {
			t.Errorf("%s: %v", fault, err)
		}
	}
}
