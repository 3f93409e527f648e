package inside

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/pods"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type copyParams struct {
	Connection  string           `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace   string           `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the pods." example:"shop"`
	Selector    cluster.Selector `json:"selector,omitempty" optional:"true" doc:"Labels of the pods, as kubectl writes them. At least one of selector and names is given." example:"app=orders-api"`
	Names       []string         `json:"names,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" min:"1" max:"100" doc:"Only these pods. Those that are not there are left out."`
	Limit       int              `json:"limit" default:"1" min:"1" max:"100" doc:"At most this many pods, the oldest first."`
	Container   string           `json:"container,omitempty" optional:"true" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Container; unless set, the one that the pod says with the annotation kubectl.kubernetes.io/default-container, or its first."`
	Path        string           `json:"path" doc:"The file, as an absolute path." example:"/var/dumps/heap.hprof"`
	Timeout     model.Duration   `json:"timeout" default:"5m" min:"1s" max:"2h" doc:"How long it may take."`
	AllowSystem bool             `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *copyParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields copyParams
	problems := document.Decode(n, (*fields)(p))
	if at := n.Get("path"); at != nil && !cluster.PlainPath(p.Path) {
		problems.Add(at.At, "no-path", fmt.Sprintf("%q is not the absolute path of a file", p.Path), "such as /var/dumps/heap.hprof, without . or .. in it")
	}
	return append(problems, pods.Guard(n, p.Namespace, p.AllowSystem)...)
}

type copyResult struct {
	Pod      string           `json:"pod" doc:"Name of the pod."`
	Artefact actions.Artefact `json:"artefact" doc:"Where the copy is."`
}

func (s system) copyAction() actions.Action {
	return actions.Define(actions.Def[copyParams, copyResult]{
		Name: "kubernetes.copy",
		Doc: "Copy a file out of pods that run, such as a heap dump, and keep it among the artefacts once it is known to be whole. " +
			"The connection has the list of files that are allowed. The image needs tar, or cat and wc.",
		Risk:    actions.ReadOnly,
		Example: "{namespace: shop, selector: app=orders-api, path: /var/dumps/heap.hprof}",
		Targets: func(ctx context.Context, p copyParams) (actions.Selection, error) {
			if _, err := s.permitsCopy(ctx, p); err != nil {
				return actions.Selection{}, err
			}
			return s.choose(ctx, p.Connection, pods.Choice{Namespace: p.Namespace, Selector: p.Selector, Names: p.Names, Limit: p.Limit})
		},
		Limit: func(p copyParams) time.Duration { return time.Duration(p.Timeout) + time.Minute },
		Run:   s.copy,
	})
}

func (s system) permitsCopy(ctx context.Context, p copyParams) (actions.Artefacts, error) {
	c, err := s.Client(ctx, p.Connection)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(c.Config.Copy, func(a cluster.AllowedFile) bool { return a.Allows(p.Namespace, p.Path) }) {
		return nil, actions.Permanent(c.Errorf("copy %s out of pods of %s: the connection does not allow it; add to copy of the connection in the engine's config: {path: %s, namespaces: [%s]}",
			p.Path, p.Namespace, p.Path, p.Namespace))
	}
	return s.Conns.Artefacts()
}

// copy copies once: a retry tells of what an earlier attempt has kept.
func (s system) copy(ctx context.Context, key actions.Key, target actions.Target, p copyParams) (copyResult, error) {
	store, err := s.permitsCopy(ctx, p)
	if err != nil {
		return copyResult{}, err
	}
	id, err := cluster.ParsePod(target.ID, p.Namespace)
	if err != nil {
		return copyResult{}, err
	}
	name := key.ArtefactName(path.Base(p.Path))
	if kept, there, err := store.Find(ctx, name); there || err != nil {
		return copyResult{Pod: id.Name, Artefact: kept}, err
	}
	in, err := s.container(ctx, p.Connection, p.Namespace, target, p.Container)
	if err != nil {
		return copyResult{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(p.Timeout), fmt.Errorf("it took longer than %s", time.Duration(p.Timeout)))
	defer cancel()
	kept, err := in.copy(ctx, store, name, p.Path)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("ended before it was done: %w (%w)", context.Cause(ctx), err)
	}
	if err != nil {
		err = fmt.Errorf("copy %s out of container %s of pod %s/%s: %w", p.Path, in.name, id.Namespace, id.Name, err)
	}
	return copyResult{Pod: id.Name, Artefact: kept}, err
}

// copy prefers tar, which also says what kind of file it is.
func (in container) copy(ctx context.Context, store actions.Artefacts, name, file string) (actions.Artefact, error) {
	archived := func(printed io.Reader) io.Reader { return only(printed, path.Base(file)) }
	artefact, err := kept(ctx, store, name, archived, func(ctx context.Context, stdout *pour) error {
		return in.tool(ctx, stdout, "tar", "cf", "-", "-C", path.Dir(file), "./"+path.Base(file))
	})
	var missing notFound
	if !errors.As(err, &missing) {
		return artefact, err
	}
	return in.copyWithoutTar(ctx, store, name, file)
}
