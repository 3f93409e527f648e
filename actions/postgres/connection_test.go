package postgres_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/lab"
)

const selectOne = "{database: orders, query: SELECT 1}"

func TestConnectionRefusesAMistakeWithoutShowingIt(t *testing.T) {
	file := secretFile(t, "postgres://engine:"+password+"@h:port/orders")
	odd := secretFile(t, "host=h password=unquoted "+password)
	for config, says := range map[string]string{
		"dsn_file: " + file:                            file + " holds no connection string",
		"dsn_file: " + odd:                             odd + " holds no connection string",
		"dsn_file: /nowhere/dsn":                       "/nowhere/dsn",
		"dsn_file: " + secretFile(t, ""):               "is empty",
		"dsn_file: " + file + ", host: h":              "dsn_file excludes",
		"host: h":                                      "either dsn_file or host and user",
		"host: h, user: u, password_file: /nowhere/pw": "/nowhere/pw",
		"host: h, user: u, ca_file: " + file + ", sslmode: verify-ca": "is ca_file a file of certificates",
	} {
		_, err := bind(t, open(t, "orders: {postgres: {"+config+"}}"), "postgres.query", selectOne).Run(t.Context(), "key", actions.Target{})
		fails(t, err, actions.ClassPermanent, says)
		fails(t, err, actions.ClassPermanent, `connection "orders"`)
		if err != nil && strings.Contains(err.Error(), password) {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

func TestConnectionByDSN(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	dsn := secretFile(t, server.DSNFor("engine", password, "orders")+"&application_name=other&default_query_exec_mode=simple_protocol")
	catalog := open(t, "orders: {postgres: {dsn_file: "+dsn+"}}")
	b := bind(t, catalog, "postgres.query", "{database: orders, query: 'SELECT current_user AS u, current_database() AS d, current_setting($1) AS a', args: [application_name]}")
	got, err := b.Run(t.Context(), "key", actions.Target{})
	if err != nil || !strings.Contains(string(got), `[{"a":"runbook","d":"orders","u":"engine"}]`) {
		t.Errorf("gives %s, %v", got, err)
	}
	// Also by the protocol that takes several statements.
	_, err = bind(t, catalog, "postgres.query", "{database: orders, query: 'SELECT 1; SELECT 2'}").Run(t.Context(), "key", actions.Target{})
	fails(t, err, actions.ClassPermanent, "multiple commands")
}

func TestWrongCredentialsAreNotShown(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	host, port, _ := net.SplitHostPort(server.Address())
	for config, says := range map[string]string{
		"user: engine, database: orders, password_file: " + secretFile(t, "wrong-"+password): "password authentication failed",
		"user: engine, database: nowhere, password_file: " + secretFile(t, password):         `database "nowhere" does not exist`,
	} {
		catalog := open(t, fmt.Sprintf("orders: {postgres: {host: %s, port: %s, %s}}", host, port, config))
		_, err := bind(t, catalog, "postgres.query", selectOne).Run(t.Context(), "key", actions.Target{})
		fails(t, err, actions.ClassPermanent, says)
		if err != nil && (strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("the error shows a secret, or is not one line: %q", err)
		}
	}
}

func TestPasswordIsReadAnewForEachSession(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	file := secretFile(t, password)
	catalog := open(t, asEngine(file)(server.Address()))
	b := bind(t, catalog, "postgres.query", selectOne)
	run := func() error {
		_, err := b.Run(t.Context(), "key", actions.Target{})
		return err
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	execute(t, server, "postgres", "ALTER ROLE engine PASSWORD 'second'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'engine'")
	if err := os.WriteFile(file, []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it logs in with the new password", func() bool { return run() == nil })
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	execute(t, server, "postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'engine'")
	eventually(t, "it says that the password is gone", func() bool {
		err := run()
		return err != nil && strings.Contains(err.Error(), file) && actions.ClassOf(err) == actions.ClassPermanent
	})
}

func TestTheSessionForReliefComesBack(t *testing.T) {
	server := start(t, lab.PostgresOptions{})
	catalog := engine(t, server)
	warm(t, server, catalog)
	watcher := connect(t, server.DSN())
	ours := func() string {
		return ask(t, watcher, "SELECT coalesce(string_agg(pid::text, ' '), '') FROM pg_stat_activity WHERE application_name = 'runbook'")
	}
	first := ours()
	execute(t, server, "postgres", "SELECT pg_terminate_backend("+first+")")
	eventually(t, "a session of ours is there again, without a call", func() bool { now := ours(); return now != "" && now != first })
}
