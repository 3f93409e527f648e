package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/webhook"
	"github.com/runbook-engine/runbook/runbooks"
)

// looked is what the Alertmanagers list.
type looked struct {
	// routed are the alerts that this engine would be notified of.
	routed []runbooks.Alert
	// firing are the fingerprints of all alerts, muted ones too.
	firing map[string]bool
	// settled reports that all have been up for long enough to know of each alert.
	settled bool
}

// one is what one Alertmanager lists.
type one struct {
	groups models.AlertGroups
	alerts []*models.GettableAlert
	since  time.Time
	err    error
}

const askWithin = 30 * time.Second

// ask asks all at the same time. The error is of those that did not answer.
func (r *Reconciler) ask(ctx context.Context) (looked, error) {
	answers := make([]one, len(r.Alertmanagers))
	pattern := r.pattern()
	var all sync.WaitGroup
	for i, peer := range r.Alertmanagers {
		all.Go(func() { answers[i] = askOne(ctx, peer, pattern) })
	}
	all.Wait()
	return r.merge(answers)
}

func askOne(ctx context.Context, peer alertmanagerapi.Peer, pattern string) (o one) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	// The status is first: a restart in between is noticed by the next look.
	if o.since, o.err = peer.Since(ctx); o.err == nil {
		o.groups, o.err = peer.Firing(ctx, pattern, nil)
	}
	if o.err == nil {
		o.alerts, o.err = peer.Alerts(ctx, alertmanagerapi.Filter{Active: true, Silenced: true, Inhibited: true})
	}
	if o.err != nil {
		o.err = fmt.Errorf("alertmanager %s: %w", peer.Name, o.err)
	}
	return o
}

// merge takes of each alert the earliest start: so does Alertmanager, when it
// hears of one alert twice.
func (r *Reconciler) merge(answers []one) (looked, error) {
	all := looked{firing: map[string]bool{}, settled: true}
	at := map[string]int{}
	var failed []error
	for _, o := range answers {
		if o.err != nil {
			failed = append(failed, o.err)
			continue
		}
		all.settled = all.settled && time.Since(o.since) >= r.Settled
		for _, a := range o.alerts {
			all.firing[*a.Fingerprint] = true
			r.seen.Add(*a.Fingerprint, struct{}{})
			r.origins[r.Receiver.Origin(*a.Fingerprint)] = true
		}
		for _, g := range o.groups {
			for _, listed := range g.Alerts {
				all.add(at, webhook.Listed(listed, *g.Receiver.Name, g.RouteLabels))
			}
		}
	}
	return all, errors.Join(failed...)
}

func (l *looked) add(at map[string]int, a runbooks.Alert) {
	i, known := at[a.Fingerprint]
	switch {
	case !known:
		at[a.Fingerprint] = len(l.routed)
		l.routed = append(l.routed, a)
	case a.StartsAt.Before(l.routed[i].StartsAt):
		l.routed[i] = a
	}
}
