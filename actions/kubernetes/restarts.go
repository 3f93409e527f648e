package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/actions"
)

// restartsAnnotation holds our last restarts of a workload. It is on the
// workload and not on its template, so that a roll back does not take it away,
// and it holds several, so that a late retry is recognised also when another
// run has restarted the workload since.
const restartsAnnotation = "runbook-engine.io/restarts"

const (
	maxRestarts = 10
	timeForm    = "2006-01-02T15:04:05.000Z07:00"
)

// restart is one of them. The mark is a digest of the key, because a key may
// hold what an alert said.
type restart struct {
	mark string
	at   time.Time
}

type restarts []restart

func markOf(key actions.Key) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// parseRestarts reads the annotation: mark=time, the newest first. What is
// malformed is not ours.
func parseRestarts(text string) (all restarts) {
	for _, field := range strings.Fields(text) {
		mark, moment, _ := strings.Cut(field, "=")
		if at, err := time.Parse(timeForm, moment); err == nil {
			all = append(all, restart{mark, at})
		}
	}
	return all
}

func (r restarts) String() string {
	fields := make([]string, len(r))
	for i, one := range r {
		fields[i] = one.mark + "=" + one.at.Format(timeForm)
	}
	return strings.Join(fields, " ")
}

func (r restarts) of(key actions.Key) (at time.Time, found bool) {
	mark := markOf(key)
	for _, one := range r {
		if one.mark == mark {
			return one.at, true
		}
	}
	return time.Time{}, false
}

func (r restarts) with(key actions.Key, at time.Time) restarts {
	all := append(restarts{{markOf(key), at}}, r...)
	return all[:min(len(all), maxRestarts)]
}
