// The operator of CloudNativePG is played here by a stand-in, as no database runs
// in the tests' cluster. The API server is real, and so is what it is asked. The
// stand-in makes the target the current primary, as the operator does when
// PostgreSQL has been promoted; what PostgreSQL does is not tested here.
package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
)

const settled = "Cluster in healthy state"

func databases(t *testing.T, namespace string) dynamic.ResourceInterface {
	t.Helper()
	real.Install(t, "clusters.postgresql.cnpg.io")
	client, err := dynamic.NewForConfig(real.Config)
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(schema.GroupVersionResource{Group: "postgresql.cnpg.io", Version: "v1", Resource: "clusters"}).Namespace(namespace)
}

// arrangeDatabase makes orders of three instances, whose first is the primary.
func arrangeDatabase(t *testing.T, namespace string, change ...map[string]any) {
	t.Helper()
	all := databases(t, namespace)
	_ = all.Delete(t.Context(), "orders", metav1.DeleteOptions{})
	status := map[string]any{
		"currentPrimary": "orders-1", "targetPrimary": "orders-1", "phase": settled, "phaseReason": "",
		"instanceNames":   []any{"orders-1", "orders-2", "orders-3"},
		"instancesStatus": map[string]any{"healthy": []any{"orders-1", "orders-2"}, "failed": []any{"orders-3"}},
		"conditions": []any{
			map[string]any{"type": "ContinuousArchiving", "status": "True", "reason": "x", "message": "y", "lastTransitionTime": "2026-01-02T03:04:05Z"},
			map[string]any{"type": "Ready", "status": "True", "reason": "ClusterIsReady", "message": "Cluster is Ready", "lastTransitionTime": "2026-01-02T03:04:05Z"},
		},
	}
	for _, c := range change {
		for field, value := range c {
			status[field] = value
		}
	}
	object := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "spec": map[string]any{"instances": int64(3)}, "status": status}}
	object.SetName("orders")
	made, err := all.Create(t.Context(), object, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.Object["status"] = status
	if _, err := all.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func database(t *testing.T, namespace string) *unstructured.Unstructured {
	t.Helper()
	now, err := databases(t, namespace).Get(t.Context(), "orders", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func databaseState(t *testing.T, namespace string) string {
	t.Helper()
	text, err := json.Marshal(database(t, namespace).Object["status"])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// primaryWanted is who was asked for, and when.
func primaryWanted(t *testing.T, namespace string) string {
	t.Helper()
	status := database(t, namespace).Object["status"].(map[string]any)
	return fmt.Sprintln(status["targetPrimary"], status["targetPrimaryTimestamp"])
}

// playOperator does what turn says with each cluster whose target is not its
// primary.
func playOperator(t *testing.T, namespace string, turn func(status map[string]any)) {
	t.Helper()
	all := databases(t, namespace)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if one, err := all.Get(ctx, "orders", metav1.GetOptions{}); err == nil {
				status, _ := one.Object["status"].(map[string]any)
				if status["phase"] == "Switchover in progress" && status["targetPrimary"] != status["currentPrimary"] {
					turn(status)
					_, _ = all.UpdateStatus(ctx, one, metav1.UpdateOptions{}) // tried again in the next round
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
}

func obey(status map[string]any) {
	status["currentPrimary"], status["phase"], status["phaseReason"] = status["targetPrimary"], settled, ""
}

func giveUp(status map[string]any) {
	status["targetPrimary"], status["phase"] = status["currentPrimary"], settled
}

func TestCNPGClusterConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	arrangeDatabase(t, namespace)
	conforms(t, conformance.Case{
		Action: "kubernetes.cnpg_cluster",
		Params: "{namespace: " + namespace + ", cluster: orders}",
		State:  func(t *testing.T) string { return databaseState(t, namespace) },
	})
}

func TestADatabaseIsSeenAsItsOperatorSeesIt(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	for _, c := range []struct {
		change map[string]any
		wanted string
	}{
		{nil, `{"healthy":true,"instances":["orders-1","orders-2","orders-3"],"phase":"Cluster in healthy state","primary":"orders-1","ready":["orders-1","orders-2"],"target":"orders-1"}`},
		{map[string]any{"phase": "Failing over", "targetPrimary": "orders-2", "instancesStatus": map[string]any{"replicating": []any{"orders-2"}}},
			`{"healthy":false,"instances":["orders-1","orders-2","orders-3"],"phase":"Failing over","primary":"orders-1","ready":[],"target":"orders-2"}`},
	} {
		arrangeDatabase(t, namespace, c.change)
		if seen := asJSON(t, run(t, bind(t, action(t, "kubernetes.cnpg_cluster"), "{namespace: "+namespace+", cluster: orders}"), "")); seen != c.wanted {
			t.Errorf("gives %s, want %s", seen, c.wanted)
		}
	}
}

func TestCNPGPromoteConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	playOperator(t, namespace, obey)
	conforms(t, conformance.Case{
		Action:  "kubernetes.cnpg_promote",
		Params:  "{namespace: " + namespace + ", cluster: orders, instance: orders-2, wait: 1m}",
		Arrange: func(t *testing.T) { arrangeDatabase(t, namespace) },
		State:   func(t *testing.T) string { return databaseState(t, namespace) },
	})
}

// What is written is what kubectl cnpg promote writes, and nothing besides.
func TestAPromotionIsAskedForAsThePluginDoes(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	arrangeDatabase(t, namespace)
	_, err := tryRun(t, bind(t, action(t, "kubernetes.cnpg_promote"), "{namespace: "+namespace+", cluster: orders, instance: orders-2, wait: 1s}"), "run/1")
	refused(t, err, actions.ClassTransient, "orders-1 is still the primary after 1s, and the operator says: Switchover in progress: Switching over to orders-2")
	status := database(t, namespace).Object["status"].(map[string]any)
	stamp, _ := status["targetPrimaryTimestamp"].(string)
	if _, err := time.Parse(metav1.RFC3339Micro, stamp); err != nil {
		t.Errorf("targetPrimaryTimestamp: %v", err)
	}
	text := databaseState(t, namespace)
	for _, want := range []string{
		`"targetPrimary":"orders-2"`, `"currentPrimary":"orders-1"`, `"phase":"Switchover in progress"`, `"phaseReason":"Switching over to orders-2"`,
		`"reason":"ClusterIsNotReady","status":"False","type":"Ready"`, `"reason":"x","status":"True","type":"ContinuousArchiving"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	// A second one waits for the first, and asks for nothing.
	before := database(t, namespace).GetResourceVersion()
	_, err = tryRun(t, bind(t, action(t, "kubernetes.cnpg_promote"), "{namespace: "+namespace+", cluster: orders, instance: orders-2, wait: 1s}"), "run/2")
	refused(t, err, actions.ClassTransient, "is still the primary")
	if now := database(t, namespace).GetResourceVersion(); now != before {
		t.Errorf("it was version %s and is %s", before, now)
	}
}

func TestAPromotionThatMayNotBeChangesNothing(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	degraded := map[string]any{"phase": "Waiting for the instances to become active", "phaseReason": "Some instances are not yet active"}
	for _, c := range []struct {
		change         map[string]any
		fenced, params string
		class          actions.Class
		says           string
	}{
		{nil, "", "instance: orders-9", actions.ClassPermanent, "it has no such instance"},
		{nil, "", "instance: orders-3", actions.ClassTransient, "does not call the instance healthy"},
		{nil, `["orders-2"]`, "instance: orders-2", actions.ClassPermanent, "the instance is fenced"},
		{nil, `["*"]`, "instance: orders-2", actions.ClassPermanent, "the instance is fenced"},
		{nil, "orders-2", "instance: orders-2", actions.ClassPermanent, "is no list of names"},
		{map[string]any{"targetPrimary": "pending"}, "", "instance: orders-2", actions.ClassTransient, "is changing the primary from orders-1 to pending already"},
		{map[string]any{"targetPrimary": "pending"}, "", "instance: orders-2, allow_unhealthy: true", actions.ClassTransient, "is changing the primary"},
		{degraded, "", "instance: orders-2", actions.ClassTransient, "Some instances are not yet active; if it is meant nevertheless, set allow_unhealthy"},
	} {
		arrangeDatabase(t, namespace, c.change)
		if c.fenced != "" {
			one := database(t, namespace)
			one.SetAnnotations(map[string]string{"cnpg.io/fencedInstances": c.fenced})
			if _, err := databases(t, namespace).Update(t.Context(), one, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		before := databaseState(t, namespace)
		b := bind(t, action(t, "kubernetes.cnpg_promote"), "{namespace: "+namespace+", cluster: orders, wait: 1s, "+c.params+"}")
		_, err := tryRun(t, b, "run/1")
		refused(t, err, c.class, "promote", c.says)
		refused(t, b.Accepts(t.Context(), actions.Target{}), c.class, c.says)
		if now := databaseState(t, namespace); now != before {
			t.Errorf("%s: it was %s and is %s", c.says, before, now)
		}
	}
	arrangeDatabase(t, namespace, degraded)
	playOperator(t, namespace, obey)
	run(t, bind(t, action(t, "kubernetes.cnpg_promote"), "{namespace: "+namespace+", cluster: orders, instance: orders-2, allow_unhealthy: true, wait: 1m}"), "run/2")
}

func TestAPromotionThatTheOperatorGivesUpFails(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	arrangeDatabase(t, namespace)
	playOperator(t, namespace, giveUp)
	_, err := tryRun(t, bind(t, action(t, "kubernetes.cnpg_promote"), "{namespace: "+namespace+", cluster: orders, instance: orders-2, wait: 1m}"), "run/1")
	refused(t, err, actions.ClassPermanent, "the operator chose orders-1 instead")
}

func TestADryRunOfAPromotionNeedsTheRight(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	arrangeDatabase(t, namespace)
	reader := real.Account(t, namespace, rbacv1.PolicyRule{APIGroups: []string{"postgresql.cnpg.io"}, Resources: []string{"clusters"}, Verbs: []string{"get", "patch"}})
	b := bind(t, actionOver(t, "{kubeconfig: '"+reader.Kubeconfig+"'}", "kubernetes.cnpg_promote", time.Now), "{namespace: "+namespace+", cluster: orders, instance: orders-2}")
	refused(t, b.Accepts(t.Context(), actions.Target{}), actions.ClassPermanent, `resources: ["clusters/status"], verbs: ["patch"]`)
}
