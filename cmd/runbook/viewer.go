package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/terminal"
)

// viewer follows runs for a person: a tree on a terminal, lines in a pipe, one
// object at the end for a program.
type viewer struct {
	p       *program
	ctx     context.Context
	c       *connection
	output  string
	t       *terminal.Terminal
	input   *terminal.Input
	signals chan os.Signal
	left    bool // the person has gone, and waits for nothing
}

// newViewer takes the signals over: Ctrl-C asks, instead of ending everything.
func (p *program) newViewer(ctx context.Context, c *connection, output string) *viewer {
	v := &viewer{
		p: p, ctx: context.WithoutCancel(ctx), c: c, output: output, t: p.screen(),
		input: terminal.NewInput(p.in), signals: make(chan os.Signal, 2),
	}
	if v.json() {
		v.aside()
	}
	signal.Notify(v.signals, syscall.SIGINT, syscall.SIGTERM)
	return v
}

// aside leaves standard output to what a program wants to read.
func (v *viewer) aside() { v.t = terminal.New(v.p.err, v.p.env) }

func (v *viewer) json() bool { return v.output == "json" }

// note tells a person what is good to know, beside the output.
func (p *program) note(format string, args ...any) {
	fmt.Fprintln(p.err, terminal.CleanText(fmt.Sprintf(format, args...)))
}

// close stops an engine in this process, unless the person has gone.
func (v *viewer) close(err error) error {
	signal.Reset(syscall.SIGINT, syscall.SIGTERM)
	if !v.left {
		v.c.stop()
	}
	return err
}

func (v *viewer) watch(id string) error {
	last, err := v.follow(id)
	if err == nil {
		err = exitOf(last)
	}
	return v.close(err)
}

// cancelled follows a run that was asked to stop: that it did is what was
// wanted.
func (v *viewer) cancelled(id string) error {
	last, err := v.follow(id)
	if err == nil && last.Outcome != run.Cancelled {
		err = exitOf(last)
	}
	return v.close(err)
}

var errLeft = errors.New("left at once")

// ask puts a question; a signal while it stands leaves at once.
func (v *viewer) ask(question string) (string, error) {
	ctx, stop := context.WithCancelCause(v.ctx)
	defer stop(nil)
	go func() {
		select {
		case <-v.signals:
			stop(errLeft)
		case <-ctx.Done():
		}
	}()
	answer, err := v.t.Ask(ctx, v.input, question)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return answer, err
}

// quietly follows a dry run, which takes as long as its probes do.
func (v *viewer) quietly(id string) (last run.Run, err error) {
	ctx, stop := context.WithCancelCause(v.ctx)
	defer stop(nil)
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-v.signals:
			stop(&failure{exitNotFixed, errors.New("nothing was started: interrupted while looking")})
		case err := <-v.c.fatal:
			stop(err)
		case <-done:
		}
	}()
	err = v.c.Watch(ctx, id, func(r run.Run) error {
		last = r
		return nil
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return last, err
}

// whatToType is how people answer a run that asks for their consent.
func (v *viewer) whatToType(r run.Run) []string {
	if r.Phase != run.Approving || r.Approval == nil || r.Approval.State != run.Asked {
		return nil
	}
	var lines []string
	if v.c.standalone() {
		lines = append(lines, "this engine is only in this process: leave it with Ctrl-C, then another person types")
	}
	verbs := []string{"approve", "deny"}
	if why := api.NobodyElse(r); why != "" {
		lines, verbs = append(lines, why), verbs[1:]
	}
	for _, verb := range verbs {
		lines = append(lines, terminal.Clean(fmt.Sprintf("  %-8s %s", verb+":", v.c.command(verb, r.ID))))
	}
	return lines
}

const beatEvery = 120 * time.Millisecond

// follow shows a live run until its end.
func (v *viewer) follow(id string) (run.Run, error) {
	watching, stop := context.WithCancel(v.ctx)
	defer stop()
	states, ended := make(chan run.Run), make(chan error, 1)
	go func() {
		ended <- v.c.Watch(watching, id, func(r run.Run) error {
			select {
			case states <- r:
				return nil
			case <-watching.Done():
				return watching.Err()
			}
		})
	}()
	show := v.newDisplay()
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for {
		var err error
		select {
		case r := <-states:
			err = show.state(r)
		case <-ticker.C:
			err = show.beat()
		case <-v.signals:
			err = v.interrupted(id, show)
		case fatal := <-v.c.fatal:
			return show.last, &failure{exitUnreachable, fatal}
		case err := <-ended:
			if err != nil {
				return show.last, err
			}
			return show.last, show.end()
		}
		if err != nil {
			return show.last, err
		}
	}
}

// interrupted asks what Ctrl-C shall mean.
func (v *viewer) interrupted(id string, show *display) error {
	if !v.p.atTerminal() {
		return v.leave(id)
	}
	show.pause()
	answer, err := v.ask(v.choices())
	switch {
	case errors.Is(err, errLeft):
		v.left = true
		return v.leave(id)
	case err != nil:
		return v.leave(id)
	case answer == "w":
		return nil
	case answer == "c", answer == "u":
		return v.c.Cancel(v.ctx, id, api.Cancel{Reason: "Ctrl-C at the terminal", Undo: answer == "u"})
	}
	return v.leave(id)
}

func (v *viewer) choices() string {
	leave := "leave: the run goes on in the engine"
	if v.c.standalone() {
		leave = "leave: the run stops where it is, and goes on when you start this again"
	}
	return "\nThe run is still under way.\n" +
		"  l  " + leave + "\n" +
		"  c  cancel it\n" +
		"  u  cancel it, and take back what can be taken back\n" +
		"  w  watch on\n" +
		"[l/c/u/w]"
}

// leave goes away from a run that is under way.
func (v *viewer) leave(id string) error {
	where := "it goes on in the engine"
	if v.c.standalone() {
		where = "it stops where it is"
	}
	return &failure{exitNotFixed, fmt.Errorf("left run %s under way: %s\n  go on: %s\n  stop:  %s",
		id, where, v.c.command("watch", id), v.c.command("cancel", id))}
}
