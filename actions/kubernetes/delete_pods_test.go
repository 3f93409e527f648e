package kubernetes

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/runbook-engine/runbook/actions"
)

func failed(p *corev1.Pod)    { p.Status.Phase = corev1.PodFailed }
func unmanaged(p *corev1.Pod) { p.OwnerReferences = nil }
func static(p *corev1.Pod)    { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }
func terminating(p *corev1.Pod) {
	now := metav1.Now()
	p.DeletionTimestamp = &now
}

func TestWhichPodsAreSelected(t *testing.T) {
	s := newAPIServer(t)
	for _, p := range []*corev1.Pod{
		pod("old", "orders", age(3*time.Hour)), pod("older", "orders", age(4*time.Hour), failed), pod("young", "orders", age(time.Minute)),
		pod("going", "orders", age(5*time.Hour), terminating), pod("static", "orders", age(5*time.Hour), static), pod("stock", "stock"),
	} {
		s.add(t, p)
	}
	for params, want := range map[string]struct {
		names      string
		population int
	}{
		"selector: app=orders":                                 {"older old young", 5},
		"selector: 'app in (orders,stock)', older_than: 30m":   {"older old stock", 6},
		"selector: app=orders, limit: 1":                       {"older", 5},
		"selector: app=orders, phase: Running":                 {"old young", 5},
		"selector: app=orders, older_than: 2h, phase: Running": {"old", 5},
		"selector: app=orders, names: [young, stock, gone]":    {"young", 5},
		"names: [stock, old, gone]":                            {"old stock", 6},
		"names: [going, static, gone]":                         {"", 6},
		"selector: app=nothing":                                {"", 0},
	} {
		selection, err := bind(t, s.action(t, "kubernetes.delete_pods"), "{namespace: shop, "+params+"}").Targets(t.Context())
		if err != nil {
			t.Errorf("%s: %v", params, err)
			continue
		}
		var names []string
		for _, target := range selection.Targets {
			names = append(names, strings.TrimPrefix(strings.Split(target.ID, "@")[0], "pod/shop/"))
		}
		if got := strings.Join(names, " "); got != want.names || selection.Population != want.population {
			t.Errorf("%s: %q of %d, want %q of %d", params, got, selection.Population, want.names, want.population)
		}
	}
}

func TestATargetTellsWhatWouldBeLost(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, pod("orders-1", "orders", age(3*time.Hour+10*time.Second), func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: 2}, {RestartCount: 5}}
	}))
	selection, err := bind(t, s.action(t, "kubernetes.delete_pods"), "{namespace: shop, selector: app=orders}").Targets(t.Context())
	if err != nil || len(selection.Targets) != 1 || selection.Targets[0].Doc != "Running, 3h old, 7 restarts, of ReplicaSet orders-7d9" {
		t.Errorf("%+v (%v)", selection, err)
	}
}

func TestPodsThatNobodyWouldReplaceAreRefused(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, pod("debug", "orders", unmanaged))
	s.add(t, pod("orders-1", "orders"))
	action := s.action(t, "kubernetes.delete_pods")
	_, err := bind(t, action, "{namespace: shop, selector: app=orders}").Targets(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no controller would replace debug in namespace shop") || actions.ClassOf(err) != actions.ClassPermanent {
		t.Errorf("gives %v", err)
	}
	selection, err := bind(t, action, "{namespace: shop, selector: app=orders, allow_unmanaged: true}").Targets(t.Context())
	if err != nil || len(selection.Targets) != 2 {
		t.Errorf("allowed, it gives %v (%v)", selection, err)
	}
}

func TestALargeNamespaceIsReadInPages(t *testing.T) {
	s := newAPIServer(t)
	for i := range 1201 {
		s.add(t, pod(fmt.Sprintf("orders-%04d", i), "orders"))
	}
	selection, err := bind(t, s.action(t, "kubernetes.delete_pods"), "{namespace: shop, selector: app=orders, limit: 100}").Targets(t.Context())
	if err != nil || selection.Population != 1201 || len(selection.Targets) != 100 || s.count("GET") != 3 {
		t.Errorf("%d of %d in %d pages (%v)", len(selection.Targets), selection.Population, s.count("GET"), err)
	}
}

func TestOnlyThePodThatWasMeantIsDeleted(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, pod("db-0", "db"))
	b := bind(t, s.action(t, "kubernetes.delete_pods"), "{namespace: shop, selector: app=db, grace_period: 7s}")
	target := targetOf(s, "db-0")
	first := run[deletePodsResult](t, b, "run/1", target)
	if s.meta(podPath("db-0"), "deletionGracePeriodSeconds") != 7.0 {
		t.Errorf("deleted as\n%s", s.state(t))
	}
	s.remove(podPath("db-0"))
	for what, arrange := range map[string]func(){
		"gone":      func() {},
		"recreated": func() { s.add(t, pod("db-0", "db", func(p *corev1.Pod) { p.UID = "another" })) },
	} {
		arrange()
		before := s.state(t)
		if again := run[deletePodsResult](t, b, "run/1", target); again != first || s.state(t) != before {
			t.Errorf("%s: first %+v, again %+v, and left\n%s", what, first, again, s.state(t))
		}
	}
}

func TestAConflictThatIsNotAboutAnotherPodIsTransient(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, pod("orders-1", "orders"))
	s.before = on(http.MethodDelete, func(w http.ResponseWriter) {
		fail(w, apierrors.NewConflict(schema.GroupResource{Resource: "pods"}, "orders-1", fmt.Errorf("try again")))
	})
	_, err := bind(t, s.action(t, "kubernetes.delete_pods"), "{namespace: shop, selector: app=orders}").Run(t.Context(), "run/1", targetOf(s, "orders-1"))
	if err == nil || actions.ClassOf(err) != actions.ClassTransient {
		t.Errorf("gives %v (%s)", err, actions.ClassOf(err))
	}
}

func TestATargetThatIsNoPodOfTheNamespaceIsRefused(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, pod("orders-1", "orders"))
	b := bind(t, s.action(t, "kubernetes.delete_pods"), "{namespace: other, selector: app=orders}")
	for _, target := range []string{
		targetOf(s, "orders-1").ID, "pod/other/a", "pod/other/a@", "pod/other/@uid", "pod/other/../shop/pods/a@uid", "pod/other/A B@uid",
	} {
		if _, err := b.Run(t.Context(), "run/1", actions.Target{ID: target}); actions.ClassOf(err) != actions.ClassPermanent || s.count("") != 0 {
			t.Errorf("%s: %v (%s)", target, err, actions.ClassOf(err))
		}
	}
}

func TestWhichPodsADocumentMayName(t *testing.T) {
	for text, want := range map[string]string{
		"{namespace: shop}":                                                     "without both, all pods of the namespace would be meant",
		"{namespace: shop, selector: ''}":                                       "an empty one would mean all pods",
		"{namespace: shop, selector: ' '}":                                      "an empty one would mean all pods",
		"{namespace: shop, selector: 'app=='}":                                  "",
		"{namespace: shop, selector: 'app in'}":                                 "unable to parse requirement",
		"{namespace: shop, names: []}":                                          "names must be at least 1",
		"{namespace: shop, names: ['a/b']}":                                     "does not match",
		"{namespace: shop, names: [a], grace_period: 0s}":                       "at least 1",
		"{namespace: shop, names: [a], phase: Crashed}":                         "can not be \"Crashed\"",
		"{namespace: shop, names: [a], limit: 0}":                               "at least 1",
		"{namespace: kube-system, selector: k8s-app=kube-dns}":                  "belongs to the cluster itself",
		"{namespace: kube-system, selector: a=b, allow_system_namespace: true}": "",
	} {
		_, problems := newSystem(nil, nil).Actions[0].Bind([]byte(text))
		if err := problems.Err(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want …%s…", text, err, want)
		}
	}
}
