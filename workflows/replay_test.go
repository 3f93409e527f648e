package workflows_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

var record = flag.Bool("record", false, "write new histories to testdata/histories; the old ones stay and must still replay")

const histories = "testdata/histories"

// Runs under way outlive a release. A change of the interpreter that can not
// replay a stored history would leave them stuck: it needs workflow.GetVersion.
func TestStoredHistoriesReplay(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(histories, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no stored histories in %s: %v", histories, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			replayer := worker.NewWorkflowReplayer()
			replayer.RegisterWorkflowWithOptions(workflows.Remediate, workflow.RegisterOptions{Name: workflows.RemediateType})
			if err := replayer.ReplayWorkflowHistoryFromJSONFile(nil, file); err != nil {
				t.Errorf("the interpreter no longer does what it did: %v", err)
			}
		})
	}
}

// The stories are those whose histories are worth keeping: each takes a road of
// its own through the interpreter.
func TestRecordHistories(t *testing.T) {
	t.Parallel()
	b := newBench(t, "hall", "hatch", "attic")
	verifiedDoc := b.load(head + `
steps:
  - {id: look, do: lamp.count}
  - {id: light, if: steps.look.output.value < 1, do: lamp.light, with: {prefix: ha}, verify: {do: lamp.count, until: value >= 2, every: 100ms, within: 1s}}
` + verified)
	stories := map[string]func() string{
		"fixed": func() string { return b.start(b.planOf(verifiedDoc)) },
		"dry-run": func() string {
			p := b.planOf(verifiedDoc)
			p.Mode = runbooks.ModeDryRun
			return b.start(p)
		},
		"undone-and-escalated": func() string {
			return b.start(b.plan(head + `
steps: [{id: light, do: lamp.light, with: {prefix: attic}}]
verify: {do: lamp.count, until: value >= 9, every: 100ms, within: 1s}
otherwise: [undo, escalate]
escalate: {severity: page, summary: still dark}
`))
		},
		"failed-step": func() string {
			b.house.set(func() { b.house.refuse["hall"] = errors.New("no current") })
			return b.start(b.plan(head + "steps: [{id: light, do: lamp.light, with: {prefix: hall}}]\n" + verified))
		},
		"rolled-back": func() string {
			b.house.set(func() { clear(b.house.refuse) })
			return b.start(b.plan(rollingOut("value < 2", "undo")))
		},
		"resolved": func() string {
			b.house.set(func() { clear(b.house.refuse) })
			p, id := b.startSlow("undo")
			b.resolve(p)
			return id
		},
		"cancelled": func() string {
			_, id := b.startSlow("finish")
			if err := b.runs.Cancel(t.Context(), id, workflows.CancelRequest{By: "ada"}); err != nil {
				t.Fatal(err)
			}
			return id
		},
	}
	for _, name := range []string{"fixed", "dry-run", "undone-and-escalated", "failed-step", "rolled-back", "resolved", "cancelled"} {
		id := stories[name]()
		if r := b.wait(id); r.Status != run.Ended {
			t.Errorf("%s: %s", name, describe(r))
		}
		history := b.history(id)
		replayer := worker.NewWorkflowReplayer()
		replayer.RegisterWorkflowWithOptions(workflows.Remediate, workflow.RegisterOptions{Name: workflows.RemediateType})
		if err := replayer.ReplayWorkflowHistory(nil, history); err != nil {
			t.Errorf("%s does not replay: %v", name, err)
		}
		if *record {
			writeHistory(t, filepath.Join(histories, name+".json"), history)
		}
	}
}

func (b *bench) history(id string) *historypb.History {
	b.t.Helper()
	history := &historypb.History{}
	iter := b.client.GetWorkflowHistory(b.t.Context(), runbooks.WorkflowID(id), "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for iter.HasNext() {
		event, err := iter.Next()
		if err != nil {
			b.t.Fatal(err)
		}
		history.Events = append(history.Events, event)
	}
	return history
}

func writeHistory(t *testing.T, file string, history *historypb.History) {
	t.Helper()
	text, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(history)
	if err == nil {
		err = os.WriteFile(file, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
