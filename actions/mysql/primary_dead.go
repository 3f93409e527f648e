package mysql

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type deadParams struct {
	Primary   string         `json:"primary" connection:"mysql" doc:"Connection to the primary, not to a proxy before it."`
	Replicas  []string       `json:"replicas" connection:"mysql" min:"1" max:"16" doc:"Connections to its replicas. All must answer."`
	Heartbeat model.Duration `json:"heartbeat" default:"3s" min:"100ms" max:"1m" doc:"How long the primary may take to answer."`
	Misses    int            `json:"misses" default:"2" min:"1" max:"100" doc:"How many heartbeats without an answer make it dead, as the engine sees it."`
}

type deadResult struct {
	Dead bool   `json:"dead" doc:"True when the engine gets no answer, and no replica hears from it."`
	Says string `json:"says" doc:"How that is known."`
}

func primaryDead(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[deadParams, deadResult]{
		Name: "mysql.primary_dead",
		Doc: "Find out whether a MariaDB primary is dead, from more than one place: by the engine's own new connections, and by whether its " +
			"replicas receive from it. A replica notices a silent primary after its slave_net_timeout: set that to a few seconds.",
		Risk:    actions.ReadOnly,
		Example: "{primary: orders-a, replicas: [orders-b], heartbeat: 3s, misses: 2}",
		Target:  func(p deadParams) string { return "primary/" + p.Primary },
		Limit: func(p deadParams) time.Duration {
			return time.Duration(p.Misses+1)*time.Duration(p.Heartbeat) + 2*connectWithin
		},
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p deadParams) (deadResult, error) {
			t, err := gatherTopology(ctx, conns, failoverParams{Primary: p.Primary, Replicas: p.Replicas, Heartbeat: p.Heartbeat, Misses: p.Misses})
			if err != nil {
				return deadResult{}, err
			}
			switch err := t.dead(ctx); {
			case err == nil:
				return deadResult{true, "it does not answer, and no replica hears from it"}, nil
			case errors.Is(err, errAlive), errors.Is(err, errHeard):
				return deadResult{false, err.Error()}, nil
			default:
				return deadResult{}, t.old.failure(ctx, "find out about the death of", err)
			}
		},
	})
}
