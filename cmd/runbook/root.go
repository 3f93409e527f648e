package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes, for scripts.
const (
	exitOK          = 0 // fixed, or no problem
	exitNotFixed    = 1 // not fixed, or problems were found
	exitUsage       = 2 // the command line is wrong
	exitUnreachable = 3 // what was asked can not be reached
	exitRefused     = 4 // a guard or a condition said no
)

// failure is an error with the exit code that it means.
type failure struct {
	code int
	err  error // nil where everything is said already
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit code %d", f.code)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// program is one call of the command line, with everything that it touches
// outside as values.
type program struct {
	in       io.Reader
	out, err io.Writer
}

func run(args []string, in io.Reader, out, errOut io.Writer) int {
	p := &program{in: in, out: out, err: errOut}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := p.root()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	return p.report(root.ExecuteContext(ctx))
}

func (p *program) report(err error) int {
	var f *failure
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &f):
		if f.err != nil {
			fmt.Fprintln(p.err, "runbook:", f.err)
		}
		return f.code
	default:
		fmt.Fprintln(p.err, "runbook:", err)
		return exitUsage
	}
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "runbook",
		Short:         "Turn alerts into verified fixes",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(
		p.serveCommand(), p.lintCommand(), p.schemaCommand(), p.actionsCommand(), p.labCommand(), p.versionCommand(),
	)
	return root
}
