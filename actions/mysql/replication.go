package mysql

import (
	"context"

	"github.com/runbook-engine/runbook/actions"
)

type replicationParams struct {
	Database string `json:"database" connection:"mysql" doc:"Connection to the server to look at."`
	Primary  string `json:"primary,omitempty" optional:"true" connection:"mysql" doc:"Connection to its primary: then errant transactions are looked for by comparing both logs (MariaDB)."`
}

type replicationResult struct {
	ReadOnly bool     `json:"read_only" doc:"Whether ordinary users can not write."`
	Replica  bool     `json:"replica" doc:"Whether it copies another server."`
	Source   string   `json:"source" doc:"The server that it copies, host:port; empty when it copies none."`
	Copies   bool     `json:"copies" doc:"True while it receives and applies what its source writes."`
	Lag      *float64 `json:"lag" doc:"Seconds behind its source; null when that is not known, with which no comparison is true."`
	Error    string   `json:"error" doc:"Why it does not copy, as the server says."`
	GTID     string   `json:"gtid" doc:"Its position, in MariaDB's form; empty on MySQL."`
	Errant   []string `json:"errant" doc:"Transactions that it wrote by itself although it is a replica, which a failover to it would spread."`
	Version  string   `json:"version" doc:"Its version."`
}

func replication(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[replicationParams, replicationResult]{
		Name:    "mysql.replication",
		Doc:     "Look at the part of a server in replication: what it copies, how far behind it is, whether it takes writes, and whether it wrote what it should not have.",
		Risk:    actions.ReadOnly,
		Example: "{database: orders-b, primary: orders-a}",
		Target:  func(p replicationParams) string { return "database/" + p.Database },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p replicationParams) (replicationResult, error) {
			c, err := database.Get(ctx, conns, p.Database)
			if err != nil {
				return replicationResult{}, err
			}
			s, err := c.look(ctx)
			if err != nil {
				return replicationResult{}, c.failure(ctx, "look at the replication of", err)
			}
			others, err := primaryOf(ctx, conns, p.Primary)
			if err != nil {
				return replicationResult{}, err
			}
			return told(s, others), nil
		},
	})
}

func primaryOf(ctx context.Context, conns *actions.Connections, name string) ([]status, error) {
	if name == "" {
		return nil, nil
	}
	c, err := database.Get(ctx, conns, name)
	if err != nil {
		return nil, err
	}
	s, err := c.look(ctx)
	if err != nil {
		return nil, c.failure(ctx, "look at the replication of", err)
	}
	return []status{s}, nil
}

func told(s status, others []status) replicationResult {
	r := replicationResult{ReadOnly: s.readOnly, GTID: s.position.String(), Errant: []string{}, Version: s.version}
	if s.source == nil {
		return r
	}
	r.Replica, r.Source, r.Lag, r.Error = true, s.source.address, s.source.lag, s.source.error
	r.Copies = s.source.io == "Yes" && s.source.sql == "Yes"
	for _, g := range errant(s, others) {
		r.Errant = append(r.Errant, g.String())
	}
	return r
}
