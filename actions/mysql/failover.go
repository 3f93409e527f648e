package mysql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type failoverParams struct {
	Primary   string         `json:"primary" connection:"mysql" doc:"Connection to the primary that is dead, not to a proxy before it."`
	Replicas  []string       `json:"replicas" connection:"mysql" min:"1" max:"16" doc:"Connections to all of its replicas. All must answer: one that does not may have more than the others."`
	Fenced    bool           `json:"fenced" doc:"That the old primary can take no write any more, also when it comes back: stopped, or cut off by the proxy, as the outcome of the step before saw to it. Nothing is promoted otherwise."`
	Heartbeat model.Duration `json:"heartbeat" default:"3s" min:"100ms" max:"1m" doc:"How long the primary may take to answer."`
	Misses    int            `json:"misses" default:"2" min:"1" max:"100" doc:"How many heartbeats without an answer make it dead, as the engine sees it."`
	Proof     string         `json:"proof" default:"runbook.proof" pattern:"^[a-z_][a-z0-9_]*[.][a-z_][a-z0-9_]*$" doc:"Table that the proof is written to, made with CREATE TABLE runbook.proof (name varchar(64) PRIMARY KEY, value varchar(64) NOT NULL)."`
	Within    model.Duration `json:"within" default:"60s" min:"1s" max:"10m" doc:"How long the replica may take to apply what it has received, and all may take to follow it."`
}

type failoverResult struct {
	Primary string   `json:"primary" doc:"Connection to the new primary. A row was written to it and read back over another session."`
	GTID    string   `json:"gtid" doc:"Its position when it was promoted, or later."`
	Follow  []string `json:"follow" doc:"Connections to the replicas that copy it now."`
	Old     string   `json:"old" enum:"away|read_only" doc:"away while the old primary does not answer; read_only when it came back and was made so."`
}

func failover(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[failoverParams, failoverResult]{
		Name: "mysql.failover",
		Doc: "Make a primary of the MariaDB replica that has most, after the old primary was fenced, and let the others copy it. " +
			"Refuses while the old one answers, while a replica hears from it, and when a replica wrote transactions of its own. " +
			"It finds out from the servers how far it came: run again, it goes on. Writes that no replica has received are lost. " +
			"read_only of the new primary is off until it starts again: change its config.",
		// The primary is dead and fenced: what no replica has is lost already.
		Risk:    actions.Disruptive,
		Example: "{primary: orders-a, replicas: [orders-b, orders-c], fenced: true}",
		Target:  func(p failoverParams) string { return "primary/" + p.Primary },
		Limit:   failoverParams.limit,
		Run: func(ctx context.Context, key actions.Key, _ actions.Target, p failoverParams) (failoverResult, error) {
			t, err := gatherTopology(ctx, conns, p)
			if err != nil {
				return failoverResult{}, err
			}
			r, err := t.failover(ctx, key)
			if err != nil {
				return failoverResult{}, t.old.failure(ctx, "fail over from", err)
			}
			return r, nil
		},
	})
}

func (p failoverParams) limit() time.Duration {
	return time.Duration(p.Misses+2)*time.Duration(p.Heartbeat) + 2*time.Duration(p.Within) + 4*connectWithin
}

// topology is a primary and its replicas.
type topology struct {
	failoverParams
	old      *client
	replicas []*member
	stopped  []*member // receive no more, because of us
}

type member struct {
	*client
	status
}

func gatherTopology(ctx context.Context, conns *actions.Connections, p failoverParams) (*topology, error) {
	t := &topology{failoverParams: p}
	var err error
	if t.old, err = database.Get(ctx, conns, p.Primary); err != nil {
		return nil, err
	}
	seen := map[string]bool{p.Primary: true}
	for _, name := range p.Replicas {
		if seen[name] {
			return nil, actions.Permanent(fmt.Errorf("fail over from mysql %q: %q is named twice", p.Primary, name))
		}
		seen[name] = true
		c, err := database.Get(ctx, conns, name)
		if err != nil {
			return nil, err
		}
		t.replicas = append(t.replicas, &member{client: c})
	}
	return t, nil
}

// failover goes on from wherever an earlier attempt ended: a replica that copies
// nobody and takes writes has been promoted.
func (t *topology) failover(ctx context.Context, key actions.Key) (failoverResult, error) {
	if !t.Fenced {
		return failoverResult{}, actions.Permanent(fmt.Errorf("fenced is false: with the old primary able to take writes there would be two"))
	}
	if err := t.refresh(ctx); err != nil {
		return failoverResult{}, err
	}
	chosen, err := t.promoted()
	if err != nil {
		return failoverResult{}, err
	}
	if chosen == nil {
		if chosen, err = t.promote(ctx); err != nil {
			return failoverResult{}, errors.Join(err, t.receiveAgain(ctx))
		}
	}
	return t.complete(ctx, key, chosen)
}

func (t *topology) refresh(ctx context.Context) (err error) {
	for _, m := range t.replicas {
		if m.status, err = m.client.look(ctx); err != nil {
			return fmt.Errorf("look at replica %q: %w", m.name, err)
		}
		if !m.mariaDB() {
			return actions.Permanent(fmt.Errorf("replica %q is %s; this fails over MariaDB only", m.name, m.version))
		}
	}
	return nil
}

// promoted is the replica that was promoted already, or nil.
func (t *topology) promoted() (found *member, err error) {
	for _, m := range t.replicas {
		if m.readOnly {
			continue
		}
		if m.source != nil {
			return nil, actions.Permanent(fmt.Errorf("replica %q takes writes although it copies %s: nobody knows what it has; set its read_only", m.name, m.source.address))
		}
		if found != nil {
			return nil, actions.Permanent(fmt.Errorf("both %q and %q take writes; fence one of them by hand", found.name, m.name))
		}
		found = m
	}
	return found, nil
}

// receiveAgain: after an attempt that promoted nobody, the replicas copy the old
// primary as before, as it may be alive.
func (t *topology) receiveAgain(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectWithin)
	defer cancel()
	var failures []error
	for _, m := range t.stopped {
		if _, err := m.control.ExecContext(ctx, "START REPLICA IO_THREAD"); err != nil {
			failures = append(failures, fmt.Errorf("have replica %q receive again: %w", m.name, err))
		}
	}
	return errors.Join(failures...)
}
