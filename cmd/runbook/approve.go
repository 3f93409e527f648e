package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/client"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/terminal"
)

func (p *program) approveCommand() *cobra.Command {
	cmd := p.answerCommand("approve", (*client.Client).Approve)
	cmd.Short = "Consent to what a run asks for"
	cmd.Long = `Consent to what a run asks for. Consent is for exactly the targets that the run
names, and for the later steps that it names. Nobody consents to what they have
started themselves, and where several people must consent each counts once. It needs
the role approver, and one of those that the runbook names. RUN is an id, the
beginning of one, or last.

Exit codes: 0 it counts; 2 the run does not ask; 4 you may not.`
	cmd.Example = `  runbook approve last --reason "seen it, INC-4711"
  runbook approve db-failover.exec-k3f9 --reason "agreed with the team"`
	return cmd
}

func (p *program) denyCommand() *cobra.Command {
	cmd := p.answerCommand("deny", (*client.Client).Deny)
	cmd.Short = "Refuse what a run asks for"
	cmd.Long = `Refuse what a run asks for. One no suffices: the step is not made, and what the
runbook does otherwise is done. RUN is an id, the beginning of one, or last.`
	cmd.Example = `  runbook deny last --reason "the replica is behind"`
	return cmd
}

type answerFunc func(c *client.Client, ctx context.Context, id string, d api.Decide) error

func (p *program) answerCommand(verb string, send answerFunc) *cobra.Command {
	var r *reach
	var output *choice
	var d api.Decide
	cmd := &cobra.Command{
		Use:  verb + " RUN --reason TEXT",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.answer(cmd.Context(), r, args[0], output.value, func(ctx context.Context, c *client.Client, id string) error {
				return send(c, ctx, id, d)
			})
		},
	}
	r = reachFlags(cmd)
	cmd.ValidArgsFunction = p.completeRuns(r)
	output = outputFlag(cmd, "text", "json")
	cmd.Flags().StringVar(&d.Reason, "reason", "", "`TEXT` for the record: why")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag is not there
	}
	return cmd
}

// answer gives a decision and shows what came of it. An engine in this process
// must work for a run to ask and to hear; then the run is followed to its end.
func (p *program) answer(ctx context.Context, r *reach, meant, output string, send func(context.Context, *client.Client, string) error) error {
	c, err := r.connect(ctx, p)
	if err != nil {
		return err
	}
	id, err := c.findUnderWay(ctx, meant)
	if err == nil {
		err = p.sayOthers(ctx, c, id)
	}
	if err == nil {
		err = c.work()
	}
	var before run.Run
	if err == nil {
		before, err = c.awaitRun(ctx, id, func(r run.Run) bool { return !c.standalone() || r.Approval != nil })
	}
	if err == nil {
		err = send(ctx, c.Client, id)
	}
	if err != nil {
		c.stop()
		return err
	}
	if c.standalone() {
		return p.newViewer(ctx, c, output).watch(id)
	}
	after, err := c.awaitRun(ctx, id, func(r run.Run) bool { return answers(r) != answers(before) || r.Status == run.Ended })
	if err != nil {
		return err
	}
	return p.showAnswer(after, output, c.command("watch", id))
}

// answers tells states apart in which people have said different things.
func answers(r run.Run) string {
	if r.Approval == nil {
		return ""
	}
	return fmt.Sprint(r.Approval.AskedAt, r.Approval.State, len(r.Approval.Decisions))
}

const (
	heardWithin = 10 * time.Second
	heardEvery  = 50 * time.Millisecond
)

// awaitRun looks at a run until it is as wanted, or enough time has passed: it
// gives what was seen last.
func (c *connection) awaitRun(ctx context.Context, id string, wanted func(run.Run) bool) (run.Run, error) {
	for deadline := time.Now().Add(heardWithin); ; {
		r, err := c.Run(ctx, id)
		if err != nil || wanted(r) || r.Status == run.Ended || time.Now().After(deadline) {
			return r, err
		}
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-time.After(heardEvery):
		}
	}
}

func (p *program) showAnswer(r run.Run, output, watch string) error {
	if output == "json" {
		return p.json(r)
	}
	t := p.screen()
	lines := slices.Concat(t.Consent(r, time.Now()), []string{terminal.Clean("follow it: " + watch)})
	return t.Print(lines...)
}
