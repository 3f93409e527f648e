package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/runbook-engine/runbook/internal/document"
)

// program is one call of the command line, with everything that it touches
// outside as values.
type program struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) string
	// begun is set once the command line is understood: what fails before is a
	// mistake in it.
	begun bool
	// told is done once a person knows that the engine is halted.
	told sync.Once
}

func runProgram(args []string, in io.Reader, out, errOut io.Writer, env func(string) string) int {
	p := &program{in: in, out: out, err: errOut, env: env}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := p.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	return p.report(root.ExecuteContext(ctx))
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "runbook",
		Short: "Turn alerts into verified fixes",
		Long: `Turn alerts into verified fixes.

With a server (--server or RUNBOOK_SERVER) the commands speak to that engine.
Without one, exec and runs work on their own, with their state on this disk.

Exit codes: 0 fixed, or no problem; 1 not fixed, or problems; 2 wrong usage;
3 could not reach; 4 refused by a guard or a condition.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(flagError)
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		p.execCommand(), p.runsCommand(), p.approveCommand(), p.denyCommand(), p.haltCommand(), p.resumeCommand(),
		p.statusCommand(), p.queueCommand(), p.stormCommand(), p.windowsCommand(), p.trustCommand(), p.planCommand(), p.listCommand(), p.showCommand(), p.lintCommand(), p.testCommand(), p.actionsCommand(), p.faultsCommand(), p.gamedayCommand(),
		p.schemaCommand(), p.serveCommand(), p.labCommand(), p.completionCommand(), p.versionCommand(),
	)
	p.markBegun(root)
	return root
}

// markBegun has each command tell that its command line was understood.
func (p *program) markBegun(cmd *cobra.Command) {
	if carryOut := cmd.RunE; carryOut != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			p.begun = true
			return carryOut(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		p.markBegun(sub)
	}
}

// flagError adds the flag that was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return err
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	hint := document.Suggest(name, known)
	if hint == "" || !strings.HasPrefix(hint, "did you mean") {
		hint = "see " + cmd.CommandPath() + " --help"
	}
	return fmt.Errorf("%w; %s", err, hint)
}

// json prints a value for programs.
func (p *program) json(v any) error {
	enc := json.NewEncoder(p.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// atTerminal reports that a person can be asked.
func (p *program) atTerminal() bool {
	file, ok := p.in.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
