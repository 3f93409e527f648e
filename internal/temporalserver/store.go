//go:build !noembedded

package temporalserver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives/timestamp"
	"go.temporal.io/server/schema/sqlite"
)

const (
	runsFile       = "temporal.db"
	visibilityFile = "visibility.db"
	clusterName    = "active"
	// schemaVersion is kept in the files (PRAGMA user_version). The server does not migrate SQLite files, so one of
	// another version is refused. It stands for schema 0.11 and visibility schema 0.1 of the server, less what trimSchema takes out; a test compares.
	schemaVersion = 1
)

// store is how the server opens its two files. Each gets one connection: a slow search then holds up no run.
type store struct{ runs, visibility *config.SQL }

// openStore makes sure that the files exist with their schema and with the namespace.
func openStore(ctx context.Context, o Options) (store, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return store{}, fmt.Errorf("finding data directory: %w", err)
	}
	runs, err := openFile(ctx, filepath.Join(dir, runsFile), flushed)
	if err != nil {
		return store{}, err
	}
	visibility, err := openFile(ctx, filepath.Join(dir, visibilityFile), unflushed)
	if err != nil {
		return store{}, err
	}
	if err := createNamespace(runs, o); err != nil {
		return store{}, fmt.Errorf("creating namespace %s: %w", o.Namespace, err)
	}
	return store{runs: runs, visibility: visibility}, nil
}

func openFile(ctx context.Context, path, synchronous string) (*config.SQL, error) {
	if err := createFile(path); err != nil {
		return nil, err
	}
	if err := createSchema(ctx, path); err != nil {
		return nil, fmt.Errorf("preparing %s: %w", path, err)
	}
	return sqlConfig(path, synchronous), nil
}

// createFile leaves a file that only we can read; SQLite gives its log the same mode. An existing file is not opened:
// closing any descriptor of it would drop the locks SQLite holds on it in this process.
func createFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	switch {
	case errors.Is(err, os.ErrExist):
		return nil
	case err != nil:
		return fmt.Errorf("creating database file: %w", err)
	}
	return f.Close()
}

// pragmas hold on every connection; the package comment says what they are for.
var pragmas = map[string]string{
	"busy_timeout": "5000",
	"journal_mode": "wal",
	"synchronous":  flushed,
}

// The modes of synchronous: full flushes at each commit, normal at each checkpoint.
const (
	flushed   = "full"
	unflushed = "normal"
)

// opened counts sqlConfig's calls.
var opened atomic.Int64

// sqlConfig has the path escaped, because the server pastes it into a URI.
//
// The server keeps its connections for as long as the process lives, by their URI. The attribute setup, which stands for
// nothing but the value true, makes the URI new: a server gets a connection to the file that is there now.
func sqlConfig(path, synchronous string) *config.SQL {
	attributes := map[string]string{"mode": "rw", "setup": strconv.FormatInt(opened.Add(1), 10)}
	for name, value := range pragmas {
		attributes[name] = value
	}
	attributes["synchronous"] = synchronous
	return &config.SQL{
		PluginName:        sqliteplugin.PluginName,
		DatabaseName:      escape(path),
		ConnectAttributes: attributes,
	}
}

func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }

// createSchema writes the schema in one transaction, so that a crash leaves either all of it or an empty file.
func createSchema(ctx context.Context, path string) (err error) {
	query := url.Values{"mode": {"rw"}, "_txlock": {"immediate"}}
	for name, value := range pragmas {
		query.Add("_pragma", name+"="+value)
	}
	db, err := sql.Open("sqlite", "file:"+escape(path)+"?"+query.Encode())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := writeSchema(ctx, tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func writeSchema(ctx context.Context, tx *sql.Tx) error {
	var version, tables int
	row := tx.QueryRowContext(ctx, "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version")
	if err := row.Scan(&version, &tables); err != nil {
		return err
	}
	switch {
	case version == schemaVersion:
		return nil
	case version != 0 || tables != 0:
		return fmt.Errorf("the file has schema version %d and this program needs %d: "+
			"finish the open runs with the program that wrote it, then move the directory away", version, schemaVersion)
	}
	if err := sqlite.SetupSchemaOnDB(schemaWriter{ctx: ctx, tx: tx}); err != nil {
		return err
	}
	if err := trimSchema(ctx, tx); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", schemaVersion))
	return err
}

// schemaWriter is as much of an AdminDB as writing the schema needs, on a transaction of ours.
type schemaWriter struct {
	sqlplugin.AdminDB
	ctx context.Context
	tx  *sql.Tx
}

func (w schemaWriter) Exec(stmt string, args ...any) error {
	_, err := w.tx.ExecContext(w.ctx, stmt, args...)
	return err
}

// createNamespace writes a missing namespace into the file before the server reads it. Asked for over the API, a
// namespace's search attributes take seconds to be known to every service.
func createNamespace(runs *config.SQL, o Options) error {
	ns, err := sqlite.NewNamespaceConfig(clusterName, o.Namespace, false, o.SearchAttributes)
	if err != nil {
		return err
	}
	ns.Detail.Config.Retention = timestamp.DurationPtr(o.Retention)
	return sqlite.CreateNamespaces(runs, ns)
}
