package workflows_test

import (
	"testing"

	enumspb "go.temporal.io/api/enums/v1"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
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
