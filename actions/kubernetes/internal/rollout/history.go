package rollout

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
)

// history is the pod templates of a workload by revision. The newest is the
// current one.
type history map[int]map[string]any

// back is the way to a revision; when it is 0, to the one before the current that
// differs from it in more than a restart.
// That one must not be one that an earlier undo left behind: two runs would
// else bring back what the first of them had removed.
func (h history) back(wanted int, o *unstructured.Unstructured) (way undoResult, err error) {
	revisions := slices.Sorted(maps.Keys(h))
	if paused, _, _ := unstructured.NestedBool(o.Object, "spec", "paused"); paused {
		return way, errors.New("its rollout is paused; resume it first (kubectl rollout resume)")
	}
	if len(revisions) == 0 {
		return way, errors.New("it has no revision yet")
	}
	way = undoResult{From: revisions[len(revisions)-1], To: wanted}
	if wanted != 0 {
		if _, known := h[wanted]; !known || wanted == way.From {
			return way, fmt.Errorf("it can not go back to revision %d; there are %v, and the last is the current one", wanted, revisions)
		}
		return way, nil
	}
	if way.To = h.before(revisions); way.To == 0 {
		return way, fmt.Errorf("there is no revision before %d but for restarts: it is the first, or none was kept (revisionHistoryLimit)", way.From)
	}
	for _, note := range cluster.Noted(o, undosAnnotation) {
		if strings.HasPrefix(note, fmt.Sprintf("%d>", way.To)) {
			return way, fmt.Errorf("the revision before the current one is %d, which an earlier run left behind; set revision if it is meant", way.To)
		}
	}
	return way, nil
}

// before is the newest revision with another template than the current one; 0 when
// there is none. A restart makes a revision too, to which nobody wants to go back.
func (h history) before(revisions []int) int {
	current := unrestarted(h[revisions[len(revisions)-1]])
	for _, r := range slices.Backward(revisions[:len(revisions)-1]) {
		if !equality.Semantic.DeepEqual(unrestarted(h[r]), current) {
			return r
		}
	}
	return 0
}

// unrestarted is a template as it was before any restart.
func unrestarted(template map[string]any) map[string]any {
	template = runtime.DeepCopyJSON(template)
	unstructured.RemoveNestedField(template, "metadata", "annotations", restartedAt)
	if left, _, _ := unstructured.NestedMap(template, "metadata", "annotations"); len(left) == 0 {
		unstructured.RemoveNestedField(template, "metadata", "annotations")
	}
	return template
}

func historyOf(ctx context.Context, c cluster.Client, w workload, now *unstructured.Unstructured) (history, error) {
	if w.kind != "deployment" {
		return keptRevisions(ctx, c, w, now)
	}
	deployment, err := cluster.Typed[appsv1.Deployment](now)
	if err != nil {
		return nil, err
	}
	sets, err := replicaSetsOf(ctx, c, deployment)
	if err != nil {
		return nil, err
	}
	past := history{}
	for revision, set := range sets {
		number, err := strconv.Atoi(revision)
		if err != nil {
			continue // the controller has not numbered it yet
		}
		template, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&set.Spec.Template)
		if err != nil {
			return nil, err
		}
		// The controller adds it, so that the pods of each set have a label of their own.
		unstructured.RemoveNestedField(template, "metadata", "labels", appsv1.DefaultDeploymentUniqueLabelKey)
		past[number] = template
	}
	return past, nil
}

// keptRevisions are those of a StatefulSet or DaemonSet.
func keptRevisions(ctx context.Context, c cluster.Client, w workload, now *unstructured.Unstructured) (history, error) {
	var list *appsv1.ControllerRevisionList
	r := cluster.Request{Verb: "list", Group: appsv1.GroupName, Resource: "controllerrevisions", Namespace: w.namespace}
	err := c.Do(ctx, r, func(ctx context.Context) (err error) {
		list, err = c.Set.AppsV1().ControllerRevisions(w.namespace).List(ctx, metav1.ListOptions{})
		return err
	})
	if err != nil {
		return nil, err
	}
	past := history{}
	for _, revision := range list.Items {
		if !metav1.IsControlledBy(&revision, now) {
			continue
		}
		var kept struct {
			Spec struct {
				Template map[string]any `json:"template"`
			} `json:"spec"`
		}
		if err := json.Unmarshal(revision.Data.Raw, &kept); err != nil {
			return nil, fmt.Errorf("read revision %s: %w", revision.Name, err)
		}
		delete(kept.Spec.Template, "$patch") // it is a whole template, and not a patch
		past[int(revision.Revision)] = kept.Spec.Template
	}
	return past, nil
}
