package run

import (
	"fmt"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/ledger"
)

// WaitsFor is what must happen before a run under way goes on; empty for one that
// works.
func (r *Run) WaitsFor() string {
	switch {
	case r.Status != Running:
		return ""
	case r.Halted != "":
		return "the end of the halt: " + r.Halted
	case r.Phase == Approving && r.Approval != nil:
		return r.Approval.waitsFor()
	case r.Phase != Admitting:
		return ""
	case r.Admission != nil && r.Admission.State == ledger.Queued:
		return r.Admission.waitsFor()
	}
	return r.said("waiting")
}

func (a *Approval) waitsFor() string {
	return fmt.Sprintf("consent to %s by %s, %d of %d, until %s", strings.Join(a.Steps, ", "), a.Roles(), len(a.Decisions), a.Count,
		a.Deadline.UTC().Format(time.DateTime+" UTC"))
}

func (a *Admission) waitsFor() string {
	if a.Guard == ledger.GuardHalt {
		return "the end of the halt: " + a.Reason
	}
	text := "its turn"
	if a.Position > 0 {
		text += fmt.Sprintf(", place %d in the queue", a.Position)
	}
	return text + ": " + a.Reason
}

// said is the last line of a kind.
func (r *Run) said(kind string) (text string) {
	for _, e := range r.Events {
		if e.Kind == kind {
			text = e.Text
		}
	}
	return text
}
