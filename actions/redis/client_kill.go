package redis

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/redis/go-redis/v9"

	"github.com/runbook-engine/runbook/actions"
)

type killParams struct {
	Redis string         `json:"redis,omitempty" connection:"redis" optional:"true" doc:"Connection to relieve; the only one when absent."`
	Idle  model.Duration `json:"idle" doc:"Only clients that have sent nothing for at least this long, in whole seconds." example:"5m"`
	Kind  string         `json:"kind" default:"normal" enum:"normal|pubsub" doc:"Ordinary clients, or subscribers; the latter are idle by nature."`
	Name  string         `json:"name,omitempty" optional:"true" doc:"Only clients whose name (CLIENT SETNAME) fits this shell pattern." example:"checkout-*"`
	Host  string         `json:"host,omitempty" optional:"true" doc:"Only clients whose address, host:port, fits this shell pattern." example:"10.1.2.3:*"`
	User  string         `json:"user,omitempty" optional:"true" doc:"Only clients of this user (ACL)."`
	Limit int            `json:"limit" default:"20" min:"1" max:"1000" doc:"At most this many, those that are idle longest."`
}

type killResult struct {
	Outcome string `json:"outcome" enum:"ended|spared" doc:"ended when the client is gone; spared when it has worked again meanwhile."`
}

func clientKill(conns *actions.Connections) actions.Action {
	k := killer{conns}
	return actions.Define(actions.Def[killParams, killResult]{
		Name: "redis.client_kill",
		Doc: "End clients that hold connections without working. One that has worked again meanwhile is spared. " +
			"Replicas, the master, monitors and the engine's own sessions are left alone.",
		Risk:     actions.Disruptive,
		Example:  `{redis: cache, idle: 5m, name: "checkout-*", limit: 20}`,
		Targets:  k.targets,
		Run:      k.run,
		Parallel: 4,
		Timeout:  10 * time.Second,
	})
}

type killer struct{ conns *actions.Connections }

func (k killer) targets(ctx context.Context, p killParams) (actions.Selection, error) {
	c, err := server.Get(ctx, k.conns, p.Redis)
	if err != nil {
		return actions.Selection{}, err
	}
	s, err := c.choose(ctx, p)
	if err != nil {
		return s, c.failure(ctx, "list the clients of", err)
	}
	return s, nil
}

func (c *client) choose(ctx context.Context, p killParams) (s actions.Selection, err error) {
	reached, _, err := c.server(ctx)
	if err != nil {
		return s, err
	}
	all, err := sessions(ctx, reached, p.Kind)
	if err != nil {
		return s, err
	}
	s.Population = len(all)
	slices.SortFunc(all, func(a, b session) int { return cmp.Or(cmp.Compare(b.idle, a.idle), cmp.Compare(a.id, b.id)) })
	for _, one := range all {
		fits, err := p.fits(one)
		if err != nil {
			return s, err
		}
		if fits && len(s.Targets) < p.Limit {
			s.Targets = append(s.Targets, one.target(c.name))
		}
	}
	return s, nil
}

func (p killParams) fits(s session) (bool, error) {
	for _, pair := range [][2]string{{p.Name, s.name}, {p.Host, s.address}} {
		fits, err := path.Match(pair[0], pair[1])
		if err != nil {
			return false, actions.Permanent(fmt.Errorf("pattern %q: %w", pair[0], err))
		}
		if pair[0] != "" && !fits {
			return false, nil
		}
	}
	return s.idle >= time.Duration(p.Idle) && (p.User == "" || p.User == s.user), nil
}

func (s session) target(connection string) actions.Target {
	doc := fmt.Sprintf("idle for %s after %q", s.idle, s.command)
	if s.name != "" {
		doc += ": " + s.name
	}
	return actions.Target{ID: fmt.Sprintf("client/%s/%s@%s", connection, s.id, s.address), Doc: doc + " as " + s.user}
}

var idForm = regexp.MustCompile(`^client/(.+)/([0-9]+)@([^\s/]+)$`)

func (k killer) run(ctx context.Context, _ actions.Key, target actions.Target, p killParams) (killResult, error) {
	c, err := server.Get(ctx, k.conns, p.Redis)
	if err != nil {
		return killResult{}, err
	}
	parts := idForm.FindStringSubmatch(target.ID)
	if parts == nil || parts[1] != c.name {
		return killResult{}, actions.Permanent(fmt.Errorf("%q names no client of redis %q", target.ID, c.name))
	}
	r, err := c.kill(ctx, parts[2], parts[3], p)
	if err != nil {
		return r, c.failure(ctx, "end client "+parts[2]+" of", err)
	}
	return r, nil
}

// kill ends a client by all that it was chosen by: an id alone may be another's
// on another server.
func (c *client) kill(ctx context.Context, id, address string, p killParams) (killResult, error) {
	reached, _, err := c.server(ctx)
	if err != nil {
		return killResult{}, err
	}
	there, err := present(ctx, reached, id, address, p.Kind)
	if err != nil || there == nil {
		return killResult{Outcome: "ended"}, err
	}
	if fits, err := p.fits(*there); err != nil || !fits {
		return killResult{Outcome: "spared"}, err
	}
	err = reached.Do(ctx, "CLIENT", "KILL", "ID", id, "ADDR", address, "TYPE", p.Kind, "SKIPME", "yes").Err()
	return killResult{Outcome: "ended"}, err
}

func present(ctx context.Context, reached *redis.Client, id, address, kind string) (*session, error) {
	all, err := sessions(ctx, reached, kind)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.id == id && s.address == address {
			return &s, nil
		}
	}
	return nil, nil
}
