package workflows

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/common/model"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/audit"
)

// Pages is what pages need from outside their workflows.
type Pages struct {
	Alertmanagers alertmanagerapi.Peers
	Audit         *audit.Log
	// Every is how often a page is posted again; a minute unless set.
	Every time.Duration
	// Lasts is how long a page fires after it was last posted, so that an engine
	// that is restarted does not seem to end it; ten minutes unless set.
	Lasts time.Duration
}

// RegisterPages makes a worker able to keep pages.
func RegisterPages(w worker.Registry, p *Pages) {
	w.RegisterWorkflowWithOptions(KeepPage, workflow.RegisterOptions{Name: PageType})
	for name, f := range map[string]any{ActivityPagePost: p.Post, ActivityPageKeep: p.Keep, ActivityPageEnd: p.End} {
		w.RegisterActivityWithOptions(f, activity.RegisterOptions{Name: name})
	}
}

// told is what a message says to Alertmanager: as the parameters of RaiseAction.
type told struct {
	Alertname    string            `json:"alertname"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	GeneratorURL string            `json:"generator_url"`
}

// alert is the page as it is posted. Its labels and its start never change,
// because they are what tells it from others.
func (p Page) alert(ends time.Time) (*models.PostableAlert, error) {
	var t told
	if err := json.Unmarshal(p.Message.With, &t); err != nil {
		return nil, actions.Permanent(fmt.Errorf("page %s: its message has no alert: %w", p.ID, err))
	}
	labels := models.LabelSet{model.AlertNameLabel: t.Alertname}
	for name, value := range t.Labels {
		if value != "" { // as Alertmanager does
			labels[name] = value
		}
	}
	if ends.After(p.Until) {
		ends = p.Until
	}
	return &models.PostableAlert{
		Alert:       models.Alert{Labels: labels, GeneratorURL: strfmt.URI(t.GeneratorURL)},
		Annotations: maps.Clone(t.Annotations), StartsAt: strfmt.DateTime(p.StartsAt), EndsAt: strfmt.DateTime(ends),
	}, nil
}

// Post posts a page once, and says which Alertmanagers did not take it.
func (s *Pages) Post(ctx context.Context, p Page) (missed string, err error) {
	entry := audit.Entry{Kind: audit.Acted, Action: ActivityPagePost, Run: p.ID, Actor: "runbook", Reason: p.Message.Summary, Outcome: "done"}
	missing, err := s.post(ctx, p)
	switch {
	case err != nil:
		entry.Outcome, entry.Error = "failed", err.Error()
	case missing != nil:
		missed, entry.Error = missing.Error(), missing.Error()
	}
	s.record(ctx, entry)
	return missed, coded(err)
}

func (s *Pages) post(ctx context.Context, p Page) (missed, err error) {
	a, err := p.alert(time.Now().Add(cmp.Or(s.Lasts, 10*time.Minute)))
	switch {
	case err != nil:
		return nil, err
	case len(s.Alertmanagers) == 0:
		return nil, actions.Permanent(errors.New("no alertmanager connection is configured: nobody can be told"))
	}
	return s.Alertmanagers.Post(ctx, a)
}

// Keep posts a page now and again and again, until the page is over. It does so
// also while Temporal can not be reached. It gives up only on a page that no
// Alertmanager could ever take.
func (s *Pages) Keep(ctx context.Context, p Page) error {
	every := cmp.Or(s.Every, time.Minute)
	beat := time.NewTicker(min(pageBeat, every))
	defer beat.Stop()
	over := time.NewTimer(time.Until(p.Until))
	defer over.Stop()
	log := newChange(ctx, p)
	for next := time.Now(); ; {
		if !time.Now().Before(next) {
			missed, err := s.post(ctx, p)
			if actions.ClassOf(err) == actions.ClassPermanent {
				return coded(err)
			}
			log.posted(errors.Join(missed, err))
			next = time.Now().Add(every)
			if err != nil {
				next = time.Now().Add(min(pageBeat, every))
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-over.C:
			return nil
		case <-activity.GetWorkerStopChannel(ctx):
			return errors.New("this engine stops; the page is kept by the next")
		case <-beat.C:
			activity.RecordHeartbeat(ctx)
		}
	}
}

// change logs what becomes of a page only when that changes.
type change struct {
	ctx  context.Context
	page string
	last string
}

func newChange(ctx context.Context, p Page) *change { return &change{ctx: ctx, page: p.ID} }

func (c *change) posted(err error) {
	now := ""
	if err != nil {
		now = err.Error()
	}
	switch {
	case now == c.last:
		return
	case now != "":
		activity.GetLogger(c.ctx).Error("a page can not be posted everywhere; it is tried again", "page", c.page, "error", now)
	default:
		activity.GetLogger(c.ctx).Info("a page is posted everywhere again", "page", c.page)
	}
	c.last = now
}

// End posts a page as resolved, to each.
func (s *Pages) End(ctx context.Context, p Page, end PageEnd) error {
	a, err := p.alert(p.Until)
	if err != nil {
		return coded(err)
	}
	if err := s.Alertmanagers.Resolve(ctx, a, time.Now()); err != nil {
		return coded(err)
	}
	s.record(ctx, audit.Entry{Kind: audit.Undone, Action: ActivityPagePost, Run: p.ID, Actor: end.By, Reason: end.Reason})
	return nil
}

func (s *Pages) record(ctx context.Context, e audit.Entry) {
	if err := s.Audit.Write(e); err != nil {
		activity.GetLogger(ctx).Error("the audit line of a page is lost", "page", e.Run, "error", err)
	}
}
