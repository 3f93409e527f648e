package orchestrator

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"strconv"

	"github.com/runbook-engine/runbook/actions"
)

type clusterParams struct {
	Orchestrator string `json:"orchestrator,omitempty" optional:"true" connection:"orchestrator" doc:"Connection to the Orchestrator; the only one when absent."`
	Cluster      string `json:"cluster" pattern:"^[A-Za-z0-9_.-]+$" doc:"Alias of the cluster, not the name that Orchestrator made of its master's address: that one changes with the master." example:"orders"`
}

type topology struct {
	Master   string    `json:"master" doc:"Address of the master, host:port."`
	Seen     bool      `json:"seen" doc:"Whether Orchestrator's latest look at the master succeeded."`
	ReadOnly bool      `json:"read_only" doc:"Whether the master refuses writes."`
	Servers  []server  `json:"servers" doc:"The servers of the cluster, the master too."`
	Problems []problem `json:"problems" doc:"What Orchestrator found wrong with the replication; empty when nothing."`
}

type server struct {
	Address string `json:"address" doc:"Its address, host:port."`
	Source  string `json:"source" doc:"Address of the server that it copies; empty of one that copies nobody."`
	Seen    bool   `json:"seen" doc:"Whether Orchestrator's latest look at it succeeded."`
	Lag     *int64 `json:"lag" doc:"How far behind it is, in seconds; null where it is not known."`
}

type problem struct {
	Server   string `json:"server" doc:"Address of the server that it was found at."`
	Analysis string `json:"analysis" doc:"Its name, such as DeadMaster or UnreachableMaster."`
	Meaning  string `json:"meaning" doc:"Orchestrator's description of it."`
}

func cluster(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[clusterParams, topology]{
		Name:    "orchestrator.cluster",
		Doc:     "Look at a cluster that Orchestrator looks after: who its master is, who copies it, and what is wrong.",
		Risk:    actions.ReadOnly,
		Example: "{cluster: orders}",
		Target:  func(p clusterParams) string { return "cluster/" + p.Cluster },
		Timeout: (maxNodes + 2) * answerWithin,
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p clusterParams) (topology, error) {
			c, err := api.Get(ctx, conns, p.Orchestrator)
			if err != nil {
				return topology{}, err
			}
			t, err := c.topology(ctx, p.Cluster)
			if err != nil {
				return topology{}, c.Failure(ctx, "look at the cluster "+p.Cluster+" by", err)
			}
			return t, nil
		},
	})
}

// instance is a server as Orchestrator tells of it.
type instance struct {
	Key, MasterKey   key
	ClusterName      string
	ReadOnly         bool
	IsLastCheckValid bool
	SlaveLagSeconds  struct {
		Int64 int64
		Valid bool
	}
}

type key struct {
	Hostname string
	Port     int
}

// String is empty where there is no server.
func (k key) String() string {
	if k.Hostname == "" || k.Port == 0 {
		return ""
	}
	return net.JoinHostPort(k.Hostname, strconv.Itoa(k.Port))
}

func (i instance) server() server {
	s := server{Address: i.Key.String(), Source: i.MasterKey.String(), Seen: i.IsLastCheckValid}
	if i.SlaveLagSeconds.Valid {
		s.Lag = &i.SlaveLagSeconds.Int64
	}
	return s
}

// master is who is it, and which node said so.
func (c client) master(ctx context.Context, cluster string) (m instance, node string, err error) {
	node, err = c.read(ctx, &m, "master", cluster)
	if err == nil && (m.Key.String() == "" || m.ClusterName == "") {
		err = fmt.Errorf("it names no master")
	}
	return m, node, err
}

func (c client) topology(ctx context.Context, cluster string) (topology, error) {
	m, node, err := c.master(ctx, cluster)
	if err != nil {
		return topology{}, err
	}
	var all []instance
	if err := c.ask(ctx, answerWithin, node, &all, "cluster", m.ClusterName); err != nil {
		return topology{}, err
	}
	t := topology{Master: m.Key.String(), Seen: m.IsLastCheckValid, ReadOnly: m.ReadOnly, Servers: []server{}}
	for _, i := range all {
		t.Servers = append(t.Servers, i.server())
	}
	t.Problems, err = c.problems(ctx, node, m.ClusterName)
	return t, err
}

func (c client) problems(ctx context.Context, node, cluster string) ([]problem, error) {
	var e envelope
	if err := c.ask(ctx, answerWithin, node, &e, "replication-analysis", cluster); err != nil {
		return nil, err
	}
	var found []struct {
		AnalyzedInstanceKey   key
		Analysis, Description string
	}
	if err := json.Unmarshal(e.Details, &found); err != nil {
		return nil, fmt.Errorf("read what it analysed: %w", err)
	}
	all := []problem{}
	for _, f := range found {
		all = append(all, problem{f.AnalyzedInstanceKey.String(), f.Analysis, f.Description})
	}
	return all, nil
}
