package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/runbook-engine/runbook/internal/api"
)

// Status is how the engine is.
func (c *Client) Status(ctx context.Context) (status api.Status, err error) {
	return status, c.call(ctx, http.MethodGet, "/status", nil, &status)
}

// Halt stops everything.
func (c *Client) Halt(ctx context.Context, request api.HaltRequest) (status api.Status, err error) {
	return status, c.call(ctx, http.MethodPost, "/halt", request, &status)
}

// Resume lets everything go on.
func (c *Client) Resume(ctx context.Context, request api.ResumeRequest) (status api.Status, err error) {
	return status, c.call(ctx, http.MethodPost, "/resume", request, &status)
}

// Approve consents to what a run asks for.
func (c *Client) Approve(ctx context.Context, id string, d api.Decide) error {
	return c.call(ctx, http.MethodPost, "/runs/"+url.PathEscape(id)+"/approve", d, nil)
}

// Deny refuses what a run asks for.
func (c *Client) Deny(ctx context.Context, id string, d api.Decide) error {
	return c.call(ctx, http.MethodPost, "/runs/"+url.PathEscape(id)+"/deny", d, nil)
}

// Resolve ends the page of a run.
func (c *Client) Resolve(ctx context.Context, id string, d api.Decide) (done api.Resolved, err error) {
	return done, c.call(ctx, http.MethodPost, "/runs/"+url.PathEscape(id)+"/resolve", d, &done)
}

// Queue is the runs that wait, the first of them.
func (c *Client) Queue(ctx context.Context) (list []api.Waiting, err error) {
	return list, c.call(ctx, http.MethodGet, "/queue", nil, &list)
}

// Windows are the maintenance windows.
func (c *Client) Windows(ctx context.Context) (list []api.Window, err error) {
	return list, c.call(ctx, http.MethodGet, "/windows", nil, &list)
}

// Trust is what each runbook may do by itself.
func (c *Client) Trust(ctx context.Context) (list []api.Trust, err error) {
	return list, c.call(ctx, http.MethodGet, "/trust", nil, &list)
}

// Plan is what the guards would say to a run.
func (c *Client) Plan(ctx context.Context, plan api.Plan) (list []api.GuardSays, err error) {
	return list, c.call(ctx, http.MethodPost, "/plan", plan, &list)
}

// ResetStorm closes the storm breaker.
func (c *Client) ResetStorm(ctx context.Context, reset api.StormReset) (status api.Status, err error) {
	return status, c.call(ctx, http.MethodPost, "/storm/reset", reset, &status)
}
