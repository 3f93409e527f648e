package kubernetes

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/runbook-engine/runbook/actions"
)

// What a dry run tells is what the API server says to its own dry run.
func TestADryRunTellsWhatTheServerWouldRefuse(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "web", 2)
	real.Budget(t, namespace, "web", intstr.FromInt32(2))
	before := specOf(t, namespace, "web") + podsThere(t, namespace)
	reader := real.Account(t, namespace, rbacv1.PolicyRule{APIGroups: []string{"", "apps", "autoscaling"}, Resources: []string{"*"}, Verbs: []string{"get", "list"}})
	all, reading := real.Kubeconfig(), reader.Kubeconfig
	for _, c := range []struct{ kubeconfig, action, params, says string }{
		{all, "kubernetes.delete_pods", "selector: app=web", ""},
		{all, "kubernetes.evict_pods", "selector: app=web", "disruption budget web needs 2 healthy pods and has 2"},
		{all, "kubernetes.restart_pods", "selector: app=web", "disruption budget web needs 2 healthy pods and has 2"},
		{all, "kubernetes.scale", "deployment: web, replicas: 3", ""},
		{all, "kubernetes.rollout_undo", "deployment: web", "there is no revision before 1"},
		{reading, "kubernetes.delete_pods", "selector: app=web", `verbs: ["delete"]`},
		{reading, "kubernetes.scale", "deployment: web, replicas: 3", `verbs: ["patch"]`},
		{reading, "kubernetes.rollout_restart", "deployment: web", `verbs: ["patch"]`},
	} {
		b := bind(t, actionOver(t, "{kubeconfig: '"+c.kubeconfig+"'}", c.action, time.Now), "{namespace: "+namespace+", "+c.params+"}")
		var refusals error
		for _, target := range selected(t, b).Targets {
			refusals = errors.Join(refusals, b.Accepts(t.Context(), target))
		}
		if (refusals == nil) != (c.says == "") || !strings.Contains(fmt.Sprint(refusals), c.says) {
			t.Errorf("%s %s: %v, want …%s…", c.action, c.params, refusals, c.says)
		}
	}
	if now := specOf(t, namespace, "web") + podsThere(t, namespace); now != before {
		t.Errorf("it was\n%s\nand is\n%s", before, now)
	}
}

// Whatever changes something can be rehearsed.
func TestEveryActionThatWritesAsksTheServerFirst(t *testing.T) {
	for _, a := range System(nil).Actions {
		if a.Risk != actions.ReadOnly && !a.Asks() {
			t.Errorf("a dry run of %s asks nobody", a.Name)
		}
	}
}

func TestARehearsalThatIsNotAnsweredIsNotAmbiguous(t *testing.T) {
	b := bind(t, actionOver(t, "{kubeconfig: '"+real.KubeconfigAt(t, "127.0.0.1:1")+"'}", "kubernetes.scale", time.Now), "{namespace: shop, deployment: web, replicas: 3}")
	refused(t, b.Accepts(t.Context(), actions.Target{}), actions.ClassTransient, "connection refused")
}
