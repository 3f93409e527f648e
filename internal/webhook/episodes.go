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
	endsAt   time.Time
	// before are the starts of those before it, newest first, and gap is how long
	// the alert had been over when it fired again.
	before []time.Time
	gap    time.Duration
	origin string // externalURL of the message
}

// maxBefore bounds how many episodes of one alert are remembered.
const maxBefore = 5

// again is the episode that follows.
func (e episode) again(startsAt time.Time) episode {
	next := episode{startsAt: startsAt, before: append([]time.Time{e.startsAt}, e.before...)}
	next.before = next.before[:min(len(next.before), maxBefore)]
	if e.resolved {
		next.gap = startsAt.Sub(e.endsAt)
	}
	return next
}

func newEpisodes() *episodes {
	newest, err := lru.NewLRU[string, episode](maxEpisodes, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &episodes{newest: newest}
}

// knows reports that this very episode was heard of.
func (e *episodes) knows(a *runbooks.Alert) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	known, ok := e.newest.Peek(a.Fingerprint)
	return ok && known.startsAt.Equal(a.StartsAt)
}

// fired notes a firing. It is stale when a newer episode of the alert is known,
// or when this one is over.
func (e *episodes) fired(a *runbooks.Alert) (stale bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known, ok := e.newest.Get(a.Fingerprint)
	switch {
	case !ok:
		e.newest.Add(a.Fingerprint, episode{startsAt: a.StartsAt, origin: a.ExternalURL})
		return false
	case a.StartsAt.After(known.startsAt):
		next := known.again(a.StartsAt)
		next.origin = a.ExternalURL
		e.newest.Add(a.Fingerprint, next)
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
	case !ok:
		e.newest.Add(a.Fingerprint, episode{startsAt: a.StartsAt, resolved: true, endsAt: a.EndsAt})
	case a.StartsAt.After(known.startsAt):
		next := known.again(a.StartsAt)
		next.resolved, next.endsAt = true, a.EndsAt
		e.newest.Add(a.Fingerprint, next)
	case a.StartsAt.Equal(known.startsAt):
		known.resolved, known.endsAt = true, a.EndsAt
		e.newest.Add(a.Fingerprint, known)
	case !known.resolved && a.EndsAt.After(known.startsAt):
		known.resolved, known.endsAt = true, a.EndsAt
		e.newest.Add(a.Fingerprint, known)
		over = append(over, known.startsAt)
	}
	return over
}

// before is the starts of the episodes just before one, newest first, when the
// alert was over for less than delay in between. An episode whose end was not
// heard of is taken for one that had just ended.
func (e *episodes) before(a *runbooks.Alert, delay time.Duration) []time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	known, ok := e.newest.Get(a.Fingerprint)
	if !ok || !known.startsAt.Equal(a.StartsAt) || known.gap >= delay {
		return nil
	}
	return known.before
}

// origin is from where an alert came, "" where that is not known.
func (e *episodes) origin(fingerprint string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	known, _ := e.newest.Peek(fingerprint)
	return known.origin
}

// recall notes an episode by the id of its run, from before the engine started.
func (e *episodes) recall(runID string) {
	if fingerprint, startsAt, ok := EpisodeOf(runID); ok {
		e.fired(&runbooks.Alert{Fingerprint: fingerprint, StartsAt: startsAt})
	}
}

// EpisodeOf is the episode of a run by its id, unless a person started it.
func EpisodeOf(runID string) (fingerprint string, startsAt time.Time, ok bool) {
	_, id, _ := strings.Cut(runID, ".")
	fingerprint, nanos, found := strings.Cut(id, "-")
	start, err := strconv.ParseInt(nanos, 36, 64)
	if !found || err != nil || !fingerprintForm.MatchString(fingerprint) {
		return "", time.Time{}, false
	}
	return fingerprint, time.Unix(0, start).UTC(), true
}
