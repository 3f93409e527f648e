// Package inside has the actions that look into pods: commands that are run in a
// container, and files that are copied out of it.
package inside

import (
	"context"

	corev1 "k8s.io/api/core/v1"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/pods"
)

// Actions lists them.
func Actions(env cluster.Env) []actions.Action {
	s := system{env}
	return []actions.Action{
		s.execAction(),
		s.copyAction(),
	}
}

type system struct{ cluster.Env }

// choose selects among the pods that run, ready or not: those in trouble are the
// ones to look into. None is lost by it.
func (s system) choose(ctx context.Context, connection string, choice pods.Choice) (actions.Selection, error) {
	choice.Phase, choice.AllowUnmanaged = string(corev1.PodRunning), true
	return pods.Select(ctx, s.Env, connection, choice)
}

// container is where something is run.
type container struct {
	c    cluster.Client
	pod  cluster.PodID
	name string
}

// defaultContainer is the annotation by which a pod says which of its containers
// is meant when none is named.
const defaultContainer = "kubectl.kubernetes.io/default-container"

// container is the named one of a target, or the one that the pod says, or its
// first. The API takes the name of a pod only, so what has the name must be the
// very pod that was selected.
func (s system) container(ctx context.Context, connection, namespace string, target actions.Target, name string) (container, error) {
	id, err := cluster.ParsePod(target.ID, namespace)
	if err != nil {
		return container{}, err
	}
	c, err := s.Client(ctx, connection)
	if err != nil {
		return container{}, err
	}
	pod, err := c.Pod(ctx, id)
	switch {
	case err != nil:
		return container{}, err
	case pod == nil:
		return container{}, actions.Permanent(c.Errorf("pod %s/%s is gone, or another pod has its name; select anew", id.Namespace, id.Name))
	case name != "":
		return container{c, id, name}, nil
	case pod.Annotations[defaultContainer] != "":
		return container{c, id, pod.Annotations[defaultContainer]}, nil
	}
	return container{c, id, pod.Spec.Containers[0].Name}, nil
}

// request is the call in the words of the access rules.
func (in container) request() cluster.Request { return in.pod.Request("create", "pods/exec") }
