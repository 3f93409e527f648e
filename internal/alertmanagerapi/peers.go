package alertmanagerapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/api/v2/models"
)

// Peer is one of several Alertmanagers, under its name in the engine's config.
type Peer struct {
	*Client
	Name string
}

// Peers are all the Alertmanagers of an engine. Those of one cluster share
// silences and what was notified, but not the alerts that are posted to one of
// them: an alert is posted to each.
type Peers []Peer

// Names are those of all.
func (p Peers) Names() (all []string) {
	for _, one := range p {
		all = append(all, one.Name)
	}
	return all
}

// Close closes the connections that are idle.
func (p Peers) Close() {
	for _, one := range p {
		one.Client.Close()
	}
}

// peerTimeout bounds what is asked of one Alertmanager while others wait.
const peerTimeout = 5 * time.Second

// Post raises an alert in each, or ends it when its end is past. One that took
// it is enough, because they repeat it to each other's receivers or to their
// own; missed says which did not. It fails when none did.
func (p Peers) Post(ctx context.Context, a *models.PostableAlert) (missed, err error) {
	return p.enough(p.each(ctx, func(ctx context.Context, one Peer) error { return one.PostAlert(ctx, a) }))
}

// Resolve ends an alert in each. It fails unless all took it, because the others
// would go on notifying.
func (p Peers) Resolve(ctx context.Context, a *models.PostableAlert, now time.Time) error {
	return errors.Join(p.each(ctx, func(ctx context.Context, one Peer) error { return one.Resolve(ctx, a, now) })...)
}

// Firing is Client.Firing of the first that lists something. That none does is
// only known when all answered: they need not be one cluster.
func (p Peers) Firing(ctx context.Context, receivers string, matchers []string) (models.AlertGroups, error) {
	if len(p) == 0 {
		return nil, errNobody
	}
	var failed []error
	for _, one := range p {
		asking, cancel := context.WithTimeout(ctx, peerTimeout)
		groups, err := one.Firing(asking, receivers, matchers)
		cancel()
		if len(groups) > 0 {
			return groups, nil
		}
		failed = append(failed, named(one, err))
	}
	return nil, errors.Join(failed...)
}

// Fires reports whether any of them lists the alert with this fingerprint, which
// stands for all of its labels, muted or not; matchers narrow what they are asked
// for. That it does not is only known when all answered.
func (p Peers) Fires(ctx context.Context, fingerprint string, matchers ...string) (bool, error) {
	var fires atomic.Bool
	failed := p.each(ctx, func(ctx context.Context, one Peer) error {
		listed, err := one.Alerts(ctx, Filter{Matchers: matchers, Active: true, Silenced: true, Inhibited: true})
		if slices.ContainsFunc(listed, func(a *models.GettableAlert) bool { return *a.Fingerprint == fingerprint }) {
			fires.Store(true)
		}
		return err
	})
	switch {
	case fires.Load():
		return true, nil
	case len(p) == 0:
		return false, errNobody
	}
	return false, errors.Join(failed...)
}

var errNobody = errors.New("no alertmanager is configured")

// each asks all at the same time and gives the errors of those that failed, in
// their order.
func (p Peers) each(ctx context.Context, ask func(context.Context, Peer) error) []error {
	errs := make([]error, len(p))
	var all sync.WaitGroup
	for i, one := range p {
		all.Go(func() {
			asking, cancel := context.WithTimeout(ctx, peerTimeout)
			defer cancel()
			errs[i] = named(one, ask(asking, one))
		})
	}
	all.Wait()
	var failed []error
	for _, err := range errs {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

func (p Peers) enough(failed []error) (missed, err error) {
	switch {
	case len(p) == 0:
		return nil, errNobody
	case len(failed) == len(p):
		return nil, errors.Join(failed...)
	}
	return errors.Join(failed...), nil
}

func named(one Peer, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("alertmanager %s: %w", one.Name, err)
}
