package runbooks

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/runbooks/lint"
)

// Rollout has a step take its targets in stages, with a look at the system after
// each, and go back when it gets worse.
type Rollout struct {
	Size     int            `json:"size,omitempty" optional:"true" min:"1" doc:"Targets in a stage."`
	Percent  float64        `json:"percent,omitempty" optional:"true" min:"0.1" max:"100" doc:"Instead of size: percent of the targets, at least one."`
	Pause    model.Duration `json:"pause" default:"5m" min:"1s" max:"24h" doc:"How long the system is watched after each stage, the last one as well."`
	Watch    Watching       `json:"watch" doc:"What must stay true meanwhile."`
	OnBreach string         `json:"on_breach" default:"undo" enum:"undo|stop" doc:"When it does not, or a target fails: take back what the step did, last target first, or leave it."`
}

// Watching asks a probe for as long as its condition is true.
type Watching struct {
	Do     string          `json:"do" doc:"Probe: an action that only reads."`
	With   document.Values `json:"with,omitempty" optional:"true" doc:"Parameters of the probe."`
	Expect string          `json:"expect" doc:"Condition over the probe's output, whose fields are in scope by name."`
	Every  model.Duration  `json:"every" default:"10s" min:"100ms" max:"10m" doc:"Pause between two looks."`
}

// Batch is the stages as guards know them. Nothing is waited for besides the
// watching.
func (r *Rollout) Batch() *Batch { return &Batch{Size: r.Size, Percent: r.Percent} }

// Breach is the check that comes true when what is expected no longer is.
func (r *Rollout) Breach() *Check {
	w := r.Watch
	return &Check{Do: w.Do, With: w.With, Until: "not (" + w.Expect + ")", Every: w.Every, Within: r.Pause}
}

// rollout checks the roll-out of a step.
func (c *checker) rollout(i int, s Step, a actions.Action, node *document.Node) {
	ro := s.Rollout
	c.batch(node, *ro.Batch())
	switch {
	case !a.Selects || !a.Risk.Writes():
		c.add(node.At, "no-effect", fmt.Sprintf("rollout has no effect: %s does not change several targets", a.Name), "remove it")
	case ro.OnBreach == "undo" && !a.Undoes():
		c.add(node.Find("on_breach").At, "nothing-to-undo", fmt.Sprintf("a breach is to be undone, and %s can not be", a.Name), "write on_breach: stop")
	}
	watch := node.Get("watch")
	probe, known := c.probe(watch, c.scope(i), ro.Watch.Do, "watch")
	if !known {
		return
	}
	expect := &lint.Scope{
		Env: untilEnv(probe), Only: "expect asks about the output of " + probe.Name + " alone",
		Used: c.used, Problems: &c.problems,
	}
	expect.Condition("expect", watch.Get("expect"))
	if every, pause := time.Duration(ro.Watch.Every), time.Duration(ro.Pause); every > pause && pause > 0 {
		c.add(watch.Find("every").At, "times", fmt.Sprintf("every %s is longer than pause %s: it would look once", ro.Watch.Every, ro.Pause), "look more often, or pause for longer")
	}
}
