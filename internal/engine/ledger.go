package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/runbook-engine/runbook/internal/admission"
	"github.com/runbook-engine/runbook/internal/halt"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// openLedger connects the engine with the ledger of its namespace.
func (e *Engine) openLedger() error {
	e.ledger = admission.New(e.client, e.config.Temporal.TaskQueue, func() ledger.Limits { return e.config.Guards.Limits })
	e.halt.Join(halt.Through(e.ledger))
	return nil
}

// judge says what runbooks may do by themselves here.
func (e *Engine) judge() judge {
	return judge{environment: e.config.Autonomy, windows: e.windows.at, proofs: e.proofs}
}

func (e *Engine) proofs(ctx context.Context) (all []ledger.Proof, err error) {
	snapshot, err := e.ledger.Snapshot(ctx)
	return snapshot.Proofs(), err
}

// firing asks whether an alert still fires, muted or not.
func (e *Engine) firing(ctx context.Context, a *runbooks.Alert) (bool, error) {
	labels := models.LabelSet{}
	for name, value := range a.Labels {
		labels[name] = value
	}
	return e.alertmanagers.Fires(ctx, labels)
}

// full reports that no more runs may wait.
func (e *Engine) full() bool { return e.brief.Load() != nil && e.brief.Load().Full }

// heed follows what the ledger says of the storm breaker and the queue.
func (e *Engine) heed(ctx context.Context) {
	e.ledger.Watch(ctx, func(b ledger.Brief, err error) {
		if err != nil {
			e.log.Warn("the ledger can not be looked at", "error", err)
			return
		}
		before := e.brief.Swap(&b)
		if b.Full && (before == nil || !before.Full) {
			e.log.Error("the queue of runs is full: alerts are answered with 503 until runs have ended")
		}
		e.heedStorm(ctx, before, b)
	})
}

// heedStorm calls people once for each opening of the breaker, whichever engine
// sees it first.
func (e *Engine) heedStorm(ctx context.Context, before *ledger.Brief, now ledger.Brief) {
	switch {
	case now.Storm != nil && (before == nil || before.Storm == nil):
		e.log.Error("the storm breaker is open: runs of alerts wait until a person resets it", "since", now.Storm.Since, "runs", now.Storm.Runs)
		e.complain("tell people of the storm", e.pageStorm(ctx, *now.Storm))
	case now.Storm == nil && before != nil && before.Storm != nil:
		e.log.Info("the storm breaker is closed")
		e.complain("end the page of the storm", e.runs.EndPage(ctx, stormID(*before.Storm), workflows.PageEnd{By: "runbook", Reason: "the breaker was reset"}))
	}
}

func stormID(s ledger.Breaker) string { return fmt.Sprintf("storm/%d", s.Since.Unix()) }

// pageStorm makes one page of one opening, however many engines see it.
func (e *Engine) pageStorm(ctx context.Context, s ledger.Breaker) error {
	m := workflows.Message{
		Kind: "storm", Severity: "page",
		Summary: fmt.Sprintf("Runbook's storm breaker is open: alerts started %d runs within %s. No more runs start until a person resets it.", s.Runs, e.config.Guards.Storm.Within),
	}
	with, err := json.Marshal(map[string]any{
		"alertname": "RunbookStorm",
		"labels":    map[string]string{"severity": m.Severity, runbooks.OwnLabel: runbooks.OwnValue},
		"annotations": map[string]string{
			"summary": m.Summary, "process": "runbook storm reset --process", "skip": "runbook storm reset --skip",
		},
	})
	if err != nil {
		return err
	}
	m.With = with
	_, err = e.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: workflows.PageID(stormID(s)), TaskQueue: e.config.Temporal.TaskQueue,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}, workflows.PageType, workflows.Page{ID: stormID(s), Message: m, StartsAt: s.Since, Until: s.Since.Add(24 * time.Hour)})
	return err
}
