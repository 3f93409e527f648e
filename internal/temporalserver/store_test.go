//go:build !noembedded

package temporalserver

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	persistence "go.temporal.io/server/common/persistence/sql"
	"go.temporal.io/server/common/persistence/sql/sqlplugin"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/schema/sqlite"
)

func openDatabase(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+escape(path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// connection is the one that the server uses.
func connection(t *testing.T, file *config.SQL) sqlplugin.AdminDB {
	t.Helper()
	db, err := persistence.NewSQLAdminDB(sqlplugin.DbKindMain, file, resolver.NewNoopResolver(), log.NewNoopLogger(), metrics.NoopMetricsHandler)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// The promise about a power cut rests on this setting, which no kill can test.
func TestEveryCommitOfARunIsFlushed(t *testing.T) {
	files, err := openStore(t.Context(), Options{Dir: t.TempDir()}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	const full = "CREATE TEMP TABLE flushes (mode INTEGER CHECK (mode = 2))"
	db := connection(t, files.runs)
	if err := db.Exec(full); err != nil {
		t.Fatal(err)
	}
	if err := db.Exec("INSERT INTO flushes SELECT synchronous FROM pragma_synchronous"); err != nil {
		t.Errorf("%s: synchronous is not full: %v", runsFile, err)
	}
}

func TestOtherSchemasAreRefused(t *testing.T) {
	for name, change := range map[string]string{
		"a later version":      "PRAGMA user_version = 99",
		"a file of other make": "PRAGMA user_version = 0",
	} {
		dir := t.TempDir()
		start(t, Options{Dir: dir}).Stop()
		if _, err := openDatabase(t, filepath.Join(dir, runsFile)).Exec(change); err != nil {
			t.Fatal(err)
		}
		s, err := Start(t.Context(), Options{Dir: dir})
		if err == nil {
			s.Stop()
			t.Errorf("%s: started", name)
			continue
		}
		if !strings.Contains(err.Error(), "schema version") || !strings.Contains(err.Error(), runsFile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A kill before the schema is committed leaves this behind.
func TestAnEmptyFileIsTakenAsNew(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{runsFile, visibilityFile} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	start(t, Options{Dir: dir})
}

func TestADirectoryThatWasReplacedIsNew(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first := start(t, Options{Dir: dir, Namespace: "first"})
	first.Stop()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	start(t, Options{Dir: dir, Namespace: "second"})
	var names string
	row := openDatabase(t, filepath.Join(dir, runsFile)).QueryRow("SELECT group_concat(name) FROM namespaces")
	if err := row.Scan(&names); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(names, "first") || !strings.Contains(names, "second") {
		t.Errorf("namespaces in the new file: %s", names)
	}
}

// A new server version that changes its schema needs a decision: raise schemaVersion, and say in the release notes that
// open runs have to be finished before the update, or bring a migration.
func TestSchemaVersionStandsForThisSchema(t *testing.T) {
	const (
		version     = 1
		want        = "6b9116fb3622f228b8ec6aac72667dbd39aab8b46a78d6fd2f80f3fa648a923c"
		wantRelease = "0.11 0.1"
	)
	path := filepath.Join(t.TempDir(), runsFile)
	if _, err := openFile(t.Context(), path, flushed); err != nil {
		t.Fatal(err)
	}
	rows, err := openDatabase(t, path).Query("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	digest := sha256.New()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			t.Fatal(err)
		}
		digest.Write([]byte(text + "\n"))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	got, release := hex.EncodeToString(digest.Sum(nil)), sqlite.Version+" "+sqlite.VisibilityVersion
	if schemaVersion != version || got != want || release != wantRelease {
		t.Errorf("schema version %d is release %s with digest %s", schemaVersion, release, got)
	}
}

// The engine lists runs by kind, state, id and by the words it has put on them.
func TestSearchesOfTheEngineUseAnIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), visibilityFile)
	if _, err := openFile(t.Context(), path, unflushed); err != nil {
		t.Fatal(err)
	}
	db := openDatabase(t, path)
	for _, column := range []string{"workflow_id", "workflow_type_name", "status", "TemporalScheduledById", "Keyword01", "Keyword10"} {
		var id, parent, unused int
		var plan string
		row := db.QueryRow("EXPLAIN QUERY PLAN SELECT run_id FROM executions_visibility WHERE namespace_id = 'n' AND " + column + " = 'x'" +
			" ORDER BY coalesce(close_time, '9999-12-31 23:59:59+00:00') DESC, start_time DESC, run_id")
		if err := row.Scan(&id, &parent, &unused, &plan); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, "USING") || !strings.Contains(plan, "INDEX by_") {
			t.Errorf("%s: %s", column, plan)
		}
	}
	var others int
	if err := db.QueryRow("SELECT count(*) FROM sqlite_master WHERE type = 'trigger' OR name GLOB 'by_temporal_keyword_*'").Scan(&others); err != nil || others != 0 {
		t.Errorf("%d indexes and triggers that nobody needs, %v", others, err)
	}
}
