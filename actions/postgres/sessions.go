package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

// sessions are those of others in our database. Only client backends are ever
// touched: no replication, no autovacuum, no worker.
const sessions = `
	SELECT a.pid, a.backend_start, a.query_start, a.state, a.backend_type, a.application_name, coalesce(a.usename, 'a dropped role') AS usename,
		coalesce(host(a.client_addr), 'a socket') AS origin,
		coalesce(r.rolsuper, false) AS superuser,
		clock_timestamp() - a.xact_start AS transaction_age,
		clock_timestamp() - CASE WHEN @by = 'transaction' THEN a.xact_start ELSE a.state_change END AS age
	FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
	WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.application_name <> @ourselves`

// whose picks by what every role may see of a session, wanted by the rest.
const (
	whose = `(@application = '' OR application_name = @application)
		AND (@user = '' OR usename = @user)
		AND (@superusers OR NOT superuser)`
	wanted = whose + ` AND backend_type = 'client backend' AND state = @state AND age >= @older_than
		AND (NOT @blocking OR pid IN (SELECT unnest(pg_blocking_pids(l.pid)) FROM pg_locks l WHERE NOT l.granted))`
)

func (p terminateParams) named() pgx.NamedArgs {
	return pgx.NamedArgs{
		"ourselves": ourName, "by": p.By, "state": p.State, "older_than": time.Duration(p.OlderThan),
		"application": p.Application, "user": p.User, "superusers": p.Superusers, "blocking": p.Blocking,
		"limit": p.Limit,
	}
}

// census counts the sessions that there are, and those of which the engine's
// role may not see what they do.
func census(ctx context.Context, conn pgx.Tx, p terminateParams) (population, hidden int, err error) {
	err = conn.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE backend_type = 'client backend'), count(*) FILTER (WHERE backend_type IS NULL AND `+whose+`)
		FROM (`+sessions+`) s`, p.named()).Scan(&population, &hidden)
	return population, hidden, err
}

// find gives the sessions that p selects, the oldest first; id names them.
func find(ctx context.Context, conn pgx.Tx, id func(backend) string, p terminateParams) ([]actions.Target, error) {
	rows, err := conn.Query(ctx, `
		SELECT pid, backend_start, query_start, state, application_name, usename, origin, age, transaction_age
		FROM (`+sessions+`) s WHERE `+wanted+` ORDER BY age DESC, pid LIMIT @limit`, p.named())
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (actions.Target, error) {
		var b backend
		var state, application, user, origin string
		var age, transaction *time.Duration
		if err := row.Scan(&b.pid, &b.start, &b.query, &state, &application, &user, &origin, &age, &transaction); err != nil {
			return actions.Target{}, err
		}
		doc := fmt.Sprintf("%s for %s: %s as %s from %s", state, short(age), cmp.Or(application, "unnamed"), user, origin)
		if transaction != nil {
			doc += ", in a transaction for " + short(transaction)
		}
		return actions.Target{ID: id(b), Doc: doc}, nil
	})
}

func short(d *time.Duration) string {
	if d == nil {
		return "unknown"
	}
	return model.Duration(d.Truncate(time.Second)).String()
}

// backend is one session. A pid alone is not: the system gives it out again.
type backend struct {
	pid   int32
	start time.Time
	query time.Time // when its statement began; only where statements are meant
}

func (b backend) id(connection string) string {
	return fmt.Sprintf("backend/%s/%d@%s", connection, b.pid, stamp(b.start))
}

func (b backend) statementID(connection string) string {
	return fmt.Sprintf("statement/%s/%d@%s@%s", connection, b.pid, stamp(b.start), stamp(b.query))
}

func stamp(t time.Time) string { return fmt.Sprintf("%d.%06d", t.Unix(), t.Nanosecond()/1000) }

var idForm = regexp.MustCompile(`^(backend|statement)/(.+)/([1-9]\d*)@(\d+\.\d{6})(?:@(\d+\.\d{6}))?$`)

// named is what the kinds of targets are.
var named = map[string]string{"backend": "session", "statement": "statement"}

func parseID(id, kind, connection string) (backend, error) {
	parts := idForm.FindStringSubmatch(id)
	if parts == nil || parts[1] != kind || parts[2] != connection || (parts[5] != "") != (kind == "statement") {
		return backend{}, fmt.Errorf("%q names no %s of %q", id, named[kind], connection)
	}
	pid, pidErr := strconv.ParseInt(parts[3], 10, 32)
	start, startErr := parseStamp(parts[4])
	query, queryErr := parseStamp(cmp.Or(parts[5], parts[4]))
	if err := errors.Join(pidErr, startErr, queryErr); err != nil {
		return backend{}, fmt.Errorf("%q names no %s: %w", id, named[kind], err)
	}
	return backend{int32(pid), start, query}, nil
}

func parseStamp(text string) (time.Time, error) {
	whole, part, _ := strings.Cut(text, ".")
	seconds, secondsErr := strconv.ParseInt(whole, 10, 40)
	micros, microsErr := strconv.ParseInt(part, 10, 32)
	return time.Unix(seconds, micros*1000), errors.Join(secondsErr, microsErr)
}
