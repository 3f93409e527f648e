package pgbouncer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

type pauseParams struct {
	Pooler   string `json:"pooler,omitempty" optional:"true" connection:"pgbouncer" doc:"Connection to the PgBouncer; the only one when absent."`
	Database string `json:"database" pattern:"^[A-Za-z0-9_.-]+$" doc:"Database, as PgBouncer calls it." example:"orders"`
	Kill     bool   `json:"kill" default:"false" doc:"Drop all connections of clients and to the server at once, instead of waiting for those at work to finish. That is what helps when the server is dead."`
}

type placeResult struct {
	Host   string `json:"host" doc:"Host of the server that clients are led to."`
	Port   int    `json:"port" doc:"Port there."`
	Paused bool   `json:"paused" doc:"True while clients are held."`
}

func (r poolResult) placed() placeResult { return placeResult{r.Host, r.Port, r.Paused} }

func pause(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[pauseParams, placeResult]{
		Name: "pgbouncer.pause",
		Doc: "Hold the clients of a database: new ones wait, those at work finish first. With kill they are dropped instead. " +
			"It can not be undone by itself, as the server may have been fenced: pgbouncer.resume lets clients go on.",
		Risk:    actions.Disruptive,
		Example: "{pooler: edge, database: orders, kill: true}",
		Target:  func(p pauseParams) string { return "pool/" + p.Database },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p pauseParams) (placeResult, error) {
			order := `PAUSE "%s"`
			if p.Kill {
				order = `KILL "%s"`
			}
			return settle(ctx, conns, p.Pooler, p.Database, order, true)
		},
		Timeout: 4 * answerWithin,
	})
}

type resumeParams struct {
	Pooler   string `json:"pooler,omitempty" optional:"true" connection:"pgbouncer" doc:"Connection to the PgBouncer; the only one when absent."`
	Database string `json:"database" pattern:"^[A-Za-z0-9_.-]+$" doc:"Database, as PgBouncer calls it." example:"orders"`
}

func resume(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[resumeParams, placeResult]{
		Name:    "pgbouncer.resume",
		Doc:     "Let the clients of a database go on that pgbouncer.pause holds.",
		Risk:    actions.Disruptive,
		Example: "{pooler: edge, database: orders}",
		Target:  func(p resumeParams) string { return "pool/" + p.Database },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p resumeParams) (placeResult, error) {
			return settle(ctx, conns, p.Pooler, p.Database, `RESUME "%s"`, false)
		},
		Timeout: 4 * answerWithin,
	})
}

// settle gives an order, unless it was followed already, and waits until it is.
func settle(ctx context.Context, conns *actions.Connections, pooler, database, order string, paused bool) (placeResult, error) {
	c, err := console.Get(ctx, conns, pooler)
	if err != nil {
		return placeResult{}, err
	}
	r, err := c.place(ctx, database)
	if err == nil && r.Paused != paused {
		_, err = c.tell(ctx, fmt.Sprintf(order, database))
		if err == nil {
			r, err = c.await(ctx, database, paused)
		}
	}
	if err != nil {
		return placeResult{}, c.failure(ctx, fmt.Sprintf(order, database)+" at", advise(err))
	}
	return r.placed(), nil
}

// advise: PAUSE answers when the last client at work has finished, and a client
// of a dead server never has.
func advise(err error) error {
	var late net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &late) && late.Timeout() {
		return fmt.Errorf("no answer within %s: clients are at work still, and new ones are held: pause with kill, or resume: %w", answerWithin, err)
	}
	return err
}

func (c *client) await(ctx context.Context, database string, paused bool) (poolResult, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for {
		r, err := c.place(ctx, database)
		if err != nil || r.Paused == paused {
			return r, err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}

type reloadParams struct {
	Pooler   string `json:"pooler,omitempty" optional:"true" connection:"pgbouncer" doc:"Connection to the PgBouncer; the only one when absent."`
	Database string `json:"database" pattern:"^[A-Za-z0-9_.-]+$" doc:"Database whose place the result tells." example:"orders"`
}

func reload(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[reloadParams, placeResult]{
		Name: "pgbouncer.reload",
		Doc: "Read the configuration again, after it was changed by other means. Where a database has moved, connections to its old place " +
			"end as soon as no client is at work there.",
		Risk:    actions.Disruptive,
		Example: "{pooler: edge, database: orders}",
		Target:  func(p reloadParams) string { return "pool/" + p.Database },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p reloadParams) (placeResult, error) {
			c, err := console.Get(ctx, conns, p.Pooler)
			if err != nil {
				return placeResult{}, err
			}
			_, err = c.tell(ctx, "RELOAD")
			var r poolResult
			if err == nil {
				r, err = c.place(ctx, p.Database)
			}
			if err != nil {
				return placeResult{}, c.failure(ctx, "RELOAD at", err)
			}
			return r.placed(), nil
		},
		Timeout: 3 * answerWithin,
	})
}
