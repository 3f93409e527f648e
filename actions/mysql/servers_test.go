package mysql_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/actions/mysql"
	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/lab/programs"
)

const (
	password = "canary-engine-4711"
	copier   = "canary-copier-0815" // the password of replication
)

// engineRights are all that the engine's user needs. docs/systems.md has them.
const engineRights = `
GRANT PROCESS, RELOAD, CONNECTION ADMIN, READ_ONLY ADMIN, REPLICA MONITOR, REPLICATION SLAVE ADMIN ON *.* TO engine;
GRANT SELECT, INSERT, DELETE ON runbook.proof TO engine;
`

const preparation = `
SET SESSION sql_log_bin = 0;
CREATE DATABASE IF NOT EXISTS runbook; CREATE DATABASE IF NOT EXISTS shop;
CREATE TABLE IF NOT EXISTS runbook.proof (name varchar(64) PRIMARY KEY, value varchar(64) NOT NULL);
CREATE TABLE IF NOT EXISTS shop.orders (id int PRIMARY KEY AUTO_INCREMENT, state varchar(20) NOT NULL);
CREATE USER IF NOT EXISTS engine IDENTIFIED BY '` + password + `';
CREATE USER IF NOT EXISTS app IDENTIFIED BY 'app'; GRANT ALL ON shop.* TO app;
CREATE USER IF NOT EXISTS copier IDENTIFIED BY '` + copier + `'; GRANT REPLICATION SLAVE ON *.* TO copier;
CREATE USER IF NOT EXISTS boss IDENTIFIED BY 'boss'; GRANT ALL ON *.* TO boss;
GRANT SELECT ON shop.* TO engine;
` + engineRights

// instance is a real MariaDB server.
type instance struct {
	*child.Server
	address string
	root    *sql.DB
}

// empty is a data directory as it is made by the package; each server gets a copy.
var empty = struct {
	sync.Once
	dir string
	err error
}{}

func TestMain(m *testing.M) {
	code := m.Run()
	if empty.dir != "" {
		_ = os.RemoveAll(empty.dir)
	}
	os.Exit(code)
}

func emptyData(t testing.TB) string {
	t.Helper()
	empty.Do(func() {
		if empty.dir, empty.err = os.MkdirTemp("", "runbook-mariadb-"); empty.err != nil {
			return
		}
		var program string
		if program, empty.err = programs.MariaDBInstall.Find(); empty.err != nil {
			return
		}
		empty.err = child.RunToEnd(context.Background(), child.Program{
			Name: "mariadb-install-db", Path: program, Dir: empty.dir, Log: filepath.Join(empty.dir, "log"),
			Args: append([]string{"--no-defaults", "--datadir=" + filepath.Join(empty.dir, "data"), "--auth-root-authentication-method=normal",
				"--skip-test-db", "--innodb-log-file-size=4M"}, asRoot()...),
			Stop: syscall.SIGTERM, Orphan: syscall.SIGKILL,
		})
	})
	if empty.err != nil {
		t.Fatal(empty.err)
	}
	return filepath.Join(empty.dir, "data")
}

// asRoot is what MariaDB wants to hear before it runs as root.
func asRoot() []string {
	if os.Geteuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}

var lastID struct {
	sync.Mutex
	id int
}

func nextID() int {
	lastID.Lock()
	defer lastID.Unlock()
	lastID.id++
	return lastID.id
}

func start(t testing.TB, options ...string) *instance {
	t.Helper()
	program, err := programs.MariaDB.Find()
	if err != nil {
		t.Fatal(err)
	}
	dir, s := t.TempDir(), &instance{}
	if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(emptyData(t))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "init.sql"), []byte(lines(preparation)), 0o600); err != nil {
		t.Fatal(err)
	}
	id := strconv.Itoa(nextID())
	s.Server, err = child.RunOnFreePorts(t.Context(), 1, func(ports []int) child.Program {
		s.address = child.Address(ports[0])
		// A server that starts removes the temporary tables of the others in its tmpdir.
		arguments := append([]string{"--no-defaults", "--datadir=" + filepath.Join(dir, "data"), "--tmpdir=" + dir, "--socket=s.sock", "--pid-file=pid",
			"--port=" + strconv.Itoa(ports[0]), "--bind-address=127.0.0.1", "--skip-name-resolve", "--init-file=" + filepath.Join(dir, "init.sql"),
			"--server-id=" + id, "--log-bin=bin", "--log-slave-updates", "--gtid-strict-mode", "--slave-net-timeout=2", "--innodb-temp-data-file-path=ibtmp1:1M:autoextend", "--performance-schema=0",
			"--innodb-log-file-size=4M", "--innodb-buffer-pool-size=8M", "--innodb-flush-log-at-trx-commit=0", "--innodb-fast-shutdown=2"}, options...)
		return child.Program{
			Name: "mariadbd", Path: program, Args: append(arguments, asRoot()...), Dir: dir, Log: filepath.Join(dir, "log"),
			Stop: syscall.SIGTERM, Orphan: syscall.SIGKILL,
			Ready: func(ctx context.Context) error { return ping(ctx, s.address) },
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(s.PID(), syscall.SIGCONT)
		if err := s.Kill(); err != nil {
			t.Error(err)
		}
	})
	s.root = connect(t, s.address, "root", "", "")
	return s
}

// lines has one statement on each line, as an init file must.
func lines(statements string) string {
	return strings.ReplaceAll(strings.ReplaceAll(statements, "\n", " "), ";", ";\n")
}

func ping(ctx context.Context, address string) error {
	db, err := sql.Open("mysql", dsn(address, "engine", password, ""))
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(ctx)
}

func dsn(address, user, password, schema string) string {
	c := driver.NewConfig()
	c.Net, c.Addr, c.User, c.Passwd, c.DBName = "tcp", address, user, password, schema
	return c.FormatDSN()
}

// connect is a client that shares no code with ours.
func connect(t testing.TB, address, user, password, schema string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn(address, user, password, schema))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func (s *instance) exec(t testing.TB, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := s.root.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func (s *instance) ask(t testing.TB, question string) (answer string) {
	t.Helper()
	if err := s.root.QueryRowContext(t.Context(), question).Scan(&answer); err != nil {
		t.Fatalf("%s: %v", question, err)
	}
	return answer
}

func (s *instance) writable(t testing.TB) error {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := connect(t, s.address, "app", "app", "shop").ExecContext(ctx, "INSERT INTO orders (state) VALUES ('open')")
	return err
}

// copies makes a replica of another server.
func (s *instance) copies(t testing.TB, from *instance) {
	t.Helper()
	_, port, _ := net.SplitHostPort(from.address)
	s.exec(t, "SET GLOBAL read_only = 1", fmt.Sprintf("CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = %s, MASTER_USER = 'copier', "+
		"MASTER_PASSWORD = '%s', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1", port, copier), "START SLAVE")
}

func open(t testing.TB, servers map[string]*instance) *actions.Catalog {
	t.Helper()
	file, text := secretFile(t, password), ""
	for name, s := range servers {
		text += connection(name, s.address, file) + "\n"
	}
	return openText(t, text)
}

func connection(name, address, file string) string {
	host, port, _ := net.SplitHostPort(address)
	return fmt.Sprintf("%s: {mysql: {host: %s, port: %s, user: engine, password_file: %s}}", name, host, port, file)
}

func openText(t testing.TB, connections string) *actions.Catalog {
	t.Helper()
	return conformance.Open(t, mysql.System, connections)
}

func secretFile(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func bind(t testing.TB, catalog *actions.Catalog, action, params string) actions.Bound {
	t.Helper()
	a, _ := catalog.Get(action)
	b, problems := a.Bind([]byte(params))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return b
}

// run runs an action that has one target, and reads its result.
func run(t testing.TB, catalog *actions.Catalog, action, params string) (map[string]any, error) {
	t.Helper()
	b := bind(t, catalog, action, params)
	text, err := b.Run(t.Context(), "key", *b.OnlyTarget())
	if err != nil {
		return nil, err
	}
	result := map[string]any{}
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	return result, nil
}

func eventually(t testing.TB, what string, check func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !check(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so within a minute: %s", what)
		}
	}
}

func fails(t testing.TB, err error, class actions.Class, says string) {
	t.Helper()
	if err == nil || actions.ClassOf(err) != class || !strings.Contains(err.Error(), says) {
		t.Errorf("the error is %v (%s), want …%s… (%s)", err, actions.ClassOf(err), says, class)
	}
	if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "\n")) {
		t.Errorf("a secret shows, or it is not one line: %q", err)
	}
}
