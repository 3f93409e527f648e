package failover

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type deadParams struct {
	Primary   string         `json:"primary" connection:"postgres" doc:"Connection to the primary itself, not to a proxy before it." example:"orders-a"`
	Standbys  []string       `json:"standbys" min:"1" max:"16" doc:"Connections to its standbys." example:"[orders-b]"`
	Witnesses []string       `json:"witnesses,omitempty" optional:"true" max:"8" doc:"Addresses of others who watch the primary: 200 says that it lives, 503 that it does not, everything else counts for neither. HAProxy's monitor-uri is one." example:"['http://proxy-1:8008/primary']"`
	Heartbeat model.Duration `json:"heartbeat" default:"3s" min:"100ms" max:"1m" doc:"How long one look may take. A primary that answers later is slow, and slow to everybody, or dead."`
	Misses    int            `json:"misses" default:"2" min:"1" max:"100" doc:"How many heartbeats without a sign of life make it dead."`
	Recent    model.Duration `json:"recent" default:"1m" min:"1s" max:"1h" doc:"A standby that is not connected counts only when it replayed a commit no longer ago, before the silence."`
	Within    model.Duration `json:"within" default:"30s" min:"1s" max:"10m" doc:"How long to watch before saying that it is not dead."`
}

func (p deadParams) enough() time.Duration {
	return time.Duration(p.Misses) * time.Duration(p.Heartbeat)
}

type deadResult struct {
	Dead     bool           `json:"dead" doc:"True when the engine and at least one other, together more than half of the vantage points, saw no sign of life for misses heartbeats, and nobody saw one. Each has been asked."`
	Vantages []sight        `json:"vantages" doc:"What each vantage point saw."`
	Took     model.Duration `json:"took" doc:"How long it was watched."`
}

func (f failover) primaryDead() actions.Action {
	return actions.Define(actions.Def[deadParams, deadResult]{
		Name: "postgres.primary_dead",
		Doc: "Find out whether a primary is dead, from more than one place: by the engine's own connection, by what its standbys hear from it, " +
			"and by others who watch it. It is not dead while it is merely slow, or while only the engine can not see it. " +
			"To be of use, a standby needs a wal_receiver_timeout of a few seconds: it asks a silent primary after half of that.",
		Risk:    actions.ReadOnly,
		Example: "{primary: orders-a, standbys: [orders-b], heartbeat: 3s, misses: 2}",
		Target:  func(p deadParams) string { return "primary/" + p.Primary },
		Limit: func(p deadParams) time.Duration {
			return time.Duration(p.Within) + time.Duration(p.Heartbeat) + 5*time.Second
		},
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p deadParams) (deadResult, error) {
			vantages, err := f.vantages(ctx, p)
			if err != nil {
				return deadResult{}, err
			}
			r, err := watch(ctx, vantages, p)
			if err != nil {
				return deadResult{}, fmt.Errorf("watch the primary %q: %w", p.Primary, err)
			}
			return r, nil
		},
	})
}

func (f failover) vantages(ctx context.Context, p deadParams) ([]vantage, error) {
	primary, err := f.open(ctx, p.Primary)
	if err != nil {
		return nil, err
	}
	standbys, err := f.others(ctx, p.Primary, p.Standbys)
	if err != nil {
		return nil, err
	}
	all := []vantage{primary.fromEngine(p)}
	for _, standby := range standbys {
		all = append(all, standby.fromStandby(p))
	}
	for _, address := range p.Witnesses {
		all = append(all, fromWitness(witness(address), p))
	}
	return all, nil
}

// looks is how often a heartbeat each place looks, if its looks are quick.
const looks = 6

type seen struct {
	place int
	sight sight
	err   error
}

// watch looks from all places, each at its own pace, until the primary is dead,
// or answers the engine, or the time is over. It is dead to nobody before each
// place has looked once: the slowest may be the one that sees it alive.
//
// Whoever gives it less time than that takes gets no answer, at once: a caller that
// only wanted to have a quick look does not cost the seconds that count.
func watch(parent context.Context, places []vantage, p deadParams) (deadResult, error) {
	began := time.Now()
	if end, limited := parent.Deadline(); limited && end.Sub(began) < p.enough() {
		return deadResult{}, fmt.Errorf("it takes %s: %w", p.enough(), context.DeadlineExceeded)
	}
	ctx, cancel := context.WithTimeout(parent, time.Duration(p.Within))
	var looking sync.WaitGroup
	defer looking.Wait()
	defer cancel()
	news := make(chan seen)
	r := deadResult{Vantages: make([]sight, len(places))}
	looked := map[int]bool{}
	for i, place := range places {
		r.Vantages[i] = sight{Name: place.name, Sees: unknown, Says: "it has not been looked at"}
		looking.Go(func() { place.report(ctx, i, time.Duration(p.Heartbeat)/looks, news) })
	}
	for {
		select {
		case s := <-news:
			if s.err != nil {
				return deadResult{}, s.err
			}
			s.sight.Name = places[s.place].name
			r.Vantages[s.place] = s.sight.after(r.Vantages[s.place])
			looked[s.place] = true
		case <-ctx.Done():
		}
		r.Dead, r.Took = len(looked) == len(places) && isDead(r.Vantages), model.Duration(time.Since(began))
		switch {
		case parent.Err() != nil:
			return deadResult{}, parent.Err()
		case r.Dead, answersUs(r.Vantages[0]), ctx.Err() != nil:
			return r, nil
		}
	}
}

// after keeps a sign of life that was seen: a place from which nothing can be seen
// any more has not seen the primary die.
func (s sight) after(before sight) sight {
	if s.Sees == unknown && before.Sees == alive {
		before.Says = strings.TrimSuffix(before.Says, lostSince) + lostSince
		return before
	}
	return s
}

const lostSince = ", when it was last asked"

// answersUs tells an answer from a silence that is too short yet.
func answersUs(engine sight) bool { return engine.Sees == alive && engine.Silent == 0 }

// report looks again and again until the context ends.
func (v vantage) report(ctx context.Context, place int, every time.Duration, news chan<- seen) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for ctx.Err() == nil {
		s, err := v.look(ctx)
		if ctx.Err() != nil {
			return // what was seen while the time ran out is no evidence
		}
		select {
		case news <- seen{place, s, err}:
		case <-ctx.Done():
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// isDead needs the engine, one other, more than half of all, and nobody who saw
// the primary alive. The engine is the first.
func isDead(sights []sight) bool {
	count := map[string]int{}
	for _, s := range sights {
		count[s.Sees]++
	}
	return sights[0].Sees == dead && count[alive] == 0 && count[dead] >= 2 && 2*count[dead] > len(sights)
}
