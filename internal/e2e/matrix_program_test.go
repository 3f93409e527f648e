package e2e

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Who is killed.
const (
	nobodyDies     = "nobody"
	engineDies     = "engine"
	proxyDies      = "proxy"
	backstopDies   = "backstop"
	bothDie        = "engine and backstop"
	controllerDies = "controller" // of Chaos Mesh
	allDie         = "engine and controller"
	temporalGone   = "temporal" // can not be reached for a while, by an engine that lives
)

// When.
const (
	planned    = "planned"
	preflight  = "preflight"
	registered = "registered"
	injected   = "injected"
	effectSeen = "effect seen"
	firing     = "firing"
	acting     = "run started"
	healing    = "healing"
	healed     = "healed"
	judged     = "judged"
	anyMoment  = "any moment"
)

var moments = []string{planned, preflight, registered, injected, effectSeen, firing, acting, healing, healed, judged, anyMoment}

// What is wrong with the remedy, so that the drill must not pass.
const (
	idleRemedy    = "with an idle remedy"
	silencedAlert = "with a silenced alert"
)

var (
	flaws         = []string{idleRemedy, silencedAlert}
	flawedMoments = []string{registered, effectSeen, firing, anyMoment}
)

// play is one drill, and what is done to it.
type play struct {
	number         int
	fault          stageFault
	victim, moment string
	flaw           string

	pause  time.Duration // after the moment
	random time.Duration // from the start, for any moment
	outage time.Duration // until what was killed is started again
	wait   bool          // the engine stays away until the fault is gone
	abort  bool          // a person stops the drill after that
	raise  time.Duration // how long the alert takes
}

func (p play) String() string {
	return strings.TrimSuffix(fmt.Sprintf("%03d %s, %s dies, %s, %s", p.number, p.fault.name, p.victim, p.moment, p.flaw), ", ")
}

// victims are those that a fault on a way may depend on.
func victims(way string) []string {
	switch way {
	case ownWay:
		return []string{engineDies, proxyDies}
	case databaseWay:
		return []string{engineDies}
	case meshWay:
		return []string{engineDies, controllerDies, allDie}
	}
	return []string{engineDies, backstopDies, bothDie}
}

// survives: the fault is in the system whatever is killed.
func (p play) survives() bool {
	return p.victim == bothDie || p.victim == temporalGone || p.fault.way == meshWay
}

// What a stage must have for a play.
const (
	needsNothing = "nothing"
	needsWire    = "a wire to Temporal"
	needsMesh    = "a cluster"
)

func (p play) needs() string {
	switch {
	case p.victim == temporalGone:
		return needsWire
	case p.fault.way == meshWay:
		return needsMesh
	}
	return needsNothing
}

// program is the drills of a seed: all combinations in an order of chance, again
// and again.
func program(faults []stageFault, runs int, seed uint64, only *regexp.Regexp) (all []play) {
	chance := rand.New(rand.NewPCG(seed, 0))
	for len(all) < runs {
		round := withoutTemporal(faults[0])
		for _, f := range faults {
			round = append(round, plays(f)...)
			round = append(round, flawed(f)...)
		}
		round = slices.DeleteFunc(round, func(p play) bool { return !only.MatchString(p.String()) })
		chance.Shuffle(len(round), func(i, j int) { round[i], round[j] = round[j], round[i] })
		all = append(all, round...)
	}
	for i := range all {
		all[i].number = i
		all[i].toss(chance)
	}
	return all[:runs]
}

func plays(f stageFault) []play {
	all := []play{{fault: f, victim: nobodyDies}, {fault: f, victim: nobodyDies, moment: registered}}
	for _, v := range victims(f.way) {
		for _, m := range moments {
			all = append(all, play{fault: f, victim: v, moment: m})
		}
	}
	return all
}

// withoutTemporal are drills whose engine loses Temporal. One with a Temporal of
// its own dies together with it.
func withoutTemporal(f stageFault) (all []play) {
	for _, m := range moments {
		all = append(all, play{fault: f, victim: temporalGone, moment: m})
	}
	return all
}

// flawed are drills that the runbook fails. A fault that dies with the engine
// shows no more than one that nobody touches.
func flawed(f stageFault) (all []play) {
	for _, flaw := range flaws {
		all = append(all, play{fault: f, victim: nobodyDies, flaw: flaw})
		if f.way != meshWay {
			continue
		}
		for _, v := range []string{engineDies, controllerDies} {
			for _, m := range flawedMoments {
				all = append(all, play{fault: f, victim: v, moment: m, flaw: flaw})
			}
		}
	}
	return all
}

func (p *play) toss(chance *rand.Rand) {
	ms := func(most int) time.Duration { return time.Duration(chance.IntN(most)) * time.Millisecond }
	p.pause, p.random, p.outage = ms(80), ms(12_000), ms(1_500)
	p.raise = ms(4_000)
	p.wait = chance.IntN(2) == 0 && p.victim == engineDies
	p.abort = p.flaw == "" && (chance.IntN(6) == 0 && p.victim != nobodyDies || p.victim == nobodyDies && p.moment == registered)
	if p.fault.way == meshWay {
		p.wait = p.wait && chance.IntN(4) == 0
		p.outage *= 4
	}
	if p.victim == temporalGone {
		p.outage *= 4
	}
	if every, err := time.ParseDuration(p.fault.every); err == nil && p.victim == nobodyDies {
		p.raise += every // or the remedy comes between two looks, and nobody has seen a fault
	}
}
