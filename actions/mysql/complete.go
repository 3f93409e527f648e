package mysql

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/runbook-engine/runbook/actions"
)

// complete does what is left once there is a new primary.
func (t *topology) complete(ctx context.Context, key actions.Key, chosen *member) (r failoverResult, err error) {
	r = failoverResult{Primary: chosen.name, Follow: []string{}}
	if r.Old, err = t.demote(ctx); err != nil {
		return r, err
	}
	if err := chosen.prove(ctx, t.Proof, string(key)); err != nil {
		return r, fmt.Errorf("prove that %q takes writes: %w", chosen.name, err)
	}
	for _, m := range t.replicas {
		if m == chosen {
			continue
		}
		if err := m.follow(ctx, chosen.address(), time.Duration(t.Within)); err != nil {
			return r, fmt.Errorf("have %q copy %q: %w", m.name, chosen.name, err)
		}
		r.Follow = append(r.Follow, m.name)
	}
	now, err := chosen.client.look(ctx)
	r.GTID = now.position.String()
	return r, err
}

// demote: an old primary that is back although it was said to be fenced must not
// take writes beside the new one.
func (t *topology) demote(ctx context.Context) (string, error) {
	beat, cancel := context.WithTimeout(ctx, time.Duration(t.Heartbeat))
	defer cancel()
	if err := t.old.askAnew(beat); err != nil && !isAnswer(err) {
		return "away", ctx.Err()
	}
	if _, err := t.old.fence(ctx); err != nil {
		return "", fmt.Errorf("the old primary is back and can not be fenced, so that two may take writes; stop it by hand: %w", err)
	}
	return "read_only", nil
}

// prove writes a row and reads it back over another session.
func (c *client) prove(ctx context.Context, table, key string) error {
	value := rand.Text()
	// The name is one of ours for good, so that retries leave one row.
	if _, err := c.control.ExecContext(ctx, "REPLACE INTO "+table+" (name, value) VALUES (?, ?)", short(key), value); err != nil {
		return err
	}
	var back string
	if err := c.probes.QueryRowContext(ctx, "SELECT value FROM "+table+" WHERE name = ?", short(key)).Scan(&back); err != nil {
		return err
	}
	if back != value {
		return errors.New("another value came back")
	}
	return nil
}

func short(key string) string { return key[:min(64, len(key))] }

// follow has a replica copy the new primary, and waits until it does.
func (m *member) follow(ctx context.Context, address string, within time.Duration) error {
	if m.source == nil || m.source.address != address {
		if err := m.turnTo(ctx, address); err != nil {
			return err
		}
	}
	if _, err := m.control.ExecContext(ctx, "START REPLICA"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, within, fmt.Errorf("not after %s", within))
	defer cancel()
	return poll(ctx, func() error {
		s, err := m.client.lookAtSource(ctx)
		switch {
		case err != nil:
			return err
		case s == nil || s.io != "Yes" || s.sql != "Yes":
			return fmt.Errorf("it does not: %s", describe(s))
		}
		return nil
	})
}

func describe(s *source) string {
	if s == nil {
		return "it has no source"
	}
	return fmt.Sprintf("receives %s, applies %s: %s", s.io, s.sql, s.error)
}

// turnTo keeps the user and password that the replica has for its source.
func (m *member) turnTo(ctx context.Context, address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return actions.Permanent(fmt.Errorf("address %q: %w", address, err))
	}
	if _, err := m.control.ExecContext(ctx, "STOP REPLICA"); err != nil {
		return err
	}
	text := fmt.Sprintf("CHANGE MASTER TO MASTER_HOST = %s, MASTER_PORT = %s, MASTER_USE_GTID = slave_pos", quoted(host), port)
	_, err = m.control.ExecContext(ctx, text)
	return err
}

// quoted is a text of the config as the server reads it; CHANGE MASTER takes no
// parameters.
func quoted(text string) string {
	out := []byte{'\''}
	for _, b := range []byte(text) {
		if b == '\'' || b == '\\' {
			out = append(out, '\\')
		}
		out = append(out, b)
	}
	return string(append(out, '\''))
}

// askAnew asks on a connection of its own: one that is kept hides that no new one
// can be made.
func (c *client) askAnew(ctx context.Context) error {
	connector, err := c.config.connector()
	if err != nil {
		return err
	}
	conn, err := connector.Connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// isAnswer: an error that the server sent is a sign of life.
func isAnswer(err error) bool {
	var said *mysql.MySQLError
	return errors.As(err, &said)
}
