package webhook

import (
	"slices"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/runbooks"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

func firingAt(minutes int) *runbooks.Alert {
	return &runbooks.Alert{Status: "firing", Fingerprint: "0123456789abcdef", StartsAt: at(minutes)}
}

func resolvedAt(minutes, end int) *runbooks.Alert {
	return &runbooks.Alert{Status: "resolved", Fingerprint: "0123456789abcdef", StartsAt: at(minutes), EndsAt: at(end)}
}

func TestLateFirings(t *testing.T) {
	e := newEpisodes()
	expect := func(what string, a *runbooks.Alert, stale bool) {
		t.Helper()
		if e.fired(a) != stale {
			t.Errorf("%s: stale is %v", what, !stale)
		}
	}
	expect("first firing", firingAt(10), false)
	expect("the same again", firingAt(10), false)
	expect("an older episode", firingAt(5), true)
	e.resolved(resolvedAt(10, 12))
	expect("the resolved episode", firingAt(10), true)
	expect("a new episode", firingAt(20), false)
	expect("the resolved one after the new one", firingAt(10), true)
	e.resolved(resolvedAt(10, 12))
	expect("the new one after a repeated end of the old one", firingAt(20), false)
}

// Of two Prometheus servers one may be a little later. Alertmanager settles on
// the earlier start, which it may have told after the later.
func TestTheEndOfAnAlertEndsItsLaterStartToo(t *testing.T) {
	e := newEpisodes()
	e.fired(firingAt(12))
	if !e.fired(firingAt(10)) {
		t.Error("the earlier start of the same firing would start a second run")
	}
	if got := e.resolved(resolvedAt(10, 30)); !slices.Equal(got, []time.Time{at(10), at(12)}) {
		t.Errorf("over are %v", got)
	}
	if got := e.resolved(resolvedAt(10, 30)); !slices.Equal(got, []time.Time{at(10)}) {
		t.Errorf("told again, over are %v", got)
	}
	if !e.fired(firingAt(12)) {
		t.Error("the episode is over")
	}
}

func TestEpisodesAreRecalledFromTheirRuns(t *testing.T) {
	e := newEpisodes()
	a := firingAt(10)
	e.recall(runbooks.RunID("db-pool", a.Episode()))
	e.recall("by-hand.20260102-aaaa")
	e.recall("by-hand")
	if e.fired(firingAt(10)) {
		t.Error("the newest episode itself is for Temporal to recognise")
	}
	if !e.fired(firingAt(9)) {
		t.Error("an older episode must be stale after a restart too")
	}
	if e.newest.Len() != 1 {
		t.Errorf("%d alerts are known", e.newest.Len())
	}
}

func TestEpisodesAreBounded(t *testing.T) {
	e := newEpisodes()
	for i := range maxEpisodes + 100 {
		e.fired(&runbooks.Alert{Fingerprint: time.Duration(i).String(), StartsAt: noon})
	}
	if n := e.newest.Len(); n != maxEpisodes {
		t.Errorf("%d alerts are known", n)
	}
}
