package webhook

import (
	"strconv"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/runbook-engine/runbook/runbooks"
)

// maxEpisodes bounds the memory for late firings: the alerts that were heard of
// longest ago are forgotten first.
const maxEpisodes = 50_000

// episodes remembers the newest episode of each alert, to know a late firing of
// an older one: Alertmanagers that notify together repeat each other after an
// outage, in any order.
type episodes struct {
	mu     sync.Mutex
	newest *lru.LRU[string, episode]
}

type episode struct {
	startsAt time.Time
	resolved bool
}

func newEpisodes() *episodes {
	newest, err := lru.NewLRU[string, episode](maxEpisodes, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &episodes{newest: newest}
}

// fired notes a firing. It is stale when a newer episode of the alert is known,
// or when this one is over.
func (e *episodes) fired(a *runbooks.Alert) (stale bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known, ok := e.newest.Get(a.Fingerprint)
	switch {
	case !ok || a.StartsAt.After(known.startsAt):
		e.newest.Add(a.Fingerprint, episode{startsAt: a.StartsAt})
		return false
	case a.StartsAt.Equal(known.startsAt):
		return known.resolved
	default:
		return true
	}
}

// resolved notes the end of an alert, and gives the episodes that are over by
// it. They are two when the alert was first heard of with a later start: an
// Alertmanager that hears of one alert from two Prometheus servers settles on
// the earlier.
func (e *episodes) resolved(a *runbooks.Alert) []time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	over := []time.Time{a.StartsAt}
	known, ok := e.newest.Get(a.Fingerprint)
	switch {
	case !ok || !known.startsAt.After(a.StartsAt):
		e.newest.Add(a.Fingerprint, episode{startsAt: a.StartsAt, resolved: true})
	case !known.resolved && a.EndsAt.After(known.startsAt):
		e.newest.Add(a.Fingerprint, episode{startsAt: known.startsAt, resolved: true})
		over = append(over, known.startsAt)
	}
	return over
}

// recall notes an episode by the id of its run, from before the engine started.
func (e *episodes) recall(runID string) {
	_, id, _ := strings.Cut(runID, ".")
	fingerprint, nanos, found := strings.Cut(id, "-")
	start, err := strconv.ParseInt(nanos, 36, 64)
	if !found || err != nil || !fingerprintForm.MatchString(fingerprint) {
		return // started by a person
	}
	e.fired(&runbooks.Alert{Fingerprint: fingerprint, StartsAt: time.Unix(0, start).UTC()})
}
