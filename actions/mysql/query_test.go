package mysql_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/mysql"
)

func TestQueryConforms(t *testing.T) {
	s := start(t)
	file := secretFile(t, password)
	conformance.Run(t, conformance.Case{
		System: mysql.System, Action: "mysql.query",
		Params:      "{database: orders, query: 'SELECT count(*) AS n FROM shop.orders WHERE state = ?', args: [open]}",
		Slow:        "{database: orders, query: 'SELECT sleep(60)', timeout: 2m}",
		Connections: func(address string) string { return connection("orders", address, file) },
		Address:     s.address, Secrets: []string{password},
		State: func(t *testing.T) string { return s.ask(t, "SELECT count(*) FROM shop.orders") },
	})
}

func TestQueryGivesValuesAsTheyAre(t *testing.T) {
	s := start(t)
	catalog := open(t, map[string]*instance{"orders": s})
	for query, want := range map[string]string{
		"SELECT 42": `{"value":42,"rows":[{"42":42}],"count":1,"truncated":false}`,
		"SELECT 1.5 AS x, NULL AS y, 'text' AS z":     `{"value":1.5,"rows":[{"x":1.5,"y":null,"z":"text"}],"count":1,"truncated":false}`,
		"SELECT ? AS x, ? AS y, args: [7, seven]":     ``,
		"SELECT 'a' AS x":                             `{"value":null,"rows":[{"x":"a"}],"count":1,"truncated":false}`,
		"SELECT 1 AS x UNION SELECT 2":                `{"value":null,"rows":[{"x":1},{"x":2}],"count":2,"truncated":false}`,
		"SELECT state FROM shop.orders":               `{"value":null,"rows":[],"count":0,"truncated":false}`,
		"SHOW GLOBAL VARIABLES LIKE 'log_bin'":        `{"value":null,"rows":[{"Value":"ON","Variable_name":"log_bin"}],"count":1,"truncated":false}`,
		"SELECT TIMESTAMP '2026-11-21 03:00:00' AS t": `{"value":null,"rows":[{"t":"2026-11-21 03:00:00"}],"count":1,"truncated":false}`,
	} {
		if want == "" {
			continue
		}
		got, err := run(t, catalog, "mysql.query", "{database: orders, query: "+quote(query)+"}")
		text, _ := json.Marshal(got)
		if err != nil || !sameJSON(string(text), want) {
			t.Errorf("%s gives %s, %v", query, text, err)
		}
	}
	got, err := run(t, catalog, "mysql.query", "{database: orders, query: 'SELECT ? AS x, ? AS y', args: [7, seven]}")
	if err != nil || fmt.Sprint(got["rows"]) != "[map[x:7 y:seven]]" {
		t.Errorf("with arguments it gives %v, %v", got, err)
	}
	got, err = run(t, catalog, "mysql.query", "{database: orders, query: 'SELECT 1 AS x UNION SELECT 2', limit: 1}")
	if err != nil || got["truncated"] != true || got["value"] != nil {
		t.Errorf("of two rows one gives %v, %v", got, err)
	}
}

func quote(text string) string { b, _ := json.Marshal(text); return string(b) }

func sameJSON(a, b string) bool {
	var x, y any
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && fmt.Sprint(x) == fmt.Sprint(y)
}

func TestQueryOnlyReads(t *testing.T) {
	s := start(t)
	s.exec(t, "GRANT ALL ON *.* TO engine")
	catalog := open(t, map[string]*instance{"orders": s})
	before := s.ask(t, "SELECT @@gtid_binlog_pos")
	for query, says := range map[string]string{
		"INSERT INTO shop.orders (state) VALUES ('x')": "must begin with SELECT",
		"SET GLOBAL read_only = 1":                     "must begin with SELECT",
		"SELECT 1; DELETE FROM shop.orders":            "syntax",
		"SELECT 1 INTO OUTFILE '/tmp/x'":               "more than read",
		"SELECT 1 /*! INTO OUTFILE '/tmp/x' */":        "more than read",
		"SELECT get_lock('x', 1)":                      "more than read",
		"WITH x AS (SELECT 1) DELETE FROM shop.orders": "syntax",
		"SELECT nextval(shop.numbers)":                 "READ ONLY",
		"SELECT 1 AS a, 2 AS a":                        "two columns",
		"SELECT repeat('x', 600000)":                   "KiB",
	} {
		if query == "SELECT nextval(shop.numbers)" {
			s.exec(t, "CREATE SEQUENCE shop.numbers")
			before = s.ask(t, "SELECT @@gtid_binlog_pos")
		}
		_, err := run(t, catalog, "mysql.query", "{database: orders, query: "+quote(query)+"}")
		if err == nil {
			t.Errorf("%s works", query)
			continue
		}
		class := actions.ClassPermanent
		if says == "READ ONLY" {
			class = actions.ClassOf(err)
		}
		fails(t, err, class, says)
	}
	if after := s.ask(t, "SELECT @@gtid_binlog_pos"); after != before {
		t.Errorf("something was written: %s, then %s", before, after)
	}
}

// A statement that we no longer wait for must not go on.
func TestTheServerEndsAQueryThatTakesTooLong(t *testing.T) {
	s := start(t)
	catalog := open(t, map[string]*instance{"orders": s})
	got, err := run(t, catalog, "mysql.query", "{database: orders, query: 'SELECT @@max_statement_time', timeout: 7s}")
	if err != nil || got["value"] != 7.0 {
		t.Errorf("the server is told %v, %v", got["value"], err)
	}
	_, err = run(t, catalog, "mysql.query", "{database: orders, query: 'SELECT sleep(50)', timeout: 300ms}")
	fails(t, err, actions.ClassTransient, `query mysql "orders"`)
	eventually(t, "the statement has ended", func() bool {
		return s.ask(t, "SELECT count(*) FROM information_schema.processlist WHERE user = 'engine' AND info LIKE '%sleep%'") == "0"
	})
}

func TestConnectionSaysWhatIsWrong(t *testing.T) {
	s := start(t)
	for config, says := range map[string]string{
		"host: 127.0.0.1, user: engine, password_file: /nowhere/pw":                                                              "/nowhere/pw",
		"host: 127.0.0.1, user: engine, tls: true, ca_file: " + secretFile(t, "canary-no-cert"):                                  "tls",
		fmt.Sprintf("host: 127.0.0.1, port: %s, user: engine, password_file: %s", s.address[10:], secretFile(t, "canary-wrong")): "look at user and password_file",
	} {
		_, err := run(t, openText(t, "orders: {mysql: {"+config+"}}"), "mysql.query", "{database: orders, query: SELECT 1}")
		fails(t, err, actions.ClassPermanent, says)
	}
}
