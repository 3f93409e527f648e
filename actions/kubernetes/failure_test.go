package kubernetes

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/runbook-engine/runbook/actions"
)

// on answers requests of one method.
func on(method string, answer func(w http.ResponseWriter)) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == method {
			answer(w)
		}
		return r.Method == method
	}
}

var deployments = schema.GroupResource{Group: "apps", Resource: "deployments"}

func TestClassAndTextOfEachFailure(t *testing.T) {
	admission := apierrors.NewForbidden(deployments, "orders-api", errors.New(`admission webhook "freeze.example.com" denied the request: change freeze`))
	for name, c := range map[string]struct {
		method      string
		status      *apierrors.StatusError
		class       actions.Class
		says, never string
	}{
		"unauthorized":       {"GET", apierrors.NewUnauthorized("Unauthorized"), actions.ClassPermanent, "check the credentials", "Role"},
		"not found":          {"GET", apierrors.NewNotFound(deployments, "orders-api"), actions.ClassPermanent, `get deployments.apps shop/orders-api: deployments.apps "orders-api" not found`, "Role"},
		"admission":          {"PATCH", admission, actions.ClassPermanent, "change freeze", "Role"},
		"invalid":            {"PATCH", apierrors.NewInvalid(schema.GroupKind{Group: "apps", Kind: "Deployment"}, "orders-api", nil), actions.ClassPermanent, "is invalid", "Role"},
		"conflict":           {"PATCH", apierrors.NewConflict(deployments, "orders-api", errors.New("modified")), actions.ClassTransient, "modified", "Role"},
		"too many requests":  {"PATCH", apierrors.NewTooManyRequestsError("slow down"), actions.ClassTransient, "slow down", "Role"},
		"unavailable, read":  {"GET", apierrors.NewServiceUnavailable("starting"), actions.ClassTransient, "starting", "Role"},
		"unavailable, write": {"PATCH", apierrors.NewServiceUnavailable("starting"), actions.ClassAmbiguous, "starting", "Role"},
		"internal, read":     {"GET", apierrors.NewInternalError(errors.New("etcd")), actions.ClassTransient, "etcd", "Role"},
		"server time-out":    {"PATCH", apierrors.NewServerTimeout(deployments, "patch", 0), actions.ClassAmbiguous, "try again", "Role"},
	} {
		s := newAPIServer(t)
		s.add(t, deployment())
		s.before = on(c.method, func(w http.ResponseWriter) { fail(w, c.status) })
		_, err := bind(t, s.action(t, "kubernetes.rollout_restart"), restart4).Run(t.Context(), "run/1", actions.Target{})
		if err == nil || actions.ClassOf(err) != c.class || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), c.never) {
			t.Errorf("%s: %v (%s), want %s …%s…", name, err, actions.ClassOf(err), c.class, c.says)
		}
	}
}

func TestAMissingRightNamesTheRuleToAdd(t *testing.T) {
	for denied, want := range map[string]string{
		"get deployments":   `kubernetes prod: get deployments.apps shop/orders-api: deployments.apps "orders-api" is forbidden: User "system:serviceaccount:ops:runbook" cannot get resource "deployments" in API group "apps" in the namespace "shop"; add to a Role in namespace shop: {apiGroups: ["apps"], resources: ["deployments"], verbs: ["get"]}`,
		"patch deployments": `; add to a Role in namespace shop: {apiGroups: ["apps"], resources: ["deployments"], verbs: ["patch"]}`,
		"list pods":         `kubernetes prod: list pods shop: pods is forbidden: User "system:serviceaccount:ops:runbook" cannot list resource "pods" in API group "" in the namespace "shop"; add to a Role in namespace shop: {apiGroups: [""], resources: ["pods"], verbs: ["list"]}`,
		"delete pods":       `; add to a Role in namespace shop: {apiGroups: [""], resources: ["pods"], verbs: ["delete"]}`,
	} {
		s := newAPIServer(t)
		s.add(t, deployment())
		s.add(t, pod("orders-api-1", "orders-api"))
		s.denied[denied] = true
		restart := bind(t, s.action(t, "kubernetes.rollout_restart"), restart4)
		pods := bind(t, s.action(t, "kubernetes.delete_pods"), "{namespace: shop, selector: app=orders-api}")
		_, restarted := restart.Run(t.Context(), "run/1", actions.Target{})
		_, selected := pods.Targets(t.Context())
		_, deleted := pods.Run(t.Context(), "run/1", targetOf(s, "orders-api-1"))
		err := errors.Join(restarted, selected, deleted)
		if err == nil || !strings.HasSuffix(err.Error(), want) || actions.ClassOf(err) != actions.ClassPermanent {
			t.Errorf("%s: %v (%s)", denied, err, actions.ClassOf(err))
		}
	}
}

func TestAWriteThatIsNotAnsweredIsAmbiguous(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, deployment())
	ctx, cancel := context.WithCancel(t.Context())
	s.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPatch {
			cancel()
			io.Copy(io.Discard, r.Body) // only then does the server notice that the client is gone
			<-r.Context().Done()
		}
		return false
	}
	_, err := bind(t, s.action(t, "kubernetes.rollout_restart"), restart4).Run(ctx, "run/1", actions.Target{})
	if !errors.Is(err, context.Canceled) || actions.ClassOf(err) != actions.ClassAmbiguous {
		t.Errorf("gives %v (%s)", err, actions.ClassOf(err))
	}
}

func TestAWriteThatWasNeverSentIsTransient(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, deployment())
	s.before = func(w http.ResponseWriter, _ *http.Request) bool {
		s.Listener.Close()
		w.Header().Set("Connection", "close")
		return false
	}
	_, err := bind(t, s.action(t, "kubernetes.rollout_restart"), restart4).Run(t.Context(), "run/1", actions.Target{})
	if !errors.Is(err, syscall.ECONNREFUSED) || actions.ClassOf(err) != actions.ClassTransient {
		t.Errorf("gives %v (%s)", err, actions.ClassOf(err))
	}
}

func TestAServerThatAsksForPatienceGetsIt(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, deployment())
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch || s.count("PATCH") > 1 {
			return false
		}
		w.Header().Set("Retry-After", "1")
		fail(w, apierrors.NewTooManyRequests("slow down", 1))
		return true
	}
	began := time.Now()
	run[restartResult](t, bind(t, s.action(t, "kubernetes.rollout_restart"), restart4), "run/1", actions.Target{})
	if n, took := s.count("PATCH"), time.Since(began); n != 2 || took < time.Second {
		t.Errorf("%d patches within %s", n, took)
	}
}

func TestAServerWeDoNotTrustIsPermanent(t *testing.T) {
	s := newAPIServer(t)
	config := strings.ReplaceAll(readFile(t, s.kubeconfig(t, s.address())), ", insecure-skip-tls-verify: true", "")
	restart := bind(t, actionOver(t, "{kubeconfig: '"+writeFile(t, config)+"'}", "kubernetes.rollout_restart", time.Now), restart4)
	_, err := restart.Run(t.Context(), "run/1", actions.Target{})
	if actions.ClassOf(err) != actions.ClassPermanent || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("gives %v (%s)", err, actions.ClassOf(err))
	}
}
