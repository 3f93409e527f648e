package workflows

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/runbooks"
)

// holdWithin is how long a run waits until its page is held everywhere: an
// Alertmanager that does not answer must not keep it from acting.
const holdWithin = 3 * time.Second

// hold silences the alert in every Alertmanager for the time in which the run
// works. A silence ends by itself when the run does not end it: a page is never
// held for longer. LetGo ends them all, and released waits until that is done.
func (r *remediation) hold() (letGo, released func()) {
	var all []Silence
	nothing := func() {}
	if r.plan.Document.HoldPage == 0 || r.plan.Alert == nil || r.plan.Mode != runbooks.ModeLive {
		return nothing, nothing
	}
	if err := workflow.ExecuteLocalActivity(local(r.concluding), ActivityHush, r.conclusion()).Get(r.concluding, &all); err != nil {
		r.event("hold", "", "", "the page can not be held: "+message(err))
		return nothing, nothing
	}
	holding, letGo := workflow.WithCancel(r.acting)
	held, done := 0, workflow.NewWaitGroup(r.concluding)
	for _, one := range all {
		done.Add(1)
		workflow.Go(holding, func(ctx workflow.Context) {
			defer done.Done()
			r.holdOne(ctx, one, func() { held++ })
		})
	}
	if _, err := workflow.AwaitWithTimeout(r.acting, holdWithin, func() bool { return held == len(all) }); err != nil {
		workflow.GetLogger(r.concluding).Info("the run was stopped while its page was to be held", "run", r.run.ID)
	}
	return letGo, func() { done.Wait(r.concluding) }
}

// holdOne holds the page in one Alertmanager until the context ends. What may
// have been silenced is released, also where no answer came.
func (r *remediation) holdOne(holding workflow.Context, s Silence, held func()) {
	call := callOf(r.plan, "hold_page", actions.Target{ID: "alert/" + r.run.ID}, s.With)
	call.Key = callKey(r.run.ID, "hold_page")
	in := s.in()
	if err := workflow.ExecuteActivity(raiseOptions(holding), "run/"+SilenceAction, call).Get(holding, nil); err != nil {
		r.event("hold", "", "", "the page can not be held"+in+": "+message(err))
	} else {
		r.event("hold", "", "", fmt.Sprintf("the page is held%s for at most %s", in, r.plan.Document.HoldPage))
	}
	held()
	holding.Done().Receive(holding, nil)
	releasing, _ := workflow.NewDisconnectedContext(holding)
	if err := workflow.ExecuteActivity(undoOptions(releasing), "undo/"+SilenceAction, call).Get(releasing, nil); err != nil {
		r.event("hold", "", "", fmt.Sprintf("the page is not released%s yet: %s; it is at the latest after %s", in, message(err), r.plan.Document.HoldPage))
		return
	}
	r.event("hold", "", "", "the page is released"+in)
}

// held is what Hush says to SilenceAction.
type held struct {
	Connection string   `json:"connection,omitempty"`
	Matchers   []string `json:"matchers"`
	Duration   string   `json:"duration"`
	Comment    string   `json:"comment"`
}

// Silence is what holds a page in one Alertmanager.
type Silence struct {
	Alertmanager string          `json:"alertmanager,omitempty"` // empty for the only one
	With         json.RawMessage `json:"with"`
}

// in names the Alertmanager, for people.
func (s Silence) in() string {
	if s.Alertmanager == "" {
		return ""
	}
	return " in " + s.Alertmanager
}

// Hush is the parameters of the silences that hold a page, one for each
// Alertmanager: on this alert alone.
func (a *Activities) Hush(_ context.Context, c Conclusion) (all []Silence, err error) {
	if c.Plan.Alert.Cut() {
		return nil, actions.Permanent(fmt.Errorf("the labels of %s were too long to keep, and a silence on what is left of them would be on others too", c.Plan.Alert.Name()))
	}
	h := held{Duration: c.Plan.Document.HoldPage.String(), Comment: fmt.Sprintf("held while run %s works on it; it ends with the run", c.Run.ID)}
	for _, name := range slices.Sorted(maps.Keys(c.Plan.Alert.Labels)) {
		h.Matchers = append(h.Matchers, name+"="+strconv.Quote(c.Plan.Alert.Labels[name]))
	}
	names := a.Alertmanagers
	if len(names) == 0 {
		names = []string{""}
	}
	for _, h.Connection = range names {
		with, err := json.Marshal(h)
		if err != nil {
			return nil, err
		}
		all = append(all, Silence{Alertmanager: h.Connection, With: with})
	}
	return all, nil
}
