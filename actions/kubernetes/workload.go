package kubernetes

import (
	"context"
	"errors"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// workload names a thing that runs pods from a template.
type workload struct{ kind, namespace, name string }

// id is its name as a target.
func (w workload) id() string { return w.kind + "/" + w.namespace + "/" + w.name }

func (w workload) resource() string { return w.kind + "s" }

func (w workload) request(verb string) request {
	return request{verb: verb, group: appsv1.GroupName, resource: w.resource(), namespace: w.namespace, name: w.name}
}

// object is an empty one of its kind.
func (w workload) object() runtime.Object {
	switch w.kind {
	case "statefulset":
		return &appsv1.StatefulSet{}
	case "daemonset":
		return &appsv1.DaemonSet{}
	default:
		return &appsv1.Deployment{}
	}
}

func (c client) get(ctx context.Context, w workload) (runtime.Object, error) {
	object := w.object()
	return object, c.do(ctx, w.request("get"), func(ctx context.Context) error {
		return c.set.AppsV1().RESTClient().Get().
			Namespace(w.namespace).Resource(w.resource()).Name(w.name).Do(ctx).Into(object)
	})
}

// patch merges a document into the workload and returns what it then is.
func (c client) patch(ctx context.Context, w workload, merge []byte) (runtime.Object, error) {
	object := w.object()
	return object, c.do(ctx, w.request("patch"), func(ctx context.Context) error {
		return c.set.AppsV1().RESTClient().Patch(types.MergePatchType).
			Namespace(w.namespace).Resource(w.resource()).Name(w.name).
			Param("fieldManager", fieldManager).Body(merge).Do(ctx).Into(object)
	})
}

// fieldManager is under which name the API server notes what we changed.
const fieldManager = "runbook"

func metaOf(object runtime.Object) *metav1.ObjectMeta {
	switch o := object.(type) {
	case *appsv1.StatefulSet:
		return &o.ObjectMeta
	case *appsv1.DaemonSet:
		return &o.ObjectMeta
	default:
		return &object.(*appsv1.Deployment).ObjectMeta
	}
}

// canRestart refuses workloads that take a new template and keep their pods.
func canRestart(object runtime.Object) error {
	switch o := object.(type) {
	case *appsv1.Deployment:
		if o.Spec.Paused {
			return errors.New("its rollout is paused, so nothing would restart; resume it first (kubectl rollout resume)")
		}
	case *appsv1.StatefulSet:
		if o.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
			return errOnDelete
		}
	case *appsv1.DaemonSet:
		if o.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType {
			return errOnDelete
		}
	}
	return nil
}

var errOnDelete = errors.New("its update strategy is OnDelete, so nothing would restart; use kubernetes.delete_pods")
