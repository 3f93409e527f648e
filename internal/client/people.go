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
