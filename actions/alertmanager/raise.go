package alertmanager

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type raiseParams struct {
	Connection   string            `json:"connection,omitempty" connection:"alertmanager" optional:"true" doc:"Connection to the Alertmanager; may be left out when there is only one."`
	Alertname    string            `json:"alertname" min:"1" doc:"Name of the alert." example:"RunbookNotFixed"`
	Labels       map[string]string `json:"labels,omitempty" optional:"true" doc:"Labels besides alertname, by which Alertmanager routes it. They are its identity: alerts with the same labels are one alert." example:"{severity: page, team: payments}"`
	Annotations  map[string]string `json:"annotations,omitempty" optional:"true" doc:"Texts for the person who is notified. runbook_key is added." example:"{summary: The pool of orders is exhausted and a restart did not help}"`
	For          model.Duration    `json:"for" default:"24h" min:"1m" max:"7d" doc:"How long it fires before it ends by itself."`
	GeneratorURL string            `json:"generator_url,omitempty" optional:"true" pattern:"^https?://" doc:"Where to read more about it."`
}

type raiseResult struct {
	Fingerprint string            `json:"fingerprint" doc:"Digest of the labels, as webhooks send it."`
	StartsAt    time.Time         `json:"starts_at" doc:"When it began to fire: earlier than this step when an alert with these labels was firing already."`
	EndsAt      time.Time         `json:"ends_at" doc:"When it ends by itself."`
	Labels      map[string]string `json:"labels" doc:"All its labels."`
}

// keyAnnotation holds the mark of the run that raised the alert. It is an
// annotation, because a label would make each run's alert another one.
const keyAnnotation = "runbook_key"

// raiseAction is reversible although nobody can be unwoken: the risk is about
// the system, and there Undo leaves nothing behind. Two raised alerts with the
// same labels are one to Alertmanager; it belongs to the key that posted last.
func (s system) raiseAction() actions.Action {
	return actions.Define(actions.Def[raiseParams, raiseResult]{
		Name: "alertmanager.raise",
		Doc: "Raise an alert of our own, which Alertmanager routes like any other. Undo resolves it. " +
			"An alert that ended before its step was retried is raised anew.",
		Risk:    actions.Reversible,
		Example: `{alertname: RunbookNotFixed, labels: {severity: page}, annotations: {summary: A restart did not help}, for: 4h}`,
		Target:  func(p raiseParams) string { return "alert/" + p.Alertname + "/" + fingerprint(p.labelSet()) },
		Run:     s.raise,
		Undo:    s.unraise,
	})
}

func (s system) raise(ctx context.Context, key actions.Key, _ actions.Target, p raiseParams) (raiseResult, error) {
	if _, twice := p.Labels[model.AlertNameLabel]; twice {
		return raiseResult{}, actions.Permanent(errors.New("labels must not hold alertname; it is a parameter of its own"))
	}
	c, err := s.client(ctx, p.Connection)
	if err != nil {
		return raiseResult{}, err
	}
	known, err := c.firing(ctx, p.labelSet())
	if err != nil {
		return raiseResult{}, err
	}
	if !isOf(key, known) {
		known, err = c.post(ctx, p.alert(key, s.now()))
	}
	if err != nil {
		return raiseResult{}, err
	}
	return raiseResult{
		Fingerprint: *known.Fingerprint, Labels: known.Labels,
		StartsAt: time.Time(*known.StartsAt).UTC(), EndsAt: time.Time(*known.EndsAt).UTC(),
	}, nil
}

// post raises the alert and reads it back: Alertmanager accepts one that is
// over already by its own clock, and merges it with one that it has.
func (c client) post(ctx context.Context, a *models.PostableAlert) (*models.GettableAlert, error) {
	if err := c.PostAlert(ctx, a); err != nil {
		return nil, c.writeFailure(err)
	}
	known, err := c.firing(ctx, a.Labels)
	if err == nil && known == nil {
		err = fmt.Errorf("alertmanager %s does not list it as firing; either its clock is ahead of ours by more than `for`, "+
			"or several Alertmanagers share its url", c.name)
	}
	if err != nil {
		return nil, actions.Ambiguous(fmt.Errorf("the alert was posted: %w", err))
	}
	return known, nil
}

func (s system) unraise(ctx context.Context, key actions.Key, _ actions.Target, p raiseParams) error {
	c, err := s.client(ctx, p.Connection)
	if err != nil {
		return err
	}
	known, err := c.firing(ctx, p.labelSet())
	if err != nil || !isOf(key, known) {
		return err
	}
	posted := &models.PostableAlert{Alert: known.Alert, Annotations: known.Annotations, StartsAt: *known.StartsAt}
	if err := c.Resolve(ctx, posted, s.now()); err != nil {
		return c.writeFailure(err)
	}
	return nil
}

// isOf reports whether the alert, if there is one, was raised under the key.
func isOf(key actions.Key, a *models.GettableAlert) bool {
	return a != nil && a.Annotations[keyAnnotation] == markOf(key)
}

// firing finds the alert with exactly these labels, or nil.
func (c client) firing(ctx context.Context, set models.LabelSet) (*models.GettableAlert, error) {
	found, err := c.Find(ctx, set)
	if err != nil {
		return nil, c.readFailure(err)
	}
	return found, nil
}

func (p raiseParams) alert(key actions.Key, now time.Time) *models.PostableAlert {
	annotations := models.LabelSet{}
	maps.Copy(annotations, p.Annotations)
	annotations[keyAnnotation] = markOf(key)
	return &models.PostableAlert{
		Alert:       models.Alert{Labels: p.labelSet(), GeneratorURL: strfmt.URI(p.GeneratorURL)},
		Annotations: annotations,
		StartsAt:    strfmt.DateTime(now),
		EndsAt:      strfmt.DateTime(now.Add(time.Duration(p.For))),
	}
}

// labelSet leaves out empty labels, as Alertmanager does.
func (p raiseParams) labelSet() models.LabelSet {
	set := models.LabelSet{}
	maps.Copy(set, p.Labels)
	set[model.AlertNameLabel] = p.Alertname
	maps.DeleteFunc(set, func(_, value string) bool { return value == "" })
	return set
}

func fingerprint(set models.LabelSet) string {
	converted := model.LabelSet{}
	for name, value := range set {
		converted[model.LabelName(name)] = model.LabelValue(value)
	}
	return converted.Fingerprint().String()
}
