package patroni

import (
	"cmp"
	"context"
	"encoding/json"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/restapi"
)

type clusterParams struct {
	Cluster string `json:"cluster,omitempty" optional:"true" connection:"patroni" doc:"Connection to the cluster; the only one when absent."`
}

type members struct {
	Members []member `json:"members" doc:"The servers."`
	Leader  string   `json:"leader" doc:"Name of the leader; empty when there is none."`
}

type member struct {
	Name     string `json:"name" doc:"Its name."`
	Role     string `json:"role" doc:"leader, replica, sync_standby and so on."`
	State    string `json:"state" doc:"running, streaming, stopped and so on."`
	Host     string `json:"host" doc:"Its host."`
	Port     int    `json:"port" doc:"Its port."`
	Timeline int    `json:"timeline" doc:"Its timeline."`
	Lag      *int64 `json:"lag" doc:"What it has yet to receive, in bytes; null of a leader and where it is not known."`
}

// UnmarshalJSON takes the lag "unknown", as Patroni has it, for what it is.
func (m *member) UnmarshalJSON(text []byte) error {
	type plain member
	read := struct {
		*plain
		Lag json.RawMessage `json:"lag"`
	}{plain: (*plain)(m)}
	if err := json.Unmarshal(text, &read); err != nil {
		return err
	}
	var lag int64
	if json.Unmarshal(read.Lag, &lag) == nil {
		m.Lag = &lag
	}
	return nil
}

// leads is the leader that serves.
func (m members) leads() string {
	for _, one := range m.Members {
		if one.Role == "leader" || one.Role == "master" || one.Role == "standby_leader" {
			return one.Name
		}
	}
	return ""
}

func cluster(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[clusterParams, members]{
		Name:    "patroni.cluster",
		Doc:     "Look at a cluster that Patroni looks after: who leads it, and how far behind the others are.",
		Risk:    actions.ReadOnly,
		Example: "{cluster: orders}",
		Timeout: (maxMembers + 1) * restapi.AnswerWithin,
		Target:  func(p clusterParams) string { return "cluster/" + cmp.Or(p.Cluster, "patroni") },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p clusterParams) (members, error) {
			c, err := api.Get(ctx, conns, p.Cluster)
			if err != nil {
				return members{}, err
			}
			m, _, err := c.members(ctx)
			if err != nil {
				return members{}, c.Failure(ctx, "look at", err)
			}
			m.Leader = m.leads()
			return m, nil
		},
	})
}
