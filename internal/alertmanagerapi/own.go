package alertmanagerapi

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

// Find gives the alert that fires with exactly these labels, muted or not; nil
// where there is none.
func (c *Client) Find(ctx context.Context, set models.LabelSet) (*models.GettableAlert, error) {
	name := labels.Matcher{Type: labels.MatchEqual, Name: model.AlertNameLabel, Value: set[model.AlertNameLabel]}
	found, err := c.Alerts(ctx, Filter{Matchers: []string{name.String()}, Active: true, Silenced: true, Inhibited: true})
	if err != nil {
		return nil, err
	}
	for _, a := range found {
		if maps.Equal(a.Labels, set) {
			return a, nil
		}
	}
	return nil, nil
}

// ErrStillFires is returned for an alert that Alertmanager goes on listing.
var ErrStillFires = errors.New("it still lists the alert as firing after it was posted as resolved")

// Resolve ends an alert that we posted, whatever end it had. It is posted as
// resolved also where it is not listed: an Alertmanager that was restarted may
// have told people of it, and remembers that. Where our clock is ahead the end
// is in its future, and Alertmanager keeps the later end that it has: then the
// alert gets a time off its own clock.
func (c *Client) Resolve(ctx context.Context, a *models.PostableAlert, now time.Time) error {
	ends := now
	for range 2 {
		if err := c.PostAlert(ctx, ended(a, ends)); err != nil {
			return err
		}
		known, err := c.Find(ctx, a.Labels)
		if err != nil || known == nil {
			return err
		}
		ends = time.Time(*known.UpdatedAt)
	}
	return &Error{Op: "resolve an alert", Server: c.url, Sent: true, Err: ErrStillFires}
}

func ended(a *models.PostableAlert, ends time.Time) *models.PostableAlert {
	over := *a
	if ends.Before(time.Time(a.StartsAt)) {
		over.StartsAt = strfmt.DateTime(ends)
	}
	over.EndsAt = strfmt.DateTime(ends)
	return &over
}
