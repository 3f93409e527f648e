package failover

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/actions"
)

type replicationParams struct {
	Database string `json:"database" connection:"postgres" doc:"Connection to the server to look at."`
}

type replicationResult struct {
	Role       string         `json:"role" doc:"primary or standby."`
	Connected  int            `json:"connected" doc:"Of a primary: standbys that stream from it. Of a standby: 1 when it streams, else 0."`
	LagBytes   *int64         `json:"lag_bytes" doc:"What the standby furthest behind, or this one, has yet to replay of what the primary is known to have; null when nobody streams."`
	LagSeconds *float64       `json:"lag_seconds" doc:"The same in time: 0 when all is replayed; null when nobody streams."`
	Paused     bool           `json:"paused" doc:"True of a standby whose replay was stopped by hand."`
	Standbys   []standbyState `json:"standbys" doc:"Of a primary: those that stream from it."`
}

type standbyState struct {
	Name     string  `json:"name" doc:"Its application_name."`
	State    string  `json:"state" doc:"streaming, catchup and so on, as pg_stat_replication has it."`
	Sync     string  `json:"sync" doc:"sync, quorum, potential or async."`
	LagBytes int64   `json:"lag_bytes" doc:"What it has yet to replay."`
	Lag      float64 `json:"lag" doc:"How long a commit takes until it is replayed there, in seconds; 0 when there was none of late."`
}

func (f failover) replication() actions.Action {
	return actions.Define(actions.Def[replicationParams, replicationResult]{
		Name:    "postgres.replication",
		Doc:     "Look at the part of a server in replication: what it is, who streams from it, and how far behind they are, or it is.",
		Risk:    actions.ReadOnly,
		Example: "{database: orders}",
		Target:  func(p replicationParams) string { return "database/" + p.Database },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p replicationParams) (replicationResult, error) {
			c, err := f.open(ctx, p.Database)
			if err != nil {
				return replicationResult{}, err
			}
			r, err := c.replication(ctx)
			if err != nil {
				return replicationResult{}, c.Failure(ctx, "look at the replication of", err)
			}
			return r, nil
		},
		Timeout: lookTimeout + 2*connectTimeout,
	})
}

func (c Server) replication(ctx context.Context) (replicationResult, error) {
	s, err := c.stand(ctx, lookTimeout)
	if err != nil {
		return replicationResult{}, err
	}
	if s.standby {
		return s.following(), nil
	}
	r := replicationResult{Role: "primary"}
	if r.Standbys, err = c.followers(ctx); err != nil {
		return replicationResult{}, err
	}
	r.Connected = len(r.Standbys)
	for _, f := range r.Standbys {
		r.LagBytes, r.LagSeconds = worst(r.LagBytes, f.LagBytes), worst(r.LagSeconds, f.Lag)
	}
	return r, nil
}

func worst[N int64 | float64](so *N, now N) *N {
	if so != nil {
		now = max(*so, now)
	}
	return &now
}

func (c Server) followers(ctx context.Context) ([]standbyState, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	conn, err := c.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer leave(ctx, conn)
	rows, err := conn.Query(ctx, `
		SELECT application_name, coalesce(state, 'unknown'), coalesce(sync_state, 'unknown'),
			coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn), 0)::bigint, coalesce(extract(epoch FROM replay_lag), 0)::float8
		FROM pg_stat_replication ORDER BY application_name, pid`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[standbyState])
}

// following is the result for a standby.
func (s standing) following() replicationResult {
	r := replicationResult{Role: "standby", Paused: s.paused, Standbys: []standbyState{}}
	if !s.streams {
		return r
	}
	lag, seconds := max(0, max(s.ended, s.position)-s.replayed), 0.0
	if lag > 0 && s.replay != nil {
		seconds = s.replay.Seconds()
	}
	r.Connected, r.LagBytes, r.LagSeconds = 1, &lag, &seconds
	return r
}
