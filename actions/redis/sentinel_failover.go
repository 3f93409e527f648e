package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type failoverParams struct {
	Redis  string         `json:"redis,omitempty" connection:"redis" optional:"true" doc:"Connection by Sentinels; the only one when absent."`
	Master string         `json:"master,omitempty" optional:"true" doc:"Only while this server, host:port, is the master, such as the one that an alert named. When another one is, nothing is selected."`
	MaxLag int            `json:"max_lag" default:"1048576" min:"0" doc:"Refuse while the master answers and every replica is further behind than this, in bytes. Of a master that does not answer nobody knows."`
	Within model.Duration `json:"within" default:"60s" min:"1s" max:"10m" doc:"How long to wait for the new master."`
}

type failoverResult struct {
	Old        string `json:"old" doc:"The master before, host:port."`
	New        string `json:"new" doc:"The master now; a value was written to it and read back."`
	OldDemoted bool   `json:"old_demoted" doc:"True when the old master was seen to refuse writes. While it is false it is away, and Sentinel makes it a replica when it is back."`
}

func sentinelFailover(conns *actions.Connections) actions.Action {
	f := failover{conns}
	return actions.Define(actions.Def[failoverParams, failoverResult]{
		Name: "redis.sentinel_failover",
		Doc: "Have Sentinel make a replica the master, wait until more than half of the Sentinels say so, and prove it by writing " +
			"and reading back. Replication is asynchronous: what the old master took and no replica has is lost. " +
			"It acts on the master that was selected, so that it never fails over twice: one that has lost its role already is only verified.",
		Risk:    actions.Destructive,
		Example: "{redis: cache, within: 60s}",
		Targets: f.targets,
		Run:     f.run,
		Limit:   func(p failoverParams) time.Duration { return time.Duration(p.Within) + 15*time.Second },
	})
}

type failover struct{ conns *actions.Connections }

func (f failover) get(ctx context.Context, p failoverParams) (*client, error) {
	c, err := server.Get(ctx, f.conns, p.Redis)
	if err == nil && len(c.sentinels) == 0 {
		err = actions.Permanent(fmt.Errorf("redis %q is a connection to one server; a failover needs one by sentinels", c.name))
	}
	return c, err
}

func (f failover) targets(ctx context.Context, p failoverParams) (actions.Selection, error) {
	c, err := f.get(ctx, p)
	if err != nil {
		return actions.Selection{}, err
	}
	address, err := c.master(ctx)
	if err != nil {
		return actions.Selection{}, c.failure(ctx, "find the master of", err)
	}
	if p.Master != "" && p.Master != address {
		return actions.Selection{Population: 1}, nil
	}
	return actions.Selection{Population: 1, Targets: []actions.Target{{ID: c.masterID(address), Doc: "master " + c.config.Master}}}, nil
}

func (c *client) masterID(address string) string { return "master/" + c.name + "/" + address }

func (f failover) run(ctx context.Context, _ actions.Key, target actions.Target, p failoverParams) (failoverResult, error) {
	c, err := f.get(ctx, p)
	if err != nil {
		return failoverResult{}, err
	}
	old, ours := strings.CutPrefix(target.ID, c.masterID(""))
	if !ours || !isAddress(old) {
		return failoverResult{}, actions.Permanent(fmt.Errorf("%q names no master of redis %q", target.ID, c.name))
	}
	r, err := c.failover(ctx, old, p)
	if err != nil {
		return r, c.failure(ctx, "fail over", err)
	}
	return r, nil
}

// failover begins one only while the old master is the master still. Whoever
// began it, the rest is the same.
func (c *client) failover(ctx context.Context, old string, p failoverParams) (failoverResult, error) {
	now, err := c.master(ctx)
	if err != nil {
		return failoverResult{}, err
	}
	if now == old {
		if err := c.refuseLag(ctx, old, p.MaxLag); err != nil {
			return failoverResult{}, err
		}
		if err := c.begin(ctx); err != nil {
			return failoverResult{}, err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(p.Within), fmt.Errorf("no new master within %s", time.Duration(p.Within)))
	defer cancel()
	r := failoverResult{Old: old}
	if r.New, err = c.awaitNew(ctx, old); err != nil {
		return r, err
	}
	r.OldDemoted, err = c.awaitDemotion(ctx, old)
	return r, err
}

// refuseLag protects what the master alone has, where the master can be asked.
func (c *client) refuseLag(ctx context.Context, master string, most int) error {
	reached, err := c.at(master)
	if err != nil {
		return err
	}
	text, err := reached.Info(ctx, "replication").Result()
	if err != nil {
		return ctx.Err() // it is away: that is what failovers are for
	}
	f := parseInfo(text)
	replicas := f.replicas()
	if f.err != nil {
		return f.err
	}
	for _, one := range replicas {
		if one.State == "online" && one.Lag <= most {
			return nil
		}
	}
	return actions.Permanent(fmt.Errorf("the master %s answers, and none of its %d replicas is online and at most %d bytes behind: "+
		"a failover would lose writes; raise max_lag to accept that", master, len(replicas), most))
}

// begin asks one Sentinel after the other, until one begins.
func (c *client) begin(ctx context.Context) error {
	var failures []error
	for _, s := range c.sentinels {
		err := s.client.Failover(ctx, c.config.Master).Err()
		switch {
		case err == nil, strings.HasPrefix(err.Error(), "INPROG"):
			return nil
		case strings.HasPrefix(err.Error(), "NOGOODSLAVE"):
			return fmt.Errorf("sentinel %s: %w; look at the replicas with SENTINEL REPLICAS %s", s.address, err, c.config.Master)
		}
		failures = append(failures, fmt.Errorf("sentinel %s: %w", s.address, err))
	}
	return errors.Join(failures...)
}
