package kubernetes

import (
	"os"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/runbook-engine/runbook/internal/testcluster"
)

// grants are the roles of deploy/kubernetes/rbac.yaml.
func grants(t *testing.T) map[string][]rbacv1.PolicyRule {
	t.Helper()
	text, err := os.ReadFile("../../deploy/kubernetes/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]rbacv1.PolicyRule{}
	for _, document := range strings.Split(string(text), "\n---\n") {
		var role rbacv1.ClusterRole // a Role has the same fields
		if err := yaml.UnmarshalStrict([]byte(document), &role); err != nil {
			t.Fatal(err)
		}
		all[role.Name] = role.Rules
	}
	return all
}

// Each action works with the rights of its group.
func TestTheRolesThatAreShippedAreEnough(t *testing.T) {
	t.Parallel()
	roles := grants(t)
	for name, calls := range map[string][]string{
		"runbook-observe": {
			"rollout_status deployment: web", "rollout_status statefulset: db", "rollout_status daemonset: agent",
			"describe kind: pod, name: alone, log_lines: 1", "describe kind: job, name: done",
		},
		"runbook-pods":      {"delete_pods names: [alone], allow_unmanaged: true", "restart_pods selector: app=web, limit: 1", "restart_pods selector: app=db", "restart_pods selector: app=agent, limit: 1"},
		"runbook-rollouts":  {"rollout_restart deployment: web", "rollout_restart statefulset: db", "rollout_restart daemonset: agent", "rollout_undo deployment: web", "rollout_undo statefulset: db", "scale deployment: web, replicas: 1", "hpa_bounds autoscaler: other, min: 3"},
		"runbook-jobs":      {"run_job cronjob: purge, wait: 1m"},
		"runbook-snapshots": {"volume_snapshot claim: data, wait: 1m"},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := populated(t)
			account := real.Account(t, namespace, roles[name]...)
			for _, call := range calls {
				verb, params, _ := strings.Cut(call, " ")
				b := bind(t, actionOver(t, "{kubeconfig: '"+account.Kubeconfig+"'}", "kubernetes."+verb, time.Now), "{namespace: "+namespace+", "+params+"}")
				if _, err := tryRun(t, b, "run/"+call); err != nil {
					t.Errorf("%s: %v", call, err)
				}
			}
		})
	}
}

// populated is a namespace with one of each.
func populated(t *testing.T) string {
	t.Helper()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "web", 2)
	setImage(t, namespace, "web", "well.test/app:2")
	real.AwaitAvailable(t, namespace, "web")
	set(t, namespace, "RollingUpdate")
	addPod(t, namespace, "alone", testcluster.Image)
	for _, what := range []string{"statefulset: db", "daemonset: agent"} {
		run(t, bind(t, action(t, "kubernetes.rollout_status"), "{namespace: "+namespace+", wait: 1m, "+what+"}"), "")
	}
	addAutoscaler(t, namespace, "other", 2, 10)
	addCronJob(t, namespace, "purge", testcluster.Image)
	playDriver(t, namespace, map[string]any{"readyToUse": true})
	addClaim(t, namespace, "data")
	template := testcluster.Template("done", testcluster.Image)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	if _, err := real.Set.BatchV1().Jobs(namespace).Create(t.Context(), &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "done"}, Spec: batchv1.JobSpec{Template: template}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return namespace
}

func TestTheRoleForNodesIsEnough(t *testing.T) {
	t.Parallel()
	namespace, node := real.Namespace(t), addNode(t)
	real.Deploy(t, namespace, "web", 1, onNode(node))
	role, err := real.Set.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, Rules: grants(t)["runbook-nodes"]}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	account := real.Account(t, namespace)
	real.Grant(t, account, "", rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name})
	for _, name := range []string{"kubernetes.cordon", "kubernetes.uncordon"} {
		run(t, bind(t, actionOver(t, "{kubeconfig: '"+account.Kubeconfig+"'}", name, time.Now), "{names: ["+node+"]}"), "run/1")
	}
	// The pod is bound to the node by name, so its replacement comes back: that it was allowed to go is what counts.
	b := bind(t, actionOver(t, "{kubeconfig: '"+account.Kubeconfig+"'}", "kubernetes.drain", time.Now), "{names: ["+node+"], wait: 1s}")
	if _, err := tryRun(t, b, "run/1"); err != nil && strings.Contains(err.Error(), "forbidden") {
		t.Error(err)
	}
}
