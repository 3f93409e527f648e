package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/internal/ledger"
	"github.com/runbook-engine/runbook/runbooks"
)

// Waiting is a run in the queue.
type Waiting struct {
	ID       string       `json:"id"`
	Alert    string       `json:"alert,omitempty"`
	Severity string       `json:"severity,omitempty"`
	Resource string       `json:"resource,omitempty"`
	Since    time.Time    `json:"since"`
	Guard    ledger.Guard `json:"guard" doc:"What it waits for."`
	Reason   string       `json:"reason"`
}

// Window is a maintenance window.
type Window struct {
	runbooks.Window
	// Opens is looked for over a week.
	Opens  time.Time `json:"opens,omitzero" doc:"When it opens next, where that is within a week."`
	Closes time.Time `json:"closes,omitzero" doc:"When it closes, where that is within a week."`
}

// Trust is what a runbook may do by itself, and what game days showed of it.
type Trust struct {
	Name      string             `json:"name"`
	Level     runbooks.Level     `json:"level" enum:"off,propose,approve,auto" doc:"As the document has it."`
	Effective runbooks.Level     `json:"effective" enum:"off,propose,approve,auto" doc:"Lowered by the environment, the calendar and the proof; rules about labels of alerts come on top."`
	Why       []string           `json:"why,omitempty" doc:"What lowered it."`
	Proof     *runbooks.Standing `json:"proof,omitempty" doc:"Where the document asks for one, or there was a game day."`
}

// StormReset closes the storm breaker.
type StormReset struct {
	Backlog string `json:"backlog" enum:"process,skip" doc:"What becomes of the runs that wait."`
	Reason  string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why, for the record."`
}

type (
	queueOutput   struct{ Body []Waiting }
	windowsOutput struct{ Body []Window }
	trustOutput   struct{ Body []Trust }
	resetInput    struct{ Body StormReset }
)

func (s *server) guards() {
	huma.Register(s.api, operation("list-queue", http.MethodGet, "/queue", "Runs that wait, the first of them", http.StatusServiceUnavailable), s.listQueue)
	huma.Register(s.api, operation("list-windows", http.MethodGet, "/windows", "Maintenance windows: which are open, and which open next"), s.listWindows)
	huma.Register(s.api, operation("list-trust", http.MethodGet, "/trust", "What runbooks may do by themselves, and why", http.StatusServiceUnavailable), s.listTrust)
	huma.Register(s.api, operation("reset-storm", http.MethodPost, "/storm/reset", "Close the storm breaker", http.StatusServiceUnavailable), s.resetStorm)
}

func (s *server) listQueue(ctx context.Context, _ *struct{}) (*queueOutput, error) {
	snapshot, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	out := &queueOutput{Body: []Waiting{}}
	for _, w := range snapshot.Queue {
		out.Body = append(out.Body, Waiting{
			ID: w.Run, Alert: w.Alert, Severity: w.Severity, Resource: w.Resource, Since: w.Since, Guard: w.Guard, Reason: w.Reason,
		})
	}
	return out, nil
}

func (s *server) snapshot(ctx context.Context) (ledger.Snapshot, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	snapshot, err := s.Ledger.Snapshot(ctx)
	if err != nil {
		return snapshot, s.failed(err)
	}
	return snapshot, nil
}

const (
	windowsAhead = 7 * 24 * time.Hour
	// windowsWithin bounds the search: calendars can be large.
	windowsWithin = 2 * time.Second
)

func (s *server) listWindows(context.Context, *struct{}) (*windowsOutput, error) {
	return &windowsOutput{ahead(s.Windows, time.Now())}, nil
}

// ahead is the windows now, with the next change of each. They change at full
// minutes.
func ahead(at func(time.Time) []runbooks.Window, now time.Time) []Window {
	all := []Window{}
	unchanged := 0
	for _, w := range at(now) {
		all = append(all, Window{Window: w})
		unchanged++
	}
	began := time.Now()
	for t := now.Truncate(time.Minute).Add(time.Minute); unchanged > 0 && t.Before(now.Add(windowsAhead)) && time.Since(began) < windowsWithin; t = t.Add(time.Minute) {
		for i, w := range at(t) {
			if known := !all[i].Opens.IsZero() || !all[i].Closes.IsZero(); known || w.Open == all[i].Open {
				continue
			}
			unchanged--
			if w.Open {
				all[i].Opens = t
			} else {
				all[i].Closes = t
			}
		}
	}
	return all
}

func (s *server) listTrust(ctx context.Context, _ *struct{}) (*trustOutput, error) {
	snapshot, err := s.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	proofs, windows := snapshot.Proofs(), s.Windows(now)
	out := &trustOutput{Body: []Trust{}}
	for _, rb := range s.Set().All() {
		out.Body = append(out.Body, s.trust(rb, proofs, windows, now))
	}
	return out, nil
}

func (s *server) trust(rb *runbooks.Runbook, proofs []ledger.Proof, windows []runbooks.Window, now time.Time) Trust {
	t := Trust{Name: rb.Runbook, Level: rb.Autonomy.Level}
	var standing runbooks.Standing
	if p := rb.Autonomy.Proof; p != nil {
		standing = runbooks.Stands(proofs, rb.Runbook, rb.Digest(), p.MaxAge, now)
	} else {
		standing = runbooks.Stands(proofs, rb.Runbook, rb.Digest(), 0, now)
	}
	if rb.Autonomy.Proof != nil || standing.Of > 0 {
		t.Proof = &standing
	}
	t.Effective, t.Why = s.Environment.Effective(rb.Autonomy, nil, windows, standing)
	return t
}

// brief is the ledger at a glance. The whole of it, which takes long to tell in a
// storm, is asked only where the ledger has not said yet how things are.
func (s *server) brief(ctx context.Context) (ledger.Brief, error) {
	if brief, err := s.Ledger.Brief(ctx); err == nil {
		return brief, nil
	}
	snapshot, err := s.snapshot(ctx)
	return snapshot.Brief, err
}

// resetStorm does nothing that it can not write down.
func (s *server) resetStorm(ctx context.Context, in *resetInput) (*statusOutput, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	brief, err := s.brief(ctx)
	if err != nil {
		return nil, err
	}
	if brief.Storm == nil {
		return nil, problem(http.StatusConflict, CodeNoStorm, "the storm breaker is not open")
	}
	by := identity.FromContext(ctx).Name
	e := audit.Entry{Kind: audit.Switched, Actor: by, Reason: in.Body.Reason, Decision: "reset storm, " + in.Body.Backlog + " backlog"}
	if err := s.Audit.Write(e); err != nil {
		return nil, problem(http.StatusServiceUnavailable, CodeAudit, "a reset can not be recorded, so the breaker stays open: "+err.Error())
	}
	reset := ledger.Reset{By: by, Skip: in.Body.Backlog == "skip", Since: brief.Storm.Since}
	if _, err := s.Ledger.Apply(ctx, ledger.Op{Reset: &reset}); err != nil {
		return nil, s.failed(err)
	}
	s.Log.Warn("the storm breaker was reset", "by", by, "backlog", in.Body.Backlog, "reason", in.Body.Reason)
	return &statusOutput{s.status()}, nil
}

// storm adds what the ledger says to the status.
func (s *server) storm(ctx context.Context, out *Status) {
	ctx, stop := context.WithTimeout(ctx, time.Second)
	defer stop()
	brief, err := s.Ledger.Brief(ctx)
	switch {
	case err != nil:
		out.Warnings = append(out.Warnings, "the ledger can not be looked at: "+err.Error())
	default:
		out.Storm = brief.Storm
		if brief.Full {
			out.Warnings = append(out.Warnings, "the queue of runs is full: alerts are answered with 503")
		}
	}
}

// openWindows are those that are open, for people.
func openWindows(all []runbooks.Window) string {
	var names []string
	for _, w := range all {
		if w.Open {
			names = append(names, w.Name)
		}
	}
	return strings.Join(names, ", ")
}
