package workflows_test

import (
	"context"
	"errors"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

const looksThenLights = `
runbook: heal
summary: Look, then light.
triggers: [{alert: Dark}]
autonomy: auto
steps:
  - {id: look, do: lamp.count}
  - {id: light, if: steps.look.output.value < 1, do: lamp.light, with: {prefix: hall}}
  - {id: again, do: lamp.count}
verify: {do: lamp.count, until: value >= 0, within: 1s, every: 1s}
`

// activities are those that a run left in its history.
func (b *bench) activities(id string) (names []string) {
	b.t.Helper()
	events := b.client.GetWorkflowHistory(b.t.Context(), id, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			b.t.Fatal(err)
		}
		if scheduled := event.GetActivityTaskScheduledEventAttributes(); scheduled != nil {
			names = append(names, scheduled.ActivityType.Name)
		}
	}
	return names
}

func TestAReadThatIsAnsweredAtOnceNeedsNoActivity(t *testing.T) {
	b := newBench(t, "hall-1")
	r := b.do(looksThenLights)
	b.expectStep(r, "look", run.Done, "")
	b.expectStep(r, "again", run.Done, "")
	for _, name := range b.activities(runbooks.WorkflowID(r.ID)) {
		if name == "run/lamp.count" {
			t.Errorf("the history has %s", name)
		}
	}
	if r.FirstActionAt == nil || r.Steps[0].Results[0].EndedAt.IsZero() {
		t.Errorf("it is not known when it read: %+v", r.Steps[0].Results)
	}
}

func TestAReadThatFailsIsTriedAgainAsAnActivity(t *testing.T) {
	b := newBench(t, "hall-1")
	b.house.set(func() { b.house.broken = true })
	id := b.start(b.plan(looksThenLights))
	b.eventually("the activity fails as well", func() bool {
		for _, name := range b.activities(runbooks.WorkflowID(id)) {
			if name == "run/lamp.count" {
				return true
			}
		}
		return false
	})
	b.house.set(func() { b.house.broken = false })
	r := b.wait(id)
	b.expectStep(r, "look", run.Done, "")
}

// lateLedger is a ledger that lets nobody in before something is so.
type lateLedger struct {
	workflows.Ledger
	open func() bool
}

func (l lateLedger) Apply(ctx context.Context, op ledger.Op) (ledger.Answer, error) {
	for end := time.Now().Add(10 * time.Second); op.Admit != nil && !l.open(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return ledger.Answer{}, errors.New("nobody looked")
		}
	}
	return l.Ledger.Apply(ctx, op)
}

func TestARunLooksWhileTheLedgerDecides(t *testing.T) {
	b := newBench(t, "hall-1")
	b.ledger = lateLedger{b.keepsLedger(), func() bool { return b.house.looks() > 0 }}
	b.again()
	r := b.do(looksThenLights)
	b.expect(r, run.Fixed, "light hall-1")
	if r.Admission == nil || r.Admission.Token == 0 {
		t.Errorf("the admission is lost: %s", describe(r))
	}
}

func TestNobodyLooksInVainWhileOthersWait(t *testing.T) {
	b := newBench(t, "hall-1")
	keeper := b.keepsLedger()
	halts := func(op ledger.Op) {
		if _, err := keeper.Apply(t.Context(), op); err != nil {
			t.Fatal(err)
		}
	}
	halts(ledger.Op{Halt: &ledger.Halt{By: "ada", At: time.Now()}})
	var ids []string
	for range 3 {
		id := b.start(b.plan(looksThenLights))
		b.until(id, func(r run.Run) bool { return r.Admission != nil && r.Admission.State == ledger.Queued })
		ids = append(ids, id)
	}
	if n := b.house.looks(); n > 1 {
		t.Errorf("%d looks while all of them wait", n)
	}
	halts(ledger.Op{Resume: &ledger.Resume{By: "ada"}})
	for _, id := range ids {
		b.expectStep(b.wait(id), "look", run.Done, "")
	}
}
