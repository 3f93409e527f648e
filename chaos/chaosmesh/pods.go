package chaosmesh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
)

// Pods says which pods are meant: running ones of one namespace, by their
// labels. They are resolved when the fault is injected and named one by one.
type Pods struct {
	Namespace string            `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$" doc:"Namespace of the pods."`
	Labels    map[string]string `json:"labels" min:"1" doc:"Labels that a pod must have, all of them. Never empty: that would be the whole namespace." example:"{app: checkout}"`
	Count     int               `json:"count,omitempty" optional:"true" min:"1" max:"1000" doc:"At most this many of them, the first by name; all of them without it."`
}

// found is the pods that are meant now.
type found struct {
	pods []corev1.Pod
	of   int // how many the labels mean
}

func (c *cluster) find(ctx context.Context, p Pods) (found, error) {
	list, err := c.set.CoreV1().Pods(p.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labels.SelectorFromSet(p.Labels).String()})
	if err != nil {
		return found{}, c.failure("list the pods of namespace "+p.Namespace+" in", err)
	}
	pods := slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool {
		return pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil
	})
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return cmp.Compare(a.Name, b.Name) })
	f := found{pods, len(pods)}
	if p.Count > 0 {
		f.pods = pods[:min(p.Count, len(pods))]
	}
	return f, nil
}

// aim names the pods one by one, so that what was shown is what is hit.
func (f found) aim(namespace string) cm.PodSelector {
	names := make([]string, len(f.pods))
	for n, pod := range f.pods {
		names[n] = pod.Name
	}
	return cm.PodSelector{Mode: cm.AllMode, Selector: cm.PodSelectorSpec{
		GenericSelectorSpec: cm.GenericSelectorSpec{Namespaces: []string{namespace}},
		Pods:                map[string][]string{namespace: names},
	}}
}

// fit reports why these pods can not be hit.
func (f found) fit(containers []string) error {
	if len(f.pods) == 0 {
		return errors.New("no running pod has these labels")
	}
	for _, pod := range f.pods {
		if pod.Spec.HostNetwork {
			return fmt.Errorf("pod %s uses the network of its node, so that the fault would hit the node", pod.Name)
		}
		for _, name := range containers {
			if !slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Name == name }) {
				return fmt.Errorf("pod %s has no container %s", pod.Name, name)
			}
		}
	}
	return nil
}

func (f found) targets(role string) []chaos.Target {
	var all []chaos.Target
	for _, pod := range f.pods {
		all = append(all, chaos.Target{
			Target:    actions.Target{ID: "pod/" + pod.Namespace + "/" + pod.Name, Doc: role},
			Namespace: pod.Namespace, Labels: pod.Labels,
		})
	}
	return all
}

// targets are the pods on both sides: a network fault is felt on both.
func (e *experiment) targets(ctx context.Context) (s chaos.Selection, err error) {
	near, err := e.cluster.find(ctx, e.plan.pods)
	if err != nil {
		return s, err
	}
	s = chaos.Selection{Targets: near.targets(""), Population: near.of}
	if e.plan.target == nil {
		return s, nil
	}
	far, err := e.cluster.find(ctx, *e.plan.target)
	if err != nil {
		return s, err
	}
	for _, t := range far.targets("the other side") {
		if !slices.Contains(s.IDs(), t.ID) {
			s.Targets = append(s.Targets, t)
		}
	}
	s.Population += far.of
	return s, nil
}
