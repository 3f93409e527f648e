package e2e

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

// replacing is a runbook that deletes the pods of an app, within limits.
func replacing(name, limit, guards string) string {
	return strings.NewReplacer("NAME", name, "LIMIT", limit, "GUARDS", guards).Replace(`---
runbook: NAME
summary: Replace the pods of an app.
triggers: [{alert: NAME}]
params: {app: {type: string, from: alert.labels.app}, namespace: {type: string, from: alert.labels.namespace}}
autonomy: auto
guards: {resource: '${params.app}', GUARDS}
steps:
  - id: replace
    do: kubernetes.delete_pods
    with: {namespace: '${params.namespace}', selector: 'app=${params.app}', limit: LIMIT}
verify: {do: wait, with: {duration: 0s}, until: duration >= duration("0s")}
`)
}

// deliver posts alerts as Alertmanager does.
func (h *host) deliver(alerts ...map[string]string) {
	h.t.Helper()
	var all []map[string]any
	for i, labels := range alerts {
		all = append(all, map[string]any{"status": "firing", "startsAt": time.Now(), "fingerprint": fmt.Sprintf("%016x", i+1), "labels": labels})
	}
	body, err := json.Marshal(map[string]any{"version": "4", "receiver": "runbook", "alerts": all})
	if err != nil {
		h.t.Fatal(err)
	}
	response, err := http.Post(h.webhook(), "application/json", bytes.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		h.t.Fatalf("the webhook gives %s", response.Status)
	}
}

// steps are how the only step of each run ended, by the name of its resource.
func (h *host) steps(rows []runs.Row) map[string]run.Step {
	h.t.Helper()
	all := map[string]run.Step{}
	for _, row := range rows {
		var r run.Run
		if err := h.get("/api/v1/runs/"+row.ID, &r); err != nil {
			h.t.Fatal(err)
		}
		all[fmt.Sprint(r.Params["app"])] = r.Steps[0]
	}
	return all
}

// The limits of a step hold at their edges, and while the system changes under
// the run: nothing of it is a stand-in but the kubelets.
func TestTheBlastRadiusOnARealCluster(t *testing.T) {
	t.Parallel()
	real := shared.get(t)
	namespace := real.Namespace(t)
	apps := []string{"none", "one", "two", "three"}
	for n, app := range apps {
		real.Deploy(t, namespace, app, int32(n))
	}
	real.Deploy(t, namespace, "shrinking", 4)
	many := dear(t, real, namespace)
	h := newHost(t, "connections: {prod: {kubernetes: {kubeconfig: '"+real.Kubeconfig()+"'}}}\n",
		replacing("counted", "100", "max_targets: {count: 2}")+replacing("shared", "2", "max_targets: {percent: 50}, batch: {size: 1, pause: 10s}")).start()
	before, pods := map[string]string{}, real.Pods(t, namespace, "")
	for _, pod := range pods {
		before[pod.Labels["app"]] += pod.Name + " "
	}
	var alerts []map[string]string
	for _, app := range apps {
		alerts = append(alerts, map[string]string{"alertname": "counted", "app": app, "namespace": namespace})
	}
	h.deliver(append(alerts, map[string]string{"alertname": "shared", "app": "shrinking", "namespace": namespace})...)
	shrink(t, real, namespace, many)
	steps := h.steps(h.ended(2*time.Minute, 5))
	for app, want := range map[string]struct {
		outcome run.Outcome
		reason  string
		done    int
	}{
		"none":      {run.Failed, "the selection is empty", 0},
		"one":       {run.Done, "", 1},
		"two":       {run.Done, "", 2},
		"three":     {run.Failed, "3 targets selected, guards.max_targets of the runbook allows 2", 0},
		"shrinking": {run.Failed, "of 2 targets selected, guards.max_targets of the runbook allows 50 %", 1},
	} {
		s := steps[app]
		if s.Outcome != want.outcome || !strings.Contains(s.Reason, want.reason) || len(s.Results) != want.done {
			t.Errorf("%s: %s, %d targets: %s; want %s, %d: %s", app, s.Outcome, len(s.Results), s.Reason, want.outcome, want.done, want.reason)
		}
	}
	left := map[string]int{}
	for _, pod := range real.Pods(t, namespace, "") {
		if strings.Contains(before[pod.Labels["app"]], pod.Name+" ") && pod.DeletionTimestamp == nil {
			left[pod.Labels["app"]]++
		}
	}
	if left["one"] != 0 || left["two"] != 0 || left["three"] != 3 {
		t.Errorf("of the pods before, these are left: %v", left)
	}
}

// dear makes the pod that is second to be replaced the last that goes when the
// Deployment shrinks.
func dear(t *testing.T, real *testcluster.Cluster, namespace string) (before string) {
	t.Helper()
	pods := real.Pods(t, namespace, "app=shrinking")
	slices.SortFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	cost := []byte(`{"metadata":{"annotations":{"controller.kubernetes.io/pod-deletion-cost":"100"}}}`)
	if _, err := real.Set.CoreV1().Pods(namespace).Patch(t.Context(), pods[1].Name, types.MergePatchType, cost, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods {
		before += pod.Name + " "
	}
	return before
}

// shrink takes half of the pods away once the run has replaced one of them.
func shrink(t *testing.T, real *testcluster.Cluster, namespace, before string) {
	t.Helper()
	eventually(t, time.Minute, "a pod to be replaced", func() error {
		for _, pod := range real.Pods(t, namespace, "app=shrinking") {
			if !strings.Contains(before, pod.Name) {
				return nil
			}
		}
		return fmt.Errorf("all of %s are there", before)
	})
	half := []byte(`{"spec":{"replicas":2}}`)
	if _, err := real.Set.AppsV1().Deployments(namespace).Patch(t.Context(), "shrinking", types.MergePatchType, half, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}
