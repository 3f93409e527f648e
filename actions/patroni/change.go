package patroni

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/restapi"
)

type changeParams struct {
	Cluster   string         `json:"cluster,omitempty" optional:"true" connection:"patroni" doc:"Connection to the cluster; the only one when absent."`
	Candidate string         `json:"candidate" pattern:"^[A-Za-z0-9_.-]+$" doc:"Member that becomes the leader." example:"orders-b"`
	Within    model.Duration `json:"within" default:"1m" min:"1s" max:"10m" doc:"How long it may take until the candidate leads."`
}

type changeResult struct {
	Leader string `json:"leader" doc:"Name of the leader now."`
}

func switchover(conns *actions.Connections) actions.Action {
	return change(conns, "patroni.switchover", actions.Disruptive,
		"Let a healthy leader hand over to a candidate in order; nothing is lost. Patroni refuses when the candidate is not fit.",
		func(candidate string, m members) (path string, body any, err error) {
			leader := m.leads()
			if leader == "" {
				return "", nil, actions.Permanent(errors.New("there is no leader that could hand over: use patroni.failover"))
			}
			return "/switchover", map[string]string{"leader": leader, "candidate": candidate}, nil
		})
}

func failover(conns *actions.Connections) actions.Action {
	return change(conns, "patroni.failover", actions.Destructive,
		"Make a candidate the leader where the cluster has none that is healthy. What the candidate had not received is lost. "+
			"Patroni fails over by itself; this is for when it does not, because nobody was fit enough.",
		func(candidate string, _ members) (path string, body any, err error) {
			return "/failover", map[string]string{"candidate": candidate}, nil
		})
}

// change makes a candidate the leader, unless it is already: then an earlier call
// did, and another would only interrupt.
func change(conns *actions.Connections, name string, risk actions.Risk, doc string, ask func(candidate string, m members) (string, any, error)) actions.Action {
	return actions.Define(actions.Def[changeParams, changeResult]{
		Name:    name,
		Doc:     doc,
		Risk:    risk,
		Example: "{cluster: orders, candidate: orders-b}",
		Target:  func(p changeParams) string { return "member/" + p.Candidate },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p changeParams) (changeResult, error) {
			c, err := api.Get(ctx, conns, p.Cluster)
			if err != nil {
				return changeResult{}, err
			}
			if err := c.change(ctx, p, ask); err != nil {
				return changeResult{}, c.Failure(ctx, fmt.Sprintf("make %s the leader of", p.Candidate), err)
			}
			return changeResult{Leader: p.Candidate}, nil
		},
		Limit: func(p changeParams) time.Duration { return 2*time.Duration(p.Within) + maxMembers*restapi.AnswerWithin },
	})
}

func (c client) change(ctx context.Context, p changeParams, ask func(string, members) (string, any, error)) error {
	m, node, err := c.members(ctx)
	if err != nil || m.leads() == p.Candidate {
		return err
	}
	path, body, err := ask(p.Candidate, m)
	if err != nil {
		return err
	}
	if err := c.post(ctx, time.Duration(p.Within), node, path, body); err != nil {
		return err
	}
	return c.await(ctx, p)
}

// post returns when Patroni is done, or gives up. It asks the member that has just
// answered, and no other: one whose answer is lost may be at it.
func (c client) post(ctx context.Context, within time.Duration, node, path string, body any) error {
	_, err := c.Send(ctx, within, http.MethodPost, node, path, body)
	var no restapi.Refused
	if err != nil && !errors.As(err, &no) {
		return actions.Ambiguous(err)
	}
	return err
}

func (c client) await(ctx context.Context, p changeParams) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.Within))
	defer cancel()
	for {
		m, _, err := c.members(ctx)
		if err == nil && m.leads() == p.Candidate {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("%q leads after %s: %w", m.leads(), p.Within, ctx.Err())
		}
	}
}
