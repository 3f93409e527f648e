package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type killParams struct {
	Database  string         `json:"database" connection:"mysql" doc:"Connection to the server to relieve."`
	State     string         `json:"state" enum:"idle|active" doc:"idle sends nothing (Sleep), active runs a statement."`
	OlderThan model.Duration `json:"older_than" doc:"Only sessions that are in this state for at least so long, in whole seconds." example:"30s"`
	User      string         `json:"user,omitempty" optional:"true" doc:"Only sessions of this user."`
	Schema    string         `json:"schema,omitempty" optional:"true" doc:"Only sessions in this database."`
	Limit     int            `json:"limit" default:"20" min:"1" max:"1000" doc:"At most this many, those longest in the state."`
}

type killResult struct {
	Outcome string `json:"outcome" enum:"ended|spared" doc:"ended when the session is gone; spared when it has changed its state meanwhile."`
}

func killConnections(conns *actions.Connections) actions.Action {
	k := killer{conns}
	return actions.Define(actions.Def[killParams, killResult]{
		Name: "mysql.kill_connections",
		Doc: "End sessions that hold connections, or statements that run for too long. A session that has changed its state meanwhile is " +
			"spared. Replication, the engine's own user and privileged users are left alone.",
		Risk:    actions.Disruptive,
		Example: "{database: orders, state: idle, older_than: 30s, limit: 20}",
		Targets: k.targets,
		Run:     k.run,
		Timeout: 15 * time.Second,
	})
}

// sessions are those of applications: no thread of the server, no replica, not
// our own user, nobody privileged.
const sessions = `
	SELECT p.ID AS id, p.HOST AS host, p.USER AS user, coalesce(p.DB, '') AS db, p.TIME AS seconds
	FROM information_schema.PROCESSLIST p
	WHERE p.COMMAND IN (%s)
		AND p.USER NOT IN ('system user', 'event_scheduler', 'unauthenticated user')
		AND p.USER <> substring_index(current_user(), '@', 1)
		AND p.USER NOT IN (%s)
		AND p.USER NOT IN (
			SELECT replace(substring_index(u.GRANTEE, '@', 1), '''', '') FROM information_schema.USER_PRIVILEGES u
			WHERE u.PRIVILEGE_TYPE IN ('SUPER', 'CONNECTION ADMIN', 'CONNECTION_ADMIN', 'REPLICATION SLAVE', 'READ ONLY ADMIN', 'READ_ONLY ADMIN'))`

var commands = map[string][]any{"idle": {"Sleep"}, "active": {"Query", "Execute"}}

// from is the query for sessions in some states, and its arguments.
func (c *client) from(commands []any) (string, []any) {
	protected := make([]any, 0, len(c.config.ProtectedUsers)+1)
	for _, user := range c.config.ProtectedUsers {
		protected = append(protected, user)
	}
	protected = append(protected, "") // a list must not be empty
	return fmt.Sprintf(sessions, marks(len(commands)), marks(len(protected))), append(append([]any{}, commands...), protected...)
}

func marks(n int) string {
	text := "?"
	for range n - 1 {
		text += ", ?"
	}
	return text
}

type session struct {
	id             int64
	host, user, db string
	seconds        int64
}

func (c *client) sessions(ctx context.Context, p killParams, more string, args ...any) (all []session, err error) {
	text, arguments := c.from(commands[p.State])
	text += ` AND p.TIME >= ? AND (? = '' OR p.USER = ?) AND (? = '' OR p.DB = ?)` + more
	arguments = append(arguments, int64(time.Duration(p.OlderThan).Seconds()), p.User, p.User, p.Schema, p.Schema)
	rows, err := c.control.QueryContext(ctx, text, append(arguments, args...)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s session
		if err := rows.Scan(&s.id, &s.host, &s.user, &s.db, &s.seconds); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

type killer struct{ conns *actions.Connections }

func (k killer) targets(ctx context.Context, p killParams) (s actions.Selection, err error) {
	c, err := database.Get(ctx, k.conns, p.Database)
	if err != nil {
		return s, err
	}
	if s, err = c.choose(ctx, p); err != nil {
		return s, c.failure(ctx, "list the sessions of", err)
	}
	return s, nil
}

func (c *client) choose(ctx context.Context, p killParams) (s actions.Selection, err error) {
	text, arguments := c.from(append(append([]any{}, commands["idle"]...), commands["active"]...))
	if err := c.control.QueryRowContext(ctx, "SELECT count(*) FROM ("+text+") s", arguments...).Scan(&s.Population); err != nil {
		return s, err
	}
	found, err := c.sessions(ctx, p, " ORDER BY p.TIME DESC, p.ID LIMIT ?", p.Limit)
	for _, one := range found {
		s.Targets = append(s.Targets, actions.Target{
			ID:  fmt.Sprintf("connection/%s/%d@%s", c.name, one.id, one.host),
			Doc: fmt.Sprintf("%s for %ds: %s in %q", p.State, one.seconds, one.user, one.db),
		})
	}
	s.Population = max(s.Population, len(s.Targets)) // one may have come in between
	return s, err
}

var idForm = regexp.MustCompile(`^connection/(.+)/([0-9]{1,18})@([^\s/]+)$`)

func (k killer) run(ctx context.Context, _ actions.Key, target actions.Target, p killParams) (killResult, error) {
	c, err := database.Get(ctx, k.conns, p.Database)
	if err != nil {
		return killResult{}, err
	}
	parts := idForm.FindStringSubmatch(target.ID)
	if parts == nil || parts[1] != c.name {
		return killResult{}, actions.Permanent(fmt.Errorf("%q names no session of mysql %q", target.ID, c.name))
	}
	r, err := c.kill(ctx, parts[2], parts[3], p)
	if err != nil {
		return r, c.failure(ctx, "end session "+parts[2]+" of", err)
	}
	return r, nil
}

// kill ends a session when it is the one that was chosen, and in that state
// still. Ids begin anew when a server starts, so that the client's address
// belongs to it.
func (c *client) kill(ctx context.Context, id, host string, p killParams) (killResult, error) {
	still, err := c.sessions(ctx, p, " AND p.ID = ? AND p.HOST = ?", id, host)
	if err != nil {
		return killResult{}, err
	}
	if len(still) == 0 {
		there, err := c.present(ctx, id, host)
		if err != nil || there {
			return killResult{Outcome: "spared"}, err
		}
		return killResult{Outcome: "ended"}, nil
	}
	_, err = c.control.ExecContext(ctx, "KILL CONNECTION "+id) // digits only; KILL takes no parameter
	if err != nil && !hasNumber(err, noSuchThread) {
		return killResult{}, err
	}
	return killResult{Outcome: "ended"}, c.awaitEnd(ctx, id, host)
}

func (c *client) present(ctx context.Context, id, host string) (bool, error) {
	var one int
	err := c.control.QueryRowContext(ctx, "SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = ? AND HOST = ?", id, host).Scan(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

const endsWithin = 5 * time.Second

func (c *client) awaitEnd(ctx context.Context, id, host string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, endsWithin, fmt.Errorf("it was told to end, and has not after %s", endsWithin))
	defer cancel()
	return poll(ctx, func() error {
		there, err := c.present(ctx, id, host)
		if err == nil && there {
			err = errors.New("it rolls back, perhaps")
		}
		return err
	})
}
