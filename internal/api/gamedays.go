package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/gamedays"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/workflows/drills"
)

// Gamedays is what the interface serves of game days.
type Gamedays struct {
	Service   *gamedays.Service
	Schedules *gamedays.Schedules
	Set       func() *gameday.Set
	// Load checks a document that is sent, against the engine's own.
	Load   func(diag.Sources) (*gameday.Set, diag.List)
	Survey func(context.Context, gameday.Plan) Survey
	Faults *chaos.Catalog
}

// Survey is what a game day would meet now. Nothing is injected.
type Survey struct {
	Plan   gameday.Plan    `json:"plan"`
	Checks []gameday.Check `json:"checks"`
}

// Gameday is a loaded game day in a list.
type Gameday struct {
	Name     string `json:"name"`
	Summary  string `json:"summary,omitempty"`
	Owner    string `json:"owner,omitempty"`
	Proves   string `json:"proves,omitempty" doc:"Runbook that a passed drill is a proof of."`
	Schedule string `json:"schedule,omitempty"`
	Digest   string `json:"digest" doc:"Identifies what it does."`
	File     string `json:"file,omitempty"`
}

// Drill asks for a game day to be played, or planned: one that is loaded, by
// name, or a document.
type Drill struct {
	Gameday  string             `json:"gameday,omitempty" maxLength:"63" doc:"Name of a loaded game day."`
	Document string             `json:"document,omitempty" maxLength:"262144" doc:"A game day as YAML, instead of a name."`
	File     string             `json:"file,omitempty" maxLength:"1000" doc:"What the document is called in what is wrong with it."`
	Control  gameday.ControlRun `json:"control,omitempty" enum:"no_fault,no_remedy" doc:"A control run instead of the game day itself."`
}

// Ask is what a person says who ends something.
type Ask struct {
	Reason string `json:"reason" maxLength:"1000" doc:"Why, for the record."`
}

// Heal asks for faults to be healed.
type Heal struct {
	All bool `json:"all" doc:"Also those that are not past their deadline; drills under way are aborted."`
}

type (
	gamedaysOutput struct{ Body []Gameday }
	drillInput     struct{ Body Drill }
	surveyOutput   struct{ Body surveyBody }
	drillsInput    struct {
		Gameday string `query:"gameday" maxLength:"63"`
		Running bool   `query:"running"`
		Limit   int    `query:"limit" minimum:"1" maximum:"1000" default:"50"`
	}
	drillsOutput  struct{ Body []gamedays.Row }
	oneDrillInput struct {
		ID string `path:"id" maxLength:"200"`
	}
	oneDrillOutput struct{ Body drillBody }
	askInput       struct {
		ID   string `path:"id" maxLength:"200"`
		Body Ask
	}
	injectionsOutput struct{ Body []chaos.Injection }
	healInput        struct{ Body Heal }
	healOutput       struct{ Body Healing }
)

// What a drill is made of describes itself in docs/verdicts.md and in the schema
// of game days; the framework would read the tags of those types in its own way.
type (
	surveyBody struct{ Survey }
	drillBody  struct{ drills.Drill }
)

// Schema implements huma.SchemaProvider.
func (surveyBody) Schema(huma.Registry) *huma.Schema {
	return anObject("Plan and checks of a game day.")
}

// Schema implements huma.SchemaProvider.
func (drillBody) Schema(huma.Registry) *huma.Schema {
	return anObject("Plan, evidence and verdict of a drill.")
}

func anObject(text string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Description: text, AdditionalProperties: true}
}

// Healing is what came of it.
type Healing struct {
	Swept []chaos.Swept `json:"swept"`
	Error string        `json:"error,omitempty" doc:"What could not be looked at or healed."`
}

func (s *server) gamedays() {
	huma.Register(s.api, operation("list-gamedays", http.MethodGet, "/gamedays", "The loaded game days"), s.listGamedays)
	huma.Register(s.api, operation("plan-drill", http.MethodPost, "/gamedays/plan", "What a game day would meet now; nothing is injected",
		http.StatusNotFound, http.StatusUnprocessableEntity), s.planDrill)
	start := operation("start-drill", http.MethodPost, "/drills", "Play a game day", http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusServiceUnavailable)
	start.DefaultStatus = http.StatusAccepted
	huma.Register(s.api, start, s.startDrill)
	huma.Register(s.api, operation("list-drills", http.MethodGet, "/drills", "Drills, newest first", http.StatusServiceUnavailable), s.listDrills)
	huma.Register(s.api, operation("get-drill", http.MethodGet, "/drills/{id}", "A drill: its plan, evidence and verdict",
		http.StatusNotFound, http.StatusServiceUnavailable), s.getDrill)
	for _, one := range []struct {
		id, path, summary string
		tell              func(*gamedays.Service, context.Context, string, drills.Stop) error
	}{
		{"abort-drill", "/drills/{id}/abort", "Stop a drill; everything is healed", (*gamedays.Service).Abort},
		{"settle-drill", "/drills/{id}/settle", "Say that a person has healed what a drill could not", (*gamedays.Service).Settle},
	} {
		op := operation(one.id, http.MethodPost, one.path, one.summary, http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable)
		op.DefaultStatus = http.StatusAccepted
		huma.Register(s.api, op, s.tellDrill(one.id, one.tell))
	}
	s.schedules()
	huma.Register(s.api, operation("list-injections", http.MethodGet, "/injections", "Faults of ours that are in the systems now", http.StatusBadGateway), s.listInjections)
	huma.Register(s.api, operation("heal", http.MethodPost, "/injections/heal", "Heal faults in all systems, whoever injected them"), s.heal)
}

func (s *server) listGamedays(context.Context, *struct{}) (*gamedaysOutput, error) {
	out := &gamedaysOutput{Body: []Gameday{}}
	for _, g := range s.Gamedays.Set().All() {
		one := Gameday{Name: g.Gameday, Summary: g.Summary, Owner: g.Owner, Proves: g.Proves, Digest: g.Digest(), File: g.At.File}
		if g.Schedule != nil {
			one.Schedule = fmt.Sprintf("%s %s", g.Schedule.Cron, g.Schedule.Timezone)
		}
		out.Body = append(out.Body, one)
	}
	return out, nil
}

func (s *server) planDrill(ctx context.Context, in *drillInput) (*surveyOutput, error) {
	ctx, stop := context.WithTimeout(ctx, 4*patience)
	defer stop()
	plan, err := s.drillPlan(in.Body)
	if err != nil {
		return nil, err
	}
	plan.NotDuring = nil // those are for its schedule: a person decides for themselves
	return &surveyOutput{surveyBody{s.Gamedays.Survey(ctx, plan)}}, nil
}

// drillPlan resolves what was asked for.
func (s *server) drillPlan(d Drill) (gameday.Plan, error) {
	if d.Document == "" {
		set := s.Gamedays.Set()
		if g, known := set.Get(d.Gameday); known {
			return g.Plan(d.Control), nil
		}
		detail := fmt.Sprintf("there is no game day %q", d.Gameday)
		if hint := document.Suggest(d.Gameday, set.Names()); hint != "" {
			detail += "; " + hint
		}
		return gameday.Plan{}, problem(http.StatusNotFound, CodeNoSuchGameday, detail)
	}
	set, problems := s.Gamedays.Load(diag.Sources{cmp.Or(d.File, "document"): []byte(d.Document)})
	if err := problems.Err(); err != nil {
		return gameday.Plan{}, problem(http.StatusUnprocessableEntity, CodeInvalid, "the game day is not valid:\n"+err.Error())
	}
	all := set.All()
	if len(all) != 1 {
		return gameday.Plan{}, problem(http.StatusUnprocessableEntity, CodeInvalid, fmt.Sprintf("the document has %d game days, not one", len(all)))
	}
	return all[0].Plan(d.Control), nil
}

func (s *server) startDrill(ctx context.Context, in *drillInput) (*startOutput, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	plan, err := s.drillPlan(in.Body)
	if err != nil {
		return nil, err
	}
	plan.NotDuring = nil // those are for its schedule: a person decides for themselves
	who := identity.FromContext(ctx).Name
	q := drills.Request{ID: drills.NewID(plan.Gameday, time.Now()), Gameday: plan.Gameday, Plan: &plan, Control: in.Body.Control, By: who}
	entry := audit.Entry{Kind: audit.Started, Actor: who, Run: q.ID, Runbook: plan.Gameday, Digest: plan.Digest, Decision: "game day"}
	if err := s.Audit.Write(entry); err != nil {
		return nil, problem(http.StatusServiceUnavailable, CodeAudit, "the drill can not be recorded, so it is not started: "+err.Error())
	}
	id, err := s.Gamedays.Service.Start(ctx, q)
	if err != nil {
		return nil, s.failed(err)
	}
	return &startOutput{Status: http.StatusAccepted, Location: Prefix + "/drills/" + id, Body: Started{ID: id, Created: true}}, nil
}

func (s *server) listDrills(ctx context.Context, in *drillsInput) (*drillsOutput, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	rows, err := s.Gamedays.Service.List(ctx, gamedays.Filter{Gameday: in.Gameday, Running: in.Running, Limit: in.Limit})
	if err != nil {
		return nil, s.failed(err)
	}
	return &drillsOutput{rows}, nil
}

func (s *server) getDrill(ctx context.Context, in *oneDrillInput) (*oneDrillOutput, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	d, err := s.Gamedays.Service.Get(ctx, in.ID)
	if err != nil {
		return nil, s.drillFailed(err)
	}
	return &oneDrillOutput{drillBody{d}}, nil
}

func (s *server) tellDrill(what string, tell func(*gamedays.Service, context.Context, string, drills.Stop) error) func(context.Context, *askInput) (*cancelOutput, error) {
	return func(ctx context.Context, in *askInput) (*cancelOutput, error) {
		ctx, stop := context.WithTimeout(ctx, patience)
		defer stop()
		who := identity.FromContext(ctx).Name
		err := tell(s.Gamedays.Service, ctx, in.ID, drills.Stop{By: who, Reason: in.Body.Reason})
		e := audit.Entry{Kind: audit.Cancel, Actor: who, Reason: in.Body.Reason, Run: in.ID, Decision: what}
		if err != nil {
			e.Error = err.Error()
		}
		if err := s.Audit.Write(e); err != nil {
			s.Log.Error("the audit line about a drill is lost", "error", err, "drill", in.ID)
		}
		if err != nil {
			return nil, s.drillFailed(err)
		}
		return &cancelOutput{Started{ID: in.ID}}, nil
	}
}

func (s *server) drillFailed(err error) error {
	switch {
	case errors.Is(err, gamedays.ErrNotFound):
		return problem(http.StatusNotFound, CodeNoSuchDrill, err.Error())
	case errors.Is(err, gamedays.ErrEnded):
		return problem(http.StatusConflict, CodeEnded, err.Error())
	case errors.Is(err, gamedays.ErrNotStuck):
		return problem(http.StatusConflict, CodeNotStuck, err.Error())
	}
	return s.failed(err)
}

func (s *server) listInjections(ctx context.Context, _ *struct{}) (*injectionsOutput, error) {
	ctx, stop := context.WithTimeout(ctx, 2*patience)
	defer stop()
	all, err := s.Gamedays.Faults.Active(ctx)
	if err != nil {
		return nil, problem(http.StatusBadGateway, CodeUpstream, "which faults are in the systems is not wholly known: "+err.Error())
	}
	if all == nil {
		all = []chaos.Injection{}
	}
	return &injectionsOutput{all}, nil
}

// heal heals in any case: what it can not write down is a warning in the log.
func (s *server) heal(ctx context.Context, in *healInput) (*healOutput, error) {
	who := identity.FromContext(ctx).Name
	var told sync.WaitGroup
	if in.Body.All {
		told.Go(func() { s.abortDrills(ctx, drills.Stop{By: who, Reason: "every fault is healed"}) })
	}
	swept, err := s.Gamedays.Faults.Sweep(ctx, time.Now(), in.Body.All)
	told.Wait()
	out := &healOutput{Healing{Swept: swept}}
	if err != nil {
		out.Body.Error = err.Error()
	}
	for _, one := range swept {
		e := audit.Entry{Kind: audit.Undone, Actor: who, Run: one.Owner, Action: one.Fault, Target: one.Place, Reason: "heal", Error: one.Error}
		if err := s.Audit.Write(e); err != nil {
			s.Log.Error("the audit line of a healing is lost", "error", err, "fault", one.String())
		}
	}
	return out, nil
}

// abortDrills keeps drills under way from giving a runbook the credit for what a
// person has done.
func (s *server) abortDrills(ctx context.Context, stop drills.Stop) {
	ctx, done := context.WithTimeout(ctx, patience/5)
	defer done()
	running, err := s.Gamedays.Service.List(ctx, gamedays.Filter{Running: true, Limit: maxDrills})
	failed := []error{err}
	for _, row := range running {
		if err := s.Gamedays.Service.Abort(ctx, row.ID, stop); !errors.Is(err, gamedays.ErrEnded) {
			failed = append(failed, err)
		}
	}
	if err := errors.Join(failed...); err != nil {
		s.Log.Warn("drills under way could not be told that every fault is healed", "error", err)
	}
}

const maxDrills = 1000
