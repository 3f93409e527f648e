package admission_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/prometheus/common/model"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/runbook-engine/runbook/internal/admission"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

const (
	contestLease = time.Second
	cooldown     = 300 * time.Millisecond
)

var (
	runRate    = ledger.Rate{N: 2, Per: model.Duration(time.Second)}
	targetRate = ledger.Rate{N: 2, Per: model.Duration(time.Second)}
)

func contestLimits() ledger.Limits { return ledger.Limits{Lease: model.Duration(contestLease)} }

// contestant starts one run after the other, and acts under their leases.
type contestant struct {
	name   string
	fenced bool // proves its lease before each effect
	start  func(ctx context.Context, run string) error
	ledger *admission.Client
	rand   *rand.Rand
	note   func(event)
	write  func(run, resource string, token int64) bool
	runs   int
}

func (c *contestant) play(ctx context.Context) {
	for ctx.Err() == nil {
		c.once(ctx)
	}
}

func (c *contestant) once(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c.runs++
	a := &ledger.Admit{
		Runbook: []string{"heal", "cool"}[c.rand.IntN(2)], Source: "exec",
		Resource: fmt.Sprint("r", c.rand.IntN(12)), OnConflict: []string{"queue", "drop"}[c.rand.IntN(2)],
	}
	a.Run = fmt.Sprintf("%s.%s-%d-%d", a.Runbook, c.name, os.Getpid(), c.runs)
	if a.Runbook == "cool" {
		a.Cooldown = model.Duration(cooldown)
	} else {
		a.Rate = []ledger.Rate{runRate}
	}
	if token := c.enter(ctx, a); token > 0 {
		c.act(ctx, a, token)
	}
}

// enter waits in the queue for a while.
func (c *contestant) enter(ctx context.Context, a *ledger.Admit) int64 {
	if a.OnConflict == "queue" {
		if err := c.start(ctx, a.Run); err != nil {
			return 0
		}
	}
	sent := time.Now().UnixNano()
	for range 10 {
		answer, err := c.ledger.Apply(ctx, ledger.Op{Admit: a})
		e := event{Kind: "grant", Run: a.Run, Runbook: a.Runbook, Resource: a.Resource, Token: answer.Token, Sent: sent, Done: time.Now().UnixNano()}
		switch {
		case err != nil:
			return 0
		case answer.State == ledger.Admitted:
			c.note(e)
			return answer.Token
		case answer.State == ledger.Refused:
			e.Kind, e.Why = "refused", string(answer.Guard)
			c.note(e)
			return 0
		}
		time.Sleep(50 * time.Millisecond)
	}
	_, _ = c.ledger.Apply(ctx, ledger.Op{Release: &ledger.Release{Run: a.Run}})
	return 0
}

func (c *contestant) act(ctx context.Context, a *ledger.Admit, token int64) {
	held, stop := ctx, func() error { return nil }
	if c.fenced {
		var err error
		if held, stop, err = c.ledger.Hold(ctx, a.Run, token); err != nil {
			return
		}
	}
	defer stop()
	c.reserve(held, a)
	acted := c.effects(held, a, token)
	if c.rand.IntN(30) == 0 {
		return // the worker is gone, and nobody releases
	}
	e := event{Kind: "release", Run: a.Run, Runbook: a.Runbook, Resource: a.Resource, Token: token, Acted: acted, Sent: time.Now().UnixNano()}
	_, err := c.ledger.Apply(ctx, ledger.Op{Release: &ledger.Release{Run: a.Run, Acted: acted}})
	e.Done = time.Now().UnixNano()
	e.Kept = err == nil && c.fenced && held.Err() == nil
	c.note(e)
}

func (c *contestant) effects(held context.Context, a *ledger.Admit, token int64) (acted bool) {
	if c.rand.IntN(5) == 0 {
		return false
	}
	pause := time.Duration(c.rand.IntN(4)) * time.Millisecond
	if c.rand.IntN(c.oneLong()) == 0 {
		pause = contestLease / 4 // so that it takes longer than the lease
	}
	for range 8 {
		at := time.Now().UnixNano()
		if held.Err() != nil {
			return true
		}
		c.note(event{Kind: "believe", Run: a.Run, Resource: a.Resource, Token: token, Sent: at, Done: at})
		if !c.write(a.Run, a.Resource, token) {
			return true
		}
		time.Sleep(pause)
	}
	return true
}

// oneLong is how many runs there are to one that lasts. Without fencing there
// are more, so that it is not left to luck that they are found.
func (c *contestant) oneLong() int {
	if c.fenced {
		return 30
	}
	return 4
}

func (c *contestant) reserve(ctx context.Context, a *ledger.Admit) {
	targets := []string{fmt.Sprint("t", c.rand.IntN(3)), fmt.Sprint("t", c.rand.IntN(3))}
	sent := time.Now().UnixNano()
	answer, err := c.ledger.Apply(ctx, ledger.Op{Reserve: &ledger.Reserve{Run: a.Run, Step: "s", Targets: targets, Rate: []ledger.Rate{targetRate}}})
	if err != nil {
		return
	}
	if answer.State != ledger.Admitted {
		c.note(event{Kind: "refused", Run: a.Run, Why: "reserve"})
		return
	}
	for _, target := range targets {
		c.note(event{Kind: "reserve", Run: a.Run, Resource: target, Sent: sent, Done: time.Now().UnixNano()})
	}
}

// childSpec is what a process of its own is told.
type childSpec struct {
	Temporal, Queue, Register, Name string
	Fenced                          bool
	Keeps                           bool // the ledger, too
	Seed                            uint64
}

// child is an engine in a process of its own. It ends with its standard input.
func child() int {
	var s childSpec
	if err := json.Unmarshal([]byte(os.Getenv(childEnv)), &s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c, err := client.Dial(quiet(client.Options{HostPort: s.Temporal}))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if s.Keeps {
		w := worker.New(c, s.Queue, contestWorker)
		workflows.RegisterLedger(w)
		if err := w.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	for i := range players {
		player := contestant{
			start: starter(c), name: fmt.Sprint(s.Name, i), fenced: s.Fenced, ledger: admission.New(c, s.Queue, contestLimits).Skew(rates[i%len(rates)], wrong(s.Seed+uint64(i))),
			rand: rand.New(rand.NewPCG(s.Seed, uint64(i))), note: remote(s.Register).note, write: remote(s.Register).write,
		}
		go player.play(context.Background())
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

var contestWorker = worker.Options{StickyScheduleToStartTimeout: 300 * time.Millisecond}

// players are the contestants of an engine.
const players = 4

// starter starts the workflow of a run. It only has to be there: nobody works on
// it.
func starter(c client.Client) func(context.Context, string) error {
	return func(ctx context.Context, run string) error {
		_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: runbooks.WorkflowID(run), TaskQueue: "nobody"}, "listen")
		return err
	}
}
