package pods

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// Choice is which pods an action means.
type Choice struct {
	Namespace      string
	Selector       cluster.Selector
	Names          []string
	Phase          string
	OlderThan      time.Duration
	Limit          int // none when 0
	AllowUnmanaged bool
	// Skips leaves out more.
	Skips func(*corev1.Pod) bool
}

// Guard wants to be told which pods.
func Guard(n *document.Node, namespace string, allowSystem bool) (problems diag.List) {
	if cluster.Given(n, "selector", "names") == 0 {
		problems.Add(n.At, "missing-key", "selector or names must be given; without both, all pods of the namespace would be meant", "selector: app=NAME")
	}
	return append(problems, cluster.GuardNamespace(n, namespace, allowSystem)...)
}

// Select gives the targets, the oldest first. The population is what the
// selector means, or the namespace, and healthy of it are the pods that are
// ready.
func Select(ctx context.Context, env cluster.Env, connection string, choice Choice) (actions.Selection, error) {
	c, err := env.Client(ctx, connection)
	if err != nil {
		return actions.Selection{}, err
	}
	all, err := c.ListPods(ctx, choice.Namespace, metav1.ListOptions{LabelSelector: string(choice.Selector)})
	if err != nil {
		return actions.Selection{}, err
	}
	now := env.Now()
	chosen := choice.of(all, now)
	if err := GuardUnmanaged(chosen, choice.AllowUnmanaged); err != nil {
		return actions.Selection{}, actions.Permanent(c.Errorf("%w", err))
	}
	healthy := cluster.CountReady(all)
	selected := actions.Selection{Name: choice.population(c.Name), Population: len(all), Healthy: &healthy}
	for _, pod := range all {
		selected.Members = append(selected.Members, cluster.IDOf(pod).String())
	}
	for _, pod := range chosen {
		selected.Targets = append(selected.Targets, cluster.PodTarget(pod, now))
	}
	return selected, nil
}

// population is the same however its selector is written.
func (p Choice) population(connection string) string {
	name := path.Join("pod", connection, p.Namespace)
	if selector, err := labels.Parse(string(p.Selector)); err == nil && !selector.Empty() {
		name += "/" + plainly(selector)
	}
	return name
}

// plainly writes one meaning in one way: x==a and x in (a) as x=a, x notin (a) as
// x!=a, and all in the order of their keys.
func plainly(selector labels.Selector) string {
	requirements, _ := selector.Requirements()
	plain := labels.NewSelector()
	for _, r := range requirements {
		operator, known := plainOperators[r.Operator()]
		if same, err := labels.NewRequirement(r.Key(), operator, r.Values().List()); known && r.Values().Len() == 1 && err == nil {
			r = *same
		}
		plain = plain.Add(r)
	}
	return plain.String()
}

var plainOperators = map[selection.Operator]selection.Operator{
	selection.DoubleEquals: selection.Equals, selection.In: selection.Equals, selection.NotIn: selection.NotEquals,
}

func (p Choice) of(all []*corev1.Pod, now time.Time) []*corev1.Pod {
	chosen := slices.DeleteFunc(slices.Clone(all), func(pod *corev1.Pod) bool { return !p.wants(pod, now) })
	slices.SortFunc(chosen, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	if p.Limit > 0 {
		chosen = chosen[:min(len(chosen), p.Limit)]
	}
	return chosen
}

// wants leaves out pods that are being deleted already, and static pods, which
// live in a file on their node: the API only mirrors them.
func (p Choice) wants(pod *corev1.Pod, now time.Time) bool {
	_, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]
	return !mirror && pod.DeletionTimestamp == nil &&
		(len(p.Names) == 0 || slices.Contains(p.Names, pod.Name)) &&
		(p.Phase == "" || string(pod.Status.Phase) == p.Phase) &&
		now.Sub(pod.CreationTimestamp.Time) >= p.OlderThan &&
		(p.Skips == nil || !p.Skips(pod))
}

// GuardUnmanaged refuses pods that would be lost, unless that is allowed.
func GuardUnmanaged(chosen []*corev1.Pod, allowed bool) error {
	var lost []string
	for _, pod := range chosen {
		if metav1.GetControllerOf(pod) == nil {
			lost = append(lost, pod.Namespace+"/"+pod.Name)
		}
	}
	if allowed || len(lost) == 0 {
		return nil
	}
	return fmt.Errorf("no controller would replace %s; set allow_unmanaged: true if they may be lost", strings.Join(lost[:min(len(lost), 5)], ", "))
}
