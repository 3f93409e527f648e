package lab_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/internal/lab"
)

func startPostgres(t *testing.T, options lab.PostgresOptions) *lab.Postgres {
	t.Helper()
	postgres, err := lab.StartPostgres(t.Context(), t.TempDir(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := postgres.Close(); err != nil {
			t.Error(err)
		}
	})
	return postgres
}

func TestPostgresHasTheSettingsAskedFor(t *testing.T) {
	postgres := startPostgres(t, lab.PostgresOptions{
		MaxConnections: 33, Settings: map[string]string{"work_mem": "7MB"},
	})
	for setting, want := range map[string]string{
		"max_connections": "33", "work_mem": "7MB", "listen_addresses": "127.0.0.1", "fsync": "off",
	} {
		if got := ask(t, postgres.DSN(), "SHOW "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
}

func TestPostgresWantsThePassword(t *testing.T) {
	postgres := startPostgres(t, lab.PostgresOptions{})
	conn, err := pgx.Connect(t.Context(), postgres.DSNFor("postgres", "guess", "postgres"))
	if err == nil {
		conn.Close(t.Context())
		t.Fatal("a wrong password was accepted")
	}
}

func TestPostgresComesBackWithItsDataAfterKill(t *testing.T) {
	postgres := startPostgres(t, lab.PostgresOptions{})
	if err := postgres.Exec(t.Context(), "postgres", "CREATE TABLE kept AS SELECT 42 AS answer"); err != nil {
		t.Fatal(err)
	}
	dsn := postgres.DSN()
	if err := postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Exec(t.Context(), "postgres", "SELECT 1"); err == nil {
		t.Fatal("a killed server answers")
	}
	if err := postgres.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, dsn, "SELECT answer::text FROM kept"); got != "42" {
		t.Errorf("the table holds %q", got)
	}
}

func TestFailedStartNamesProgramLogAndReason(t *testing.T) {
	dir := t.TempDir()
	_, err := lab.StartPostgres(t.Context(), dir, lab.PostgresOptions{Settings: map[string]string{"work_mem": "lots"}})
	if err == nil {
		t.Fatal("started with a setting that cannot be")
	}
	for _, want := range []string{"start PostgreSQL", dir + "/postgres.log", `invalid value for parameter "work_mem"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if _, err := lab.StartPostgres(ctx, t.TempDir(), lab.PostgresOptions{}); err == nil {
		t.Fatal("started in a context that had ended")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %s to give up", took)
	}
}

func TestPostgresStartsWithAnEmptyCache(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", "")
	postgres := startPostgres(t, lab.PostgresOptions{})
	if got := ask(t, postgres.DSN(), "SELECT 'up'"); got != "up" {
		t.Errorf("answered %q", got)
	}
}

func ask(t *testing.T, dsn, question string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var answer string
	if err := conn.QueryRow(t.Context(), question).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}
