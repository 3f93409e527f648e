package rollout

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// State is how far a rollout is, in pods.
type State struct {
	Wanted    int
	Updated   int  // of the new revision
	Available int  // of any revision
	Current   bool // the controller has seen the newest generation
	Old       int  // pods of earlier revisions
	// Stuck says why it will not end by itself; empty when it may.
	Stuck string
}

// Complete reports that all pods are of the new revision and available.
func (s State) Complete() bool {
	return s.Current && s.Updated >= s.Wanted && s.Available >= s.Wanted && s.Old == 0 && s.Stuck == ""
}

// String is for people: 2 of 3 pods updated, 1 available, 1 of an old revision.
func (s State) String() string {
	switch {
	case s.Stuck != "":
		return s.Stuck
	case !s.Current:
		return "its controller has not yet seen the newest change"
	}
	text := fmt.Sprintf("%d of %d pods updated, %d available", s.Updated, s.Wanted, s.Available)
	if s.Old > 0 {
		text += fmt.Sprintf(", %d of an old revision", s.Old)
	}
	return text
}

func judgeDeployment(d appsv1.Deployment) State {
	s := State{
		Wanted: replicas(d.Spec.Replicas), Updated: int(d.Status.UpdatedReplicas), Available: int(d.Status.AvailableReplicas),
		Current: d.Status.ObservedGeneration >= d.Generation, Old: int(d.Status.Replicas - d.Status.UpdatedReplicas),
	}
	if !s.Current {
		return s
	}
	if d.Spec.Paused && !s.Complete() {
		s.Stuck = "it is paused; resume it (kubectl rollout resume)"
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded" {
			s.Stuck = "its progress deadline is exceeded: " + c.Message
		}
	}
	return s
}

func judgeStatefulSet(s appsv1.StatefulSet) State {
	state := State{
		Wanted: replicas(s.Spec.Replicas), Updated: int(s.Status.UpdatedReplicas), Available: int(s.Status.AvailableReplicas),
		Current: s.Status.ObservedGeneration >= s.Generation,
	}
	if s.Status.UpdateRevision == s.Status.CurrentRevision {
		state.Updated = int(s.Status.Replicas)
	}
	if update := s.Spec.UpdateStrategy.RollingUpdate; update != nil && update.Partition != nil {
		// Pods below the partition are meant to keep the old revision.
		state.Updated += int(min(*update.Partition, int32(state.Wanted)))
	}
	if state.Current && s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType && state.Updated < state.Wanted {
		state.Stuck = onDelete
	}
	return state
}

func judgeDaemonSet(d appsv1.DaemonSet) State {
	s := State{
		Wanted: int(d.Status.DesiredNumberScheduled), Updated: int(d.Status.UpdatedNumberScheduled), Available: int(d.Status.NumberAvailable),
		Current: d.Status.ObservedGeneration >= d.Generation,
	}
	if s.Current && d.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType && s.Updated < s.Wanted {
		s.Stuck = onDelete
	}
	return s
}

const onDelete = "its update strategy is OnDelete: pods stay old until they are deleted (kubernetes.delete_pods)"

// replicas is one unless set.
func replicas(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

// hopeless are the reasons for which a container waits that do not pass.
var hopeless = map[string]bool{
	"CrashLoopBackOff": true, "ImagePullBackOff": true, "ErrImagePull": true, "InvalidImageName": true,
	"CreateContainerConfigError": true, "CreateContainerError": true, "RunContainerError": true,
}

// Broken says which of the pods can not start, and why; empty when all may.
func Broken(pods []*corev1.Pod) string {
	for _, pod := range pods {
		if pod.DeletionTimestamp != nil {
			continue
		}
		for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			if w := c.State.Waiting; w != nil && hopeless[w.Reason] {
				return describe(pod, c)
			}
		}
	}
	return ""
}

func describe(pod *corev1.Pod, c corev1.ContainerStatus) string {
	text := fmt.Sprintf("pod %s, container %s: %s", pod.Name, c.Name, c.State.Waiting.Reason)
	if c.State.Waiting.Message != "" {
		text += ": " + c.State.Waiting.Message
	}
	if last := c.LastTerminationState.Terminated; last != nil {
		text += fmt.Sprintf("; it ended %d times, last with exit code %d (%s)", c.RestartCount, last.ExitCode, last.Reason)
	}
	return text
}
