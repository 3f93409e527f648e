package standin

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const finalizer = "chaos-mesh/records"

func resource(kind string) schema.GroupVersionResource {
	return cm.SchemeGroupVersion.WithResource(strings.ToLower(kind))
}

// experiment is one in one round.
type experiment struct {
	*Controller
	o      *unstructured.Unstructured
	typed  cm.InnerObjectWithSelector
	status *cm.ChaosStatus
	stop   bool
}

func (c *Controller) experiment(o *unstructured.Unstructured) (*experiment, error) {
	typed, ok := cm.AllKinds()[o.GetKind()].SpawnObject().(cm.InnerObjectWithSelector)
	if !ok {
		return nil, fmt.Errorf("%s has no selector", o.GetKind())
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, typed); err != nil {
		return nil, err
	}
	e := &experiment{Controller: c, o: o, typed: typed, status: typed.GetStatus()}
	over, _, err := typed.DurationExceeded(time.Now())
	if err != nil {
		over = false // the real one logs it, and lets the experiment run for ever
	}
	e.stop = typed.IsDeleted() || (over && !typed.IsOneShot())
	return e, nil
}

func (e *experiment) source() string { return e.o.GetNamespace() + "/" + e.o.GetName() }

func (e *experiment) reconcile(ctx context.Context) error {
	if !e.typed.IsDeleted() && !slices.Contains(e.o.GetFinalizers(), finalizer) {
		e.o.SetFinalizers([]string{finalizer})
		_, err := e.any.Resource(resource(e.o.GetKind())).Namespace(e.o.GetNamespace()).Update(ctx, e.o, metav1.UpdateOptions{})
		return err
	}
	before, err := json.Marshal(e.status)
	if err != nil {
		return err
	}
	e.status.Experiment.DesiredPhase = cm.RunningPhase
	if e.stop {
		e.status.Experiment.DesiredPhase = cm.StoppedPhase
	}
	if err := e.choose(ctx); err != nil {
		return err
	}
	for _, r := range e.status.Experiment.Records {
		e.move(ctx, r)
	}
	e.conclude()
	after, err := json.Marshal(e.status)
	if err != nil {
		return err
	}
	gone := e.typed.IsDeleted() && e.idle() && !e.of(e.o).FinalizerStuck && !e.of(e.o).FailsToApply
	if string(before) == string(after) && !gone {
		return nil
	}
	return e.write(ctx, gone)
}

// write overwrites the object with its status: these kinds have no subresource.
func (e *experiment) write(ctx context.Context, gone bool) error {
	status, err := runtime.DefaultUnstructuredConverter.ToUnstructured(e.status)
	if err != nil {
		return err
	}
	e.o.Object["status"] = status
	if gone {
		e.o.SetFinalizers(nil)
	}
	_, err = e.any.Resource(resource(e.o.GetKind())).Namespace(e.o.GetNamespace()).Update(ctx, e.o, metav1.UpdateOptions{})
	return err
}

// choose selects once. What it does not find, it does not look for again.
func (e *experiment) choose(ctx context.Context) error {
	uid := string(e.o.GetUID())
	e.mu.Lock()
	looked := e.looked[uid]
	e.mu.Unlock()
	if len(e.status.Experiment.Records) > 0 || looked || e.stop || e.of(e.o).SelectsNothing {
		return nil
	}
	for key, selector := range e.typed.GetSelectorSpecs() {
		ids, err := e.ids(ctx, selector)
		if err != nil {
			return err
		}
		for _, id := range ids {
			e.status.Experiment.Records = append(e.status.Experiment.Records, &cm.Record{Id: id, SelectorKey: key, Phase: cm.NotInjected})
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.looked[uid] = len(e.status.Experiment.Records) == 0
	return nil
}

// ids are what a selector means: pods, or containers of pods.
func (e *experiment) ids(ctx context.Context, selector any) (ids []string, err error) {
	var pods *cm.PodSelector
	var containers *cm.ContainerSelector
	switch s := selector.(type) {
	case *cm.PodSelector:
		pods = s
	case *cm.ContainerSelector:
		pods, containers = &s.PodSelector, s
	default:
		return nil, fmt.Errorf("no such selector: %T", selector)
	}
	for namespace, names := range pods.Selector.Pods {
		for _, name := range names {
			pod, err := e.set.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				continue
			}
			ids = append(ids, recordIDs(pod, containers)...)
		}
	}
	return ids, nil
}

func recordIDs(pod *corev1.Pod, containers *cm.ContainerSelector) (ids []string) {
	id := pod.Namespace + "/" + pod.Name
	if containers == nil {
		return []string{id}
	}
	names := containers.ContainerNames
	if len(names) == 0 {
		names = []string{pod.Spec.Containers[0].Name}
	}
	for _, name := range names {
		ids = append(ids, id+"/"+name)
	}
	return ids
}

// wait is the phase of a network fault that the daemon has not confirmed.
const wait = cm.NotInjected + "/Wait"

// move brings a record nearer to what is desired.
func (e *experiment) move(ctx context.Context, r *cm.Record) {
	switch {
	case e.stop && r.Phase != cm.NotInjected:
		err := errStuck
		switch {
		case e.of(e.o).FailsToApply:
			err = errFlush
		case !e.recoveryFails(e.o.GetNamespace()):
			err = e.recover(ctx, r)
		}
		note(r, cm.Recover, err)
		if err == nil {
			r.Phase = cm.NotInjected
			r.RecoveredCount++
		}
	case !e.stop && r.Phase != cm.Injected:
		e.inject(ctx, r)
	}
}

func (e *experiment) inject(ctx context.Context, r *cm.Record) {
	s := e.of(e.o)
	switch {
	case s.FailsToApply:
		r.Phase = wait
		note(r, cm.Apply, errFlush)
		return
	case r.Phase == cm.NotInjected && e.o.GetKind() == cm.KindNetworkChaos:
		r.Phase = wait
		return
	case s.StuckInWait:
		return
	}
	err := e.apply(ctx, r)
	note(r, cm.Apply, err)
	if err == nil {
		r.Phase = cm.Injected
		r.InjectedCount++
	}
}

// note keeps one event of a kind that repeats itself.
func note(r *cm.Record, operation cm.RecordEventOperation, err error) {
	kind, message := cm.TypeSucceeded, ""
	if err != nil {
		kind, message = cm.TypeFailed, err.Error()
	}
	if n := len(r.Events); n > 0 && r.Events[n-1].Message == message && r.Events[n-1].Operation == operation {
		return
	}
	r.Events = append(r.Events, *cm.NewRecordEvent(kind, operation, message, metav1.Now()))
}

// conclude makes the conditions of the records. AllRecovered is true also when
// nothing was ever injected.
func (e *experiment) conclude() {
	records := e.status.Experiment.Records
	all := func(is func(cm.Phase) bool) corev1.ConditionStatus {
		for _, r := range records {
			if !is(r.Phase) {
				return corev1.ConditionFalse
			}
		}
		return corev1.ConditionTrue
	}
	selected := corev1.ConditionTrue
	if len(records) == 0 {
		selected = corev1.ConditionFalse
	}
	injected := all(func(p cm.Phase) bool { return p == cm.Injected })
	if len(records) == 0 {
		injected = corev1.ConditionFalse
	}
	e.status.Conditions = []cm.ChaosCondition{
		{Type: cm.ConditionSelected, Status: selected},
		{Type: cm.ConditionAllInjected, Status: injected},
		{Type: cm.ConditionAllRecovered, Status: all(func(p cm.Phase) bool { return strings.HasPrefix(string(p), string(cm.NotInjected)) })},
		{Type: cm.ConditionPaused, Status: corev1.ConditionFalse},
	}
}

// idle: nothing is held in any pod.
func (e *experiment) idle() bool {
	for _, r := range e.status.Experiment.Records {
		if r.Phase != cm.NotInjected {
			return false
		}
	}
	return true
}
