package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/runbook-engine/runbook/actions"
)

// standing is what a server says of its part in replication. Positions are bytes
// since the beginning of its log.
type standing struct {
	standby  bool
	position int64 // what it has: written as a primary, received as a standby
	replayed int64
	paused   bool // replay was stopped by hand

	// Of a standby:
	streams  bool           // it has a connection to a primary
	ended    int64          // how far that primary said it was
	heard    time.Duration  // since the primary last sent something
	patience time.Duration  // after half of which it asks a silent primary to say something; 0 is never
	replay   *time.Duration // since the last commit that it replayed
	hidden   bool           // the engine's role may not see of the receiver what it does
}

const askStanding = `
	SELECT standby, position, CASE WHEN standby THEN coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), 0) ELSE position END::bigint,
		CASE WHEN standby THEN pg_is_wal_replay_paused() ELSE false END,
		coalesce(w.status = 'streaming', false), coalesce(pg_wal_lsn_diff(w.latest_end_lsn, '0/0'), 0)::bigint,
		coalesce(clock_timestamp() - w.last_msg_receipt_time, '0'),
		(SELECT setting::bigint FROM pg_settings WHERE name = 'wal_receiver_timeout'),
		clock_timestamp() - pg_last_xact_replay_timestamp(),
		w.pid IS NOT NULL AND w.status IS NULL
	FROM (SELECT r AS standby, CASE WHEN r THEN coalesce(pg_wal_lsn_diff(greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()), '0/0'), 0)
			ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') END::bigint AS position
		FROM pg_is_in_recovery() r) s LEFT JOIN pg_stat_wal_receiver w ON true`

// stand asks a server over a new connection, because one that was there before
// says nothing of whether the server lets anybody in.
func (c Server) stand(ctx context.Context, within time.Duration) (standing, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	conn, err := c.Connect(ctx)
	if err != nil {
		return standing{}, err
	}
	defer leave(ctx, conn)
	var s standing
	var patience int64
	err = conn.QueryRow(ctx, askStanding).Scan(&s.standby, &s.position, &s.replayed, &s.paused,
		&s.streams, &s.ended, &s.heard, &patience, &s.replay, &s.hidden)
	s.patience = time.Duration(patience) * time.Millisecond
	if err == nil && s.hidden {
		err = actions.Permanent(errors.New("the engine's role may not see what the WAL receiver does: GRANT pg_read_all_stats to it"))
	}
	return s, err
}

const goodbye = 100 * time.Millisecond

func leave(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	_ = conn.Close(ctx) // the server may be gone
}

// answered reports that an error is an answer of the server, which is therefore
// there.
func answered(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said)
}

// others are the standbys by their connections, none of which may be the primary or
// be there twice: one place must not count as two.
func (f failover) others(ctx context.Context, primary string, standbys []string) ([]Server, error) {
	servers := make([]Server, len(standbys))
	for i, name := range standbys {
		if name == primary || slices.Contains(standbys[:i], name) {
			return nil, actions.Permanent(fmt.Errorf("connection %q stands for two servers; name each server once", name))
		}
		var err error
		if servers[i], err = f.open(ctx, name); err != nil {
			return nil, fmt.Errorf("standby %q: %w", name, err)
		}
	}
	return servers, nil
}
