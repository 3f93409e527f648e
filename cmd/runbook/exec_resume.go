package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/client"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/internal/terminal"
	"github.com/runbook-engine/runbook/runbooks"
)

// underWay looks what would go on with an engine in this process before anything
// does. It gives the id of the run that this command began earlier, if it is
// there, and refuses when another is.
func (x *execution) underWay() (string, error) {
	if !x.c.standalone() {
		return "", nil
	}
	open, err := x.openRuns()
	if err != nil {
		return "", err
	}
	for _, row := range open {
		mine, err := x.isMine(row)
		if err != nil {
			return "", err
		}
		if mine && !x.flags.dryRun {
			x.p.note("going on with run %s, started %s by %s", row.ID, terminal.Ago(row.StartedAt, time.Now()), row.Actor)
			return row.ID, x.p.sayOthers(x.ctx, x.c, row.ID)
		}
	}
	if len(open) > 0 {
		return "", x.refuse(open[0])
	}
	return "", nil
}

func (x *execution) refuse(row runs.Row) error {
	return &failure{exitRefused, fmt.Errorf("run %s is under way here, and would go on: it was started %s by %s\n  go on: %s\n  stop:  %s",
		row.ID, terminal.Ago(row.StartedAt, time.Now()), row.Actor, x.c.command("watch", row.ID), x.c.command("cancel", row.ID))}
}

// openRuns are the live runs under way. A list can be a moment behind; the note
// of the run that was started last is not.
func (x *execution) openRuns() ([]runs.Row, error) {
	rows, err := x.c.Runs(x.ctx, client.Filter{Running: true, Limit: maxLimit})
	if err != nil {
		return nil, err
	}
	id, err := x.notedRun()
	if err != nil || id == "" {
		return rows, err
	}
	for _, row := range rows {
		if row.ID == id {
			return rows, nil
		}
	}
	noted, err := x.c.Run(x.ctx, id)
	var problem *client.Problem
	switch {
	case errors.As(err, &problem) && problem.Code == api.CodeNoSuchRun:
		return rows, nil // it never began
	case err != nil:
		return nil, err
	case noted.Status == run.Ended:
		return rows, nil
	}
	return append(rows, runs.Row{ID: id, Runbook: noted.Runbook, Actor: noted.Actor, StartedAt: noted.StartedAt, Mode: noted.Mode}), nil
}

// isMine asks for the run again under its own request id: the engine finds it
// when runbook and parameters are the same, and starts nothing.
func (x *execution) isMine(row runs.Row) (bool, error) {
	id, isExec := strings.CutPrefix(row.ID, runbooks.RunID(x.name, api.LiveEpisode))
	if !isExec {
		return false, nil
	}
	_, err := x.c.Start(x.ctx, x.request(runbooks.ModeLive, id))
	var problem *client.Problem
	if errors.As(err, &problem) && problem.Code == api.CodeRequestReused {
		return false, nil
	}
	return err == nil, err
}

func (x *execution) noteFile() string { return filepath.Join(x.c.dataDir, "exec.run") }

// noteRun writes down which run is about to be started.
func (x *execution) noteRun(id string) error {
	if !x.c.standalone() {
		return nil
	}
	file, err := os.OpenFile(x.noteFile(), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("note the run: %w", err)
	}
	_, err = file.WriteString(id + "\n")
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("note the run: %w", err)
	}
	return nil
}

func (x *execution) notedRun() (string, error) {
	text, err := os.ReadFile(x.noteFile())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("read which run was started last: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// forgetRun: a note of a run that has ended does no harm.
func (x *execution) forgetRun() {
	if x.c.standalone() {
		_ = os.Remove(x.noteFile())
	}
}
