package exec

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/argv"
	"github.com/runbook-engine/runbook/internal/document"
)

type commandParams struct {
	Argv       []string       `json:"argv" min:"1" doc:"The program as an absolute path, and its arguments. No shell reads them." example:"[/usr/bin/systemctl, restart, orders-api]"`
	Connection string         `json:"connection,omitempty" optional:"true" connection:"exec" doc:"Connection that allows the command; the only one when absent."`
	ExpectExit []int          `json:"expect_exit,omitempty" optional:"true" doc:"Exit codes other than which are an error; without it, all but 0."`
	Timeout    model.Duration `json:"timeout" default:"1m" min:"10ms" max:"1h" doc:"How long the command may take; then it is ended with all that it started."`
}

type commandResult struct {
	ExitCode  int            `json:"exit_code" doc:"Exit code."`
	Stdout    string         `json:"stdout" doc:"Standard output, the first 64 KiB."`
	Stderr    string         `json:"stderr" doc:"Standard error, the first 64 KiB."`
	Truncated bool           `json:"truncated" doc:"True when there was more output."`
	Duration  model.Duration `json:"duration" doc:"How long it took."`
}

// The risk is what the allow-list makes it. It is the operator of the engine who
// writes that list, so he decides whether a destructive command is on it;
// disruptive is the least that any command deserves which is worth running.
func command(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[commandParams, commandResult]{
		Name: "exec.command",
		Doc: "Run a command on the machine of the engine. The connection has the list of commands that are allowed. " +
			"It is run once: when the engine dies meanwhile, the outcome is unknown.",
		Risk:    actions.Disruptive,
		Example: "{connection: ops, argv: [/usr/bin/systemctl, restart, orders-api], timeout: 30s}",
		Target: func(p commandParams) string {
			return "command/" + p.Connection + document.Shorten(strings.Join(p.Argv, " "), 200)
		},
		Once:  func(commandParams) bool { return true },
		Limit: func(p commandParams) time.Duration { return time.Duration(p.Timeout) + grace + 5*time.Second },
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p commandParams) (commandResult, error) {
			c, err := machine.Get(ctx, conns, p.Connection)
			if err != nil {
				return commandResult{}, err
			}
			return c.command(ctx, p)
		},
	})
}

func (c *client) command(ctx context.Context, p commandParams) (commandResult, error) {
	if !argv.Allowed(c.Allow, p.Argv) {
		return commandResult{}, actions.Permanent(fmt.Errorf(
			"run %q: connection %q does not allow it; what it allows stands under exec.allow in the engine's config", p.Argv, c.name))
	}
	r, err := c.run(ctx, p.Argv, time.Duration(p.Timeout))
	if err != nil {
		return commandResult{}, fmt.Errorf("run %q: %w", p.Argv, err)
	}
	expected := p.ExpectExit
	if len(expected) == 0 {
		expected = []int{0}
	}
	if !slices.Contains(expected, r.ExitCode) {
		return commandResult{}, actions.Permanent(fmt.Errorf("run %q: exit code %d, not %v%s", p.Argv, r.ExitCode, expected, lastLine(r.Stderr)))
	}
	return r, nil
}

// lastLine is where programs say why they failed.
func lastLine(text string) string {
	lines := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
	if len(lines) == 0 {
		return ""
	}
	return fmt.Sprintf(": %s", document.Shorten(lines[len(lines)-1], 300))
}
