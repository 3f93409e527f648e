package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/client"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/runbooks"
)

type execFlags struct {
	set                 []string
	dryRun, yes, detach bool
	reason              string
	override            []string
}

func (p *program) execCommand() *cobra.Command {
	var r *reach
	var output *choice
	var f execFlags
	cmd := &cobra.Command{
		Use:   "exec NAME",
		Short: "Run a runbook now",
		Long: `Run a runbook now. Its plan is shown first, found by a dry run: the steps, their
conditions, the exact targets and risks. Then you are asked, when anything is
disruptive or worse, and then it runs while you watch.

Without a server it runs in this process, with its state on this disk. When it is
killed half way, start the same command again: it goes on and repeats nothing.

Exit codes: 0 fixed; 1 not fixed, worse, unknown or cancelled; 2 wrong usage; 3 could not
reach; 4 refused by a guard or a condition.`,
		Example: `  runbook exec db-pool-exhausted --set database=orders --dry-run
  runbook exec db-pool-exhausted --set database=orders --reason "INC-4711"
  runbook exec db-pool-exhausted --set database=orders --config runbook.yaml --yes
  runbook exec db-pool-exhausted --set database=orders --override cooldown --reason "INC-4711"
  runbook exec db-pool-exhausted --set database=orders --yes --detach --server http://engine:7250`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.exec(cmd.Context(), r, args[0], f, output.value)
		},
	}
	r = documentFlags(cmd)
	cmd.ValidArgsFunction = p.completeRunbooks(r)
	output = outputFlag(cmd, "text", "json")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "a parameter, `NAME=VALUE`; repeat for more")
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "show the plan and change nothing")
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&f.detach, "detach", false, "with a server: print the id of the run and leave")
	cmd.Flags().StringVar(&f.reason, "reason", "", "`TEXT` for the record: why")
	cmd.Flags().StringSliceVar(&f.override, "override", nil, "in an emergency: set a `GUARD` aside, with --reason; needs the role admin; repeat for more")
	mustComplete(cmd, "override", "storm", "queue", "concurrency", "resource", "cooldown", "rate", "approval")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "detach")
	return cmd
}

// execution is one exec from the plan to the end.
type execution struct {
	*viewer
	name   string
	params map[string]any
	flags  execFlags
}

func (p *program) exec(ctx context.Context, r *reach, name string, f execFlags, output string) error {
	params, err := parseSet(f.set)
	if err != nil {
		return err
	}
	if len(f.override) > 0 && f.reason == "" {
		return usage("--override takes a --reason")
	}
	url := r.url(p)
	if f.detach && url == "" {
		return usage("--detach needs a server that goes on without you: --server URL")
	}
	if url == "" && !r.hasDocuments(p) {
		return errNoDocuments
	}
	c, err := r.connect(ctx, p)
	if err != nil {
		return err
	}
	x := &execution{viewer: p.newViewer(ctx, c, output), name: name, params: params, flags: f}
	if f.detach {
		x.aside()
	}
	return x.close(x.carryOut())
}

func parseSet(pairs []string) (map[string]any, error) {
	params := map[string]any{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok || name == "" {
			return nil, usage("--set needs NAME=VALUE, not %q", pair)
		}
		if _, twice := params[name]; twice {
			return nil, usage("--set has %s twice", name)
		}
		params[name] = value
	}
	return params, nil
}

func (x *execution) carryOut() error {
	id, err := x.underWay()
	if err != nil {
		return err
	}
	if err := x.c.work(); err != nil {
		return &failure{exitUnreachable, err}
	}
	if id != "" {
		return x.toTheEnd(id)
	}
	doc, err := x.c.Runbook(x.ctx, x.name)
	if err != nil {
		return err
	}
	if x.mustAsk(doc) && !x.p.atTerminal() {
		return usage("%s is %s and nobody can be asked: look at --dry-run, then say --yes", x.name, doc.Risk)
	}
	dry, err := x.plan(doc)
	if err != nil || x.flags.dryRun {
		return err
	}
	if err := x.confirm(doc); err != nil {
		return err
	}
	return x.live(dry)
}

// mustAsk: what interrupts or destroys is agreed to by a person.
func (x *execution) mustAsk(doc api.RunbookDetail) bool {
	return !x.flags.yes && !x.flags.dryRun && doc.Risk.AtLeast(actions.Disruptive)
}

// plan is a dry run on the same road. Where it did not even look at the steps,
// a live run would not either.
func (x *execution) plan(doc api.RunbookDetail) (run.Run, error) {
	started, err := x.c.Start(x.ctx, x.request(runbooks.ModeDryRun, newRequestID()))
	if err != nil {
		return run.Run{}, err
	}
	dry, err := x.quietly(started.ID)
	if err != nil {
		return dry, err
	}
	if err := x.showPlan(doc, dry); err != nil {
		return dry, err
	}
	if !looked(dry) {
		return dry, &failure{code: exitRefused}
	}
	return dry, nil
}

func (x *execution) showPlan(doc api.RunbookDetail, dry run.Run) error {
	if x.flags.dryRun && x.json() {
		return x.p.json(dry)
	}
	lines := x.t.Plan(doc, dry)
	if !looked(dry) {
		lines = append(lines, "", x.t.Refused(dry))
	}
	return x.t.Print(lines...)
}

// looked reports that a dry run got as far as its steps.
func looked(dry run.Run) bool {
	for _, s := range dry.Steps {
		if s.Status != run.Pending {
			return true
		}
	}
	return false
}

func (x *execution) request(mode runbooks.Mode, id string) api.Start {
	return api.Start{
		Runbook: x.name, Params: x.params, Mode: mode, Reason: x.flags.reason, RequestID: id, Override: x.flags.override,
	}
}

func newRequestID() string { return strings.ToLower(rand.Text()[:10]) }

func (x *execution) confirm(doc api.RunbookDetail) error {
	if !x.mustAsk(doc) {
		return nil
	}
	answer, err := x.ask(fmt.Sprintf("\nRun it? It is %s. [y/N]", doc.Risk))
	if err != nil {
		return &failure{exitNotFixed, fmt.Errorf("nothing was started: %w", err)}
	}
	if answer != "y" && answer != "yes" {
		return &failure{exitNotFixed, errors.New("nothing was started")}
	}
	return nil
}

// live starts what was agreed to, and only that: a document that has changed
// since is refused.
func (x *execution) live(dry run.Run) error {
	request := x.request(runbooks.ModeLive, newRequestID())
	request.Digest = dry.Digest
	if err := x.noteRun(runbooks.RunID(x.name, api.Episode(request))); err != nil {
		return err
	}
	started, err := x.startSurely(request)
	if err != nil {
		return err
	}
	if x.flags.detach {
		return x.detached(started.ID)
	}
	return x.toTheEnd(started.ID)
}

const (
	startTimes = 5
	startAgain = time.Second
)

// startSurely repeats a request whose answer was lost: it has an id, so that
// the engine starts one run for it.
func (x *execution) startSurely(request api.Start) (started api.Started, err error) {
	for range startTimes {
		started, err = x.c.Start(x.ctx, request)
		var lost *client.Unreachable
		if !errors.As(err, &lost) {
			return started, err
		}
		select {
		case <-x.ctx.Done():
			return started, err
		case <-time.After(startAgain):
		}
	}
	return started, err
}

func (x *execution) detached(id string) error {
	if x.json() {
		return x.p.json(map[string]string{"id": id})
	}
	if _, err := fmt.Fprintln(x.p.out, id); err != nil {
		return err
	}
	x.p.note("it goes on in the engine; follow it: %s", x.c.command("watch", id))
	return nil
}

// toTheEnd follows a live run.
func (x *execution) toTheEnd(id string) error {
	last, err := x.follow(id)
	if err != nil {
		return err
	}
	x.forgetRun()
	return exitOf(last)
}
