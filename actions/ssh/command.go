package ssh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"golang.org/x/crypto/ssh"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/argv"
	"github.com/runbook-engine/runbook/internal/document"
)

type commandParams struct {
	Machine    string         `json:"machine" connection:"ssh" doc:"Connection to the machine."`
	Argv       []string       `json:"argv" min:"1" doc:"The program as an absolute path, and its arguments; each is one, whatever is in it." example:"[/usr/bin/systemctl, restart, orders-api]"`
	ExpectExit []int          `json:"expect_exit,omitempty" optional:"true" doc:"Exit codes other than which are an error; without it, all but 0."`
	Timeout    model.Duration `json:"timeout" default:"1m" min:"10ms" max:"1h" doc:"How long the command may take. Then the session is ended; whether the command is, depends on it."`
}

type commandResult struct {
	ExitCode  int            `json:"exit_code" doc:"Exit code."`
	Stdout    string         `json:"stdout" doc:"Standard output, the first 64 KiB."`
	Stderr    string         `json:"stderr" doc:"Standard error, the first 64 KiB."`
	Truncated bool           `json:"truncated" doc:"True when there was more output."`
	Duration  model.Duration `json:"duration" doc:"How long it took."`
}

func command(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[commandParams, commandResult]{
		Name: "ssh.command",
		Doc: "Run a command on another machine. The connection has the list of commands that are allowed, and the machine's host key. " +
			"It is run once: when the engine dies or the session ends meanwhile, the outcome is unknown.",
		Risk:    actions.Disruptive,
		Example: "{machine: orders-1, argv: [/usr/bin/systemctl, restart, orders-api], timeout: 30s}",
		Target: func(p commandParams) string {
			return "command/" + p.Machine + "/" + document.Shorten(strings.Join(p.Argv, " "), 200)
		},
		Once:  func(commandParams) bool { return true },
		Limit: func(p commandParams) time.Duration { return time.Duration(p.Timeout) + 2*connectWithin },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p commandParams) (commandResult, error) {
			c, err := machine.Get(ctx, conns, p.Machine)
			if err != nil {
				return commandResult{}, err
			}
			r, err := c.command(ctx, p)
			if err != nil {
				return commandResult{}, fmt.Errorf("run %q on ssh %q: %w", p.Argv, c.name, err)
			}
			return r, nil
		},
	})
}

func (c *client) command(ctx context.Context, p commandParams) (r commandResult, err error) {
	if !argv.Allowed(c.Allow, p.Argv) {
		return r, actions.Permanent(errors.New("the connection does not allow it; what it allows stands under ssh.allow in the engine's config"))
	}
	if r, err = c.run(ctx, p); err != nil {
		return r, err
	}
	expected := p.ExpectExit
	if len(expected) == 0 {
		expected = []int{0}
	}
	if !slices.Contains(expected, r.ExitCode) {
		return r, actions.Permanent(fmt.Errorf("exit code %d, not %v: %s", r.ExitCode, expected, document.Shorten(strings.TrimSpace(r.Stderr), 300)))
	}
	return r, nil
}

// run gives the result of a command that ended by itself, whatever its exit code.
func (c *client) run(ctx context.Context, p commandParams) (r commandResult, err error) {
	machine, err := c.dial(ctx)
	if err != nil {
		return r, err
	}
	defer machine.Close()
	session, err := machine.NewSession()
	if err != nil {
		return r, err
	}
	defer session.Close()
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(p.Timeout), fmt.Errorf("it took longer than %s", time.Duration(p.Timeout)))
	defer cancel()
	defer context.AfterFunc(ctx, func() { machine.Close() })()
	var stdout, stderr argv.Output
	session.Stdout, session.Stderr = &stdout, &stderr
	began := time.Now()
	err = session.Run(line(p.Argv))
	var ended *ssh.ExitError
	switch {
	case ctx.Err() != nil:
		return r, actions.Ambiguous(fmt.Errorf("ended before it was done: %w (%w)", context.Cause(ctx), ctx.Err()))
	case errors.As(err, &ended) && ended.Signal() == "":
		r.ExitCode = ended.ExitStatus()
	case err != nil:
		return r, actions.Ambiguous(fmt.Errorf("the session ended before the command did: %w", err))
	}
	r.Stdout, r.Stderr, r.Truncated = stdout.Text(), stderr.Text(), stdout.Truncated() || stderr.Truncated()
	r.Duration = model.Duration(time.Since(began))
	return r, nil
}

// line is the command as a POSIX shell reads it: each argument in single quotes,
// in which nothing has a meaning.
func line(argv []string) string {
	quoted := make([]string, len(argv))
	for i, argument := range argv {
		quoted[i] = "'" + strings.ReplaceAll(argument, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}

// isRefusal: the machine takes none of our keys.
func isRefusal(err error) bool { return strings.Contains(err.Error(), "unable to authenticate") }
