package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/runbooks"
	"github.com/runbook-engine/runbook/workflows"
)

// notice is a page about the engine itself. Every engine that works with the
// ledger sees what it is about; its id makes one page of it.
type notice struct {
	id, alert, kind, severity, summary string
	annotations                        map[string]string
	since, until                       time.Time
}

// page posts a notice, once, however many engines do.
func (e *Engine) page(ctx context.Context, n notice) error {
	annotations := map[string]string{"summary": n.summary}
	maps.Copy(annotations, n.annotations)
	with, err := json.Marshal(map[string]any{
		"alertname": n.alert, "annotations": annotations,
		"labels": map[string]string{"severity": n.severity, runbooks.OwnLabel: runbooks.OwnValue},
	})
	if err != nil {
		return err
	}
	m := workflows.Message{Kind: n.kind, Severity: n.severity, Summary: n.summary, With: with}
	_, err = e.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: workflows.PageID(n.id), TaskQueue: e.config.Temporal.TaskQueue, StaticSummary: n.kind,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}, workflows.PageType, workflows.Page{ID: n.id, Message: m, StartsAt: n.since, Until: n.until})
	return err
}

func (e *Engine) endPage(ctx context.Context, id string, end workflows.PageEnd) error {
	err := e.runs.EndPage(ctx, id, end)
	if errors.Is(err, runs.ErrNotFound) || errors.Is(err, runs.ErrEnded) {
		return nil // another engine was faster
	}
	return err
}

const noticeAgain = 2 * time.Second

// insist does something about a notice until it is done: what was seen once is
// not seen again.
func (e *Engine) insist(ctx context.Context, what string, do func(context.Context) error) {
	go func() {
		for failed := false; ; failed = true {
			err := do(ctx)
			if err == nil || ctx.Err() != nil {
				return
			}
			if !failed {
				e.log.Error("could not "+what+"; it is tried again", "error", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(noticeAgain):
			}
		}
	}()
}

// heedStorm calls people once for each opening of the breaker.
func (e *Engine) heedStorm(ctx context.Context, before *ledger.Brief, now ledger.Brief) {
	switch {
	case now.Storm != nil && (before == nil || before.Storm == nil):
		e.log.Error("the storm breaker is open: runs of alerts wait until a person resets it", "since", now.Storm.Since, "runs", now.Storm.Runs)
		e.insist(ctx, "tell people of the storm", func(ctx context.Context) error { return e.page(ctx, e.storm(*now.Storm)) })
	case now.Storm == nil && before != nil && before.Storm != nil:
		e.log.Info("the storm breaker is closed")
		e.insist(ctx, "end the page of the storm", func(ctx context.Context) error {
			return e.endPage(ctx, stormID(*before.Storm), workflows.PageEnd{By: "runbook", Reason: "the breaker was reset"})
		})
	}
}

func stormID(s ledger.Breaker) string { return fmt.Sprintf("storm/%d", s.Since.Unix()) }

func (e *Engine) storm(s ledger.Breaker) notice {
	return notice{
		id: stormID(s), alert: "RunbookStorm", kind: "storm", severity: "page", since: s.Since, until: s.Since.Add(24 * time.Hour),
		summary: fmt.Sprintf("Runbook's storm breaker is open: alerts started %d runs within %s. No more runs start until a person resets it.",
			s.Runs, e.config.Guards.Storm.Within),
		annotations: map[string]string{"process": "runbook storm reset --process", "skip": "runbook storm reset --skip"},
	}
}

// heedHalt tells people of the kill switch: who, what and why. The ledger hears
// of a halt as soon as Temporal is there, and so does this.
func (e *Engine) heedHalt(ctx context.Context, before *ledger.Brief, now ledger.Brief) {
	if e.token != "" {
		return // the engine of one person, for one run
	}
	if now.Halt != nil && (before == nil || before.Halt == nil || haltID(*before.Halt) != haltID(*now.Halt)) {
		e.insist(ctx, "tell people of the halt", func(ctx context.Context) error { return e.pageHalt(ctx, *now.Halt) })
	}
	if before == nil || before.Halt != nil {
		e.insist(ctx, "end the page of a halt", func(ctx context.Context) error { return e.endHalts(ctx, before, now) })
	}
	if isNew(before, now.Resumed) {
		e.insist(ctx, "tell people of the resume", func(ctx context.Context) error { return e.page(ctx, e.resumed(*now.Resumed)) })
	}
}

func haltID(h ledger.Halt) string { return fmt.Sprintf("%s%d", haltPrefix, h.At.UnixMilli()) }

const haltPrefix = "halt/"

// pageHalt does nothing about a halt that is over meanwhile.
func (e *Engine) pageHalt(ctx context.Context, h ledger.Halt) error {
	if now := e.brief.Load(); now.Halt == nil || haltID(*now.Halt) != haltID(h) {
		return nil
	}
	return e.page(ctx, e.haltNotice(h))
}

// haltLasts is how long a halt that has no end is told of.
const haltLasts = 30 * 24 * time.Hour

func (e *Engine) haltNotice(h ledger.Halt) notice {
	n := notice{
		id: haltID(h), alert: "RunbookHalted", kind: "halt", severity: e.config.Notices.Severity, since: h.At, until: h.Until,
		summary:     fmt.Sprintf("%s halted runbook: %s", h.By, h.Reason),
		annotations: map[string]string{"by": h.By, "reason": h.Reason, "resume": "runbook resume --reason …"},
	}
	if h.Until.IsZero() {
		n.until = h.At.Add(haltLasts)
		return n
	}
	n.annotations["until"] = h.Until.UTC().Format(time.RFC3339)
	return n
}

// endHalts ends the pages of halts that no longer hold. At the start these are
// looked for: a halt may have ended while no engine was there to see it.
func (e *Engine) endHalts(ctx context.Context, before *ledger.Brief, now ledger.Brief) error {
	var ids []string
	if before != nil {
		ids = []string{haltID(*before.Halt)}
	} else {
		var err error
		if ids, err = e.haltPages(ctx); err != nil {
			return err
		}
	}
	end := workflows.PageEnd{By: "runbook", Reason: "the halt ran out"}
	if r := now.Resumed; r != nil {
		end = workflows.PageEnd{By: r.By, Reason: cmp.Or(r.Reason, "resumed")}
	}
	for _, id := range ids {
		if now.Halt != nil && id == haltID(*now.Halt) {
			continue
		}
		if err := e.endPage(ctx, id, end); err != nil {
			return err
		}
	}
	return nil
}

// haltPages are the halts of which people are told now.
func (e *Engine) haltPages(ctx context.Context) ([]string, error) {
	open, err := e.runs.OpenPages(ctx)
	return slices.DeleteFunc(open, func(id string) bool { return !strings.HasPrefix(id, haltPrefix) }), err
}

const (
	// resumeLasts lets every route have told of it before it is over.
	resumeLasts = 15 * time.Minute
	// resumeNews is how old a resume may be that an engine finds at its start.
	resumeNews = time.Hour
)

func isNew(before *ledger.Brief, r *ledger.Resume) bool {
	switch {
	case r == nil:
		return false
	case before == nil:
		return time.Since(r.At) < resumeNews
	}
	return before.Resumed == nil || !before.Resumed.At.Equal(r.At)
}

func (e *Engine) resumed(r ledger.Resume) notice {
	now := time.Now()
	return notice{
		id: fmt.Sprintf("resume/%d", r.At.UnixMilli()), alert: "RunbookResumed", kind: "resume", severity: e.config.Notices.Severity,
		since: now, until: now.Add(resumeLasts),
		summary:     fmt.Sprintf("%s let runbook go on: %s", r.By, cmp.Or(r.Reason, "no reason given")),
		annotations: map[string]string{"by": r.By, "reason": r.Reason, "at": r.At.UTC().Format(time.RFC3339)},
	}
}
