package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/gamedays"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// Gamedays are the game days that the engine has loaded.
func (c *Client) Gamedays(ctx context.Context) (list []api.Gameday, err error) {
	return list, c.call(ctx, http.MethodGet, "/gamedays", nil, &list)
}

// PlanDrill is what a game day would meet now.
func (c *Client) PlanDrill(ctx context.Context, d api.Drill) (s api.Survey, err error) {
	return s, c.call(ctx, http.MethodPost, "/gamedays/plan", d, &s)
}

// StartDrill plays a game day.
func (c *Client) StartDrill(ctx context.Context, d api.Drill) (started api.Started, err error) {
	return started, c.call(ctx, http.MethodPost, "/drills", d, &started)
}

// Drills lists drills, newest first.
func (c *Client) Drills(ctx context.Context, f gamedays.Filter) (rows []gamedays.Row, err error) {
	q := url.Values{}
	if f.Gameday != "" {
		q.Set("gameday", f.Gameday)
	}
	if f.Running {
		q.Set("running", "true")
	}
	if f.Limit > 0 {
		q.Set("limit", strconv.Itoa(f.Limit))
	}
	return rows, c.call(ctx, http.MethodGet, "/drills?"+q.Encode(), nil, &rows)
}

// Drill is the state of a drill.
func (c *Client) Drill(ctx context.Context, id string) (d drills.Drill, err error) {
	return d, c.call(ctx, http.MethodGet, "/drills/"+url.PathEscape(id), nil, &d)
}

// AbortDrill stops a drill.
func (c *Client) AbortDrill(ctx context.Context, id, reason string) error {
	return c.call(ctx, http.MethodPost, "/drills/"+url.PathEscape(id)+"/abort", api.Ask{Reason: reason}, nil)
}

// SettleDrill says that a person has healed what a drill could not.
func (c *Client) SettleDrill(ctx context.Context, id, reason string) error {
	return c.call(ctx, http.MethodPost, "/drills/"+url.PathEscape(id)+"/settle", api.Ask{Reason: reason}, nil)
}

// Schedules is when game days run by themselves.
func (c *Client) Schedules(ctx context.Context) (list []gamedays.Schedule, err error) {
	return list, c.call(ctx, http.MethodGet, "/schedules", nil, &list)
}

// PauseSchedule keeps a game day from running by itself.
func (c *Client) PauseSchedule(ctx context.Context, gameday, reason string) error {
	return c.tellSchedule(ctx, gameday, "pause", reason)
}

// UnpauseSchedule lets it run by itself again.
func (c *Client) UnpauseSchedule(ctx context.Context, gameday, reason string) error {
	return c.tellSchedule(ctx, gameday, "unpause", reason)
}

// TriggerSchedule starts a drill now, as the schedule would.
func (c *Client) TriggerSchedule(ctx context.Context, gameday, reason string) error {
	return c.tellSchedule(ctx, gameday, "trigger", reason)
}

func (c *Client) tellSchedule(ctx context.Context, gameday, what, reason string) error {
	return c.call(ctx, http.MethodPost, "/schedules/"+url.PathEscape(gameday)+"/"+what, api.Ask{Reason: reason}, nil)
}

// Injections are the faults of ours that are in the systems now.
func (c *Client) Injections(ctx context.Context) (list []chaos.Injection, err error) {
	return list, c.call(ctx, http.MethodGet, "/injections", nil, &list)
}

// Heal ends faults in all systems.
func (c *Client) Heal(ctx context.Context, all bool) (h api.Healing, err error) {
	return h, c.call(ctx, http.MethodPost, "/injections/heal", api.Heal{All: all}, &h)
}
