package workflows

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Names by which a page is reached, and its activities.
const (
	PageType      = "Page"
	SignalPageEnd = "end" // somebody, or the engine itself, says that it is settled: PageEnd

	ActivityPagePost = "page/post"
	ActivityPageKeep = "page/keep"
	ActivityPageEnd  = "page/end"
)

// pageLasts is how long a page fires that nobody ends.
const pageLasts = 24 * time.Hour

// Page is an alert of our own that is kept firing in every Alertmanager until it
// is settled. An Alertmanager keeps alerts in memory: one that was restarted
// gets it again.
type Page struct {
	ID       string    `json:"id"` // of the run that it is about, or what else tells it from others
	Message  Message   `json:"message"`
	StartsAt time.Time `json:"starts_at"`
	Until    time.Time `json:"until"` // it ends then at the latest
}

// PageEnd says that a page is settled.
type PageEnd struct {
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

// PageEnded is how a page ended.
type PageEnded struct {
	PageEnd
	// Error is why an Alertmanager could not be told; there it ends by itself.
	Error string `json:"error,omitempty"`
}

// PageID is the id of the workflow of a page.
func PageID(id string) string { return pagePrefix + id }

// PageIDOf is the reverse of PageID.
func PageIDOf(workflowID string) (string, bool) { return strings.CutPrefix(workflowID, pagePrefix) }

const pagePrefix = "page/"

// StartPage tells people, and sees to it that the alert goes on firing until
// EndPage, SignalResolved or SignalPageEnd ends it, or its time is over; a page
// with this id that was there before is left as it is. It returns when the
// alert was first posted, or that was given up for now: then it is still tried
// again. It lasts a day at most, unless lasts says how long. Missed says which Alertmanagers did not take it although another did.
func StartPage(ctx workflow.Context, id string, m Message, lasts time.Duration) (missed string, err error) {
	now := workflow.Now(ctx)
	p := Page{ID: id, Message: m, StartsAt: now, Until: now.Add(cmp.Or(lasts, pageLasts))}
	child := workflow.WithChildOptions(ctx, workflow.ChildWorkflowOptions{
		WorkflowID: PageID(id), ParentClosePolicy: enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		StaticSummary:         m.Kind,
	})
	err = workflow.ExecuteChildWorkflow(child, PageType, p).GetChildWorkflowExecution().Get(ctx, nil)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("start page %s: %w", id, err)
	}
	err = workflow.ExecuteActivity(raiseOptions(ctx), ActivityPagePost, p).Get(ctx, &missed)
	return missed, err
}

// EndPage ends a page that workflow code started. One that has ended already is
// no error.
func EndPage(ctx workflow.Context, id string, end PageEnd) {
	if err := workflow.SignalExternalWorkflow(ctx, PageID(id), "", SignalPageEnd, end).Get(ctx, nil); err != nil {
		workflow.GetLogger(ctx).Info("a page could not be ended; it may have ended before", "page", id, "error", err)
	}
}

// KeepPage is the life of one page.
func KeepPage(ctx workflow.Context, p Page) (PageEnded, error) {
	posting, stop := workflow.WithCancel(ctx)
	kept := workflow.ExecuteActivity(keepOptions(posting, p), ActivityPageKeep, p)
	out := PageEnded{PageEnd: settled(ctx, p, kept)}
	// The end is posted after the last time that it was posted as firing.
	stop()
	ending, _ := workflow.NewDisconnectedContext(ctx)
	if err := kept.Get(ending, nil); err != nil && !temporal.IsCanceledError(err) {
		workflow.GetLogger(ctx).Warn("a page was not kept to its end", "page", p.ID, "error", err)
	}
	if err := workflow.ExecuteActivity(endOptions(ending), ActivityPageEnd, p, out.PageEnd).Get(ending, nil); err != nil {
		out.Error = message(err)
	}
	return out, nil
}

// settled waits until the page has no more reason to be, or can not be.
func settled(ctx workflow.Context, p Page, kept workflow.Future) (end PageEnd) {
	selector := workflow.NewSelector(ctx)
	selector.AddFuture(kept, func(f workflow.Future) {
		end = PageEnd{By: "runbook", Reason: "nobody ended it in time"}
		if err := f.Get(ctx, nil); err != nil {
			end.Reason = message(err)
		}
	})
	selector.AddReceive(workflow.GetSignalChannel(ctx, SignalResolved), func(c workflow.ReceiveChannel, _ bool) {
		c.Receive(ctx, nil)
		end = PageEnd{By: "alertmanager", Reason: "the alert ended"}
	})
	selector.AddReceive(workflow.GetSignalChannel(ctx, SignalPageEnd), func(c workflow.ReceiveChannel, _ bool) {
		c.Receive(ctx, &end)
	})
	timing, stop := workflow.WithCancel(ctx)
	defer stop()
	selector.AddFuture(workflow.NewTimer(timing, p.Until.Sub(workflow.Now(ctx))), func(workflow.Future) {
		end = PageEnd{By: "runbook", Reason: "nobody ended it in time"}
	})
	selector.AddReceive(ctx.Done(), func(workflow.ReceiveChannel, bool) {
		end = PageEnd{By: "temporal", Reason: "its workflow was cancelled"}
	})
	selector.Select(ctx)
	return end
}

const (
	// pageBeat is how soon a page hears that it is over.
	pageBeat = 5 * time.Second
	// endWithin is how long an end is posted again where it failed; after it the
	// alert has ended by itself.
	endWithin = 15 * time.Minute
)

// forever is for what is tried as long as the page lasts.
func forever() *temporal.RetryPolicy {
	return &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 15 * time.Second}
}

func keepOptions(ctx workflow.Context, p Page) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: p.Until.Sub(p.StartsAt) + time.Minute, HeartbeatTimeout: 6 * pageBeat,
		RetryPolicy: forever(), WaitForCancellation: true,
	})
}

func endOptions(ctx workflow.Context) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 30 * time.Second, ScheduleToCloseTimeout: endWithin, RetryPolicy: forever(),
	})
}
