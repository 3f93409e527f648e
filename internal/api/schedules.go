package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/gamedays"
	"github.com/runbook-engine/runbook/internal/identity"
	"github.com/runbook-engine/runbook/workflows/drills"
)

type (
	schedulesOutput struct{ Body []gamedays.Schedule }
	scheduleInput   struct {
		Gameday string `path:"gameday" maxLength:"63"`
		Body    Ask
	}
)

func (s *server) schedules() {
	huma.Register(s.api, operation("list-schedules", http.MethodGet, "/schedules", "When game days run by themselves, and which runs were missed",
		http.StatusServiceUnavailable), s.listSchedules)
	for _, one := range []struct {
		id, path, summary string
		tell              func(*gamedays.Schedules, context.Context, string, drills.Stop) error
	}{
		{"pause-schedule", "/schedules/{gameday}/pause", "Keep a game day from running by itself, until it is resumed", (*gamedays.Schedules).Pause},
		{"unpause-schedule", "/schedules/{gameday}/unpause", "Let a game day run by itself again", (*gamedays.Schedules).Unpause},
		{"trigger-schedule", "/schedules/{gameday}/trigger", "Start a drill now, as the schedule would", (*gamedays.Schedules).Trigger},
	} {
		op := operation(one.id, http.MethodPost, one.path, one.summary, http.StatusNotFound, http.StatusServiceUnavailable)
		op.DefaultStatus = http.StatusAccepted
		huma.Register(s.api, op, s.tellSchedule(one.id, one.tell))
	}
}

func (s *server) listSchedules(ctx context.Context, _ *struct{}) (*schedulesOutput, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	all, err := s.Gamedays.Schedules.List(ctx)
	if err != nil {
		return nil, s.failed(err)
	}
	return &schedulesOutput{all}, nil
}

// tellSchedule writes the line before it asks: what starts drills is recorded.
func (s *server) tellSchedule(what string, tell func(*gamedays.Schedules, context.Context, string, drills.Stop) error) func(context.Context, *scheduleInput) (*cancelOutput, error) {
	return func(ctx context.Context, in *scheduleInput) (*cancelOutput, error) {
		ctx, stop := context.WithTimeout(ctx, patience)
		defer stop()
		who := identity.FromContext(ctx).Name
		e := audit.Entry{Kind: audit.Switched, Actor: who, Reason: in.Body.Reason, Runbook: in.Gameday, Decision: what}
		if err := s.Audit.Write(e); err != nil {
			return nil, problem(http.StatusServiceUnavailable, CodeAudit, "it can not be recorded, so it is not done: "+err.Error())
		}
		err := tell(s.Gamedays.Schedules, ctx, in.Gameday, drills.Stop{By: who, Reason: in.Body.Reason})
		switch {
		case errors.Is(err, gamedays.ErrNoSchedule):
			return nil, problem(http.StatusNotFound, CodeNoSuchSchedule, err.Error())
		case err != nil:
			return nil, s.failed(err)
		}
		return &cancelOutput{Started{ID: in.Gameday}}, nil
	}
}
