package mysql

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

type fenceParams struct {
	Database string `json:"database" connection:"mysql" doc:"Connection to the server that must take no write any more."`
}

type fenceResult struct {
	ReadOnly bool `json:"read_only" doc:"Always true: anything else is an error."`
	Ended    int  `json:"ended" doc:"Sessions of applications that were ended."`
}

func fence(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[fenceParams, fenceResult]{
		Name: "mysql.fence",
		Doc: "Make a server that answers take no writes: read_only (on MySQL super_read_only), then end the sessions of applications. " +
			"It fails on one that does not answer, which has to be stopped by other means. Users with READ ONLY ADMIN or SUPER can write still on MariaDB, and so " +
			"can everybody once the server has started again, unless its config has read_only.",
		Risk:    actions.Disruptive,
		Example: "{database: orders-a}",
		Target:  func(p fenceParams) string { return "database/" + p.Database },
		Timeout: 30 * time.Second,
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p fenceParams) (fenceResult, error) {
			c, err := database.Get(ctx, conns, p.Database)
			if err != nil {
				return fenceResult{}, err
			}
			ended, err := c.fence(ctx)
			if err != nil {
				return fenceResult{}, c.failure(ctx, "fence", err)
			}
			return fenceResult{ReadOnly: true, Ended: ended}, nil
		},
	})
}

func (c *client) fence(ctx context.Context) (ended int, err error) {
	var version string
	if err := c.control.QueryRowContext(ctx, "SELECT version()").Scan(&version); err != nil {
		return 0, err
	}
	variable := "super_read_only"
	if strings.Contains(version, "MariaDB") {
		variable = "read_only"
	}
	// It waits for transactions that commit, and for locks: what holds those ends
	// first, and once more after it, as new sessions may have come.
	if ended, err = c.endAll(ctx); err != nil {
		return ended, err
	}
	if _, err := c.control.ExecContext(ctx, "SET GLOBAL "+variable+" = 1"); err != nil {
		return ended, err
	}
	more, err := c.endAll(ctx)
	if err != nil {
		return ended, err
	}
	var readOnly bool
	if err := c.control.QueryRowContext(ctx, "SELECT @@global.read_only").Scan(&readOnly); err != nil {
		return ended, err
	}
	if !readOnly {
		return ended, fmt.Errorf("somebody made it writable again at the same time")
	}
	return ended + more, nil
}

func (c *client) endAll(ctx context.Context) (ended int, err error) {
	for state := range commands {
		all, err := c.sessions(ctx, killParams{State: state}, "")
		if err != nil {
			return ended, err
		}
		for _, s := range all {
			_, err := c.control.ExecContext(ctx, fmt.Sprintf("KILL CONNECTION %d", s.id))
			if err != nil && !hasNumber(err, noSuchThread) {
				return ended, err
			}
			ended++
		}
	}
	return ended, nil
}
