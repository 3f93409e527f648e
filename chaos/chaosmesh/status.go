package chaosmesh

import (
	"fmt"
	"strconv"
	"strings"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// recordsAnnotation says how many records the experiment must have.
const recordsAnnotation = "runbook/records"

func expected(there *unstructured.Unstructured) int {
	n, err := strconv.Atoi(there.GetAnnotations()[recordsAnnotation])
	if err != nil {
		return 1 // somebody took it away: at least one
	}
	return n
}

// status is what Chaos Mesh says of an experiment. What it says alone means
// little: AllRecovered is true also of an experiment that was never injected.
type status struct{ cm.ChaosStatus }

func read(there *unstructured.Unstructured) (s status) {
	content, _, _ := unstructured.NestedMap(there.Object, "status")
	// What does not fit is an experiment of which nothing is known: not in force,
	// and not healed.
	if runtime.DefaultUnstructuredConverter.FromUnstructured(content, &s.ChaosStatus) != nil {
		return status{}
	}
	return s
}

func (s status) is(t cm.ChaosConditionType) bool {
	for _, c := range s.Conditions {
		if c.Type == t {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (s status) injected(records int) bool {
	return s.Experiment.DesiredPhase == cm.RunningPhase && s.is(cm.ConditionSelected) && s.is(cm.ConditionAllInjected) &&
		len(s.Experiment.Records) == records
}

// empty: a controller has looked at it, and found no pod.
func (s status) empty() bool { return len(s.Conditions) > 0 && !s.is(cm.ConditionSelected) }

// late: its time was over before any pod was chosen.
func (s status) late() bool {
	return s.Experiment.DesiredPhase == cm.StoppedPhase && len(s.Experiment.Records) == 0
}

// over: it was in force, and everything is taken back.
func (s status) over() bool {
	if s.Experiment.DesiredPhase != cm.StoppedPhase || len(s.Experiment.Records) == 0 {
		return false
	}
	for _, r := range s.Experiment.Records {
		if r.Phase != cm.NotInjected {
			return false
		}
	}
	return true
}

// failed is what went wrong when the fault was being brought about.
func (s status) failed() string {
	for _, r := range s.Experiment.Records {
		for _, e := range r.Events {
			if e.Type == cm.TypeFailed && e.Operation == cm.Apply {
				return fmt.Sprintf("%s: %s", r.Id, e.Message)
			}
		}
	}
	return ""
}

// String tells a person where it stands.
func (s status) String() string {
	if len(s.Conditions) == 0 {
		return "no controller has looked at it; does Chaos Mesh run?"
	}
	parts := []string{"desired phase " + string(s.Experiment.DesiredPhase)}
	for _, r := range s.Experiment.Records {
		text := fmt.Sprintf("%s is %s", r.Id, r.Phase)
		if n := len(r.Events); n > 0 && r.Events[n-1].Message != "" {
			text += " (" + r.Events[n-1].Message + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}
