package demo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/client"
	"github.com/runbook-engine/runbook/internal/lab"
)

const drillName = "orders-pool-exhaustion"

// drill is the second act: the same trouble as a game day, first with the
// runbook, then with the runbook turned off. The first must pass, the second
// must not.
func (s *stage) drill(ctx context.Context) error {
	s.say("\nThe game day: inject the trouble, and prove that the alert fires, the runbook runs, and that it is what helps.")
	if _, err := s.lab.AwaitAlert(ctx, alertName, "inactive"); err != nil {
		return fmt.Errorf("wait for the end of the first act: %w", err)
	}
	if _, err := s.lab.AwaitPool(ctx, lab.Pool.Relieved); err != nil {
		return fmt.Errorf("wait for the end of the first act: %w", err)
	}
	if err := s.mustEnd(ctx, "passed", 0); err != nil {
		return err
	}
	s.say("\nThe same game day, with the runbook turned off: a drill that can not fail proves nothing.")
	if err := s.turnOff(ctx); err != nil {
		return err
	}
	return s.mustEnd(ctx, "failed", 1)
}

func (s *stage) mustEnd(ctx context.Context, want string, code int) error {
	cmd := exec.CommandContext(ctx, s.Program, "gameday", "run", drillName)
	cmd.Env = append(os.Environ(), "RUNBOOK_SERVER="+s.engine.url, "RUNBOOK_TOKEN="+s.engine.token)
	cmd.Stdout, cmd.Stderr = s.Out, s.Out
	err := cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code {
		return fmt.Errorf("the drill should have ended as %s, with exit code %d: %w", want, code, err)
	}
	return nil
}

// turnOff changes the runbook's document, and waits until the engine has it.
func (s *stage) turnOff(ctx context.Context) error {
	path := filepath.Join(filepath.Dir(s.engine.config), "runbooks", runbookFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	off := strings.Replace(string(text), "autonomy: auto", "autonomy: off", 1)
	if err := os.WriteFile(path, []byte(off), 0o644); err != nil {
		return err
	}
	c, err := client.New(s.engine.url, client.Options{Token: s.engine.token})
	if err != nil {
		return err
	}
	for {
		list, err := c.Runbooks(ctx)
		if err == nil && len(list) == 1 && list[0].Autonomy == "off" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the engine did not take the changed runbook: %w", ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
