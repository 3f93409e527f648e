package nodes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// nodeChoice is which nodes an action means.
type nodeChoice struct {
	selector cluster.Selector
	names    []string
	limit    int
	skips    func(*corev1.Node) bool
}

// guardNodes wants to be told which nodes.
func guardNodes(n *document.Node) (problems diag.List) {
	if cluster.Given(n, "selector", "names") == 0 {
		problems.Add(n.At, "missing-key", "selector or names must be given; without both, all nodes would be meant", "names: [NAME]")
	}
	return problems
}

// selectNodes gives the targets, the first by name. The population is all nodes
// of the cluster, because what leaves one goes to the others; healthy are those
// that are ready and take pods.
func (s system) selectNodes(ctx context.Context, connection string, choice nodeChoice) (actions.Selection, error) {
	c, err := s.Client(ctx, connection)
	if err != nil {
		return actions.Selection{}, err
	}
	var all *corev1.NodeList
	err = c.Do(ctx, cluster.Request{Verb: "list", Resource: "nodes"}, func(ctx context.Context) (err error) {
		all, err = c.Set.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		return err
	})
	if err != nil {
		return actions.Selection{}, err
	}
	wanted, err := labels.Parse(string(choice.selector))
	if err != nil {
		return actions.Selection{}, actions.Permanent(c.Errorf("read the selector: %w", err))
	}
	slices.SortFunc(all.Items, func(a, b corev1.Node) int { return strings.Compare(a.Name, b.Name) })
	healthy := 0
	selection := actions.Selection{Name: nodeKind + c.Name, Population: len(all.Items), Healthy: &healthy}
	for _, node := range all.Items {
		target := nodeTarget(&node)
		if !target.Unhealthy {
			healthy++
		}
		if len(selection.Targets) < choice.limit && choice.wants(&node, wanted) {
			selection.Targets = append(selection.Targets, target)
		}
	}
	return selection, nil
}

func (n nodeChoice) wants(node *corev1.Node, wanted labels.Selector) bool {
	return wanted.Matches(labels.Set(node.Labels)) && (len(n.names) == 0 || slices.Contains(n.names, node.Name)) && (n.skips == nil || !n.skips(node))
}

func nodeTarget(node *corev1.Node) actions.Target {
	doc, ready := "not ready", false
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			doc, ready = "ready", true
		}
	}
	if node.Spec.Unschedulable {
		doc += ", cordoned"
	}
	return actions.Target{ID: nodeKind + node.Name, Doc: doc, Unhealthy: !ready || node.Spec.Unschedulable}
}

const nodeKind = "node/"

// node is a target, and the connection to it.
func (s system) node(ctx context.Context, connection string, target actions.Target) (cluster.Client, cluster.Object, error) {
	name, ours := strings.CutPrefix(target.ID, nodeKind)
	if !ours || len(validation.IsDNS1123Subdomain(name)) > 0 {
		return cluster.Client{}, cluster.Object{}, actions.Permanent(fmt.Errorf("target %q is no node", target.ID))
	}
	c, err := s.Client(ctx, connection)
	return c, cluster.Object{GroupVersionResource: corev1.SchemeGroupVersion.WithResource("nodes"), Name: name}, err
}
