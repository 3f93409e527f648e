package orchestrator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/restapi"
)

type takeoverParams struct {
	Orchestrator string         `json:"orchestrator,omitempty" optional:"true" connection:"orchestrator" doc:"Connection to the Orchestrator; the only one when absent."`
	Cluster      string         `json:"cluster" pattern:"^[A-Za-z0-9_.-]+$" doc:"Alias of the cluster, not the name that Orchestrator made of its master's address: that one changes with the master." example:"orders"`
	From         string         `json:"from" pattern:"^[A-Za-z0-9_.-]+:[0-9]{1,5}$" doc:"Address of the master that is replaced, host:port, as Orchestrator names it. When another is the master already, an earlier call or Orchestrator itself has done it, and nothing is asked for." example:"'db-1:3306'"`
	To           string         `json:"to,omitempty" optional:"true" pattern:"^[A-Za-z0-9_.-]+:[0-9]{1,5}$" doc:"Address of the replica that becomes the master. A dead master's successor is best left to Orchestrator; a living one's must be named, so that a repeated call can not replace the new master too." example:"'db-2:3306'"`
	How          string         `json:"how" default:"graceful" enum:"graceful|recover|force" doc:"graceful: a living master hands over, and copies the new one then; nothing is lost. recover: Orchestrator itself must find the master dead. force: it need not, but may not see the master either."`
	Fenced       bool           `json:"fenced" default:"false" doc:"That the old master can take no write any more, also when it comes back, as the outcome of the step before saw to it. Without it nothing but a graceful takeover is asked for."`
	Within       model.Duration `json:"within" default:"1m" min:"1s" max:"10m" doc:"How long it may take until the new master takes writes."`
}

type takeoverResult struct {
	Master string `json:"master" doc:"Address of the master now, host:port. It takes writes, as Orchestrator sees it."`
}

func takeover(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[takeoverParams, takeoverResult]{
		Name: "orchestrator.takeover",
		Doc: "Let Orchestrator make another server the master, and wait until it takes writes. Orchestrator also changes by itself, " +
			"where its config says so; this is for when it does not. Of a dead master, writes are lost that no replica has received.",
		// A dead master is fenced: what no replica has is lost already.
		Risk:    actions.Disruptive,
		Example: "{cluster: orders, from: 'db-1:3306', how: recover, fenced: true}",
		Target:  func(p takeoverParams) string { return "master/" + p.Cluster + "/" + p.From },
		Limit:   func(p takeoverParams) time.Duration { return 2*time.Duration(p.Within) + maxNodes*answerWithin },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p takeoverParams) (takeoverResult, error) {
			c, err := api.Get(ctx, conns, p.Orchestrator)
			if err != nil {
				return takeoverResult{}, err
			}
			master, err := c.takeover(ctx, p)
			if err != nil {
				return takeoverResult{}, c.Failure(ctx, fmt.Sprintf("have %s of the cluster %s replaced by", p.From, p.Cluster), err)
			}
			return takeoverResult{master}, nil
		},
	})
}

func (c client) takeover(ctx context.Context, p takeoverParams) (master string, err error) {
	m, node, err := c.master(ctx, p.Cluster)
	if err != nil {
		return "", err
	}
	if m.Key.String() == p.From {
		if err := p.allowed(m); err != nil {
			return "", actions.Permanent(err)
		}
		if err := c.replace(ctx, node, p); err != nil {
			return "", err
		}
	}
	return c.await(ctx, p)
}

// allowed: what Orchestrator does not look at itself.
func (p takeoverParams) allowed(m instance) error {
	switch {
	case p.To == p.From:
		return errors.New("to and from are the same server")
	case p.How == "graceful" && p.To == "":
		return errors.New("a graceful takeover needs the parameter to")
	case p.How != "graceful" && !p.Fenced:
		return errors.New("fenced is false: with the old master able to take writes there would be two")
	case p.How == "force" && m.IsLastCheckValid:
		return errors.New("orchestrator sees the master: it is not dead; use how: graceful")
	}
	return nil
}

// path names the cluster by the address of the old master. Orchestrator then
// finds nothing to do where somebody was faster, and does not replace the new
// master.
func (p takeoverParams) path() []string {
	host, port, _ := net.SplitHostPort(p.From)
	call := map[string]string{"graceful": "graceful-master-takeover-auto", "recover": "recover", "force": "force-master-failover"}[p.How]
	if p.To == "" {
		return []string{call, host, port}
	}
	if p.How == "force" {
		call = "force-master-takeover"
	}
	toHost, toPort, _ := net.SplitHostPort(p.To)
	return []string{call, host, port, toHost, toPort}
}

// replace returns when Orchestrator is done, or has given up. It asks one node
// only, because one that does not answer may be at it.
func (c client) replace(ctx context.Context, node string, p takeoverParams) error {
	var done json.RawMessage
	err := c.ask(ctx, time.Duration(p.Within), node, &done, p.path()...)
	var no restapi.Refused
	if err != nil && !errors.As(err, &no) {
		return actions.Ambiguous(err)
	}
	return err
}

func (c client) await(ctx context.Context, p takeoverParams) (master string, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.Within))
	defer cancel()
	var why error
	for {
		m, _, err := c.master(ctx, p.Cluster)
		switch {
		case err == nil:
			why = fmt.Errorf("%s is the master (seen: %t, read only: %t)", m.Key, m.IsLastCheckValid, m.ReadOnly)
		case ctx.Err() == nil || why == nil: // what the end of the time cuts off has seen nothing
			why = err
		}
		switch {
		case err != nil, m.Key.String() == p.From:
		case p.To != "" && m.Key.String() != p.To:
			return "", actions.Permanent(fmt.Errorf("%s is the master, and not %s", m.Key, p.To))
		case m.IsLastCheckValid && !m.ReadOnly:
			return m.Key.String(), nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return "", fmt.Errorf("after %s: %w (%w)", p.Within, why, ctx.Err())
		}
	}
}
