package pgbouncer

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

const (
	answerWithin = 5 * time.Second
	goodbye      = 100 * time.Millisecond
)

type poolParams struct {
	Pooler   string `json:"pooler,omitempty" optional:"true" connection:"pgbouncer" doc:"Connection to the PgBouncer; the only one when absent."`
	Database string `json:"database" pattern:"^[A-Za-z0-9_.-]+$" doc:"Database, as PgBouncer calls it." example:"orders"`
}

type poolResult struct {
	Host           string  `json:"host" doc:"Host of the server that clients are led to."`
	Port           int     `json:"port" doc:"Port there."`
	Paused         bool    `json:"paused" doc:"True while clients are held."`
	ClientsActive  int     `json:"clients_active" doc:"Clients that have a connection to the server, or need none now."`
	ClientsWaiting int     `json:"clients_waiting" doc:"Clients that wait for one."`
	ServersActive  int     `json:"servers_active" doc:"Connections to the server that clients have."`
	ServersIdle    int     `json:"servers_idle" doc:"Connections to the server that nobody has."`
	MaxWait        float64 `json:"max_wait" doc:"How long the client has waited that waits longest, in seconds."`
}

func pool(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[poolParams, poolResult]{
		Name:    "pgbouncer.pool",
		Doc:     "Look at the pools of a database: where clients are led to, how many there are, and how long they wait.",
		Risk:    actions.ReadOnly,
		Example: "{pooler: edge, database: orders}",
		Target:  func(p poolParams) string { return "pool/" + p.Database },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p poolParams) (poolResult, error) {
			c, err := console.Get(ctx, conns, p.Pooler)
			if err != nil {
				return poolResult{}, err
			}
			r, err := c.pool(ctx, p.Database)
			if err != nil {
				return poolResult{}, c.failure(ctx, "look at the pools of", err)
			}
			return r, nil
		},
		Timeout: 3 * answerWithin,
	})
}

func (c *client) pool(ctx context.Context, database string) (poolResult, error) {
	r, err := c.place(ctx, database)
	if err != nil {
		return poolResult{}, err
	}
	pools, err := c.tell(ctx, "SHOW POOLS")
	if err != nil {
		return poolResult{}, err
	}
	for _, p := range pools {
		if p["database"] != database {
			continue
		}
		for name, count := range map[string]*int{
			"cl_active": &r.ClientsActive, "cl_waiting": &r.ClientsWaiting, "sv_active": &r.ServersActive, "sv_idle": &r.ServersIdle,
		} {
			n, err := strconv.Atoi(p[name])
			if err != nil {
				return poolResult{}, fmt.Errorf("read %s of its pools: %w", name, err)
			}
			*count += n
		}
		seconds, _ := strconv.ParseFloat(p["maxwait"], 64)
		micros, _ := strconv.ParseFloat(p["maxwait_us"], 64)
		r.MaxWait = max(r.MaxWait, seconds+micros/1e6)
	}
	return r, nil
}

// place is where a database is, and whether its clients are held.
func (c *client) place(ctx context.Context, database string) (poolResult, error) {
	all, err := c.tell(ctx, "SHOW DATABASES")
	if err != nil {
		return poolResult{}, err
	}
	for _, d := range all {
		if d["name"] == database {
			port, err := strconv.Atoi(d["port"])
			if err != nil {
				return poolResult{}, fmt.Errorf("read the port of its database %s: %w", database, err)
			}
			return poolResult{Host: d["host"], Port: port, Paused: d["paused"] == "1"}, nil
		}
	}
	return poolResult{}, actions.Permanent(fmt.Errorf("it has no database %q", database))
}

// oneLine is an error that the driver spreads over several lines.
type oneLine struct{ error }

func (o oneLine) Error() string {
	return strings.Join(strings.FieldsFunc(o.error.Error(), func(r rune) bool { return r == '\n' || r == '\t' }), " ")
}

func (o oneLine) Unwrap() error { return o.error }
