package mysql_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/mysql"
)

const kill = "mysql.kill_connections"

func work(t testing.TB, s *instance, user, password, schema string) *sql.Conn {
	t.Helper()
	conn, err := connect(t, s.address, user, password, schema).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (s *instance) users(t testing.TB) string {
	return s.ask(t, "SELECT coalesce(group_concat(user ORDER BY user SEPARATOR ' '), '') FROM information_schema.processlist "+
		"WHERE user NOT IN ('root', 'engine', 'system user', 'copier') AND command <> 'Daemon'")
}

func TestKillConnectionsConforms(t *testing.T) {
	s := start(t)
	file := secretFile(t, password)
	var held []*sql.Conn
	conformance.Run(t, conformance.Case{
		System: mysql.System, Action: "mysql.kill_connections",
		Params: "{database: orders, state: idle, older_than: 0s}", Nothing: "{database: orders, state: idle, older_than: 1h}",
		Connections: func(address string) string { return connection("orders", address, file) },
		Address:     s.address, Secrets: []string{password},
		Arrange: func(t *testing.T) {
			for _, conn := range held {
				conn.Close()
			}
			held = []*sql.Conn{work(t, s, "app", "app", "shop"), work(t, s, "app", "app", "shop")}
			eventually(t, "only the new ones are there", func() bool { return s.users(t) == "app app" })
		},
		State: func(t *testing.T) string { return s.users(t) },
	})
}

func TestKillConnectionsSelects(t *testing.T) {
	s := start(t)
	replica := start(t)
	replica.copies(t, s)
	work(t, s, "app", "app", "shop")
	work(t, s, "app", "app", "")
	work(t, s, "boss", "boss", "shop")
	work(t, s, "engine", password, "")
	busy := work(t, s, "app", "app", "shop")
	go busy.ExecContext(t.Context(), "SELECT sleep(60)")
	eventually(t, "one is busy, and the replica is there", func() bool {
		return s.ask(t, "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT sleep%' OR command = 'Binlog Dump'") == "2"
	})
	s.exec(t, "GRANT SELECT ON mysql.* TO engine") // so that it sees who is privileged
	catalog := open(t, map[string]*instance{"orders": s})
	for params, want := range map[string]int{
		"state: idle":                      2,
		"state: idle, schema: shop":        1,
		"state: idle, user: boss":          0,
		"state: idle, user: root":          0,
		"state: idle, user: engine":        0,
		"state: idle, limit: 1":            1,
		"state: active":                    1,
		`state: idle, user: "' OR '1'='1"`: 0,
	} {
		found, err := bind(t, catalog, kill, "{database: orders, older_than: 0s, "+params+"}").Targets(t.Context())
		if err != nil || len(found.Targets) != want || found.Population != 3 {
			t.Errorf("%s selects %v of %d, %v, want %d of 3", params, found.Targets, found.Population, err, want)
		}
	}
	protected := strings.Replace(connection("orders", s.address, secretFile(t, password)), "}}", ", protected_users: [app]}}", 1)
	if found, err := bind(t, openText(t, protected), kill, "{database: orders, state: idle, older_than: 0s}").Targets(t.Context()); err != nil || len(found.Targets) != 0 {
		t.Errorf("of a protected user it selects %v, %v", found.Targets, err)
	}
}

func one(t *testing.T, s *instance, params string) (actions.Bound, actions.Target) {
	t.Helper()
	b := bind(t, open(t, map[string]*instance{"orders": s}), kill, params)
	found, err := b.Targets(t.Context())
	if err != nil || len(found.Targets) != 1 {
		t.Fatalf("it selects %v, %v", found.Targets, err)
	}
	return b, found.Targets[0]
}

func TestKillConnectionsSparesWhoWorksAgain(t *testing.T) {
	s := start(t)
	conn := work(t, s, "app", "app", "shop")
	b, target := one(t, s, "{database: orders, state: idle, older_than: 0s}")
	done := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(context.Background(), "SELECT sleep(2)")
		done <- err
	}()
	eventually(t, "it works", func() bool {
		return s.ask(t, "SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT sleep%' AND user = 'app'") == "1"
	})
	if got, err := b.Run(t.Context(), "key", target); err != nil || string(got) != `{"outcome":"spared"}` {
		t.Errorf("it gives %s, %v", got, err)
	}
	if err := <-done; err != nil {
		t.Errorf("it was ended: %v", err)
	}
}

func TestKillConnectionsKnowsASessionFromAnotherWithItsId(t *testing.T) {
	s := start(t)
	conn := work(t, s, "app", "app", "shop")
	b, target := one(t, s, "{database: orders, state: idle, older_than: 0s}")
	target.ID = target.ID[:strings.LastIndex(target.ID, ":")] + ":1"
	if got, err := b.Run(t.Context(), "key", target); err != nil || string(got) != `{"outcome":"ended"}` {
		t.Errorf("it gives %s, %v", got, err)
	}
	if err := conn.PingContext(t.Context()); err != nil {
		t.Errorf("the other was ended: %v", err)
	}
}

func TestAFullServerIsRelieved(t *testing.T) {
	s := start(t, "--max-connections=15")
	catalog := open(t, map[string]*instance{"orders": s})
	b := bind(t, catalog, kill, "{database: orders, state: idle, older_than: 0s, limit: 100}")
	if _, err := b.Targets(t.Context()); err != nil { // now the session for relief is there
		t.Fatal(err)
	}
	for {
		conn, err := connect(t, s.address, "app", "app", "shop").Conn(t.Context())
		if err != nil {
			break
		}
		t.Cleanup(func() { conn.Close() })
	}
	got, err := run(t, catalog, "mysql.query", "{database: orders, query: 'SELECT 1'}")
	if err != nil || got["value"] != 1.0 {
		t.Errorf("a probe on the full server gives %v, %v", got, err)
	}
	found, err := b.Targets(t.Context())
	if err != nil || len(found.Targets) < 10 {
		t.Fatalf("it selects %v, %v", found.Targets, err)
	}
	for _, target := range found.Targets {
		if got, err := b.Run(t.Context(), "key", target); err != nil || string(got) != `{"outcome":"ended"}` {
			t.Fatalf("it gives %s, %v", got, err)
		}
	}
	if left := s.users(t); left != "" {
		t.Errorf("there are still %s", left)
	}
}

func TestKillConnectionsNamesTheRightItLacks(t *testing.T) {
	s := start(t)
	work(t, s, "app", "app", "shop")
	b, target := one(t, s, "{database: orders, state: idle, older_than: 0s}")
	s.exec(t, "REVOKE CONNECTION ADMIN ON *.* FROM engine", fmt.Sprintf("KILL CONNECTION %s", s.ask(t, "SELECT id FROM information_schema.processlist WHERE user = 'engine'")))
	eventually(t, "it says so", func() bool {
		_, err := b.Run(t.Context(), "key", target)
		return err != nil && actions.ClassOf(err) == actions.ClassPermanent && strings.Contains(err.Error(), "GRANT")
	})
}
