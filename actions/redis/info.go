package redis

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/runbook-engine/runbook/actions"
)

type infoParams struct {
	Redis string `json:"redis,omitempty" connection:"redis" optional:"true" doc:"Connection to look at; the only one when absent."`
}

type infoResult struct {
	Address     string    `json:"address" doc:"The server that was asked."`
	Role        string    `json:"role" doc:"master or slave, as Redis calls it."`
	LinkUp      *bool     `json:"link_up,omitempty" optional:"true" doc:"Whether a replica has its master; absent for a master."`
	Replicas    []replica `json:"replicas" doc:"Replicas of this server."`
	Lag         *int      `json:"lag,omitempty" optional:"true" doc:"Bytes that the slowest replica which is online is behind; absent without such a replica."`
	MemoryUsed  int       `json:"memory_used" doc:"Bytes that its data takes."`
	MemoryMax   int       `json:"memory_max" doc:"maxmemory in bytes; 0 without a limit."`
	MemoryRatio *float64  `json:"memory_ratio,omitempty" optional:"true" doc:"Used of maxmemory, 0 to 1 and above; absent without a limit."`
	Clients     int       `json:"clients" doc:"Clients that are connected, without replicas."`
	MaxClients  int       `json:"max_clients" doc:"Most clients that it takes."`
	Blocked     int       `json:"blocked" doc:"Clients that wait in a blocking command."`
	Evicted     int       `json:"evicted" doc:"Keys evicted for want of memory since its start."`
	Loading     bool      `json:"loading" doc:"True while it loads its data."`
	Version     string    `json:"version" doc:"Its version."`
}

type replica struct {
	Address string `json:"address" doc:"Address, host:port."`
	State   string `json:"state" doc:"online once it has all data."`
	Lag     int    `json:"lag" doc:"Bytes that it is behind."`
}

func info(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[infoParams, infoResult]{
		Name:    "redis.info",
		Doc:     "Tell the role, replicas, lag, memory and clients of a server; of a connection by Sentinels, of the master.",
		Risk:    actions.ReadOnly,
		Example: "{redis: cache}",
		Target:  func(p infoParams) string { return "redis/" + p.Redis },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p infoParams) (infoResult, error) {
			c, err := server.Get(ctx, conns, p.Redis)
			if err != nil {
				return infoResult{}, err
			}
			r, err := c.info(ctx)
			if err != nil {
				return infoResult{}, c.failure(ctx, "look at", err)
			}
			return r, nil
		},
	})
}

func (c *client) info(ctx context.Context) (infoResult, error) {
	reached, address, err := c.server(ctx)
	if err != nil {
		return infoResult{}, err
	}
	text, err := reached.Info(ctx).Result()
	if err != nil {
		return infoResult{}, fmt.Errorf("at %s: %w", address, err)
	}
	f := parseInfo(text)
	r := infoResult{
		Address: address, Role: f.text("role"), Replicas: f.replicas(),
		MemoryUsed: f.number("used_memory"), MemoryMax: f.number("maxmemory"),
		Clients: f.number("connected_clients"), MaxClients: f.number("maxclients"), Blocked: f.number("blocked_clients"),
		Evicted: f.number("evicted_keys"), Loading: f.number("loading") != 0, Version: f.text("redis_version"),
	}
	if r.Role != "master" {
		up := f.text("master_link_status") == "up"
		r.LinkUp = &up
	}
	r.Lag = slowest(r.Replicas)
	if r.MemoryMax > 0 {
		ratio := float64(r.MemoryUsed) / float64(r.MemoryMax)
		r.MemoryRatio = &ratio
	}
	return r, f.err
}

// slowest is the greatest lag of the replicas that are online; one that is not
// has no lag yet.
func slowest(replicas []replica) (lag *int) {
	for _, one := range replicas {
		if one.State == "online" && (lag == nil || one.Lag > *lag) {
			lag = &one.Lag
		}
	}
	return lag
}

// fields are what INFO says. What it lacks is an error, never a value.
type fields struct {
	values map[string]string
	err    error
}

func parseInfo(text string) *fields {
	f := &fields{values: map[string]string{}}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			f.values[name] = value
		}
	}
	return f
}

func (f *fields) text(name string) string {
	value, there := f.values[name]
	if !there && f.err == nil {
		f.err = fmt.Errorf("INFO has no %s", name)
	}
	return value
}

func (f *fields) number(name string) int {
	text := f.text(name)
	n, err := strconv.Atoi(text)
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("INFO has %s:%s, which is no number", name, text)
	}
	return n
}

// replicas reads lines like slave0:ip=10.0.0.2,port=6379,state=online,offset=42,lag=0.
func (f *fields) replicas() []replica {
	all := []replica{}
	written := f.number("master_repl_offset")
	for i := range f.number("connected_slaves") {
		line := f.text("slave" + strconv.Itoa(i))
		parts := map[string]string{}
		for part := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(part, "=")
			parts[name] = value
		}
		offset, err := strconv.Atoi(parts["offset"])
		if err != nil && f.err == nil {
			f.err = fmt.Errorf("INFO has a replica without an offset: %s", line)
		}
		all = append(all, replica{net.JoinHostPort(parts["ip"], parts["port"]), parts["state"], max(0, written-offset)})
	}
	return all
}
