package nodes

import (
	"context"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type cordonParams struct {
	Connection string           `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Selector   cluster.Selector `json:"selector,omitempty" optional:"true" doc:"Labels of the nodes, as kubectl writes them. At least one of selector and names is given." example:"pool=spot"`
	Names      []string         `json:"names,omitempty" optional:"true" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" min:"1" max:"100" doc:"Only these nodes. Those that are not there are left out." example:"[node-7]"`
	Limit      int              `json:"limit" default:"1" min:"1" max:"100" doc:"At most this many nodes, the first by name."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *cordonParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields cordonParams
	return append(document.Decode(n, (*fields)(p)), guardNodes(n)...)
}

type cordonResult struct {
	Changed bool `json:"changed" doc:"True when this run changed it; false when it was so already."`
}

func (s system) cordonAction() actions.Action {
	return s.cordoning(true, "kubernetes.cordon",
		"Keep new pods away from nodes; those that run there stay. Nodes that are cordoned already are left out. "+
			"Undo lets pods in again, unless somebody has done so since.")
}

func (s system) uncordonAction() actions.Action {
	return s.cordoning(false, "kubernetes.uncordon",
		"Let new pods onto nodes again. Nodes that are not cordoned are left out. Undo keeps pods away again, unless somebody has done so since.")
}

// cordoning is the action that makes nodes so.
func (s system) cordoning(closed bool, name, doc string) actions.Action {
	return actions.Define(actions.Def[cordonParams, cordonResult]{
		Name: name, Doc: doc,
		Risk:    actions.Reversible,
		Example: "{names: [node-7]}",
		Targets: func(ctx context.Context, p cordonParams) (actions.Selection, error) {
			return s.selectNodes(ctx, p.Connection, nodeChoice{selector: p.Selector, names: p.Names, limit: p.Limit,
				skips: func(node *corev1.Node) bool { return node.Spec.Unschedulable == closed }})
		},
		Accepts: func(ctx context.Context, target actions.Target, p cordonParams) error {
			c, node, err := s.node(ctx, p.Connection, target)
			if err != nil {
				return err
			}
			_, _, err = c.Rehearsing().Make(ctx, cluster.Asking, cordon(node, closed))
			return err
		},
		Run: func(ctx context.Context, key actions.Key, target actions.Target, p cordonParams) (cordonResult, error) {
			c, node, err := s.node(ctx, p.Connection, target)
			if err != nil {
				return cordonResult{}, err
			}
			was, _, err := c.Make(ctx, key, cordon(node, closed))
			return cordonResult{Changed: was != strconv.FormatBool(closed)}, err
		},
		Undo: func(ctx context.Context, key actions.Key, target actions.Target, p cordonParams) error {
			c, node, err := s.node(ctx, p.Connection, target)
			if err != nil {
				return err
			}
			return c.Undo(ctx, key, cordon(node, closed))
		},
	})
}

// cordon remembers what was, so that undo opens nothing that others had closed.
func cordon(node cluster.Object, closed bool) cluster.Change {
	return cluster.Change{
		Object: node,
		Notes:  "runbook-engine.io/cordons",
		Edit: func(o *unstructured.Unstructured) (string, error) {
			was, _, err := unstructured.NestedBool(o.Object, "spec", "unschedulable")
			if err != nil {
				return "", err
			}
			return strconv.FormatBool(was), setClosed(o, closed)
		},
		Back: func(o *unstructured.Unstructured, was string) error {
			now, _, err := unstructured.NestedBool(o.Object, "spec", "unschedulable")
			if err != nil || now != closed || was == strconv.FormatBool(closed) {
				return err
			}
			return setClosed(o, !closed)
		},
	}
}

func setClosed(node *unstructured.Unstructured, closed bool) error {
	if closed {
		return unstructured.SetNestedField(node.Object, true, "spec", "unschedulable")
	}
	unstructured.RemoveNestedField(node.Object, "spec", "unschedulable")
	return nil
}
