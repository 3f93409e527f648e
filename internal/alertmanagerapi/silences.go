package alertmanagerapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-openapi/strfmt"

	"github.com/prometheus/alertmanager/api/v2/client/silence"
	"github.com/prometheus/alertmanager/api/v2/models"
)

// Silences lists those that have each of these matchers, also the pending and
// the expired ones that Alertmanager still knows. Each has its id, comment,
// times and state set.
func (c *Client) Silences(ctx context.Context, matchers []string) ([]*models.GettableSilence, error) {
	var list models.GettableSilences
	err := c.do(ctx, "list silences", func(ctx context.Context) error {
		answer, err := c.api.Silence.GetSilences(silence.NewGetSilencesParamsWithContext(ctx).WithFilter(matchers))
		if err != nil {
			return err
		}
		if answer.Payload == nil {
			return errNothing
		}
		list = answer.Payload
		return wholeSilences(list)
	})
	return list, err
}

// PostSilence creates a silence and returns its id.
func (c *Client) PostSilence(ctx context.Context, s models.Silence) (id string, err error) {
	err = c.do(ctx, "create a silence", func(ctx context.Context) error {
		answer, err := c.api.Silence.PostSilences(silence.NewPostSilencesParamsWithContext(ctx).
			WithSilence(&models.PostableSilence{Silence: s}))
		if err != nil {
			return err
		}
		if answer.Payload == nil || answer.Payload.SilenceID == "" {
			return errors.New("the answer has no id; is this an Alertmanager?")
		}
		id = answer.Payload.SilenceID
		return nil
	})
	return id, err
}

// ExpireSilence ends a silence now. One that is not there, or over already, is
// an error.
func (c *Client) ExpireSilence(ctx context.Context, id string) error {
	return c.do(ctx, "expire silence "+id, func(ctx context.Context) error {
		_, err := c.api.Silence.DeleteSilence(silence.NewDeleteSilenceParamsWithContext(ctx).WithSilenceID(strfmt.UUID(id)))
		return err
	})
}

func wholeSilences(silences []*models.GettableSilence) error {
	for i, s := range silences {
		if s == nil || s.ID == nil || s.Comment == nil || s.StartsAt == nil || s.EndsAt == nil || s.Status == nil || s.Status.State == nil {
			return fmt.Errorf("silence %d of the answer is not complete; is this an Alertmanager?", i)
		}
	}
	return nil
}
