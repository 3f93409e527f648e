package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	actual "github.com/runbook-engine/runbook/actions/kubernetes"
	"github.com/runbook-engine/runbook/chaos"
)

// active asks every cluster; one that does not answer hides no other.
func (i *injector) active(ctx context.Context) (all []chaos.Injection, err error) {
	for _, name := range i.conns.Names(actual.Kind) {
		c, failed := i.cluster(ctx, name)
		if failed == nil {
			var there []chaos.Injection
			there, failed = c.active(ctx)
			all = append(all, there...)
		}
		err = errors.Join(err, failed)
	}
	return all, err
}

func (c *cluster) active(ctx context.Context) (all []chaos.Injection, err error) {
	kinds, err := c.kinds()
	if err != nil {
		return nil, err
	}
	for _, kind := range kinds {
		list, failed := c.in(kind, "").List(ctx, metav1.ListOptions{LabelSelector: managedBy + "=" + us + "," + injectionLabel})
		if failed != nil {
			err = errors.Join(err, c.failure("list the "+kind+" of", failed))
			continue
		}
		for _, there := range list.Items {
			if found := c.injection(there); !restsUntilDue(there, found) {
				all = append(all, found)
			}
		}
	}
	return all, err
}

// kinds are those of Chaos Mesh that the cluster has; none where it is not
// installed.
func (c *cluster) kinds() ([]string, error) {
	list, err := c.set.Discovery().ServerResourcesForGroupVersion(cm.SchemeGroupVersion.String())
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, c.failure("ask for the kinds of", err)
	}
	known := cm.AllKinds()
	var kinds []string
	for _, r := range list.APIResources {
		if _, ours := known[r.Kind]; ours && !strings.Contains(r.Name, "/") {
			kinds = append(kinds, r.Kind)
		}
	}
	slices.Sort(kinds)
	return kinds, nil
}

// restsUntilDue: the object of a one-shot does nothing any more. It stays until
// its deadline, so that a repeated call kills nothing again.
func restsUntilDue(there unstructured.Unstructured, found chaos.Injection) bool {
	return there.GetLabels()[oneShotLabel] == "true" && !found.Due(time.Now()) && read(&there).is(cm.ConditionAllInjected)
}

func (c *cluster) injection(there unstructured.Unstructured) chaos.Injection {
	id := chaos.ID(there.GetLabels()[injectionLabel])
	at := object{there.GetKind(), there.GetNamespace(), there.GetName()}
	found := chaos.Injection{ID: id, Fault: there.GetAnnotations()[faultAnnotation], Owner: id.Owner(), Place: c.name + "/" + at.String()}
	if found.Fault == "" {
		found.Fault = at.kind
	}
	// What can not be read is a deadline that has passed.
	found.Deadline, _ = time.Parse(time.RFC3339Nano, there.GetAnnotations()[deadlineAnnotation])
	for _, r := range read(&there).Experiment.Records {
		if target := "pod/" + podOf(r.Id); !slices.Contains(found.Targets, target) {
			found.Targets = append(found.Targets, target)
		}
	}
	return found
}

// podOf is namespace/pod of a record, which may name a container too.
func podOf(record string) string {
	parts := strings.SplitN(record, "/", 3)
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// healFound needs nothing but the place: cluster/kind/namespace/name.
func (i *injector) healFound(ctx context.Context, found chaos.Injection) error {
	parts := strings.Split(found.Place, "/")
	if len(parts) != 4 {
		return fmt.Errorf("%q is no place of an experiment", found.Place)
	}
	c, err := i.cluster(ctx, parts[0])
	if err != nil {
		return err
	}
	e := &experiment{cluster: c, id: found.ID, object: object{parts[1], parts[2], parts[3]}}
	for _, target := range found.Targets {
		if pod := strings.Split(target, "/"); len(pod) == 3 {
			e.beyond = append(e.beyond, pod[1])
		}
	}
	if err := e.heal(ctx); err != nil {
		return err
	}
	return e.healed(ctx)
}
