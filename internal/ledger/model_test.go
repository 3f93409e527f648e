package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/internal/ledger"
)

// play is a random history of a ledger, with what may be believed of it kept
// beside it, by other means.
type play struct {
	t      *testing.T
	rand   *rand.Rand
	l      *ledger.Ledger
	now    time.Time
	limits ledger.Limits
	runs   []*played
	token  int64
	halted bool
	open   bool
}

type played struct {
	ledger.Admit
	state    ledger.State // as the run knows it
	token    int64
	granted  time.Time
	valid    time.Time // it believes in its lease until then
	released time.Time
	acted    bool
	linger   bool
	dead     bool // it will never be heard of again
	asked    time.Time
}

const (
	playLease    = 30 * time.Second
	playCooldown = 2 * time.Minute
)

func newPlay(t *testing.T, seed uint64) *play {
	p := &play{t: t, rand: rand.New(rand.NewPCG(seed, 1)), now: start, l: ledger.New(start)}
	p.limits = ledger.Limits{
		Lease: model.Duration(playLease), MaxRuns: 6, Rate: []ledger.Rate{{N: 40, Per: model.Duration(5 * time.Minute)}},
		Storm: ledger.Storm{Runs: 60, Within: model.Duration(5 * time.Minute)},
		Queue: ledger.Queue{Max: 60, MaxWait: model.Duration(20 * time.Minute)},
	}
	return p
}

func (p *play) fatalf(format string, args ...any) {
	p.t.Helper()
	p.t.Fatalf("at %s: %s", p.now.Sub(start), fmt.Sprintf(format, args...))
}

func (p *play) apply(op ledger.Op) ledger.Answer {
	p.t.Helper()
	answers, effects := p.l.Apply(p.now, p.limits, []ledger.Op{op})
	p.effects(effects)
	if p.rand.IntN(20) == 0 {
		packed, err := p.l.Pack()
		if err != nil {
			p.t.Fatal(err)
		}
		if p.l, err = ledger.Unpack(packed); err != nil {
			p.t.Fatal(err)
		}
	}
	return answers[0]
}

func (p *play) effects(effects []ledger.Effect) {
	p.t.Helper()
	for _, e := range effects {
		if e.Answer != nil {
			p.take(p.find(e.Run), *e.Answer, true)
		}
	}
}

func (p *play) find(run string) *played {
	p.t.Helper()
	i := slices.IndexFunc(p.runs, func(r *played) bool { return r.Run == run })
	if i < 0 {
		p.fatalf("no run %s", run)
	}
	return p.runs[i]
}

// take is what the ledger has decided, whether or not the run hears of it.
func (p *play) take(r *played, a ledger.Answer, signalled bool) {
	p.t.Helper()
	if a.State == ledger.Admitted && a.Token != r.token {
		p.granted(r, a, signalled)
	}
	if r.state != ledger.Admitted || a.State == ledger.Admitted {
		r.state = a.State
	}
}

func (p *play) granted(r *played, a ledger.Answer, signalled bool) {
	p.t.Helper()
	if a.Token <= p.token {
		p.fatalf("%s got token %d after %d", r.Run, a.Token, p.token)
	}
	if p.halted {
		p.fatalf("%s got its turn while halted", r.Run)
	}
	if p.open && r.Source == "alert" && signalled {
		p.fatalf("%s got its turn in a storm", r.Run)
	}
	p.token, r.token, r.granted = a.Token, a.Token, p.now
	p.checkOwner(r)
	p.checkCooldown(r)
	p.checkRates(r)
	if !signalled {
		r.valid = p.now.Add(playLease)
	}
}

func (p *play) checkOwner(r *played) {
	p.t.Helper()
	acting := 0
	for _, o := range p.runs {
		if o.released.IsZero() && o.token != 0 && p.now.Before(o.valid) {
			acting++
		}
		if o == r || r.Resource == "" || o.Resource != r.Resource || o.token == 0 || !o.released.IsZero() && !o.linger {
			continue
		}
		if p.now.Before(o.valid) {
			p.fatalf("%s got %s, which %s has until %s", r.Run, r.Resource, o.Run, o.valid.Sub(start))
		}
	}
	if acting > p.limits.MaxRuns {
		p.fatalf("%d runs act", acting)
	}
}

func (p *play) checkCooldown(r *played) {
	p.t.Helper()
	for _, o := range p.runs {
		if o == r || o.Runbook != r.Runbook || o.Resource != r.Resource || !o.acted && !o.linger {
			continue
		}
		if p.now.Sub(o.released) < time.Duration(r.Cooldown) {
			p.fatalf("%s acts %s after %s", r.Run, p.now.Sub(o.released), o.Run)
		}
	}
}

func (p *play) checkRates(r *played) {
	p.t.Helper()
	within := func(per model.Duration, counts func(*played) bool) (n int) {
		for _, o := range p.runs {
			refunded := !o.released.IsZero() && !o.acted && !o.linger
			if o.token != 0 && !refunded && counts(o) && p.now.Sub(o.granted) < time.Duration(per) {
				n++
			}
		}
		return n
	}
	for _, rate := range r.Rate {
		if n := within(rate.Per, func(o *played) bool { return o.Runbook == r.Runbook && o.Resource == r.Resource }); n > rate.N {
			p.fatalf("%s is number %d of %s", r.Run, n, rate)
		}
	}
	for _, rate := range p.limits.Rate {
		if n := within(rate.Per, func(*played) bool { return true }); n > rate.N {
			p.fatalf("%s is number %d of all, of %s", r.Run, n, rate)
		}
	}
}

func (p *play) any() *played {
	var live []*played
	for _, r := range p.runs {
		if !r.dead && r.released.IsZero() && r.state != ledger.Refused {
			live = append(live, r)
		}
	}
	if len(live) == 0 {
		return nil
	}
	return live[p.rand.IntN(len(live))]
}

func pick[T any](p *play, of ...T) T { return of[p.rand.IntN(len(of))] }

func (p *play) arrive() {
	p.t.Helper()
	r := &played{}
	r.Admit = ledger.Admit{
		Runbook: pick(p, "heal", "restart"), Alert: pick(p, "A", "B", "C"), Severity: pick(p, "page", "warning", ""),
		Source: pick(p, "alert", "alert", "alert", "exec", "gameday"), Resource: pick(p, "", "db", "web", "cache", "queue"),
		OnConflict: pick(p, "", "queue", "drop", "replace"),
	}
	r.Run = fmt.Sprintf("%s.%d", r.Runbook, len(p.runs))
	if r.Runbook == "restart" {
		r.Cooldown = model.Duration(playCooldown)
	} else {
		r.Rate = []ledger.Rate{{N: 3, Per: model.Duration(5 * time.Minute)}, {N: 6, Per: model.Duration(time.Hour)}}
	}
	p.runs = append(p.runs, r)
	p.ask(r)
}

func (p *play) ask(r *played) {
	p.t.Helper()
	a := r.Admit
	answer := p.apply(ledger.Op{Admit: &a})
	p.take(r, answer, false)
	p.open = p.l.Brief().Storm != nil
	if answer.State == ledger.Admitted {
		r.valid = p.now.Add(playLease)
	}
	r.asked = p.now
}

func (p *play) confirm(r *played) {
	p.t.Helper()
	if r.token == 0 {
		return
	}
	answer := p.apply(ledger.Op{Confirm: &ledger.Confirm{Run: r.Run, Token: r.token}})
	switch {
	case answer.State == ledger.Admitted:
		r.valid = p.now.Add(playLease)
	case p.now.Before(r.valid):
		p.fatalf("%s lost its lease before it was over: %s", r.Run, answer.Reason)
	}
}

func (p *play) release(r *played) {
	p.t.Helper()
	if r.token == 0 {
		return
	}
	held := p.now.Before(r.valid)
	linger, acted := p.rand.IntN(5) == 0, p.rand.IntN(2) == 0
	release := ledger.Op{Release: &ledger.Release{Run: r.Run, Linger: linger, Acted: acted}}
	// After the lease was lost, the ledger has counted the run as ended, then.
	r.released, r.linger, r.acted = p.now, linger && held, acted && held
	p.apply(release)
	if p.rand.IntN(3) == 0 {
		p.apply(release)
	}
}

func (p *play) move() {
	p.t.Helper()
	r := p.any()
	switch n := p.rand.IntN(100); {
	case n < 30:
		p.arrive()
	case n < 32:
		p.halt()
	case n < 40:
		p.halted = false
		p.apply(ledger.Op{Resume: &ledger.Resume{By: "ann"}})
	case n < 42:
		p.open = false
		p.apply(ledger.Op{Reset: &ledger.Reset{By: "ann", Skip: p.rand.IntN(2) == 0}})
	case r == nil:
	case n < 50:
		p.ask(r)
	case n < 70:
		p.confirm(r)
	case n < 95:
		p.release(r)
	default:
		r.dead = true
	}
}

func (p *play) halt() {
	p.t.Helper()
	p.apply(ledger.Op{Halt: &ledger.Halt{By: "ann", At: p.now}})
	p.halted = p.l.Brief().Halt != nil
}

func (p *play) pass(d time.Duration) {
	p.t.Helper()
	end := p.now.Add(d)
	for next := p.l.Next(); !next.IsZero() && !next.After(end); next = p.l.Next() {
		p.now = later(p.now, next)
		p.effects(p.l.Tick(p.now))
	}
	p.now = end
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// drain lets everything come to its end: each run has got its answer.
func (p *play) drain() {
	p.t.Helper()
	p.halted, p.open = false, false
	p.apply(ledger.Op{Resume: &ledger.Resume{By: "ann"}})
	p.apply(ledger.Op{Reset: &ledger.Reset{By: "ann"}})
	for range 2000 {
		for _, r := range p.runs {
			if r.state == ledger.Admitted && r.released.IsZero() && !r.dead {
				p.release(r)
			}
		}
		p.pass(time.Second)
	}
	s := p.l.Snapshot()
	if s.Queued > 0 || len(s.Leases) > 0 {
		p.fatalf("left over: %+v %+v", s.Queue, s.Leases)
	}
	for _, r := range p.runs {
		// Those whom the full queue sent away ask again by themselves.
		if r.state == ledger.Queued && !r.dead && r.released.IsZero() {
			p.ask(r)
			if r.state == ledger.Queued {
				p.fatalf("%s got no answer", r.Run)
			}
			p.release(r)
		}
	}
}

func TestRandomHistories(t *testing.T) {
	moves := 2500
	if testing.Short() {
		moves = 500
	}
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			p := newPlay(t, seed)
			if seed%3 == 0 {
				p.limits.Storm.Runs = 0
			}
			for range moves {
				p.move()
				p.pass(time.Duration(p.rand.ExpFloat64() * float64(4*time.Second)))
			}
			p.drain()
			p.report()
		})
	}
}

func (p *play) report() {
	p.t.Helper()
	count := map[ledger.State]int{}
	for _, r := range p.runs {
		count[r.state]++
	}
	if count[ledger.Admitted] < len(p.runs)/20 || count[ledger.Refused] == 0 {
		p.t.Errorf("of %d runs %v: nothing is shown by that", len(p.runs), count)
	}
	p.t.Logf("%d runs: %v", len(p.runs), count)
}

// Names of one severity get their turns one after the other, however many runs
// each has and in whatever order they came.
func TestRandomQueuesAreFair(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	d := newDesk(t)
	d.limits.MaxRuns, d.rereads = 1, 50
	d.admitted(ledger.Admit{Run: "first.0"})
	left := map[string]int{}
	for n := range 500 {
		alert := fmt.Sprint("A", min(r.IntN(8), r.IntN(8)))
		d.admit(ledger.Admit{Run: fmt.Sprintf("%s.%d", alert, n), Alert: alert, Severity: "warning"})
		left[alert]++
	}
	last, had := "first.0", map[string]int{}
	for range 500 {
		d.release(last, true)
		turns := d.turns()
		if len(turns) != 1 {
			t.Fatalf("turns %q", turns)
		}
		last = turns[0]
		had[last[:2]]++
		left[last[:2]]--
		for alert, n := range left {
			if n > 0 && had[last[:2]] > had[alert]+1 {
				t.Fatalf("%s had %d turns, %s %d", last[:2], had[last[:2]], alert, had[alert])
			}
		}
	}
}
