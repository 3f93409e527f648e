package chaosmesh

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/runbook-engine/runbook/actions"
)

const (
	deleteWithin = 15 * time.Second
	// healedWithin bounds one attempt. The engine makes others.
	healedWithin = 30 * time.Second
)

// heal deletes the experiment, and waits until Chaos Mesh has taken back what it
// did. It never takes away the finalizer that stands for what is not yet taken
// back.
func (e *experiment) heal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healedWithin)
	defer cancel()
	if err := e.delete(ctx); err != nil {
		return err
	}
	for {
		there, err := e.get(ctx)
		if there == nil && err == nil {
			return nil
		}
		now := "it does not answer"
		if err == nil {
			if read(there).over() {
				return nil
			}
			now = read(there).String()
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return fmt.Errorf("heal %s in kubernetes %q: %s: %w; if this goes on, delete the pods, or restart the chaos-daemon of their nodes",
				e.object, e.cluster.name, now, ctx.Err())
		}
	}
}

// delete tolerates what is not there, and touches nothing that is not ours.
func (e *experiment) delete(ctx context.Context) error {
	there, err := e.get(ctx)
	if err != nil || there == nil {
		return err
	}
	if !e.ours(there) {
		return actions.Permanent(e.cluster.failure("heal", fmt.Errorf("%s is not of this injection; it is left alone", e.object)))
	}
	uid := there.GetUID()
	err = e.cluster.in(e.object.kind, e.object.namespace).Delete(ctx, e.object.name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	if err != nil && !apierrors.IsNotFound(err) {
		return e.cluster.failure("delete "+e.object.String()+" in", err)
	}
	return nil
}

// ruleKinds are what Chaos Mesh makes of experiments for each pod.
var ruleKinds = []string{"PodNetworkChaos", "PodIOChaos", "PodHttpChaos"}

// healed looks at the experiment, and independently of it at the rules that
// Chaos Mesh makes for each pod.
func (e *experiment) healed(ctx context.Context) error {
	there, err := e.get(ctx)
	if err != nil {
		return err
	}
	if there != nil && !read(there).over() {
		return fmt.Errorf("%s is still there in kubernetes %q: %s", e.object, e.cluster.name, read(there))
	}
	var left []error
	for _, namespace := range e.namespaces() {
		for _, kind := range ruleKinds {
			left = append(left, e.residue(ctx, kind, namespace))
		}
	}
	return errors.Join(left...)
}

// namespaces are those in which the experiment has pods.
func (e *experiment) namespaces() []string {
	all := append([]string{e.object.namespace}, e.beyond...)
	if e.plan.target != nil {
		all = append(all, e.plan.target.Namespace)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// residue is nil when no pod has a rule of the experiment, nor one that its node
// has not yet been told to forget.
func (e *experiment) residue(ctx context.Context, kind, namespace string) error {
	list, err := e.cluster.in(kind, namespace).List(ctx, metav1.ListOptions{})
	if apierrors.IsNotFound(err) {
		return nil // this Chaos Mesh has no such rules
	}
	if err != nil {
		return e.cluster.failure("read back the "+kind+" of namespace "+namespace+" in", err)
	}
	for _, rules := range list.Items {
		text, err := json.Marshal(rules.Object["spec"])
		if err != nil {
			return err
		}
		if strings.Contains(string(text), fmt.Sprintf(`"source":%q`, e.object.source())) {
			return fmt.Errorf("%s %s/%s in kubernetes %q still has rules of %s", kind, namespace, rules.GetName(), e.cluster.name, e.object)
		}
		if err := settled(rules, kind); err != nil {
			return fmt.Errorf("%w in kubernetes %q", err, e.cluster.name)
		}
	}
	return nil
}

// settled reports rules that their node has not applied as they stand. What it
// tried and could not do, it counts as observed.
func settled(rules unstructured.Unstructured, kind string) error {
	observed, _, _ := unstructured.NestedInt64(rules.Object, "status", "observedGeneration")
	if observed < rules.GetGeneration() {
		return fmt.Errorf("the node has not yet applied %s %s/%s", kind, rules.GetNamespace(), rules.GetName())
	}
	if failed, _, _ := unstructured.NestedString(rules.Object, "status", "failedMessage"); failed != "" {
		return fmt.Errorf("the node could not apply %s %s/%s: %s", kind, rules.GetNamespace(), rules.GetName(), failed)
	}
	return nil
}
