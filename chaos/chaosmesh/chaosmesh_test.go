package chaosmesh_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/runbook-engine/runbook/actions"
	actual "github.com/runbook-engine/runbook/actions/kubernetes"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/chaos/chaosmesh"
	"github.com/runbook-engine/runbook/chaos/chaosmesh/standin"
	"github.com/runbook-engine/runbook/chaos/conformance"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

var cluster *testcluster.Cluster

// shops is how many tests run at a time.
const shops = 4

// The tests wait for the cluster most of the time: more of them than processors
// can run at once.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", fmt.Sprint(shops)); err != nil {
		panic(err)
	}
	os.Exit(testcluster.Main(m, &cluster))
}

var kinds = []string{"DNSChaos", "HTTPChaos", "IOChaos", "JVMChaos", "NetworkChaos", "PodChaos", "StressChaos", "TimeChaos"}

var (
	installed  sync.Once
	controller *standin.Controller
)

// mesh is the stand-in for Chaos Mesh, on a cluster with its custom resources.
func mesh(t testing.TB) *standin.Controller {
	t.Helper()
	installed.Do(func() {
		names := []string{"podnetworkchaos.chaos-mesh.org"}
		for _, kind := range kinds {
			names = append(names, strings.ToLower(kind)+".chaos-mesh.org")
		}
		cluster.Install(t, names...)
		var err error
		if controller, err = standin.Start(context.Background(), cluster.Config, "", kinds...); err != nil {
			t.Fatal(err)
		}
	})
	return controller
}

// shop is a namespace with two services of two pods each.
type shop struct {
	mesh      *standin.Controller
	namespace string
}

func newShop(t testing.TB) shop {
	t.Helper()
	s := shop{mesh(t), cluster.Namespace(t)}
	for _, app := range []string{"orders", "db"} {
		cluster.Deploy(t, s.namespace, app, 2)
	}
	return s
}

func config() string {
	return fmt.Sprintf("prod: {kubernetes: {kubeconfig: %q}}", cluster.Kubeconfig())
}

func kind() *actions.ConnectionKind { return actual.System(nil).Connection }

func (s shop) pods(app string) string {
	return fmt.Sprintf("{namespace: %s, labels: {app: %s}}", s.namespace, app)
}

// suffers is what the stand-in's daemon does to the pods of a service now, or
// that something else runs in them.
func (s shop) suffers(t testing.TB, app string) error {
	for _, pod := range cluster.Pods(t, s.namespace, "app="+app) {
		if source := s.mesh.Suffers(s.namespace, pod.Name); source != "" {
			return fmt.Errorf("%s suffers from %s", pod.Name, source)
		}
		if image := pod.Spec.Containers[0].Image; image != testcluster.Image {
			return fmt.Errorf("%s runs %s", pod.Name, image)
		}
	}
	if n := s.mesh.Kills(s.namespace); n > 0 {
		return errors.New("something was killed")
	}
	return nil
}

// TestEachFaultConforms tries the faults on a few services in turn.
func TestEachFaultConforms(t *testing.T) {
	free := make(chan shop, shops)
	for range shops {
		free <- newShop(t)
	}
	for _, c := range []conformance.Case{
		conformance.Case{Fault: "chaosmesh.network_partition", Params: ", target: DB"},
		conformance.Case{Fault: "chaosmesh.network_delay", Params: ", target: DB, direction: both, latency: 200ms, jitter: 20ms"},
		conformance.Case{Fault: "chaosmesh.network_loss", Params: ", percent: 20"},
		conformance.Case{Fault: "chaosmesh.network_duplicate", Params: ", percent: 20, external: [10.0.0.0/8, example.org]"},
		conformance.Case{Fault: "chaosmesh.network_corrupt", Params: ", percent: 0.5"},
		conformance.Case{Fault: "chaosmesh.network_bandwidth", Params: ", rate: 1mbps"},
		conformance.Case{Fault: "chaosmesh.pod_kill", Params: ""},
		conformance.Case{Fault: "chaosmesh.container_kill", Params: ", containers: [app]"},
		conformance.Case{Fault: "chaosmesh.pod_failure", Params: ""},
		conformance.Case{Fault: "chaosmesh.stress_cpu", Params: ", workers: 2, containers: [app]"},
		conformance.Case{Fault: "chaosmesh.stress_memory", Params: ", size: 50%"},
		conformance.Case{Fault: "chaosmesh.io_latency", Params: ", volume: /var/lib/data, delay: 100ms"},
		conformance.Case{Fault: "chaosmesh.io_fault", Params: ", volume: /var/lib/data, errno: 28, path: /var/lib/data/wal/*"},
		conformance.Case{Fault: "chaosmesh.dns", Params: ", names: [db.shop.svc.*]"},
		conformance.Case{Fault: "chaosmesh.http", Params: ", port: 8080, delay: 2s, method: GET"},
		conformance.Case{Fault: "chaosmesh.time_skew", Params: ", offset: -5m"},
		conformance.Case{Fault: "chaosmesh.apply", Params: ", kind: JVMChaos, spec: {action: gc, port: 9277}"},
	} {
		t.Run(c.Fault, func(t *testing.T) {
			t.Parallel()
			s := <-free
			defer func() { free <- s }()
			conform(t, s, c)
		})
	}
}

// conform tries a fault on the pods of orders.
func conform(t *testing.T, s shop, c conformance.Case) {
	s.fresh(t)
	c.Injector, c.Kind, c.Connections = chaosmesh.Injector, kind(), config()
	c.Soon, c.Patience = 4*time.Second, 2*time.Minute
	c.Params = "{pods: " + s.pods("orders") + strings.ReplaceAll(c.Params, "DB", s.pods("db")) + "}"
	c.Suffers = func(t *testing.T) error { return s.suffers(t, "orders") }
	c.State = func(*testing.T) string { return fmt.Sprint(s.mesh.Kills(s.namespace), " kills") }
	if strings.HasSuffix(c.Fault, "kill") {
		c.Arrange = func(t *testing.T) { s.fresh(t) }
	}
	conformance.Run(t, c)
}

// fresh forgets the kills, and waits until the service is whole again.
func (s shop) fresh(t testing.TB) {
	t.Helper()
	s.mesh.Forget(s.namespace)
	cluster.AwaitAvailable(t, s.namespace, "orders")
}

func open(t testing.TB, config string) *chaos.Catalog {
	t.Helper()
	nodes, problems := document.Parse("connections.yaml", []byte(config))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	conns, problems := actions.NewConnections([]*actions.ConnectionKind{kind()}, nodes[0])
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conns.Close)
	return chaos.NewCatalog(chaosmesh.Injector(conns))
}

func bind(t testing.TB, catalog *chaos.Catalog, fault, params string) chaos.Bound {
	t.Helper()
	f, _ := catalog.Get("chaosmesh." + fault)
	b, problems := f.Bind([]byte(params))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return b
}

// partition is a fault on a shop of its own.
func partition(t *testing.T) (shop, chaos.Bound, chaos.ID) {
	t.Helper()
	s := newShop(t)
	b := bind(t, open(t, config()), "network_partition", "{pods: "+s.pods("orders")+", target: "+s.pods("db")+"}")
	return s, b, chaos.NewID(s.namespace, "cut")
}

// soon is not so soon that a busy machine would not get there.
func soon() time.Time { return time.Now().Add(30 * time.Minute) }

func fails(t *testing.T, err error, class actions.Class, says string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), says) || actions.ClassOf(err) != class {
		t.Errorf("failed as %s with %v, want %s, …%s…", actions.ClassOf(err), err, class, says)
	}
}

func TestTargetsAreThePodsOnBothSides(t *testing.T) {
	t.Parallel()
	s, b, _ := partition(t)
	selected, err := b.Targets(t.Context())
	if err != nil || len(selected.Targets) != 4 || selected.Population != 4 {
		t.Fatalf("%v %v", selected, err)
	}
	if err := (chaos.Limits{MaxTargets: chaos.MaxTargets{Count: 9}}).Check(selected, time.Minute); err == nil || !strings.Contains(err.Error(), s.namespace) {
		t.Errorf("limits do not see the namespace: %v", err)
	}
	one := strings.Replace(s.pods("orders"), "}}", "}, count: 1}", 1)
	selected, err = bind(t, open(t, config()), "pod_kill", "{pods: "+one+"}").Targets(t.Context())
	if err != nil || len(selected.Targets) != 1 || selected.Population != 2 || selected.Targets[0].Labels["app"] != "orders" {
		t.Errorf("%v %v", selected, err)
	}
	none := fmt.Sprintf("{pods: {namespace: %s, labels: {app: nothing}}}", s.namespace)
	selected, err = bind(t, open(t, config()), "pod_kill", none).Targets(t.Context())
	if err != nil || len(selected.Targets) != 0 {
		t.Errorf("%v %v", selected, err)
	}
	err = bind(t, open(t, config()), "pod_kill", none).Inject(t.Context(), "gd-1.none", soon())
	fails(t, err, actions.ClassPermanent, "no running pod")
}

func TestAPodOnTheNetworkOfItsNodeIsRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	pod := &corev1.Pod{Spec: testcluster.Template("host", testcluster.Image).Spec}
	pod.Name, pod.Namespace, pod.Labels, pod.Spec.HostNetwork = "host", s.namespace, map[string]string{"app": "host"}, true
	create(t, pod)
	b := bind(t, open(t, config()), "network_loss", "{pods: "+s.pods("host")+", percent: 5}")
	testcluster.Eventually(t, "pod", func() error {
		selected, err := b.Targets(t.Context())
		if err == nil && len(selected.Targets) == 0 {
			err = errors.New("it does not run yet")
		}
		return err
	})
	fails(t, b.Inject(t.Context(), "gd-1.host", soon()), actions.ClassPermanent, "network of its node")
}

func TestAContainerThatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := bind(t, open(t, config()), "container_kill", "{pods: "+s.pods("orders")+", containers: [sidecar]}")
	fails(t, b.Inject(t.Context(), "gd-1.none", soon()), actions.ClassPermanent, "no container sidecar")
}

func TestASelectionThatChaosMeshDoesNotFollowFails(t *testing.T) {
	t.Parallel()
	s, b, id := partition(t)
	s.mesh.Switch(s.namespace, standin.Switches{SelectsNothing: true})
	fails(t, b.Inject(t.Context(), id, soon()), actions.ClassPermanent, "selects nothing")
	gone(t, b, id)
}

func TestAnInjectionThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	s, b, id := partition(t)
	s.mesh.Switch(s.namespace, standin.Switches{FailsToApply: true})
	fails(t, b.Inject(t.Context(), id, soon()), actions.ClassPermanent, "unable to flush ip sets")
	// It hangs on its finalizer, and nobody claims that it is healed.
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := b.Recover(ctx, id); err == nil {
		t.Error("recovered")
	}
	if err := b.Healed(t.Context(), id); err == nil || !strings.Contains(err.Error(), "unable to flush") {
		t.Errorf("it counts as healed: %v", err)
	}
	s.mesh.Switch(s.namespace, standin.Switches{})
	gone(t, b, id)
}

// gone recovers until nothing is left, as the engine does.
func gone(t *testing.T, b chaos.Bound, id chaos.ID) {
	t.Helper()
	testcluster.Eventually(t, "healing", func() error {
		return errors.Join(b.Recover(t.Context(), id), b.Healed(t.Context(), id))
	})
}

func TestAnInjectionThatIsNeverConfirmedIsNotInForce(t *testing.T) {
	t.Parallel()
	s, b, id := partition(t)
	s.mesh.Switch(s.namespace, standin.Switches{StuckInWait: true})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Inject(ctx, id, soon()) }()
	testcluster.Eventually(t, "waiting", func() error {
		if err := b.Healed(t.Context(), id); err == nil || !strings.Contains(err.Error(), "Not Injected/Wait") {
			return fmt.Errorf("it is not waiting: %w", err)
		}
		return nil
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("injected: %v", err)
	}
	// It was deleted: what the caller did not wait for does not come about later.
	s.mesh.Switch(s.namespace, standin.Switches{})
	gone(t, b, id)
	if err := s.suffers(t, "orders"); err != nil {
		t.Error(err)
	}
}

func TestRecoveriesThatFailAreWaitedFor(t *testing.T) {
	t.Parallel()
	s, b, id := partition(t)
	if err := b.Inject(t.Context(), id, soon()); err != nil {
		t.Fatal(err)
	}
	s.mesh.Switch(s.namespace, standin.Switches{FailsToRecover: 20})
	gone(t, b, id)
	if err := s.suffers(t, "orders"); err != nil {
		t.Error(err)
	}
}

func TestAControllerThatDiesIsNoHealing(t *testing.T) {
	t.Parallel()
	s, b, id := partition(t)
	if err := b.Inject(t.Context(), id, soon()); err != nil {
		t.Fatal(err)
	}
	s.mesh.Switch(s.namespace, standin.Switches{Dead: true})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := b.Recover(ctx, id)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "chaos-daemon") {
		t.Errorf("recovered: %v", err)
	}
	if b.Healed(t.Context(), id) == nil {
		t.Error("it counts as healed")
	}
	s.mesh.Switch(s.namespace, standin.Switches{})
	gone(t, b, id)
}

func TestADeadControllerIsNamed(t *testing.T) {
	t.Parallel()
	s, b, id := partition(t)
	s.mesh.Switch(s.namespace, standin.Switches{Dead: true})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Inject(ctx, id, soon()) }()
	testcluster.Eventually(t, "reason", func() error {
		if err := b.Healed(t.Context(), id); err == nil || !strings.Contains(err.Error(), "does Chaos Mesh run?") {
			return fmt.Errorf("it says %w", err)
		}
		return nil
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("injected: %v", err)
	}
	s.mesh.Switch(s.namespace, standin.Switches{})
	gone(t, b, id)
}

func TestAFinalizerThatIsStuckAfterHealingIsNoFault(t *testing.T) {
	t.Parallel()
	s, b, id := partition(t)
	if err := b.Inject(t.Context(), id, soon()); err != nil {
		t.Fatal(err)
	}
	s.mesh.Switch(s.namespace, standin.Switches{FinalizerStuck: true})
	gone(t, b, id)
	if err := s.suffers(t, "orders"); err != nil {
		t.Error(err)
	}
	s.mesh.Switch(s.namespace, standin.Switches{})
}

// Chaos Mesh says that everything is taken back, and the rules of the pods say
// otherwise.
func TestRulesThatAreLeftAreNoHealing(t *testing.T) {
	t.Parallel()
	s, b, id := partition(t)
	if err := b.Inject(t.Context(), id, soon()); err != nil {
		t.Fatal(err)
	}
	s.mesh.Switch(s.namespace, standin.Switches{ForgetsResidue: true})
	if err := b.Recover(t.Context(), id); err != nil {
		t.Error(err)
	}
	if err := b.Healed(t.Context(), id); err == nil || !strings.Contains(err.Error(), "still has rules of NetworkChaos/"+s.namespace) {
		t.Errorf("healed: %v", err)
	}
}

// The rules are gone, and a node says that it could not do as they say: its pod
// suffers still.
func TestANodeThatCanNotFollowIsNoHealing(t *testing.T) {
	t.Parallel()
	s, b, id := partition(t)
	if err := b.Inject(t.Context(), id, soon()); err != nil {
		t.Fatal(err)
	}
	s.mesh.Switch(s.namespace, standin.Switches{NodeFails: true})
	if err := b.Recover(t.Context(), id); err != nil {
		t.Error(err)
	}
	if err := b.Healed(t.Context(), id); err == nil || !strings.Contains(err.Error(), "unable to flush") {
		t.Errorf("healed: %v", err)
	}
}

func TestAnExperimentOfSomebodyElseIsLeftAlone(t *testing.T) {
	t.Parallel()
	s, b, id := partition(t)
	theirs(t, s.namespace, "rb-"+string(id))
	fails(t, b.Inject(t.Context(), id, soon()), actions.ClassPermanent, "not of this injection")
	fails(t, b.Recover(t.Context(), id), actions.ClassPermanent, "left alone")
	if _, err := open(t, config()).Active(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWhatIsBeingHealedIsNotInjected(t *testing.T) {
	t.Parallel()
	s, b, id := partition(t)
	if err := b.Inject(t.Context(), id, soon()); err != nil {
		t.Fatal(err)
	}
	s.mesh.Switch(s.namespace, standin.Switches{FinalizerStuck: true})
	if err := b.Recover(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	other := bind(t, open(t, config()), "network_partition", "{pods: "+s.pods("orders")+", target: "+s.pods("db")+"}")
	fails(t, other.Inject(t.Context(), id, soon()), actions.ClassPermanent, "being healed")
	s.mesh.Switch(s.namespace, standin.Switches{})
}

func TestAClusterWithoutChaosMeshHasNothingActive(t *testing.T) {
	nobody := "gone: {kubernetes: {kubeconfig: " + cluster.KubeconfigAt(t, "127.0.0.1:1") + "}}"
	if _, err := open(t, nobody).Active(t.Context()); err == nil || !strings.Contains(err.Error(), `"gone"`) {
		t.Errorf("a cluster that does not answer: %v", err)
	}
	both := config() + "\n" + nobody
	s, b, id := partition(t)
	if err := b.Inject(t.Context(), id, soon()); err != nil {
		t.Fatal(err)
	}
	found, err := open(t, both).Active(t.Context())
	if err == nil || !slices.ContainsFunc(found, func(i chaos.Injection) bool { return i.ID == id }) {
		t.Errorf("one cluster hides the other in %s: %v %v", s.namespace, found, err)
	}
	gone(t, b, id)
}

// An account that may inject and not heal is told before anything is injected.
func TestRightsAreAskedForBeforeTheyAreNeeded(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for missing, verbs := range map[string][]string{
		"": {"get", "create", "delete"}, "delete networkchaos.chaos-mesh.org in namespace " + s.namespace: {"get", "create"}, "create networkchaos": {"get", "delete"},
	} {
		account := cluster.Account(t, s.namespace,
			rbacv1.PolicyRule{APIGroups: []string{"chaos-mesh.org"}, Resources: []string{"networkchaos"}, Verbs: verbs},
			rbacv1.PolicyRule{APIGroups: []string{"chaos-mesh.org"}, Resources: []string{"podnetworkchaos", "podiochaos", "podhttpchaos"}, Verbs: []string{"list"}})
		b := bind(t, open(t, fmt.Sprintf("prod: {kubernetes: {kubeconfig: %q}}", account.Kubeconfig)), "network_delay", "{pods: "+s.pods("orders")+", latency: 200ms}")
		asked, err := b.Allowed(t.Context())
		if !asked || (err == nil) != (missing == "") || err != nil && (!strings.Contains(err.Error(), missing) || actions.ClassOf(err) != actions.ClassPermanent) {
			t.Errorf("without %q: %v", missing, err)
		}
	}
}
