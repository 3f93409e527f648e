package alertmanagerapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/client/alertgroup"
	"github.com/prometheus/alertmanager/api/v2/models"
)

// Filter chooses alerts. Those that are over are never among them.
type Filter struct {
	// Matchers in Alertmanager's syntax, all of which must match; none is all.
	Matchers []string
	// Active includes the alerts that are neither silenced nor inhibited.
	Active, Silenced, Inhibited bool
}

// Alerts lists alerts, by fingerprint. Each has its fingerprint, times and
// state set.
func (c *Client) Alerts(ctx context.Context, f Filter) ([]*models.GettableAlert, error) {
	var list models.GettableAlerts
	err := c.do(ctx, "list alerts", func(ctx context.Context) error {
		answer, err := c.api.Alert.GetAlerts(alert.NewGetAlertsParamsWithContext(ctx).
			WithFilter(f.Matchers).WithActive(&f.Active).WithSilenced(&f.Silenced).WithInhibited(&f.Inhibited))
		if err != nil {
			return err
		}
		if answer.Payload == nil {
			return errNothing
		}
		list = answer.Payload
		return whole(list)
	})
	return list, err
}

// Firing lists the alerts that Alertmanager has for some receivers now, in the
// groups that it notifies about, each with the labels of its group and, since
// 0.34, of its route. Alerts that nobody would be notified of are left out:
// silenced, inhibited and, since 0.28, muted by a time interval. Receivers is a
// pattern for the whole name; an empty one is all of them. Matchers are in Alertmanager's syntax; those of one
// group are its group labels.
func (c *Client) Firing(ctx context.Context, receivers string, matchers []string) (models.AlertGroups, error) {
	yes, no := true, false
	var groups models.AlertGroups
	err := c.do(ctx, "list alert groups", func(ctx context.Context) error {
		query := alertgroup.NewGetAlertGroupsParamsWithContext(ctx).
			WithFilter(matchers).WithActive(&yes).WithSilenced(&no).WithInhibited(&no).WithMuted(&no)
		if receivers != "" {
			query.SetReceiver(&receivers)
		}
		answer, err := c.api.Alertgroup.GetAlertGroups(query)
		if err != nil {
			return err
		}
		if answer.Payload == nil {
			return errNothing
		}
		groups = answer.Payload
		return wholeGroups(groups)
	})
	return groups, err
}

// PostAlert raises an alert, or ends it when its end is past.
func (c *Client) PostAlert(ctx context.Context, a *models.PostableAlert) error {
	return c.do(ctx, "post an alert", func(ctx context.Context) error {
		_, err := c.api.Alert.PostAlerts(alert.NewPostAlertsParamsWithContext(ctx).WithAlerts(models.PostableAlerts{a}))
		return err
	})
}

// errNothing is an answer without a list. No alerts are an empty list, and a
// missing one must not pass for it.
var errNothing = errors.New("the answer holds no list; is this an Alertmanager?")

// whole refuses an answer without the fields that every Alertmanager sends. The
// models' own Validate also wants fields that 0.25 does not have yet.
func whole(alerts []*models.GettableAlert) error {
	for i, a := range alerts {
		if a == nil || a.Fingerprint == nil || a.StartsAt == nil || a.EndsAt == nil || a.UpdatedAt == nil ||
			a.Status == nil || a.Status.State == nil {
			return fmt.Errorf("alert %d of the answer is not complete; is this an Alertmanager?", i)
		}
	}
	return nil
}

func wholeGroups(groups models.AlertGroups) error {
	for _, g := range groups {
		if g == nil || g.Receiver == nil || g.Receiver.Name == nil {
			return errors.New("a group of the answer has no receiver; is this an Alertmanager?")
		}
		if err := whole(g.Alerts); err != nil {
			return err
		}
	}
	return nil
}
