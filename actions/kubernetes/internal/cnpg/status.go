package cnpg

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
)

// Phases, as the operator calls them.
const (
	healthy    = "Cluster in healthy state"
	switchover = "Switchover in progress"
)

// ready is the list of instances that the operator's health check passes.
const ready = "healthy"

// fencedNames is an annotation: a JSON list of names, or of "*".
const fencedNames = "cnpg.io/fencedInstances"

func object(namespace, name string) cluster.Object {
	return cluster.Object{
		GroupVersionResource: schema.GroupVersionResource{Group: "postgresql.cnpg.io", Version: "v1", Resource: "clusters"},
		Namespace:            namespace, Name: name,
	}
}

// status is what we read of an object of the kind Cluster.
type status struct {
	CurrentPrimary  string              `json:"currentPrimary"`
	TargetPrimary   string              `json:"targetPrimary"`
	Phase           string              `json:"phase"`
	PhaseReason     string              `json:"phaseReason"`
	InstanceNames   []string            `json:"instanceNames"`
	InstancesStatus map[string][]string `json:"instancesStatus"` // names by healthy, replicating and failed
	Conditions      []metav1.Condition  `json:"conditions"`
}

func statusOf(o *unstructured.Unstructured) (status, error) {
	whole, err := cluster.Typed[struct {
		Status status `json:"status"`
	}](o)
	return whole.Status, err
}

func fencedIn(o *unstructured.Unstructured) (names []string, err error) {
	text := o.GetAnnotations()[fencedNames]
	if text == "" {
		return nil, nil
	}
	if err := json.Unmarshal([]byte(text), &names); err != nil {
		return nil, fmt.Errorf("its annotation %s is no list of names: %w", fencedNames, err)
	}
	return names, nil
}

// promotable: kubectl cnpg promote looks at the fence only, and leaves the rest to
// whoever types it.
func (s status) promotable(p promoteParams, fenced []string) error {
	switch {
	case !slices.Contains(s.InstanceNames, p.Instance):
		return actions.Permanent(fmt.Errorf("it has no such instance; it has %q", s.InstanceNames))
	case slices.Contains(fenced, p.Instance), slices.Contains(fenced, "*"):
		return actions.Permanent(errors.New("the instance is fenced; kubectl cnpg fencing off lifts that"))
	case s.CurrentPrimary != s.TargetPrimary:
		return fmt.Errorf("the operator is changing the primary from %s to %s already", s.CurrentPrimary, s.TargetPrimary)
	case !slices.Contains(s.InstancesStatus[ready], p.Instance):
		return errors.New("the operator does not call the instance healthy")
	case s.Phase != healthy && !p.AllowUnhealthy:
		return fmt.Errorf("the operator says of the cluster: %s: %s; if it is meant nevertheless, set allow_unhealthy", s.Phase, s.PhaseReason)
	}
	return nil
}

// target sets what kubectl cnpg promote sets.
func (s status) target(o *unstructured.Unstructured, instance string, now time.Time) error {
	for field, value := range map[string]string{
		"targetPrimary": instance, "targetPrimaryTimestamp": now.Format(metav1.RFC3339Micro),
		"phase": switchover, "phaseReason": "Switching over to " + instance,
	} {
		if err := unstructured.SetNestedField(o.Object, value, "status", field); err != nil {
			return err
		}
	}
	meta.SetStatusCondition(&s.Conditions, metav1.Condition{
		Type: "Ready", Status: metav1.ConditionFalse, Reason: "ClusterIsNotReady", Message: "Cluster Is Not Ready",
	})
	var conditions []any
	for i := range s.Conditions {
		one, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&s.Conditions[i])
		if err != nil {
			return err
		}
		conditions = append(conditions, one)
	}
	return unstructured.SetNestedSlice(o.Object, conditions, "status", "conditions")
}
