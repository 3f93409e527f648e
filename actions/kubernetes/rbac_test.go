package kubernetes

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

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

// right is one verb on one resource.
type right struct{ group, resource, verb string }

func rightsOf(rules []rbacv1.PolicyRule) (all []right) {
	for _, r := range rules {
		for _, resource := range r.Resources {
			for _, verb := range r.Verbs {
				all = append(all, right{r.APIGroups[0], resource, verb})
			}
		}
	}
	return all
}

// without are the rules that are left when one right is taken away.
func without(rules []rbacv1.PolicyRule, gone right) (left []rbacv1.PolicyRule) {
	for _, r := range rightsOf(rules) {
		if r != gone {
			left = append(left, rbacv1.PolicyRule{APIGroups: []string{r.group}, Resources: []string{r.resource}, Verbs: []string{r.verb}})
		}
	}
	return left
}

// asked is the right that a request needs.
func asked(r *http.Request) right {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	group := ""
	if parts[0] == "apis" {
		group, parts = parts[1], parts[1:]
	}
	if parts = parts[2:]; parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	verb := map[string]string{"GET": "list", "POST": "create", "PATCH": "patch", "DELETE": "delete"}[r.Method]
	if verb == "list" && len(parts) > 1 {
		verb = "get"
	}
	if len(parts) > 2 {
		parts[0] += "/" + parts[2]
	}
	return right{group, parts[0], verb}
}

// Each action works with the rights of its group, and some action does not
// without one of them.
func TestTheRolesThatAreShippedAreEnoughAndNoMore(t *testing.T) {
	t.Parallel()
	roles := grants(t)
	for name, calls := range map[string][]string{
		"runbook-observe": {
			"rollout_status deployment: web", "rollout_status statefulset: db", "rollout_status daemonset: agent", "rollout_status deployment: broken, wait: 1s",
			"describe kind: pod, name: alone, log_lines: 1", "describe kind: job, name: done",
		},
		"runbook-pods":      {"late delete_pods names: [alone], allow_unmanaged: true", "delete_pods selector: app=web, limit: 1", "evict_pods selector: app=web, limit: 1", "restart_pods selector: app=web, limit: 1", "restart_pods selector: app=db", "restart_pods selector: app=agent, limit: 1"},
		"runbook-rollouts":  {"rollout_restart deployment: web", "rollout_restart statefulset: db", "rollout_restart daemonset: agent", "rollout_undo deployment: web", "rollout_undo statefulset: db", "scale deployment: web, replicas: 1", "hpa_bounds autoscaler: other, min: 3"},
		"runbook-jobs":      {"run_job cronjob: purge, wait: 1m", "run_job cronjob: missing, wait: 1s"},
		"runbook-snapshots": {"volume_snapshot claim: data, wait: 1m"},
		"runbook-cnpg":      {"cnpg_cluster cluster: orders", "cnpg_promote cluster: orders, instance: orders-2, wait: 1m"},
		"runbook-inside":    {"exec names: [alone], argv: [/bin/echo, x]", "copy names: [alone], path: /etc/hostname"},
	} {
		t.Run(name, func(t *testing.T) {
			namespace := populated(t)
			holdsToIts(t, roles[name], calls, func(rules []rbacv1.PolicyRule) testcluster.Account { return real.Account(t, namespace, rules...) }, namespace)
		})
	}
}

// holdsToIts runs the calls with all rights of a role, and then those that use a
// right without it.
func holdsToIts(t *testing.T, role []rbacv1.PolicyRule, calls []string, account func([]rbacv1.PolicyRule) testcluster.Account, namespace string) {
	t.Helper()
	all, users, ends := account(role), map[right][]string{}, map[string]string{}
	for _, call := range calls {
		s := newFaulty(t)
		s.before = func(_ http.ResponseWriter, r *http.Request) bool {
			users[asked(r)] = append(users[asked(r)], call)
			return false
		}
		err := callAs(t, all, s.address(), namespace, call, "run/all")
		if ends[call] = end(err); ends[call] == forbidden {
			t.Errorf("%s: %v", call, err)
		}
	}
	for _, gone := range rightsOf(role) {
		lacking, missed := account(without(role, gone)), false
		for _, call := range slices.Compact(users[gone]) {
			err := callAs(t, lacking, real.Address(), namespace, call, "run/without/"+gone.resource+"/"+gone.verb)
			missed = missed || end(err) != ends[call]
		}
		if !missed {
			t.Errorf("no action fails without %+v; used by %q", gone, users[gone])
		}
	}
}

const forbidden = "forbidden"

// end is how a call ended, as far as rights make a difference: an action may also
// be unable to say why something fails, or to see that it was done.
func end(err error) string {
	switch text := fmt.Sprint(err); {
	case strings.Contains(text, "add to a"):
		return forbidden
	case strings.Contains(text, "ImagePullBackOff"):
		return "explained"
	}
	return fmt.Sprint(err == nil)
}

// callAs runs an action, written as its verb and its parameters. "late" is a retry
// that comes when another pod has the name.
func callAs(t *testing.T, as testcluster.Account, address, namespace, call, key string) error {
	t.Helper()
	call, late := strings.CutPrefix(call, "late ")
	verb, params, _ := strings.Cut(call, " ")
	if namespace != "" {
		params = "namespace: " + namespace + ", " + params
	}
	kubeconfig := writeFile(t, strings.ReplaceAll(readFile(t, as.Kubeconfig), real.Address(), address))
	conns := connections(t, "{kubeconfig: '"+kubeconfig+"', "+allowsInside+"}")
	b := bind(t, named(t, keeping(store(t, 1<<20))(conns), "kubernetes."+verb), "{"+params+"}")
	selection, err := b.Targets(t.Context())
	if err != nil || len(selection.Targets) == 0 {
		return fmt.Errorf("%d targets: %w", len(selection.Targets), err)
	}
	target := selection.Targets[0]
	if late {
		target.ID, _, _ = strings.Cut(target.ID, "@")
		target.ID += "@earlier"
	}
	_, err = tryRunOn(t, b, key+"/"+call, target)
	return err
}

// populated is a namespace with one of each.
func populated(t *testing.T) string {
	t.Helper()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "web", 2)
	setImage(t, namespace, "web", "well.test/app:2")
	real.AwaitAvailable(t, namespace, "web")
	real.Create(t, namespace, "broken", 1, testcluster.Of("missing.test/app"))
	set(t, namespace, "RollingUpdate")
	addPod(t, namespace, "alone", testcluster.Image)
	for _, what := range []string{"statefulset: db", "daemonset: agent"} {
		run(t, bind(t, action(t, "kubernetes.rollout_status"), "{namespace: "+namespace+", wait: 1m, "+what+"}"), "")
	}
	addAutoscaler(t, namespace, "other", 2, 10)
	addCronJob(t, namespace, "purge", testcluster.Image)
	addCronJob(t, namespace, "missing", "missing.test/app")
	playDriver(t, namespace, map[string]any{"readyToUse": true})
	addClaim(t, namespace, "data")
	arrangeDatabase(t, namespace)
	playOperator(t, namespace, giveUp) // so that each call asks anew
	template := testcluster.Template("done", testcluster.Image)
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	if _, err := real.Set.BatchV1().Jobs(namespace).Create(t.Context(), &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "done"}, Spec: batchv1.JobSpec{Template: template}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return namespace
}

func TestTheRoleForNodesIsEnoughAndNoMore(t *testing.T) {
	t.Parallel()
	namespace, node := real.Namespace(t), addNode(t)
	real.Deploy(t, namespace, "web", 1, onNode(node))
	account := func(rules []rbacv1.PolicyRule) testcluster.Account {
		role, err := real.Set.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, Rules: rules}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		a := real.Account(t, namespace)
		real.Grant(t, a, "", rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name})
		return a
	}
	// The pod is bound to the node by name, so its replacement comes back and the
	// drain does not come to its end: that it was allowed to go is what counts.
	holdsToIts(t, grants(t)["runbook-nodes"], []string{"cordon names: [" + node + "]", "drain names: [" + node + "], wait: 1s", "uncordon names: [" + node + "]"}, account, "")
}
