package drills

import (
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/workflows"
)

const (
	healAgain    = time.Second
	healAgainMax = 5 * time.Minute
	healLimit    = 30 * time.Second
)

// heal ends every fault that may be there, all at the same time, and does not
// return before each is read back to be gone, or a person says that it is. When
// that takes longer than our patience, people are called.
func (d *drill) heal() {
	d.Phase = Healing
	left := 0
	for at := range d.Evidence.Injections {
		left++
		workflow.Go(d.always, func(ctx workflow.Context) {
			d.healOne(ctx, at)
			left--
		})
	}
	if left == 0 {
		return
	}
	d.stopWatching()
	if done, err := workflow.AwaitWithTimeout(d.always, patience, func() bool { return left == 0 }); !done && err == nil {
		d.callPeople()
		d.await(func() bool { return left == 0 })
		workflows.EndPage(d.always, d.pageID(), workflows.PageEnd{By: "runbook", Reason: "everything is healed, or a person said so"})
	}
	d.hook(d.always, "heal")
}

func (d *drill) await(condition func() bool) {
	if err := workflow.Await(d.always, condition); err != nil {
		workflow.GetLogger(d.always).Error("waiting for healing was interrupted", "drill", d.ID, "error", err)
	}
}

func (d *drill) healOne(ctx workflow.Context, at int) {
	issued := d.clock(ctx)
	injection := &d.Evidence.Injections[at]
	injection.HealIssued = issued
	call := d.call(d.faultOf(injection.Fault), at)
	for pause := healAgain; ; pause = min(2*pause, healAgainMax) {
		var healed Healed
		err := workflow.ExecuteActivity(d.within(ctx, healLimit, 1), ActivityHeal, call).Get(ctx, &healed)
		injection = &d.Evidence.Injections[at]
		if err == nil {
			injection.Healed, injection.HealError = healed.At, ""
			injection.Proofs = append(injection.Proofs, healed.Proof)
			return
		}
		injection.HealError = message(err)
		if d.settledWithin(ctx, pause, at) {
			injection.HealError = fmt.Sprintf("%s; %s said that it is healed: %s", injection.HealError, d.settled[at].By, d.settled[at].Reason)
			return
		}
	}
}

func (d *drill) settledWithin(ctx workflow.Context, pause time.Duration, at int) bool {
	settled, err := workflow.AwaitWithTimeout(ctx, pause, func() bool {
		_, said := d.settled[at]
		return said
	})
	return err == nil && settled
}

// settledBy takes a person's word for what could not be healed until now, and for
// nothing else: healing is tried in any case.
func (d *drill) settledBy(person Stop) {
	stuck := d.Stuck()
	if len(stuck) == 0 {
		d.note("%s said that it is healed, when nothing had failed to heal: %s", person.By, person.Reason)
	}
	for _, at := range stuck {
		d.settled[at] = person
	}
}

func (d *drill) faultOf(id string) int {
	for i, f := range d.Plan.Faults {
		if f.ID == id {
			return i
		}
	}
	return 0
}

// callPeople makes the verdict known before the end: something of the drill is
// still in the system.
func (d *drill) callPeople() {
	var v verdict.Verdict
	if err := d.local(d.always, ActivityJudge, &v, d.Plan, d.Evidence); err == nil {
		d.Verdict = &v
	}
	var m workflows.Message
	if err := d.local(d.always, ActivityPage, &m, d.ID, d.Plan, d.unhealed()); err != nil {
		d.note("people could not be called: %s", message(err))
		return
	}
	missed, err := workflows.StartPage(d.always, d.pageID(), m, 0)
	switch {
	case err != nil:
		d.note("people could not be called yet: %s", message(err))
	case missed != "":
		d.note("not every Alertmanager was told: %s", missed)
	}
}

func (d *drill) pageID() string { return "heal/" + d.ID }

func (d *drill) unhealed() (left []gameday.Injection) {
	for _, i := range d.Evidence.Injections {
		if i.Healed.IsZero() {
			left = append(left, i)
		}
	}
	return left
}

// settle sees the system well again: that the injector finds nothing left is
// half of the proof, that the data flows is the other.
func (d *drill) settle() {
	d.Phase = Settling
	if len(d.Evidence.Injections) == 0 {
		return
	}
	d.watching, d.stopWatching = workflow.WithCancel(d.always)
	began := d.now()
	for {
		if !d.look() {
			break
		}
		if d.wellFor(chunk) {
			d.prove("every steady probe is good again")
			return
		}
		if d.now().Sub(began) >= settleIn {
			break
		}
	}
	d.doubt(fmt.Sprintf("%s after the healing not every steady probe is good: %s", settleIn, d.unwell()))
}

func (d *drill) prove(text string) {
	for i := range d.Evidence.Injections {
		d.Evidence.Injections[i].Proofs = append(d.Evidence.Injections[i].Proofs, text)
	}
}

func (d *drill) doubt(text string) {
	for i := range d.Evidence.Injections {
		injection := &d.Evidence.Injections[i]
		injection.HealError = strings.TrimPrefix(injection.HealError+"; "+text, "; ")
	}
}
