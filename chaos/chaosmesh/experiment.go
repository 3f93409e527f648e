package chaosmesh

import (
	"context"
	"fmt"
	"time"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
)

// experiment is one object of Chaos Mesh, there or not.
type experiment struct {
	cluster *cluster
	plan    plan
	id      chaos.ID
	object  object
	// beyond are further namespaces, where there is no plan to tell.
	beyond []string
}

// What our objects tell, so that whoever lists them knows what is ours, and
// until when.
const (
	managedBy          = "app.kubernetes.io/managed-by"
	us                 = "runbook"
	injectionLabel     = "runbook/injection"
	oneShotLabel       = "runbook/one-shot"
	faultAnnotation    = "runbook/fault"
	deadlineAnnotation = "runbook/deadline"
)

// grace is how much later than the deadline Chaos Mesh ends the fault: it counts
// from a time of creation that has no fractions of a second.
const grace = time.Second

// build aims the experiment at the pods there are now. It gives the object and
// how many records Chaos Mesh will keep of it.
func (e *experiment) build(ctx context.Context, fault string, deadline time.Time) (*unstructured.Unstructured, int, error) {
	near, err := e.cluster.find(ctx, e.plan.pods)
	if err == nil {
		err = e.unfit(near.fit(e.plan.containers))
	}
	if err != nil {
		return nil, 0, err
	}
	lasts := fmt.Sprintf("%dms", (time.Until(deadline) + grace).Milliseconds())
	a := aim{pods: near.aim(e.plan.pods.Namespace), duration: &lasts}
	records := len(near.pods) * max(1, len(e.plan.containers))
	if e.plan.target != nil {
		far, err := e.cluster.find(ctx, *e.plan.target)
		if err == nil {
			err = e.unfit(far.fit(nil))
		}
		if err != nil {
			return nil, 0, err
		}
		selector := far.aim(e.plan.target.Namespace)
		a.target, records = &selector, records+len(far.pods)
	}
	o, err := e.dress(e.plan.object(a), fault, deadline)
	return o, records, err
}

func (e *experiment) unfit(err error) error {
	if err == nil {
		return nil
	}
	return actions.Permanent(fmt.Errorf("inject into kubernetes %q: %w", e.cluster.name, err))
}

// dress makes the object as it is sent: the spec as we wrote it, without what
// our version of the API module would add and the cluster may not know.
func (e *experiment) dress(o runtime.Object, fault string, deadline time.Time) (*unstructured.Unstructured, error) {
	if err := e.secondOpinion(o); err != nil {
		return nil, actions.Permanent(fmt.Errorf("the check of %s by Chaos Mesh itself: %w", e.object, err))
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, err
	}
	labels := map[string]any{managedBy: us, injectionLabel: string(e.id)}
	if oneShot(o) {
		labels[oneShotLabel] = "true"
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": cm.SchemeGroupVersion.String(),
		"kind":       e.object.kind,
		"metadata": map[string]any{
			"name": e.object.name, "namespace": e.object.namespace, "labels": labels,
			"annotations": map[string]any{faultAnnotation: fault, deadlineAnnotation: deadline.UTC().Format(time.RFC3339Nano)},
		},
		"spec": content["spec"],
	}}, nil
}

func oneShot(o runtime.Object) bool {
	inner, ok := o.(cm.InnerObject)
	return ok && inner.IsOneShot()
}

// secondOpinion asks the checks of the API module, on a copy. They panic on some
// objects that are not whole.
func (e *experiment) secondOpinion(o runtime.Object) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it panics: %v", r)
		}
	}()
	inner, ok := o.DeepCopyObject().(cm.InnerObject)
	if !ok {
		return fmt.Errorf("it knows no %s", e.object.kind)
	}
	inner.(metav1.Object).SetNamespace(e.object.namespace)
	inner.(metav1.Object).SetName(e.object.name)
	if err := inner.Default(context.Background(), inner); err != nil {
		return err
	}
	_, err = inner.ValidateCreate(context.Background(), inner)
	return err
}
