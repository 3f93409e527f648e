package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

// house is the system that the tests remedy: lamps that can be switched, with a
// log of every effect. It is a real system, only a small one: what a run does
// to it is seen from outside the engine.
type house struct {
	mu      sync.Mutex
	lamps   map[string]bool
	effects []string
	keys    map[actions.Key]bool
	fail    map[string][]error // per lamp, what the next calls answer after they acted
	refuse  map[string]error   // per lamp, what every call answers, without acting
	broken  bool               // the probe can not tell
	counted int
	busy    int
	busiest int
	pause   time.Duration
	hushed  []string // silences made and ended
	deaf    string   // the Alertmanager that takes no silence
	sick    map[string]bool
	apart   bool                     // each prefix is a population of its own; set before the first
	members bool                     // of which all lamps are members
	gates   map[string]chan struct{} // per lamp, count and targets, what its calls wait for; set before the first
}

func newHouse(lamps ...string) *house {
	h := &house{lamps: map[string]bool{}, keys: map[actions.Key]bool{}, fail: map[string][]error{}, refuse: map[string]error{}, sick: map[string]bool{}}
	for _, l := range lamps {
		h.lamps[l] = false
	}
	return h
}

func (h *house) log() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.effects)
}

func (h *house) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

type lampParams struct {
	Prefix string `json:"prefix" doc:"Lamps whose names begin so."`
}

type oneLamp struct {
	Name string `json:"name" doc:"Lamp."`
}

type lampState struct {
	On bool `json:"on" doc:"Whether it is lit."`
}

type countResult struct {
	Value float64 `json:"value" doc:"Lamps that are lit."`
}

type silenceParams struct {
	Matchers []string       `json:"matchers" doc:"Matchers."`
	Duration model.Duration `json:"duration" doc:"Duration."`
	Comment  string         `json:"comment" doc:"Comment."`
	// Connection is whose silence it is.
	Connection string `json:"connection,omitempty" optional:"true" doc:"Connection."`
}

func (h *house) system() actions.System {
	return actions.System{Actions: []actions.Action{
		actions.Define(actions.Def[lampParams, lampState]{
			Name: "lamp.light", Doc: "Light lamps.", Risk: actions.Reversible, Example: "{prefix: a}", Parallel: 2,
			Targets: h.targets, Run: h.light, Undo: h.darken,
		}),
		actions.Define(actions.Def[oneLamp, lampState]{
			Name: "lamp.smash", Doc: "Light a lamp by force.", Risk: actions.Disruptive, Example: "{name: a}",
			Target: func(p oneLamp) string { return "lamp/" + p.Name },
			Run: func(ctx context.Context, key actions.Key, t actions.Target, p oneLamp) (lampState, error) {
				return h.light(ctx, key, t, lampParams{})
			},
			Accepts: func(_ context.Context, t actions.Target, _ oneLamp) error {
				if t.ID == "lamp/iron" {
					return errors.New("iron does not break")
				}
				return nil
			},
			Once: func(oneLamp) bool { return true },
		}),
		actions.Define(actions.Def[actions.Nothing, countResult]{
			Name: "lamp.count", Doc: "Count the lamps that are lit.", Risk: actions.ReadOnly, Example: "{}",
			Target: func(actions.Nothing) string { return "house" }, Run: h.count,
		}),
		actions.Define(actions.Def[struct {
			For model.Duration `json:"for" doc:"How long."`
		}, actions.Nothing]{
			Name: "pass", Doc: "Let time pass.", Risk: actions.ReadOnly, Example: "{for: 1s}", Idle: true,
			Target: func(struct {
				For model.Duration `json:"for" doc:"How long."`
			}) string {
				return "time"
			},
			Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p struct {
				For model.Duration `json:"for" doc:"How long."`
			}) (actions.Nothing, error) {
				select {
				case <-ctx.Done():
					return actions.Nothing{}, ctx.Err()
				case <-time.After(time.Duration(p.For)):
					return actions.Nothing{}, nil
				}
			},
		}),
		actions.Define(actions.Def[silenceParams, actions.Nothing]{
			Name: "alertmanager.silence", Doc: "Hold a page.", Risk: actions.Reversible, Example: "{matchers: [a], duration: 1m, comment: a}",
			Target: func(silenceParams) string { return "silence" }, Run: h.hush, Undo: h.unhush,
		}),
	}}
}

// pass waits at a gate, where there is one.
func (h *house) pass(ctx context.Context, name string) error {
	gate := h.gates[name]
	if gate == nil {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-gate:
		return nil
	}
}

func (h *house) targets(ctx context.Context, p lampParams) (actions.Selection, error) {
	if err := h.pass(ctx, "targets"); err != nil {
		return actions.Selection{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := actions.Selection{Population: len(h.lamps)}
	if h.apart {
		s.Name = "lamps/" + p.Prefix
	}
	for name := range h.lamps {
		if h.members {
			s.Members = append(s.Members, "lamp/"+name)
		}
		if strings.HasPrefix(name, p.Prefix) {
			s.Targets = append(s.Targets, actions.Target{ID: "lamp/" + name, Unhealthy: h.sick[name]})
		}
	}
	healthy := len(h.lamps) - len(h.sick)
	s.Healthy = &healthy
	slices.SortFunc(s.Targets, func(a, b actions.Target) int { return strings.Compare(a.ID, b.ID) })
	return s, nil
}

func (h *house) light(ctx context.Context, key actions.Key, t actions.Target, _ lampParams) (lampState, error) {
	name := strings.TrimPrefix(t.ID, "lamp/")
	h.enter()
	defer h.leave()
	if err := h.pass(ctx, name); err != nil {
		return lampState{}, err
	}
	if h.pause > 0 {
		select {
		case <-ctx.Done():
			return lampState{}, ctx.Err()
		case <-time.After(h.pause):
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.refuse[name]; err != nil {
		return lampState{}, err
	}
	if !h.keys[key] {
		h.keys[key] = true
		h.lamps[name] = true
		h.effects = append(h.effects, "light "+name)
	}
	if answers := h.fail[name]; len(answers) > 0 {
		h.fail[name] = answers[1:]
		return lampState{}, answers[0]
	}
	return lampState{On: true}, nil
}

func (h *house) working() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.busy
}

func (h *house) enter() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy++
	h.busiest = max(h.busiest, h.busy)
}

func (h *house) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy--
}

func (h *house) darken(_ context.Context, key actions.Key, t actions.Target, _ lampParams) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.keys[key] {
		return nil
	}
	name := strings.TrimPrefix(t.ID, "lamp/")
	h.lamps[name] = false
	h.effects = append(h.effects, "darken "+name)
	return nil
}

func (h *house) count(ctx context.Context, _ actions.Key, _ actions.Target, _ actions.Nothing) (countResult, error) {
	if err := h.pass(ctx, "count"); err != nil {
		return countResult{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counted++
	if h.broken {
		return countResult{}, errors.New("count lamps: the meter does not answer")
	}
	n := 0
	for _, lit := range h.lamps {
		if lit {
			n++
		}
	}
	return countResult{Value: float64(n)}, nil
}

func (h *house) looks() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counted
}

func (h *house) hush(_ context.Context, _ actions.Key, _ actions.Target, p silenceParams) (actions.Nothing, error) {
	if p.Connection != "" && p.Connection == h.deaf {
		return actions.Nothing{}, actions.Permanent(errors.New("it does not listen"))
	}
	h.set(func() {
		h.hushed = append(h.hushed, fmt.Sprintf("hush %s %s", p.Duration, strings.Join(p.Matchers, ",")))
	})
	return actions.Nothing{}, nil
}

func (h *house) unhush(_ context.Context, _ actions.Key, _ actions.Target, p silenceParams) error {
	h.set(func() { h.hushed = append(h.hushed, strings.TrimSpace("unhush "+p.Connection)) })
	return nil
}

func (h *house) silences() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.hushed, "; ")
}
