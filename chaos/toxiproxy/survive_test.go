package toxiproxy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/backstop"
	"github.com/runbook-engine/runbook/chaos/toxiproxy"
)

// jam makes the heal verbs of a toxiproxy hang: data that floods in, and clients
// that do not read it, some of which leave.
func jam(t testing.TB, listen string) {
	t.Helper()
	for n := range 6 {
		conn, err := net.Dial("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		stalled := make(chan struct{})
		go func() {
			flood(conn)
			if n%2 == 1 {
				conn.Close()
			}
			close(stalled)
		}()
		<-stalled
	}
}

// flood writes until nobody takes it any more.
func flood(conn net.Conn) {
	chunk := make([]byte, 64<<10)
	for range 1000 {
		if err := conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			return
		}
		if _, err := conn.Write(chunk); err != nil {
			return
		}
	}
}

func TestHealingWorksWithStalledClientsAndAFlood(t *testing.T) {
	for _, fault := range []string{"latency", "bandwidth", "black_hole", "down"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			connections, listen := own(t)
			_, catalog := open(t, connections)
			params := map[string]string{"latency": ", latency: 50ms, stream: both", "bandwidth": ", rate: 10, stream: both"}
			b := bind(t, catalog, "toxiproxy."+fault, "{proxy: orders"+params[fault]+"}")
			until := time.Now().Add(time.Minute)
			if err := b.Inject(t.Context(), "gd-1.first", until); err != nil {
				t.Fatal(err)
			}
			if fault != "down" {
				jam(t, listen)
			}
			if err := b.Recover(t.Context(), "gd-1.first"); err != nil {
				t.Fatal(err)
			}
			if err := b.Healed(t.Context(), "gd-1.first"); err != nil {
				t.Error(err)
			}
			if err := suffers(listen); err != nil {
				t.Errorf("healed, and %v", err)
			}
		})
	}
}

// An injection into a proxy that hangs fails, and leaves a proxy that works.
func TestAnInjectionIntoAFloodEndsEitherWay(t *testing.T) {
	t.Parallel()
	connections, listen := own(t)
	_, catalog := open(t, connections)
	jam(t, listen)
	b := bind(t, catalog, "toxiproxy.latency", "{proxy: orders, latency: 2s, stream: both}")
	if err := b.Inject(t.Context(), "gd-1.flood", time.Now().Add(time.Minute)); err != nil {
		t.Log("refused:", err)
	}
	if err := b.Recover(t.Context(), "gd-1.flood"); err != nil {
		t.Fatal(err)
	}
	if err := suffers(listen); err != nil {
		t.Errorf("healed, and %v", err)
	}
}

func TestTheDeadlineHealsAlsoAProxyThatHangs(t *testing.T) {
	t.Parallel()
	connections, listen := own(t)
	_, catalog := open(t, connections)
	b := bind(t, catalog, "toxiproxy.latency", "{proxy: orders, latency: 1m, stream: both}")
	if err := b.Inject(t.Context(), "gd-1.flood", time.Now().Add(3*time.Second)); err != nil {
		t.Fatal(err)
	}
	jam(t, listen)
	eventually(t, "it is healed", func() bool { return b.Healed(t.Context(), "gd-1.flood") == nil })
	if err := suffers(listen); err != nil {
		t.Error(err)
	}
}

func TestAProxyThatIsKilledComesBackClean(t *testing.T) {
	t.Parallel()
	connections, listen := ownNamed(t, "killed")
	_, catalog := open(t, connections)
	b := bind(t, catalog, "toxiproxy.down", "{proxy: killed}")
	if err := b.Inject(t.Context(), "gd-1.down", time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := b.Healed(t.Context(), "gd-1.down"); err == nil || errors.Is(err, chaos.ErrHolderSilent) {
		t.Errorf("while it is there: %v", err)
	}
	for _, pid := range childrenFor(t, os.Getpid(), "killed") {
		kill(t, pid)
		eventually(t, "it is dead", func() bool { return !slices.Contains(childrenFor(t, os.Getpid(), "killed"), pid) })
	}
	eventually(t, "the new one says that nothing is left", func() bool {
		err := b.Healed(t.Context(), "gd-1.down")
		if err != nil && !errors.Is(err, chaos.ErrHolderSilent) {
			t.Errorf("the dead one says that it is there: %v", err)
		}
		return err == nil
	})
	eventually(t, "the data path is well", func() bool { return suffers(listen) == nil })
}

// engineSpec is an engine of its own, in a process that a test can kill.
type engineSpec struct{ Connections, Fault, Params string }

func engineProcess(life backstop.Life) error {
	var spec engineSpec
	if err := json.Unmarshal(life.Spec, &spec); err != nil {
		return err
	}
	conns, err := openConnections(spec.Connections)
	if err != nil {
		return err
	}
	f, _ := chaos.NewCatalog(toxiproxy.Injector(conns)).Get(spec.Fault)
	b, problems := f.Bind([]byte(spec.Params))
	if err := problems.Err(); err != nil {
		return err
	}
	if err := b.Inject(context.Background(), "gd-1.killed", time.Now().Add(time.Hour)); err != nil {
		return err
	}
	if err := life.Ready(); err != nil {
		return err
	}
	select {}
}

// Nothing of an engine that was killed is left: not its proxy, and not its fault
// on another's server.
func TestKillingTheEngineLeavesNothing(t *testing.T) {
	t.Parallel()
	spec := func(connections, name string) engineSpec {
		return engineSpec{connections, "toxiproxy.latency", "{proxy: " + name + ", latency: 5s}"}
	}
	t.Run("own", func(t *testing.T) {
		connections, listen := ownNamed(t, "orphan")
		engine, err := backstop.Start(t.Context(), "engine", "test", spec(connections, "orphan"))
		if err != nil {
			t.Fatal(err)
		}
		if suffers(listen) == nil {
			t.Error("there is no fault")
		}
		children := childrenFor(t, engine.PID(), "orphan")
		if len(children) != 1 {
			t.Fatalf("the engine has the children %v", children)
		}
		engine.Kill()
		eventually(t, "the child is gone", func() bool { return exec.Command("ps", "-p", fmt.Sprint(children[0])).Run() != nil })
		if _, err := net.Dial("tcp", listen); err == nil {
			t.Error("somebody still listens")
		}
	})
	t.Run("server", func(t *testing.T) {
		connections, listen := server(t)
		engine, err := backstop.Start(t.Context(), "engine", "test", spec(connections, "orders"))
		if err != nil {
			t.Fatal(err)
		}
		if suffers(listen) == nil {
			t.Error("there is no fault")
		}
		engine.Kill()
		eventually(t, "the data path is well", func() bool { return suffers(listen) == nil })
	})
}

// A fault on another's server ends with its guard: without one it would last.
func TestAFaultOnAServerEndsWithItsGuard(t *testing.T) {
	t.Parallel()
	connections, listen := server(t)
	_, catalog := open(t, connections)
	b := bind(t, catalog, "toxiproxy.latency", "{proxy: orders, latency: 5s}")
	if err := b.Inject(t.Context(), "gd-guard.x", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	guards := childrenFor(t, os.Getpid(), "orders/gd-guard.x")
	if len(guards) != 1 {
		t.Fatalf("guards %v", guards)
	}
	kill(t, guards[0])
	eventually(t, "the data path is well", func() bool { return suffers(listen) == nil })
	// Nor does a call that is repeated bring it back, with nobody to end it.
	err := b.Inject(t.Context(), "gd-guard.x", time.Now().Add(time.Hour))
	if actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(err.Error(), "guard") {
		t.Errorf("injected again: %v", err)
	}
	if err := suffers(listen); err != nil {
		t.Errorf("without a guard: %v", err)
	}
}

func TestOneInjectionAtATime(t *testing.T) {
	t.Parallel()
	connections, _ := own(t)
	_, catalog := open(t, connections)
	b := bind(t, catalog, "toxiproxy.latency", "{proxy: orders, latency: 2s}")
	until := time.Now().Add(time.Minute)
	if err := b.Inject(t.Context(), "gd-1.a", until); err != nil {
		t.Fatal(err)
	}
	err := bind(t, catalog, "toxiproxy.down", "{proxy: orders}").Inject(t.Context(), "gd-1.b", until)
	if err == nil || !strings.Contains(err.Error(), "gd-1.a is on it until") {
		t.Errorf("injected twice: %v", err)
	}
	if err := b.Healed(t.Context(), "gd-1.a"); err == nil {
		t.Error("the refused injection healed the first one")
	}
}

func TestWhatIsNotOursIsLeftAlone(t *testing.T) {
	t.Parallel()
	connections, _ := server(t)
	_, catalog := open(t, connections)
	url := strings.Split(connections, `"`)[1]
	post(t, url+"/proxies/pool/toxics", `{"name": "theirs", "type": "latency", "attributes": {"latency": 1}}`)
	b := bind(t, catalog, "toxiproxy.latency", "{proxy: orders, latency: 2s}")
	err := b.Inject(t.Context(), "gd-1.a", time.Now().Add(time.Minute))
	if actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(err.Error(), "theirs") {
		t.Errorf("injected beside another's: %v", err)
	}
	if _, err := catalog.Sweep(t.Context(), time.Now(), true); err != nil {
		t.Error(err)
	}
	if got := get(t, url+"/proxies/pool/toxics"); !strings.Contains(got, "theirs") {
		t.Errorf("the sweep took another's toxic away: %s", got)
	}
	post(t, url+"/proxies/pool", `{"enabled": false}`)
	deleteAt(t, url+"/proxies/pool/toxics/theirs")
	err = b.Inject(t.Context(), "gd-1.b", time.Now().Add(time.Minute))
	if actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(err.Error(), "disabled") {
		t.Errorf("injected into a proxy that somebody disabled: %v", err)
	}
}

func TestParametersAndConnectionsAreStrict(t *testing.T) {
	_, catalog := open(t, "{}")
	f, _ := catalog.Get("toxiproxy.latency")
	for _, wrong := range []string{
		"{proxy: a}", "{proxy: a, latency: 0s}", "{proxy: a, latency: 2m}", "{proxy: a, latencyy: 200ms, latency: 1s}",
		"{proxy: a, latency: 1s, toxicity: 5}", "{proxy: a, latency: 1s, toxicity: 0}", "{proxy: a, latency: 1s, stream: sideways}",
		"{proxy: a, latency: 200}",
	} {
		if _, problems := f.Bind([]byte(wrong)); len(problems) == 0 {
			t.Errorf("%s is accepted", wrong)
		}
	}
	b := bind(t, catalog, "toxiproxy.latency", "{proxy: a, latency: 1s, jitter: 2s}")
	if _, err := b.Targets(t.Context()); actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(err.Error(), "jitter") {
		t.Errorf("more jitter than latency: %v", err)
	}
	for config, says := range map[string]string{
		"{}": `upstream ""`,
		`{listen: "127.0.0.1:0", upstream: "a:1"}`:     "listen",
		`{listen: "127.0.0.1:1", upstream: "nobody"}`:  "upstream",
		`{url: "http://a:1"}`:                          "needs proxy",
		`{url: "http://a:1", proxy: a, listen: "b:1"}`: "excludes",
		`{listen: "a:1", upstream: "a:1", proxy: a}`:   "needs its url",
	} {
		_, err := openConnections("a: {toxiproxy: " + config + "}")
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", config, err)
		}
	}
}

func TestAnAddressThatIsTakenIsAnError(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, err = openConnections(fmt.Sprintf("a: {toxiproxy: {listen: %q, upstream: \"127.0.0.1:1\"}}", listener.Addr()))
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("opened: %v", err)
	}
}
