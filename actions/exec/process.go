package exec

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/argv"
)

const (
	// grace is what a command gets to end in order before it is killed.
	grace = 2 * time.Second
)

// run gives the result of a command that ended by itself, whatever its exit
// code.
func (c *client) run(ctx context.Context, command []string, timeout time.Duration) (commandResult, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, tooLate(timeout))
	defer cancel()
	var stdout, stderr argv.Output
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.Dir, c.environment(), &stdout, &stderr
	cmd.WaitDelay = grace
	endWithGroup(cmd)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return commandResult{}, notStarted(err)
	}
	err := cmd.Wait()
	if ctx.Err() != nil {
		killGroup(cmd)
		return commandResult{}, actions.Ambiguous(fmt.Errorf("ended before it was done: %w", context.Cause(ctx)))
	}
	if !cmd.ProcessState.Exited() {
		return commandResult{}, actions.Ambiguous(fmt.Errorf("it was ended by someone else: %w", err))
	}
	return commandResult{
		ExitCode: cmd.ProcessState.ExitCode(), Stdout: stdout.Text(), Stderr: stderr.Text(),
		Truncated: stdout.Truncated() || stderr.Truncated(), Duration: model.Duration(time.Since(began)),
	}, nil
}

func notStarted(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return actions.Permanent(err)
	}
	return err
}

// tooLate is the end of the time that a step gives its command.
type tooLate time.Duration

func (t tooLate) Error() string { return fmt.Sprintf("it took longer than %s", time.Duration(t)) }

func (t tooLate) Is(target error) bool { return target == context.DeadlineExceeded }
