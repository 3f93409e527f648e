package admission_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/runbook-engine/runbook/internal/admission"
	"github.com/runbook-engine/runbook/internal/ledger"
)

const (
	childEnv = "ADMISSION_TEST_CHILD"
	// longEnv is for how long the contest lasts, such as 5m.
	longEnv = "ADMISSION_TEST_FOR"
	seed    = 3
)

func isLost(err error) bool { return errors.Is(err, admission.ErrLost) }

// The check is in the manner of Jepsen: what workers were told and did is
// recorded while processes are stopped and killed, the network is cut, the clock
// of each worker goes wrong in a way of its own, and a person with a wrong clock
// halts and resumes. What must never be is looked for in the record.
func TestNoLeaseIsHeldTwiceNoBudgetExceededNoCooldownBroken(t *testing.T) {
	found := contest(t, true, contestTime(t, 12*time.Second), ample)
	for _, v := range found {
		t.Error(v)
	}
}

// The same without the fencing: neither is the lease proved before an effect,
// nor are tokens looked at where the effect is made. The check must see it.
func TestWithoutFencingTheCheckFails(t *testing.T) {
	found := contest(t, false, 4*time.Second, func(h []event) bool { return ample(h) && faults(judge(h)) == 2 })
	for i, v := range found {
		if i < 5 {
			t.Log(v)
		}
	}
	if faults(found) != 2 {
		t.Errorf("of %d violations none is of a lease held twice, or of a late effect", len(found))
	}
}

// faults counts the kinds that fencing is against.
func faults(found []violation) int {
	kinds := map[string]bool{}
	for _, v := range found {
		if v.kind == heldTwice || v.kind == staleWrite {
			kinds[v.kind] = true
		}
	}
	return len(kinds)
}

func contestTime(t *testing.T, usual time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv(longEnv)
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// contest lasts for a time, and on a slow machine until there is enough to judge.
func contest(t *testing.T, fenced bool, lasts time.Duration, enough func([]event) bool) []violation {
	d := newDesk(t, contestLimits(), 150)
	r := newRegister(fenced)
	near, far := newProxy(t), newProxy(t)
	ctx, end := context.WithTimeout(t.Context(), lasts+time.Minute)
	defer end()
	var all sync.WaitGroup
	play := func(i int, c client.Client) {
		player := contestant{
			start: starter(c), name: fmt.Sprint("w", i), fenced: fenced, ledger: d.another(c).Skew(rates[i%len(rates)], wrong(uint64(i))), rand: rand.New(rand.NewPCG(seed, uint64(i))), note: r.note, write: r.write,
		}
		all.Go(func() { player.play(ctx) })
	}
	apart := dial(t, near)
	for i := range players {
		play(i, d.temporal)
		play(i+players, apart)
	}
	spec := childSpec{Temporal: far.address(), Queue: d.queue, Register: r.serve(t), Name: "c", Fenced: fenced, Seed: seed}
	all.Go(func() { partition(ctx, near, rand.New(rand.NewPCG(seed, 101))) })
	all.Go(func() { harass(ctx, t, spec, 2*contestLease, rand.New(rand.NewPCG(seed, 100))) })
	keeper := spec
	keeper.Name, keeper.Keeps = "k", true
	all.Go(func() { harass(ctx, t, keeper, contestLease/3, rand.New(rand.NewPCG(seed, 103))) })
	all.Go(func() { d.haltAndResume(ctx, r, rand.New(rand.NewPCG(seed, 102))) })
	for rest(ctx, lasts); ctx.Err() == nil && !enough(r.events()); {
		rest(ctx, time.Second)
	}
	end()
	all.Wait()
	history := r.events()
	t.Log(tell(history))
	if !enough(history) {
		t.Error("too little happened to show anything")
	}
	return judge(history)
}

func dial(t *testing.T, p *proxy) client.Client {
	t.Helper()
	c, err := client.Dial(quiet(client.Options{HostPort: p.address()}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }

// partition cuts the network, one way or both, for less than a lease or more.
func partition(ctx context.Context, p *proxy, r *rand.Rand) {
	defer p.heal()
	for ctx.Err() == nil {
		rest(ctx, upTo(r, contestLease))
		ways := r.IntN(3)
		p.cut(ways != 0, ways != 1)
		rest(ctx, upTo(r, 2*contestLease))
		p.heal()
	}
}

// harass stops an engine for a while, kills it in the end, and starts it again.
func harass(ctx context.Context, t *testing.T, s childSpec, longest time.Duration, r *rand.Rand) {
	for n := uint64(0); ctx.Err() == nil; n++ {
		s.Seed = seed + n
		process, end, err := startChild(s)
		if err != nil {
			t.Error(err)
			return
		}
		for range 2 {
			rest(ctx, time.Second+upTo(r, time.Second))
			signal(t, process, syscall.SIGSTOP)
			rest(ctx, upTo(r, longest))
			signal(t, process, syscall.SIGCONT)
		}
		rest(ctx, upTo(r, time.Second))
		signal(t, process, syscall.SIGKILL)
		end()
	}
}

func signal(t *testing.T, p *os.Process, s os.Signal) {
	if err := p.Signal(s); err != nil {
		t.Errorf("%s to the other engine: %v", s, err)
	}
}

func startChild(s childSpec) (child *os.Process, end func(), err error) {
	raw, err := json.Marshal(s)
	if err != nil {
		return nil, nil, err
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(raw))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, nil, err
	}
	return cmd.Process, func() {
		_ = cmd.Wait() // it was killed
		_ = stdin.Close()
	}, nil
}

// haltAndResume is a person whose clock is wrong by up to an hour.
func (d *desk) haltAndResume(ctx context.Context, r *register, random *rand.Rand) {
	last := time.Now()
	for ctx.Err() == nil {
		rest(ctx, time.Second+upTo(random, 2*time.Second))
		last = newer(time.Now().Add(upTo(random, 2*time.Hour)-time.Hour), last)
		if _, err := d.Apply(ctx, ledger.Op{Halt: &ledger.Halt{By: "ann", At: last}}); err != nil {
			return
		}
		from := time.Now().UnixNano()
		rest(ctx, upTo(random, 300*time.Millisecond))
		r.note(event{Kind: "halted", Run: "ann", Sent: from, Done: time.Now().UnixNano()})
		last = newer(time.Now().Add(upTo(random, 2*time.Hour)-time.Hour), last)
		if _, err := d.Apply(ctx, ledger.Op{Resume: &ledger.Resume{By: "ann", At: last}}); err != nil {
			return
		}
	}
}

// newer is a time that counts as newer than the last, whatever the clock says.
func newer(now, last time.Time) time.Time {
	if now.After(last) {
		return now
	}
	return last.Add(time.Millisecond)
}
