package mysql_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/mysql"
)

// shop is a primary, a, with its replicas: b and, where wanted, c.
func shop(t testing.TB, replicas ...string) map[string]*instance {
	t.Helper()
	servers := map[string]*instance{"a": start(t)}
	for _, name := range replicas {
		servers[name] = start(t)
		servers[name].copies(t, servers["a"])
	}
	for range 5 {
		if err := servers["a"].writable(t); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range replicas {
		eventually(t, name+" has all of a", func() bool { return servers[name].orders(t) == servers["a"].orders(t) })
	}
	return servers
}

func (s *instance) orders(t testing.TB) string {
	return s.ask(t, "SELECT concat(count(*), ' of ', coalesce(max(id), 0)) FROM shop.orders")
}

func kill9(t testing.TB, s *instance) {
	t.Helper()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
}

// quickly are parameters for a test: half a second makes a primary dead.
func quickly(replicas, more string) string {
	return fmt.Sprintf("{primary: a, replicas: [%s], fenced: true, heartbeat: 500ms, misses: 1, within: 20s%s}", replicas, more)
}

func missed(t testing.TB, servers map[string]*instance, names ...string) {
	t.Helper()
	for _, name := range names {
		eventually(t, name+" misses its primary", func() bool {
			got, err := run(t, open(t, map[string]*instance{"b": servers[name]}), "mysql.replication", "{database: b}")
			return err == nil && got["copies"] == false
		})
	}
}

func writers(t testing.TB, servers map[string]*instance) string {
	var all []string
	for _, name := range []string{"a", "b", "c"} {
		if s := servers[name]; s != nil && s.writable(t) == nil {
			all = append(all, name)
		}
	}
	return strings.Join(all, " ")
}

func TestFailoverConforms(t *testing.T) {
	t.Parallel()
	servers := shop(t, "b")
	kill9(t, servers["a"])
	missed(t, servers, "b")
	file := secretFile(t, password)
	before := servers["b"].ask(t, "SELECT @@read_only")
	if before != "1" {
		t.Fatal("b takes writes")
	}
	conformance.Run(t, conformance.Case{
		System: mysql.System, Action: "mysql.failover", Params: quickly("b", ""), Measured: []string{"gtid"},
		Connections: func(address string) string {
			return connection("a", servers["a"].address, file) + "\n" + connection("b", address, file)
		},
		Address: servers["b"].address, Secrets: []string{password, copier},
		Arrange: func(t *testing.T) { // each time it begins as a replica
			servers["b"].exec(t, "STOP SLAVE", "DELETE FROM runbook.proof", "SET GLOBAL gtid_slave_pos = @@gtid_binlog_pos")
			servers["b"].copies(t, servers["a"])
		},
		State: func(t *testing.T) string {
			return servers["b"].ask(t, "SELECT concat(@@read_only, ' ', count(*)) FROM runbook.proof")
		},
	})
}

func TestADeadPrimaryIsReplacedByTheReplicaThatHasMost(t *testing.T) {
	t.Parallel()
	servers := shop(t, "b", "c")
	servers["b"].exec(t, "STOP SLAVE IO_THREAD")
	if err := servers["a"].writable(t); err != nil { // b lacks this one
		t.Fatal(err)
	}
	want := servers["a"].orders(t)
	eventually(t, "c has it", func() bool { return servers["c"].orders(t) == want })
	kill9(t, servers["a"])
	missed(t, servers, "c")
	catalog := open(t, servers)
	got, err := run(t, catalog, "mysql.failover", quickly("b, c", ""))
	if err != nil || got["primary"] != "c" || fmt.Sprint(got["follow"]) != "[b]" || got["old"] != "away" {
		t.Fatalf("it gives %v, %v", got, err)
	}
	if has := servers["c"].orders(t); has != want {
		t.Errorf("the new primary has %s, and the old one had acknowledged %s", has, want)
	}
	if got := writers(t, servers); got != "c" {
		t.Errorf("writes are taken by %q", got)
	}
	eventually(t, "b has all of c", func() bool { return servers["b"].orders(t) == servers["c"].orders(t) })

	// The old one comes back as it was: run again, nothing changes but that.
	if err := servers["a"].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := run(t, catalog, "mysql.failover", quickly("b, c", ""))
	if err != nil || again["primary"] != "c" || again["old"] != "read_only" {
		t.Errorf("again it gives %v, %v", again, err)
	}
	if got := writers(t, servers); got != "c" {
		t.Errorf("then writes are taken by %q", got)
	}
}

func TestFailoverRefuses(t *testing.T) {
	t.Parallel()
	servers := shop(t, "b", "c")
	catalog := open(t, servers)
	refused := func(what, params string, class actions.Class, says string) {
		t.Helper()
		_, err := run(t, catalog, "mysql.failover", params)
		fails(t, err, class, says)
		if got := writers(t, servers); strings.Contains(got, "b") || strings.Contains(got, "c") {
			t.Fatalf("%s: writes are taken by %q", what, got)
		}
	}
	refused("a primary that lives", quickly("b, c", ""), actions.ClassTransient, "it is not dead")
	servers["c"].exec(t, "SET GLOBAL read_only = 0")
	_, err := run(t, catalog, "mysql.failover", quickly("b, c", ""))
	fails(t, err, actions.ClassPermanent, "takes writes although it copies")
	servers["c"].exec(t, "SET GLOBAL read_only = 1")

	isDead(t, catalog, false, "it is not dead")

	// Only the engine does not see it.
	_ = syscall.Kill(servers["a"].PID(), syscall.SIGSTOP)
	isDead(t, catalog, false, "a replica hears from the primary")
	refused("replicas hear from it", quickly("b, c", ""), actions.ClassTransient, "a replica hears from the primary")
	_ = syscall.Kill(servers["a"].PID(), syscall.SIGCONT)

	kill9(t, servers["a"])
	missed(t, servers, "b", "c")
	isDead(t, catalog, true, "no replica hears from it")
	refused("nobody fenced it", strings.Replace(quickly("b, c", ""), "fenced: true", "fenced: false", 1), actions.ClassPermanent, "fenced is false")
	refused("a replica named twice", quickly("b, b", ""), actions.ClassPermanent, "twice")

	kill9(t, servers["c"])
	_, err = run(t, catalog, "mysql.failover", quickly("b, c", ""))
	fails(t, err, actions.ClassTransient, `look at replica "c"`)
	if err := servers["b"].writable(t); err == nil {
		t.Error("b takes writes")
	}
	if err := servers["c"].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	servers["c"].exec(t, "SET GLOBAL read_only = 1") // as its config should say
	servers["c"].exec(t, "INSERT INTO shop.orders (id, state) VALUES (1000, 'errant')")
	refused("an errant transaction", quickly("b, c", ""), actions.ClassPermanent, "wrote transactions of its own")
	got, err := run(t, catalog, "mysql.replication", "{database: c}")
	if err != nil || len(got["errant"].([]any)) != 1 {
		t.Errorf("the probe gives %v, %v", got, err)
	}
	// Without it, the other one will do.
	if got, err := run(t, catalog, "mysql.failover", quickly("b", "")); err != nil || got["primary"] != "b" {
		t.Errorf("b alone gives %v, %v", got, err)
	}
}

func isDead(t *testing.T, catalog *actions.Catalog, want bool, says string) {
	t.Helper()
	got, err := run(t, catalog, "mysql.primary_dead", "{primary: a, replicas: [b, c], heartbeat: 500ms, misses: 1}")
	if err != nil || got["dead"] != want || !strings.Contains(fmt.Sprint(got["says"]), says) {
		t.Errorf("whether it is dead: %v, %v", got, err)
	}
}

func TestPrimaryDeadConforms(t *testing.T) {
	t.Parallel()
	servers := shop(t, "b")
	kill9(t, servers["a"])
	missed(t, servers, "b")
	file := secretFile(t, password)
	conformance.Run(t, conformance.Case{
		System: mysql.System, Action: "mysql.primary_dead", Params: "{primary: a, replicas: [b], heartbeat: 100ms, misses: 1}",
		Slow: "{primary: a, replicas: [b], heartbeat: 60s, misses: 2}",
		Connections: func(address string) string {
			return connection("a", servers["a"].address, file) + "\n" + connection("b", address, file)
		},
		Address: servers["b"].address, Secrets: []string{password, copier},
	})
}

// A primary that hangs is dead once nobody has heard from it for long enough.
// When it wakes up it must not take writes beside the new one.
func TestAPrimaryThatHangsIsReplacedAndFencedWhenItWakes(t *testing.T) {
	t.Parallel()
	servers := shop(t, "b")
	catalog := open(t, servers)
	_ = syscall.Kill(servers["a"].PID(), syscall.SIGSTOP)
	missed(t, servers, "b")
	got, err := run(t, catalog, "mysql.failover", quickly("b", ""))
	if err != nil || got["old"] != "away" {
		t.Fatalf("it gives %v, %v", got, err)
	}
	_ = syscall.Kill(servers["a"].PID(), syscall.SIGCONT)
	if got, err = run(t, catalog, "mysql.failover", quickly("b", "")); err != nil || got["old"] != "read_only" {
		t.Fatalf("again it gives %v, %v", got, err)
	}
	if got := writers(t, servers); got != "b" {
		t.Errorf("writes are taken by %q", got)
	}
}

// An engine that was killed anywhere in between is taken up again.
func TestFailoverGoesOn(t *testing.T) {
	t.Parallel()
	servers := shop(t, "b", "c")
	kill9(t, servers["a"])
	missed(t, servers, "b", "c")
	catalog := open(t, servers)
	for _, killed := range []struct {
		when string
		left []string
	}{
		{"just before it takes writes", []string{"STOP SLAVE", "RESET SLAVE ALL"}},
		{"just after", []string{"SET GLOBAL read_only = 0"}},
	} {
		servers["b"].exec(t, killed.left...)
		got, err := run(t, catalog, "mysql.failover", quickly("b, c", ""))
		if err != nil || got["primary"] != "b" || fmt.Sprint(got["follow"]) != "[c]" {
			t.Fatalf("%s: it gives %v, %v", killed.when, got, err)
		}
		if got := writers(t, servers); got != "b" {
			t.Errorf("%s: writes are taken by %q", killed.when, got)
		}
	}
	servers["c"].exec(t, "STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = 0")
	_, err := run(t, catalog, "mysql.failover", quickly("b, c", ""))
	fails(t, err, actions.ClassPermanent, `both "b" and "c" take writes`)
}

// After an attempt that promoted nobody, replicas receive again.
func TestAFailoverThatStopsLetsReplicasReceive(t *testing.T) {
	t.Parallel()
	servers := shop(t, "b")
	lock := work(t, servers["b"], "root", "", "shop")
	if _, err := lock.ExecContext(t.Context(), "LOCK TABLES orders READ"); err != nil {
		t.Fatal(err)
	}
	if err := servers["a"].writable(t); err != nil { // b receives it and can not apply it
		t.Fatal(err)
	}
	eventually(t, "b has received it", func() bool {
		return servers["b"].ask(t, "SELECT count(*) FROM information_schema.processlist WHERE user = 'system user' AND state LIKE 'Waiting for table%'") == "1"
	})
	kill9(t, servers["a"])
	missed(t, servers, "b")
	catalog := open(t, servers)
	_, err := run(t, catalog, "mysql.failover", strings.Replace(quickly("b", ""), "within: 20s", "within: 1s", 1))
	fails(t, err, actions.ClassTransient, "apply what it received")
	ctx, cancel := context.WithCancel(t.Context())
	b := bind(t, catalog, "mysql.failover", quickly("b", ""))
	time.AfterFunc(1500*time.Millisecond, cancel)
	if _, err := b.Run(ctx, "key", *b.OnlyTarget()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled, it gives %v", err)
	}
	if _, err := lock.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	if err := servers["a"].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "b copies a again", func() bool {
		got, err := run(t, catalog, "mysql.replication", "{database: b, primary: a}")
		return err == nil && got["copies"] == true && got["read_only"] == true && len(got["errant"].([]any)) == 0
	})
}
