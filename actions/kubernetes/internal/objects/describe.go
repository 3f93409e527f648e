package objects

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type describeParams struct {
	Connection string `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace  string `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the object." example:"shop"`
	Kind       string `json:"kind" enum:"pod|deployment|statefulset|daemonset|job" doc:"What kind of object it is."`
	Name       string `json:"name" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"253" doc:"Name of the object." example:"orders-api"`
	Container  string `json:"container,omitempty" optional:"true" doc:"Container of a pod whose log is read; the first unless set."`
	LogLines   int    `json:"log_lines" default:"0" min:"0" max:"200" doc:"Last lines of the log of a pod. What they hold, secrets included, is kept in the history of the run."`
	Previous   bool   `json:"previous" default:"false" doc:"Read the log of the container before its last restart."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *describeParams) UnmarshalDocument(n *document.Node) (problems diag.List) {
	type fields describeParams
	problems = document.Decode(n, (*fields)(p))
	if p.LogLines > 0 && p.Kind != "pod" {
		problems.Add(n.Get("log_lines").At, "log-of-pod", "only a pod has a log", "kind: pod")
	}
	return problems
}

type describeResult struct {
	Conditions []string `json:"conditions" doc:"Its conditions: type, status, reason and message."`
	Containers []string `json:"containers" doc:"Of a pod: the state of each container."`
	Events     []string `json:"events" doc:"The last events of the object, the newest last: how often, type, reason and message."`
	Log        string   `json:"log" doc:"The end of the log, when it was asked for."`
	NoLog      string   `json:"no_log" doc:"Why the log could not be read, as of a container that has not started or a lost node; empty when it was."`
}

func (s system) describeAction() actions.Action {
	return actions.Define(actions.Def[describeParams, describeResult]{
		Name:    "kubernetes.describe",
		Doc:     "What there is to know of an object as evidence: its conditions, its events, and of a pod its containers and the end of a log.",
		Risk:    actions.ReadOnly,
		Example: "{namespace: shop, kind: deployment, name: orders-api}",
		Target:  func(p describeParams) string { return p.Kind + "/" + p.Namespace + "/" + p.Name },
		Run:     s.describe,
	})
}

var described = map[string]schema.GroupVersionResource{
	"pod":         corev1.SchemeGroupVersion.WithResource("pods"),
	"deployment":  appsv1.SchemeGroupVersion.WithResource("deployments"),
	"statefulset": appsv1.SchemeGroupVersion.WithResource("statefulsets"),
	"daemonset":   appsv1.SchemeGroupVersion.WithResource("daemonsets"),
	"job":         batchv1.SchemeGroupVersion.WithResource("jobs"),
}

func (s system) describe(ctx context.Context, _ actions.Key, _ actions.Target, p describeParams) (result describeResult, err error) {
	c, err := s.Client(ctx, p.Connection)
	if err != nil {
		return result, err
	}
	now, err := c.Get(ctx, cluster.Object{GroupVersionResource: described[p.Kind], Namespace: p.Namespace, Name: p.Name})
	if err != nil {
		return result, err
	}
	if result.Events, err = events(ctx, c, now); err != nil {
		return result, err
	}
	result.Conditions, result.Containers = conditions(now), []string{}
	if p.Kind == "pod" {
		pod, err := cluster.Typed[corev1.Pod](now)
		if err != nil {
			return result, err
		}
		result.Containers = containers(pod)
	}
	if p.LogLines > 0 {
		result.Log, err = logTail(ctx, c, p)
		if cluster.Answered(err) {
			result.NoLog, err = err.Error(), nil
		}
	}
	return result, err
}

func conditions(o *unstructured.Unstructured) []string {
	// All kinds have them at the same place, in the same form.
	d, err := cluster.Typed[appsv1.Deployment](o)
	texts := []string{}
	if err != nil {
		return texts
	}
	for _, c := range d.Status.Conditions {
		texts = append(texts, strings.TrimSpace(fmt.Sprintf("%s=%s %s %s", c.Type, c.Status, c.Reason, c.Message)))
	}
	return texts
}

func containers(pod corev1.Pod) []string {
	texts := []string{}
	for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
		text := fmt.Sprintf("%s: ready=%t, %d restarts", c.Name, c.Ready, c.RestartCount)
		switch {
		case c.State.Waiting != nil:
			text += fmt.Sprintf(", waits: %s %s", c.State.Waiting.Reason, c.State.Waiting.Message)
		case c.State.Terminated != nil:
			text += fmt.Sprintf(", ended with exit code %d: %s", c.State.Terminated.ExitCode, c.State.Terminated.Reason)
		case c.State.Running != nil:
			text += ", runs"
		}
		if last := c.LastTerminationState.Terminated; last != nil {
			text += fmt.Sprintf("; before that it ended with exit code %d: %s", last.ExitCode, last.Reason)
		}
		texts = append(texts, text)
	}
	return texts
}

const maxEvents = 20

func events(ctx context.Context, c cluster.Client, o *unstructured.Unstructured) ([]string, error) {
	var list *corev1.EventList
	r := cluster.Request{Verb: "list", Resource: "events", Namespace: o.GetNamespace()}
	err := c.Do(ctx, r, func(ctx context.Context) (err error) {
		list, err = c.Set.CoreV1().Events(o.GetNamespace()).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.uid=" + string(o.GetUID())})
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(list.Items, func(a, b corev1.Event) int { return seen(a).Compare(seen(b).Time) })
	texts := []string{}
	for _, e := range list.Items[max(0, len(list.Items)-maxEvents):] {
		texts = append(texts, fmt.Sprintf("%dx %s %s: %s", max(1, e.Count), e.Type, e.Reason, e.Message))
	}
	return texts, nil
}

// seen is when an event was last: old and new recorders use different fields.
func seen(e corev1.Event) metav1.Time {
	for _, at := range []metav1.Time{e.LastTimestamp, metav1.Time(e.EventTime)} {
		if !at.IsZero() {
			return at
		}
	}
	return e.CreationTimestamp
}

// maxLog is what a result takes of a log, in bytes.
const maxLog = 16 << 10

func logTail(ctx context.Context, c cluster.Client, p describeParams) (string, error) {
	lines, most := int64(p.LogLines), int64(maxLog)
	var text []byte
	r := cluster.Request{Verb: "get", Resource: "pods/log", Namespace: p.Namespace, Name: p.Name}
	err := c.Do(ctx, r, func(ctx context.Context) (err error) {
		text, err = c.Set.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{
			Container: p.Container, Previous: p.Previous, TailLines: &lines, LimitBytes: &most,
		}).DoRaw(ctx)
		return err
	})
	return strings.ToValidUTF8(string(text), "�"), err
}
