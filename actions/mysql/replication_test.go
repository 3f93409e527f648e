package mysql_test

import (
	"testing"

	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/mysql"
)

func TestReplicationConforms(t *testing.T) {
	s := start(t)
	file := secretFile(t, password)
	conformance.Run(t, conformance.Case{
		System: mysql.System, Action: "mysql.replication", Params: "{database: orders}",
		Connections: func(address string) string { return connection("orders", address, file) },
		Address:     s.address, Secrets: []string{password, copier},
	})
}

func TestReplicationTellsOfBothSides(t *testing.T) {
	servers := shop(t, "b")
	catalog := open(t, servers)
	got, err := run(t, catalog, "mysql.replication", "{database: a}")
	if err != nil || got["replica"] != false || got["read_only"] != false || got["lag"] != nil || got["gtid"] == "" {
		t.Errorf("of the primary it tells %v, %v", got, err)
	}
	got, err = run(t, catalog, "mysql.replication", "{database: b, primary: a}")
	if err != nil || got["replica"] != true || got["copies"] != true || got["source"] != servers["a"].address || got["read_only"] != true ||
		got["lag"] != 0.0 || len(got["errant"].([]any)) != 0 {
		t.Errorf("of the replica it tells %v, %v", got, err)
	}
	kill9(t, servers["a"])
	missed(t, servers, "b")
	got, err = run(t, catalog, "mysql.replication", "{database: b}")
	if err != nil || got["lag"] != nil || got["error"] == "" {
		t.Errorf("without its primary it tells %v, %v", got, err)
	}
}

func TestFenceConforms(t *testing.T) {
	s := start(t)
	file := secretFile(t, password)
	conformance.Run(t, conformance.Case{
		System: mysql.System, Action: "mysql.fence", Params: "{database: orders}", Measured: []string{"ended"},
		Connections: func(address string) string { return connection("orders", address, file) },
		Address:     s.address, Secrets: []string{password},
		Arrange: func(t *testing.T) { s.exec(t, "SET GLOBAL read_only = 0"); work(t, s, "app", "app", "shop") },
		State:   func(t *testing.T) string { return s.ask(t, "SELECT @@read_only") },
	})
}

// An open transaction would commit after read_only, and a lock would hold it up.
func TestFenceEndsWhoCouldStillWrite(t *testing.T) {
	s := start(t)
	conn := work(t, s, "app", "app", "shop")
	if _, err := conn.ExecContext(t.Context(), "LOCK TABLES orders WRITE"); err != nil {
		t.Fatal(err)
	}
	got, err := run(t, open(t, map[string]*instance{"orders": s}), "mysql.fence", "{database: orders}")
	if err != nil || got["ended"] != 1.0 {
		t.Errorf("it gives %v, %v", got, err)
	}
	if err := s.writable(t); err == nil {
		t.Error("it takes writes")
	}
}
