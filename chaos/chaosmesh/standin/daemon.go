package standin

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// split gives the pod of a record.
func split(record string) (namespace, pod string) {
	parts := strings.SplitN(record, "/", 3)
	return parts[0], parts[1]
}

// apply is what the daemon does to a pod; of most kinds, only that somebody can
// ask for it.
func (e *experiment) apply(ctx context.Context, r *cm.Record) error {
	namespace, pod := split(r.Id)
	if p, is := e.typed.(*cm.PodChaos); is {
		return e.applyToPod(ctx, p, namespace, pod)
	}
	if e.o.GetKind() == cm.KindNetworkChaos {
		if err := e.rules(ctx, namespace, pod, true); err != nil {
			return err
		}
	}
	e.mark(e.source(), namespace+"/"+pod, true)
	return nil
}

const (
	originalImage = "standin/image"
	pauseImage    = "gcr.io/google-containers/pause:latest"
)

func (e *experiment) applyToPod(ctx context.Context, p *cm.PodChaos, namespace, pod string) error {
	switch p.Spec.Action {
	case cm.PodKillAction:
		e.killed(e.o.GetNamespace())
		err := e.set.CoreV1().Pods(namespace).Delete(ctx, pod, metav1.DeleteOptions{GracePeriodSeconds: &p.Spec.GracePeriod})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	case cm.ContainerKillAction:
		e.killed(e.o.GetNamespace())
		return nil
	}
	now, err := e.set.CoreV1().Pods(namespace).Get(ctx, pod, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if now.Annotations[originalImage] == "" {
		return e.exchange(ctx, namespace, pod, now.Spec.Containers[0].Name, pauseImage, now.Spec.Containers[0].Image)
	}
	return nil
}

// exchange patches the image of the first container, and notes the one it had.
func (e *experiment) exchange(ctx context.Context, namespace, pod, container, image, original string) error {
	var kept any
	if original != "" {
		kept = original
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"annotations": map[string]any{originalImage: kept}},
		"spec":     map[string]any{"containers": []any{map[string]any{"name": container, "image": image}}},
	})
	if err != nil {
		return err
	}
	_, err = e.set.CoreV1().Pods(namespace).Patch(ctx, pod, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	return err
}

func (e *experiment) recover(ctx context.Context, r *cm.Record) error {
	namespace, pod := split(r.Id)
	if p, is := e.typed.(*cm.PodChaos); is {
		return e.recoverPod(ctx, p, namespace, pod)
	}
	if e.o.GetKind() == cm.KindNetworkChaos && !e.of(e.o).ForgetsResidue {
		if err := e.rules(ctx, namespace, pod, false); err != nil {
			return err
		}
	}
	e.mark(e.source(), namespace+"/"+pod, false)
	return nil
}

func (e *experiment) recoverPod(ctx context.Context, p *cm.PodChaos, namespace, pod string) error {
	if p.Spec.Action != cm.PodFailureAction {
		return nil
	}
	now, err := e.set.CoreV1().Pods(namespace).Get(ctx, pod, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil || now.Annotations[originalImage] == "" {
		return err
	}
	return e.exchange(ctx, namespace, pod, now.Spec.Containers[0].Name, now.Annotations[originalImage], "")
}

// rules writes the PodNetworkChaos of a pod, or takes the experiment's rules out
// of it, and says that the node has applied them.
func (e *experiment) rules(ctx context.Context, namespace, pod string, on bool) error {
	client := e.any.Resource(resource("PodNetworkChaos")).Namespace(namespace)
	there, err := client.Get(ctx, pod, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		there, err = client.Create(ctx, &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": cm.SchemeGroupVersion.String(), "kind": "PodNetworkChaos",
			"metadata": map[string]any{"name": pod, "namespace": namespace}, "spec": map[string]any{},
		}}, metav1.CreateOptions{})
	}
	if err != nil {
		return err
	}
	sets, _, err := unstructured.NestedSlice(there.Object, "spec", "ipsets")
	if err != nil {
		return err
	}
	kept := []any{}
	for _, set := range sets {
		if set.(map[string]any)["source"] != e.source() {
			kept = append(kept, set)
		}
	}
	if on {
		kept = append(kept, map[string]any{"name": fmt.Sprintf("set%d", len(kept)), "ipsetType": "hash:net", "source": e.source()})
	}
	if err := unstructured.SetNestedSlice(there.Object, kept, "spec", "ipsets"); err != nil {
		return err
	}
	if there, err = client.Update(ctx, there, metav1.UpdateOptions{}); err != nil {
		return err
	}
	if err := unstructured.SetNestedField(there.Object, there.GetGeneration(), "status", "observedGeneration"); err != nil {
		return err
	}
	if e.of(e.o).NodeFails && !on {
		if err := unstructured.SetNestedField(there.Object, errFlush.Error(), "status", "failedMessage"); err != nil {
			return err
		}
	}
	_, err = client.UpdateStatus(ctx, there, metav1.UpdateOptions{})
	return err
}
