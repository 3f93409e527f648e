package kubernetes

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/runbook-engine/runbook/actions"
)

const restart4 = "{namespace: shop, deployment: orders-api}"

func TestARestartIsOneChangeOfTheTemplate(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, deployment(func(d *appsv1.Deployment) { d.Spec.Template.Annotations = map[string]string{"team": "shop"} }))
	restart := bind(t, s.action(t, "kubernetes.rollout_restart"), restart4)
	selection, err := restart.Targets(t.Context())
	if err != nil || ids(selection) != "deployment/shop/orders-api\n" {
		t.Errorf("targets %v (%v)", selection, err)
	}
	result := run[restartResult](t, restart, "run/1", actions.Target{})
	var now appsv1.Deployment
	s.read(t, deploymentPath, &now)
	if now.Generation != 2 || result.Generation != 2 || s.count("PATCH") != 1 {
		t.Errorf("generation %d, result %+v, %d patches", now.Generation, result, s.count("PATCH"))
	}
	template := now.Spec.Template.Annotations
	if template["kubectl.kubernetes.io/restartedAt"] != result.RestartedAt.Format(timeForm) || template["team"] != "shop" || len(template) != 2 {
		t.Errorf("the template's annotations are %v, the result %+v", template, result)
	}
	if now.Annotations["deployment.kubernetes.io/revision"] != "4" || !strings.HasPrefix(now.Annotations[restartsAnnotation], markOf("run/1")+"=") {
		t.Errorf("the annotations are %v", now.Annotations)
	}
}

// The answer of run 1 was lost, run 2 restarted too, and then run 1 is retried.
func TestALateRetryDoesNotRestartAgain(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, deployment())
	restart := bind(t, s.action(t, "kubernetes.rollout_restart"), restart4)
	first := run[restartResult](t, restart, "run/1", actions.Target{})
	for i := 2; i <= maxRestarts; i++ {
		run[restartResult](t, restart, fmt.Sprint("run/", i), actions.Target{})
	}
	again := run[restartResult](t, restart, "run/1", actions.Target{})
	if !again.RestartedAt.Equal(first.RestartedAt) || s.count("PATCH") != maxRestarts {
		t.Errorf("first %+v, again %+v, %d patches", first, again, s.count("PATCH"))
	}
	run[restartResult](t, restart, "run/later", actions.Target{})
	if kept := len(parseRestarts(s.meta(deploymentPath, "annotations").(map[string]any)[restartsAnnotation].(string))); kept != maxRestarts {
		t.Errorf("it keeps %d restarts", kept)
	}
}

func TestEachKindOfWorkload(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, &appsv1.StatefulSet{ObjectMeta: named("db")})
	s.add(t, &appsv1.DaemonSet{ObjectMeta: named("agent")})
	for params, path := range map[string]string{
		"{namespace: shop, statefulset: db}":  "statefulsets/db",
		"{namespace: shop, daemonset: agent}": "daemonsets/agent",
	} {
		run[restartResult](t, bind(t, s.action(t, "kubernetes.rollout_restart"), params), "run/1", actions.Target{})
		if generation := s.meta("/apis/apps/v1/namespaces/shop/"+path, "generation"); generation != 2.0 {
			t.Errorf("%s has the generation %v", path, generation)
		}
	}
}

func TestAWorkloadThatWouldNotRestartIsRefused(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, deployment(func(d *appsv1.Deployment) { d.Spec.Paused = true }))
	s.add(t, &appsv1.StatefulSet{ObjectMeta: named("db"), Spec: appsv1.StatefulSetSpec{
		UpdateStrategy: appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType},
	}})
	s.add(t, &appsv1.DaemonSet{ObjectMeta: named("agent"), Spec: appsv1.DaemonSetSpec{
		UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType},
	}})
	for params, want := range map[string]string{
		restart4:                              "rollout is paused",
		"{namespace: shop, statefulset: db}":  "OnDelete",
		"{namespace: shop, daemonset: agent}": "OnDelete",
	} {
		_, err := bind(t, s.action(t, "kubernetes.rollout_restart"), params).Run(t.Context(), "run/1", actions.Target{})
		if err == nil || !strings.Contains(err.Error(), want) || actions.ClassOf(err) != actions.ClassPermanent {
			t.Errorf("%s: %v (%s)", params, err, actions.ClassOf(err))
		}
	}
	if n := s.count("PATCH"); n != 0 {
		t.Errorf("%d patches", n)
	}
}

func TestAChangeBySomebodyElseIsNotLost(t *testing.T) {
	for _, meddled := range []int{1, conflictTries - 1, conflictTries} {
		s := newAPIServer(t)
		s.add(t, deployment())
		patches := 0
		s.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPatch {
				if patches++; patches <= meddled {
					s.add(t, deployment(func(d *appsv1.Deployment) { d.Annotations["by"] = fmt.Sprint("somebody ", patches) }))
				}
			}
			return false
		}
		_, err := bind(t, s.action(t, "kubernetes.rollout_restart"), restart4).Run(t.Context(), "run/1", actions.Target{})
		if gaveUp := meddled == conflictTries; gaveUp != (err != nil) || gaveUp && (!apierrors.IsConflict(err) || actions.ClassOf(err) != actions.ClassTransient) {
			t.Errorf("after %d conflicts: %v (%s)", meddled, err, actions.ClassOf(err))
		}
		if by := s.meta(deploymentPath, "annotations").(map[string]any)["by"]; by != fmt.Sprint("somebody ", meddled) {
			t.Errorf("after %d conflicts the annotation is %q", meddled, by)
		}
	}
}

func TestALostAnswerIsAmbiguousAndTheRetryChangesNothing(t *testing.T) {
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
		s := newAPIServer(t)
		s.add(t, deployment())
		s.add(t, pod("orders-api-1", "orders-api"))
		s.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet {
				return false
			}
			s.mu.Lock()
			s.before = nil
			s.mu.Unlock()
			s.serve(httptest.NewRecorder(), r)
			lose(w)
			return true
		}
		lost := s.before
		for _, c := range []struct {
			action, params string
			target         actions.Target
		}{
			{"kubernetes.rollout_restart", restart4, actions.Target{}},
			{"kubernetes.delete_pods", "{namespace: shop, selector: app=orders-api}", targetOf(s, "orders-api-1")},
		} {
			s.before = lost
			b := bind(t, s.action(t, c.action), c.params)
			if _, err := b.Run(t.Context(), "run/1", c.target); actions.ClassOf(err) != actions.ClassAmbiguous {
				t.Errorf("%s with the answer %s gives %v (%s)", c.action, how, err, actions.ClassOf(err))
			}
			after := s.state(t)
			if _, err := b.Run(t.Context(), "run/1", c.target); err != nil || s.state(t) != after {
				t.Errorf("the retry of %s gives %v and leaves\n%s", c.action, err, s.state(t))
			}
		}
		if s.meta(deploymentPath, "generation") != 2.0 || s.meta(podPath("orders-api-1"), "deletionTimestamp") == nil {
			t.Errorf("the lost writes left\n%s", s.state(t))
		}
	}
}

func TestWhatADocumentMayRestart(t *testing.T) {
	for text, want := range map[string]string{
		"{namespace: shop}": "p:1:2: exactly one of deployment, statefulset and daemonset must be given (exactly-one)",
		"{namespace: shop, deployment: a, daemonset: b}":                       "exactly one of",
		"{namespace: kube-system, daemonset: kube-proxy}":                      `p:1:13: namespace "kube-system" belongs to the cluster itself (system-namespace)`,
		"{namespace: kube-system, daemonset: p, allow_system_namespace: true}": "",
		"{namespace: shop, deployment: '../../secrets/x'}":                     "does not match",
		"{namespace: 'a/b', deployment: x}":                                    "does not match",
		"{namespace: shop, deployment: ''}":                                    "does not match",
		"{namespace: shop, deployment: x, kind: y}":                            "unknown key",
		"[shop]":          "must be a mapping",
		"{deployment: x}": `needs the key "namespace"`,
		"{namespace: shop, statefulset: db, deployment: null}":        "",
		"{namespace: " + strings.Repeat("a", 64) + ", deployment: x}": "namespace must be at most 63",
		"{namespace: shop, deployment: a.b-c}":                        "",
	} {
		action := newSystem(nil, nil).Actions[1]
		_, problems := action.Bind([]byte(text))
		err := problems.Err()
		got := ""
		if err != nil {
			got = strings.ReplaceAll(err.Error(), action.Name+":", "p:")
		}
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %s, want …%s…", text, got, want)
		}
	}
}

func targetOf(s *apiServer, podName string) actions.Target {
	return actions.Target{ID: fmt.Sprintf("pod/shop/%s@%v", podName, s.meta(podPath(podName), "uid"))}
}
