package alertmanager

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type silenceParams struct {
	Connection string         `json:"connection,omitempty" connection:"alertmanager" optional:"true" doc:"Connection to the Alertmanager; may be left out when there is only one."`
	Matchers   []matcher      `json:"matchers" min:"1" max:"200" doc:"Matchers in Alertmanager's syntax; alerts that all of them match are silenced. Together they must not match every alert." example:"['alertname=\"DBPoolExhausted\"', 'database=\"orders\"']"`
	Duration   model.Duration `json:"duration" min:"10s" max:"24h" doc:"How long to silence." example:"15m"`
	Comment    string         `json:"comment" min:"1" doc:"Why, for the people who find the silence."`
	CreatedBy  string         `json:"created_by" default:"runbook" min:"1" doc:"Who, for the people who find the silence."`
}

type silenceResult struct {
	ID     string    `json:"id" doc:"Id of the silence."`
	EndsAt time.Time `json:"ends_at" doc:"When it ends by itself."`
}

func (s system) silenceAction() actions.Action {
	return actions.Define(actions.Def[silenceParams, silenceResult]{
		Name:    "alertmanager.silence",
		Doc:     "Silence alerts for a while. Undo expires the silence.",
		Risk:    actions.Reversible,
		Example: `{matchers: ['alertname="DBPoolExhausted"', 'database="orders"'], duration: 15m, comment: A runbook is at work on it}`,
		Target:  func(p silenceParams) string { return "silence/" + braced(p.Matchers) },
		Run:     s.silence,
		Undo:    s.unsilence,
	})
}

func (s system) silence(ctx context.Context, key actions.Key, _ actions.Target, p silenceParams) (silenceResult, error) {
	matchers, err := parsed(p.Matchers)
	if err == nil {
		err = mustNarrow(matchers)
	}
	if err != nil {
		return silenceResult{}, actions.Permanent(err)
	}
	c, err := s.client(ctx, p.Connection)
	if err != nil {
		return silenceResult{}, err
	}
	ours, err := c.silencesOf(ctx, matchers, key)
	if err != nil {
		return silenceResult{}, err
	}
	if len(ours) > 0 {
		return silenceResult{ID: *ours[0].ID, EndsAt: time.Time(*ours[0].EndsAt).UTC()}, nil
	}
	wanted := p.silence(matchers, key, s.now())
	id, err := c.PostSilence(ctx, wanted)
	if err != nil {
		return silenceResult{}, c.writeFailure(err)
	}
	return silenceResult{ID: id, EndsAt: time.Time(*wanted.EndsAt)}, nil
}

func (s system) unsilence(ctx context.Context, key actions.Key, _ actions.Target, p silenceParams) error {
	matchers, err := parsed(p.Matchers)
	if err != nil {
		return actions.Permanent(err)
	}
	c, err := s.client(ctx, p.Connection)
	if err != nil {
		return err
	}
	ours, err := c.silencesOf(ctx, matchers, key)
	if err != nil {
		return err
	}
	for _, silence := range ours {
		if *silence.Status.State == models.SilenceStatusStateExpired {
			continue
		}
		if err := c.ExpireSilence(ctx, *silence.ID); err != nil {
			return c.writeFailure(err)
		}
	}
	return nil
}

// silencesOf finds the silences of a key, the oldest first. Those that expired
// count: when somebody ended ours, a retry must not silence again.
func (c client) silencesOf(ctx context.Context, matchers labels.Matchers, key actions.Key) ([]*models.GettableSilence, error) {
	all, err := c.Silences(ctx, queries(matchers))
	if err != nil {
		return nil, c.readFailure(err)
	}
	ours := slices.DeleteFunc(all, func(s *models.GettableSilence) bool { return !strings.HasSuffix(*s.Comment, commentMark(key)) })
	slices.SortStableFunc(ours, func(a, b *models.GettableSilence) int {
		return time.Time(*a.StartsAt).Compare(time.Time(*b.StartsAt))
	})
	return ours, nil
}

// commentMark is in the comment, because silences have annotations only since
// 0.32.
func commentMark(key actions.Key) string { return " (runbook key " + markOf(key) + ")" }

func (p silenceParams) silence(matchers labels.Matchers, key actions.Key, now time.Time) models.Silence {
	now = now.UTC().Truncate(time.Millisecond) // what the API keeps
	starts, ends := strfmt.DateTime(now), strfmt.DateTime(now.Add(time.Duration(p.Duration)))
	comment := p.Comment + commentMark(key)
	return models.Silence{
		Matchers: apiMatchers(matchers), Comment: &comment, CreatedBy: &p.CreatedBy,
		StartsAt: &starts, EndsAt: &ends,
	}
}
