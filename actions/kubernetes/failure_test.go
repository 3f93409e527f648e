package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

var deployments = schema.GroupResource{Group: "apps", Resource: "deployments"}

func TestClassAndTextOfEachFailure(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	admission := apierrors.NewForbidden(deployments, "orders", errors.New(`admission webhook "freeze.example.com" denied the request: change freeze`))
	for name, c := range map[string]struct {
		method string
		status *apierrors.StatusError
		class  actions.Class
		says   string
	}{
		"admission":          {"PATCH", admission, actions.ClassPermanent, "change freeze"},
		"invalid":            {"PATCH", apierrors.NewInvalid(schema.GroupKind{Group: "apps", Kind: "Deployment"}, "orders", nil), actions.ClassPermanent, "is invalid"},
		"conflict":           {"PATCH", apierrors.NewConflict(deployments, "orders", errors.New("modified")), actions.ClassTransient, "modified"},
		"too many requests":  {"PATCH", apierrors.NewTooManyRequestsError("slow down"), actions.ClassTransient, "slow down"},
		"unavailable, read":  {"GET", apierrors.NewServiceUnavailable("starting"), actions.ClassTransient, "starting"},
		"unavailable, write": {"PATCH", apierrors.NewServiceUnavailable("starting"), actions.ClassAmbiguous, "starting"},
		"internal, read":     {"GET", apierrors.NewInternalError(errors.New("etcd")), actions.ClassTransient, "etcd"},
		"server time-out":    {"PATCH", apierrors.NewServerTimeout(deployments, "patch", 0), actions.ClassAmbiguous, "try again"},
	} {
		s := newFaulty(t)
		s.before = on(c.method, func(w http.ResponseWriter) { fail(w, c.status) })
		_, err := tryRun(t, bind(t, s.action(t, "kubernetes.rollout_restart"), "{namespace: "+namespace+", deployment: orders}"), "run/1")
		if refused(t, err, c.class, c.says); err != nil && strings.Contains(err.Error(), "Role") {
			t.Errorf("%s: no access rule would help, but it says %v", name, err)
		}
	}
}

func TestWhatIsNotThereIsPermanent(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	_, err := tryRun(t, bind(t, action(t, "kubernetes.rollout_restart"), "{namespace: "+namespace+", deployment: orders}"), "run/1")
	refused(t, err, actions.ClassPermanent, "kubernetes prod: get deployments.apps "+namespace+`/orders: deployments.apps "orders" not found`)
}

func TestAWrongTokenIsPermanent(t *testing.T) {
	path := writeFile(t, strings.ReplaceAll(readFile(t, real.Kubeconfig()), real.Config.BearerToken, "canary-4711"))
	_, err := tryRun(t, bind(t, actionOver(t, "{kubeconfig: '"+path+"'}", look, time.Now), "{namespace: shop, deployment: orders}"), "run/1")
	if refused(t, err, actions.ClassPermanent, "check the credentials"); strings.Contains(fmt.Sprint(err), "canary") {
		t.Errorf("the token shows in %v", err)
	}
}

func TestAMissingRightNamesTheRuleToAdd(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	pod := real.Pods(t, namespace, "app=orders")[0]
	rights := func(group, resource string, verbs ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}
	}
	for _, c := range []struct {
		has            rbacv1.PolicyRule
		action, params string
		lacks          string
	}{
		{rights("", "pods", "list"), "kubernetes.rollout_restart", "deployment: orders", `{apiGroups: ["apps"], resources: ["deployments"], verbs: ["get"]}`},
		{rights("apps", "deployments", "get"), "kubernetes.rollout_restart", "deployment: orders", `{apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]}`},
		{rights("", "pods", "list"), "kubernetes.delete_pods", "selector: app=orders", `{apiGroups: [""], resources: ["pods"], verbs: ["delete"]}`},
		{rights("", "pods", "list"), "kubernetes.evict_pods", "selector: app=orders", `{apiGroups: [""], resources: ["pods/eviction"], verbs: ["create"]}`},
		{rights("apps", "deployments", "get", "patch"), "kubernetes.scale", "deployment: orders, replicas: 2", `{apiGroups: ["autoscaling"], resources: ["horizontalpodautoscalers"], verbs: ["list"]}`},
		{rights("apps", "deployments", "get", "patch"), "kubernetes.rollout_undo", "deployment: orders", `{apiGroups: ["apps"], resources: ["replicasets"], verbs: ["list"]}`},
	} {
		account := real.Account(t, namespace, c.has)
		b := bind(t, actionOver(t, "{kubeconfig: '"+account.Kubeconfig+"'}", c.action, time.Now), "{namespace: "+namespace+", "+c.params+"}")
		_, err := tryRun(t, b, "run/1")
		refused(t, err, actions.ClassPermanent, account.Name, "cannot", "; add to a Role in namespace "+namespace+": "+c.lacks)
		if strings.Contains(fmt.Sprint(err), account.Token) {
			t.Errorf("the token shows in %v", err)
		}
	}
	account := real.Account(t, namespace)
	_, err := bind(t, actionOver(t, "{kubeconfig: '"+account.Kubeconfig+"'}", "kubernetes.delete_pods", time.Now), "{namespace: "+namespace+", names: ["+pod.Name+"]}").Targets(t.Context())
	refused(t, err, actions.ClassPermanent, `kubernetes prod: list pods `+namespace+`: pods is forbidden`, `add to a Role in namespace `+namespace+`: {apiGroups: [""], resources: ["pods"], verbs: ["list"]}`)
	_, err = bind(t, actionOver(t, "{kubeconfig: '"+account.Kubeconfig+"'}", "kubernetes.cordon", time.Now), "{names: [node-1]}").Targets(t.Context())
	refused(t, err, actions.ClassPermanent, `add to a ClusterRole: {apiGroups: [""], resources: ["nodes"], verbs: ["list"]}`)
}

func TestAFrozenServerIsLeftInTimeAndUsedAgain(t *testing.T) {
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	b := bind(t, action(t, "kubernetes.rollout_restart"), "{namespace: "+namespace+", deployment: orders}")
	run(t, b, "run/1") // so that a connection is open
	real.Freeze(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := b.Run(ctx, "run/2", actions.Target{})
	if !errors.Is(err, context.DeadlineExceeded) || actions.ClassOf(err) == actions.ClassPermanent {
		t.Errorf("frozen, it gives %v (%s)", err, actions.ClassOf(err))
	}
	real.Thaw(t)
	run(t, b, "run/2")
}

// An answer may be lost because the engine was killed between a write and its
// answer: for the API server that is the same.
func TestALostAnswerIsAmbiguousAndTheRetryChangesNothing(t *testing.T) {
	t.Parallel()
	for how, lose := range map[string]func(w http.ResponseWriter){
		"dropped": func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"gateway": func(w http.ResponseWriter) { http.Error(w, "<html>", http.StatusBadGateway) },
		"timeout": func(w http.ResponseWriter) {
			fail(w, apierrors.NewTimeoutError("request did not complete within the allotted timeout", 0))
		},
		"etcd": func(w http.ResponseWriter) {
			fail(w, apierrors.NewInternalError(errors.New("etcdserver: request timed out")))
		},
	} {
		namespace := real.Namespace(t)
		renew(t, namespace, "orders")
		setImage(t, namespace, "orders", "well.test/app:2")
		real.AwaitAvailable(t, namespace, "orders")
		addPod(t, namespace, "stock-1", testcluster.Image)
		for action, params := range map[string]string{
			"kubernetes.rollout_restart": "deployment: orders",
			"kubernetes.rollout_undo":    "deployment: orders",
			"kubernetes.scale":           "deployment: orders, replicas: 2",
			"kubernetes.delete_pods":     "names: [stock-1], allow_unmanaged: true",
		} {
			s := newFaulty(t)
			b := bind(t, s.action(t, action), "{namespace: "+namespace+", "+params+"}")
			target := onlyTarget(t, b)
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet {
					return false
				}
				answer := httptest.NewRecorder()
				s.through.ServeHTTP(answer, r)
				if answer.Code == http.StatusConflict { // a controller was faster
					fail(w, apierrors.NewConflict(deployments, "orders", errors.New("modified")))
					return true
				}
				s.mu.Lock()
				s.before = nil
				s.mu.Unlock()
				lose(w)
				return true
			}
			before := specOf(t, namespace, "orders") + podsThere(t, namespace)
			_, err := tryRunOn(t, b, "run/1", target)
			refused(t, err, actions.ClassAmbiguous)
			after := specOf(t, namespace, "orders")
			if action != "kubernetes.delete_pods" && after == before {
				t.Errorf("%s with the answer %s was not done", action, how)
			}
			if _, err := tryRunOn(t, b, "run/1", target); err != nil || specOf(t, namespace, "orders") != after {
				t.Errorf("the retry of %s with the answer %s gives %v and leaves\n%s\nafter\n%s", action, how, err, specOf(t, namespace, "orders"), after)
			}
			s.Close()
		}
		if pods := real.Pods(t, namespace, "app=stock"); len(pods) > 0 && pods[0].DeletionTimestamp == nil {
			t.Errorf("answered %s, the pod is still there", how)
		}
	}
}

func TestAWriteThatWasNeverSentIsTransient(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	s := newFaulty(t)
	s.before = func(w http.ResponseWriter, _ *http.Request) bool {
		s.Listener.Close()
		w.Header().Set("Connection", "close")
		return false
	}
	_, err := tryRun(t, bind(t, s.action(t, "kubernetes.rollout_restart"), "{namespace: "+namespace+", deployment: orders}"), "run/1")
	if refused(t, err, actions.ClassTransient); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("gives %v", err)
	}
}

func TestAServerThatAsksForPatienceGetsIt(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	s := newFaulty(t)
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch || s.count("PATCH") > 1 {
			return false
		}
		w.Header().Set("Retry-After", "1")
		fail(w, apierrors.NewTooManyRequests("slow down", 1))
		return true
	}
	run(t, bind(t, s.action(t, "kubernetes.rollout_restart"), "{namespace: "+namespace+", deployment: orders}"), "run/1")
	if n := s.count("PATCH"); n != 2 {
		t.Errorf("%d patches", n)
	}
}

func TestAChangeBySomebodyElseIsNotLost(t *testing.T) {
	t.Parallel()
	for _, meddled := range []int{1, 4, 1000} {
		namespace := real.Namespace(t)
		real.Deploy(t, namespace, "orders", 1)
		s, patches := newFaulty(t), 0
		s.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch {
				if patches++; patches <= meddled {
					merge(t, namespace, "orders", fmt.Sprintf(`{"metadata":{"annotations":{"by":"somebody %d"}}}`, patches))
				}
			}
			return false
		}
		_, err := tryRun(t, bind(t, s.action(t, "kubernetes.scale"), "{namespace: "+namespace+", deployment: orders, replicas: 2}"), "run/1")
		if gaveUp := meddled == 1000; gaveUp != (err != nil) || gaveUp && (!apierrors.IsConflict(err) || actions.ClassOf(err) != actions.ClassTransient) {
			t.Errorf("after %d conflicts: %v (%s)", meddled, err, actions.ClassOf(err))
		}
		now, err := real.Set.AppsV1().Deployments(namespace).Get(t.Context(), "orders", metav1.GetOptions{})
		if err != nil || now.Annotations["by"] != fmt.Sprint("somebody ", min(meddled, patches)) {
			t.Errorf("after %d conflicts the annotation is %q (%v)", meddled, now.Annotations["by"], err)
		}
	}
}
