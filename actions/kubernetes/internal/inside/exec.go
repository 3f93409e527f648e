package inside

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/pods"
	"github.com/runbook-engine/runbook/internal/argv"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type execParams struct {
	Connection  string           `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace   string           `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the pods." example:"shop"`
	Selector    cluster.Selector `json:"selector,omitempty" optional:"true" doc:"Labels of the pods, as kubectl writes them. At least one of selector and names is given." example:"app=orders-api"`
	Names       []string         `json:"names,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" min:"1" max:"100" doc:"Only these pods. Those that are not there are left out."`
	Limit       int              `json:"limit" default:"1" min:"1" max:"100" doc:"At most this many pods, the oldest first."`
	Container   string           `json:"container,omitempty" optional:"true" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Container; unless set, the one that the pod says with the annotation kubectl.kubernetes.io/default-container, or its first."`
	Argv        []string         `json:"argv" min:"1" doc:"The program as an absolute path, and its arguments. No shell reads them." example:"[/usr/bin/lsof, -n, -P]"`
	ExpectExit  []int            `json:"expect_exit,omitempty" optional:"true" doc:"Exit codes other than which are an error; without it, all but 0."`
	Keep        string           `json:"keep,omitempty" optional:"true" pattern:"^[A-Za-z0-9][-A-Za-z0-9._]{0,99}$" doc:"Keep all of standard output among the artefacts, under this name, instead of its first part in the result." example:"lsof.txt"`
	Timeout     model.Duration   `json:"timeout" default:"1m" min:"10ms" max:"1h" doc:"How long the command may take. Then the session is ended; whether the command is, depends on it."`
	AllowSystem bool             `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *execParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields execParams
	return append(document.Decode(n, (*fields)(p)), pods.Guard(n, p.Namespace, p.AllowSystem)...)
}

type execResult struct {
	Pod       string            `json:"pod" doc:"Name of the pod."`
	ExitCode  int               `json:"exit_code" doc:"Exit code."`
	Stdout    string            `json:"stdout" doc:"Standard output, the first 64 KiB; empty when it was kept."`
	Stderr    string            `json:"stderr" doc:"Standard error, the first 64 KiB."`
	Truncated bool              `json:"truncated" doc:"True when there was more output."`
	Artefact  *actions.Artefact `json:"artefact,omitempty" optional:"true" doc:"Where standard output is, when it was kept."`
	Duration  model.Duration    `json:"duration" doc:"How long it took."`
}

func (s system) execAction() actions.Action {
	return actions.Define(actions.Def[execParams, execResult]{
		Name: "kubernetes.exec",
		Doc: "Run a command in pods that run. The connection has the list of commands that are allowed, and in which namespaces. " +
			"It is run once: when the engine dies or the session ends meanwhile, the outcome is unknown.",
		Risk:    actions.Disruptive,
		Example: "{namespace: shop, selector: app=orders-api, argv: [/usr/bin/lsof, -n, -P], keep: lsof.txt}",
		Targets: func(ctx context.Context, p execParams) (actions.Selection, error) {
			if err := s.permits(ctx, p); err != nil {
				return actions.Selection{}, err
			}
			return s.choose(ctx, p.Connection, pods.Choice{Namespace: p.Namespace, Selector: p.Selector, Names: p.Names, Limit: p.Limit})
		},
		Accepts: func(ctx context.Context, target actions.Target, p execParams) error {
			in, err := s.container(ctx, p.Connection, p.Namespace, target, p.Container)
			if err != nil {
				return err
			}
			return in.c.MayDo(ctx, in.request())
		},
		Once:  func(execParams) bool { return true },
		Limit: func(p execParams) time.Duration { return time.Duration(p.Timeout) + time.Minute },
		Run:   s.exec,
	})
}

func (s system) permits(ctx context.Context, p execParams) error {
	c, err := s.Client(ctx, p.Connection)
	if err != nil || slices.ContainsFunc(c.Config.Exec, func(a cluster.AllowedCommand) bool { return a.Allows(p.Namespace, p.Argv) }) {
		return err
	}
	return actions.Permanent(c.Errorf("run %q in pods of %s: the connection does not allow it; what it allows stands under exec of the connection in the engine's config", p.Argv, p.Namespace))
}

func (s system) exec(ctx context.Context, key actions.Key, target actions.Target, p execParams) (r execResult, err error) {
	if err := s.permits(ctx, p); err != nil {
		return r, err
	}
	in, err := s.container(ctx, p.Connection, p.Namespace, target, p.Container)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(p.Timeout), fmt.Errorf("it took longer than %s", time.Duration(p.Timeout)))
	defer cancel()
	began := time.Now()
	if p.Keep == "" {
		r, err = in.result(ctx, p)
	} else {
		r, err = s.keep(ctx, key, in, p)
	}
	r.Pod, r.Duration = in.pod.Name, model.Duration(time.Since(began))
	return r, in.failure(ctx, p, err)
}

func (in container) result(ctx context.Context, p execParams) (r execResult, err error) {
	var stdout, stderr argv.Output
	if r.ExitCode, err = in.run(ctx, in.request(), p.Argv, &stdout, &stderr); err != nil {
		return r, err
	}
	r.Stdout, r.Stderr, r.Truncated = stdout.Text(), stderr.Text(), stdout.Truncated() || stderr.Truncated()
	return r, unexpected(r.ExitCode, p.ExpectExit, r.Stderr)
}

// keep keeps nothing of a command that failed.
func (s system) keep(ctx context.Context, key actions.Key, in container, p execParams) (r execResult, err error) {
	store, err := s.Conns.Artefacts()
	if err != nil {
		return r, err
	}
	var stderr argv.Output
	artefact, err := kept(ctx, store, key.ArtefactName(p.Keep), plain, func(ctx context.Context, stdout *pour) (err error) {
		if r.ExitCode, err = in.run(ctx, in.request(), p.Argv, stdout, &stderr); err != nil {
			return err
		}
		return unexpected(r.ExitCode, p.ExpectExit, stderr.Text())
	})
	if err != nil {
		return r, err
	}
	r.Stderr, r.Truncated, r.Artefact = stderr.Text(), stderr.Truncated(), &artefact
	return r, nil
}

func unexpected(exit int, expected []int, stderr string) error {
	if len(expected) == 0 {
		expected = []int{0}
	}
	if slices.Contains(expected, exit) {
		return nil
	}
	return actions.Permanent(fmt.Errorf("exit code %d, not %v: %s", exit, expected, document.Shorten(strings.TrimSpace(stderr), 300)))
}

// failure says what was being done, and keeps the mark.
func (in container) failure(ctx context.Context, p execParams, err error) error {
	var missing notFound
	switch {
	case err == nil:
		return nil
	case errors.As(err, &missing):
		err = actions.Permanent(missing)
	case ctx.Err() != nil:
		err = fmt.Errorf("ended before it was done: %w (%w)", context.Cause(ctx), err)
	}
	return fmt.Errorf("run %q in container %s of pod %s/%s: %w", p.Argv, in.name, in.pod.Namespace, in.pod.Name, err)
}
