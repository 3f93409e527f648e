package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

func TestDescribeConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	conforms(t, conformance.Case{
		Action: "kubernetes.describe",
		Params: "{namespace: " + namespace + ", kind: deployment, name: orders}",
	})
}

func TestPatchConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	maps := real.Set.CoreV1().ConfigMaps(namespace)
	conforms(t, conformance.Case{
		Action: "kubernetes.patch",
		Params: "{namespace: " + namespace + ", resource: configmaps.v1., name: limits, merge: {data: {pool: '20'}}}",
		Arrange: func(t *testing.T) {
			_ = maps.Delete(t.Context(), "limits", metav1.DeleteOptions{})
			addLimits(t, namespace)
		},
		State: func(t *testing.T) string { return limits(t, namespace) },
	})
}

func addLimits(t *testing.T, namespace string) {
	t.Helper()
	if _, err := real.Set.CoreV1().ConfigMaps(namespace).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "limits"}, Data: map[string]string{"pool": "10", "queue": "5"},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func limits(t *testing.T, namespace string) string {
	t.Helper()
	now, err := real.Set.CoreV1().ConfigMaps(namespace).Get(t.Context(), "limits", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(now.Data, now.Annotations)
}

func TestRunJobConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	addCronJob(t, namespace, "purge", testcluster.Image)
	addCronJob(t, namespace, "endless", "running.test/app")
	conforms(t, conformance.Case{
		Action: "kubernetes.run_job",
		Params: "{namespace: " + namespace + ", cronjob: purge, wait: 1m}",
		Slow:   "{namespace: " + namespace + ", cronjob: endless, wait: 10m}",
		State: func(t *testing.T) string {
			jobs, err := real.Set.BatchV1().Jobs(namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(len(jobs.Items))
		},
	})
}

func addCronJob(t *testing.T, namespace, name, image string) {
	t.Helper()
	template, none, suspended := testcluster.Template(name, image), int32(0), true
	template.Spec.RestartPolicy = corev1.RestartPolicyNever
	cron := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.CronJobSpec{
		Schedule: "0 3 * * *", Suspend: &suspended,
		JobTemplate: batchv1.JobTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"team": "shop"}}, Spec: batchv1.JobSpec{Template: template, BackoffLimit: &none}},
	}}
	if _, err := real.Set.BatchV1().CronJobs(namespace).Create(t.Context(), cron, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestVolumeSnapshotConforms(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	playDriver(t, namespace, map[string]any{"readyToUse": true, "restoreSize": "1Gi"})
	addClaim(t, namespace, "data")
	conforms(t, conformance.Case{
		Action: "kubernetes.volume_snapshot",
		Params: "{namespace: " + namespace + ", claim: data, wait: 1m}",
		State: func(t *testing.T) string {
			all, err := snapshots(t, namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(len(all.Items))
		},
	})
}

func addClaim(t *testing.T, namespace, name string) {
	t.Helper()
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}}
	if _, err := real.Set.CoreV1().PersistentVolumeClaims(namespace).Create(t.Context(), claim, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func snapshots(t *testing.T, namespace string) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(real.Config)
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(schema.GroupVersionResource{Group: "snapshot.storage.k8s.io", Version: "v1", Resource: "volumesnapshots"}).Namespace(namespace)
}

// playDriver gives each new snapshot a status, as the snapshot controller and a
// storage driver would, of which there are none.
func playDriver(t *testing.T, namespace string, status map[string]any) {
	t.Helper()
	real.Install(t, "volumesnapshots.snapshot.storage.k8s.io")
	all := snapshots(t, namespace)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if list, err := all.List(ctx, metav1.ListOptions{}); err == nil {
				for i := range list.Items {
					one := &list.Items[i]
					if _, told := one.Object["status"]; !told {
						_ = unstructured.SetNestedMap(one.Object, status, "status")
						_, _ = all.UpdateStatus(ctx, one, metav1.UpdateOptions{}) // tried again in the next round
					}
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
}

func TestASnapshotThatCanNotBeTakenSaysWhatItsDriverSays(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	playDriver(t, namespace, map[string]any{"readyToUse": false, "error": map[string]any{"message": "out of space"}})
	_, err := tryRun(t, bind(t, action(t, "kubernetes.volume_snapshot"), "{namespace: "+namespace+", claim: data, wait: 1s}"), "run/1")
	refused(t, err, actions.ClassPermanent, `persistentvolumeclaims "data" not found`)
	addClaim(t, namespace, "data")
	take := bind(t, action(t, "kubernetes.volume_snapshot"), "{namespace: "+namespace+", claim: data, wait: 1s}")
	_, err = tryRun(t, take, "run/1")
	refused(t, err, actions.ClassPermanent, "snapshot "+namespace+"/data-", "can not be used after 1s")
	testcluster.Eventually(t, "what the driver says", func() error {
		all, err := snapshots(t, namespace).List(t.Context(), metav1.ListOptions{})
		if err == nil && (len(all.Items) != 1 || all.Items[0].Object["status"] == nil) {
			err = fmt.Errorf("there are %v", all.Items)
		}
		return err
	})
	_, err = tryRun(t, take, "run/1")
	refused(t, err, actions.ClassPermanent, "can not be used after 1s: out of space")
}

func TestAJobIsMadeOnceFromItsCronJobAndItsEndIsTold(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	addCronJob(t, namespace, "purge", testcluster.Image)
	addCronJob(t, namespace, "broken", "failing.test/app")
	addCronJob(t, namespace, "missing", "missing.test/app")
	result := run(t, bind(t, action(t, "kubernetes.run_job"), "{namespace: "+namespace+", cronjob: purge, wait: 1m}"), "run/1")
	job, err := real.Set.BatchV1().Jobs(namespace).Get(t.Context(), fmt.Sprint(result["job"]), metav1.GetOptions{})
	if err != nil || result["succeeded"] != true || job.Labels["team"] != "shop" || metav1.GetControllerOf(job).Name != "purge" {
		t.Errorf("%v, %+v (%v)", result, job.ObjectMeta, err)
	}
	_, err = tryRun(t, bind(t, action(t, "kubernetes.run_job"), "{namespace: "+namespace+", cronjob: broken, wait: 1m}"), "run/1")
	refused(t, err, actions.ClassPermanent, "job "+namespace+"/broken-", "failed: BackoffLimitExceeded")
	if result := run(t, bind(t, action(t, "kubernetes.run_job"), "{namespace: "+namespace+", cronjob: missing, wait: 0s}"), "run/2"); result["succeeded"] != false {
		t.Errorf("%v", result)
	}
	awaitPods(t, namespace, "app=missing", "a pod without its image", func(pods []corev1.Pod) error {
		if len(pods) < 1 || len(pods[0].Status.ContainerStatuses) < 1 {
			return fmt.Errorf("%d pods", len(pods))
		}
		return nil
	})
	_, err = tryRun(t, bind(t, action(t, "kubernetes.run_job"), "{namespace: "+namespace+", cronjob: missing, wait: 1s}"), "run/2")
	refused(t, err, actions.ClassPermanent, "has not succeeded after 1s: pod missing-", "ImagePullBackOff")
}

func TestOnlyWhatTheConnectionAllowsIsPatched(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	addLimits(t, namespace)
	patch := func(allowed, params string) error {
		t.Helper()
		b := bind(t, actionOver(t, "{kubeconfig: '"+real.Kubeconfig()+"'"+allowed+"}", "kubernetes.patch", time.Now), "{namespace: "+namespace+", "+params+"}")
		_, err := tryRun(t, b, "run/"+params)
		return err
	}
	const params = "resource: configmaps.v1., name: limits, merge: {data: {pool: '20'}}"
	before := limits(t, namespace)
	for _, allowed := range []string{"", ", patch: [{resource: secrets, namespaces: ['*'], fields: [/data]}]", ", patch: [{resource: configmaps, namespaces: [other, 'x-*'], fields: [/data]}]", ", patch: [{resource: configmaps.apps, namespaces: ['*'], fields: [/data]}]"} {
		refused(t, patch(allowed, params), actions.ClassPermanent, "patch configmaps/"+namespace+"/limits: the connection does not allow it", "{resource: configmaps, namespaces: ["+namespace+"], fields: [/spec/…]}")
	}
	allowed := ", patch: [{resource: configmaps, namespaces: ['test-*'], fields: [/data/pool, /data/queue]}, {resource: secrets, namespaces: ['*'], fields: [/metadata]}]"
	for params, want := range map[string]string{
		"resource: configmaps.v1., name: limits, json: [{op: test, path: /data/pool, value: '11'}]":       "test failed",
		"resource: configmaps.v1., name: limits, json: [{op: replace, path: /data/none/deep, value: 1}]":  "missing path",
		"resource: configmaps.v1., name: limits, json: [{op: sing}]":                                      "",
		"resource: configmaps.v1., name: limits, merge: {metadata: {name: other}}":                        "can not make it another object",
		"resource: configmaps.v1., name: limits, merge: {metadata: {namespace: kube-system}}":             "can not make it another object",
		"resource: configmaps.v1., name: limits, merge: {data: 7}":                                        "",
		"resource: configmaps.v1., name: limits, merge: {data: {pool: '20', pools: '1'}}":                 "does not allow /data/pools to be changed",
		"resource: configmaps.v1., name: limits, merge: {data: {pool: '20'}, metadata: {labels: {a: b}}}": "does not allow /metadata/labels/a to be changed",
		"resource: configmaps.v1., name: limits, merge: {data: {a/b: ''}}":                                "does not allow /data/a~1b to be changed",
		"resource: configmaps.v1., name: limits, merge: {data: null}":                                     "does not allow /data to be changed",
		"resource: configmaps.v1., name: limits, json: [{op: add, path: /immutable, value: true}]":        "does not allow /immutable to be changed",
		"resource: configmaps.v1., name: other, merge: {data: {}}":                                        "not found",
		"resource: configmaps.v9., name: limits, merge: {data: {}}":                                       "could not find the requested resource",
	} {
		refused(t, patch(allowed, params), actions.ClassPermanent, want)
	}
	if now := limits(t, namespace); now != before {
		t.Fatalf("it was %s and is %s", before, now)
	}
	if err := patch(allowed, "resource: configmaps.v1., name: limits, json: [{op: replace, path: /data/pool, value: '30'}, {op: remove, path: /data/queue}]"); err != nil {
		t.Fatal(err)
	}
	if now := limits(t, namespace); !strings.HasPrefix(now, "map[pool:30]") {
		t.Errorf("it is %s", now)
	}
}

// The way of clients to a primary, where a Service is that.
func TestClientsAreLedToAnotherPodByTheirService(t *testing.T) {
	t.Parallel()
	namespace := real.Namespace(t)
	for _, name := range []string{"orders-a", "orders-b"} {
		addPod(t, namespace, name, testcluster.Image, func(p *corev1.Pod) { p.Labels["server"] = name })
	}
	if _, err := real.Set.CoreV1().Services(namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "orders-db"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "orders", "server": "orders-a"}, Ports: []corev1.ServicePort{{Port: 5432}}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	awaitServed(t, namespace, "orders-db", "orders-a")
	b := bind(t, actionOver(t, "{kubeconfig: '"+real.Kubeconfig()+"', patch: [{resource: services, namespaces: ['test-*'], fields: [/spec/selector]}]}", "kubernetes.patch", time.Now),
		"{namespace: "+namespace+", resource: services.v1., name: orders-db, merge: {spec: {selector: {server: orders-b}}}}")
	if result := run(t, b, "run/1"); result["changed"] != true {
		t.Errorf("%v", result)
	}
	awaitServed(t, namespace, "orders-db", "orders-b")
}

// awaitServed waits until a Service leads to one pod.
func awaitServed(t *testing.T, namespace, service, pod string) {
	t.Helper()
	testcluster.Eventually(t, service+" to lead to "+pod, func() error {
		slices, err := real.Set.DiscoveryV1().EndpointSlices(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=" + service})
		if err != nil {
			return err
		}
		var led []string
		for _, slice := range slices.Items {
			for _, e := range slice.Endpoints {
				led = append(led, e.TargetRef.Name)
			}
		}
		if fmt.Sprint(led) != fmt.Sprint([]string{pod}) {
			return fmt.Errorf("it leads to %v", led)
		}
		return nil
	})
}

func TestWhatADescriptionHolds(t *testing.T) {
	namespace := real.Namespace(t)
	// A node that another test has lost serves no logs.
	real.Create(t, namespace, "orders", 1, testcluster.Of("crashing.test/app"), onNode("node-1"))
	awaitPods(t, namespace, "app=orders", "crashing pod", func(pods []corev1.Pod) error {
		if len(pods) == 0 || len(pods[0].Status.ContainerStatuses) == 0 {
			return fmt.Errorf("%d pods", len(pods))
		}
		return nil
	})
	pod := real.Pods(t, namespace, "app=orders")[0]
	real.Log(t, "one\ntwo\nthree\n", "panic: out of memory\n")
	testcluster.Eventually(t, "the kubelet's stand-in knows the pod", func() error {
		_, err := real.Set.CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
		return err
	})
	describe := func(params string) string {
		return fmt.Sprint(run(t, bind(t, action(t, "kubernetes.describe"), "{namespace: "+namespace+", "+params+"}"), ""))
	}
	for params, wants := range map[string][]string{
		"kind: deployment, name: orders":                             {"Available=False MinimumReplicasUnavailable", "1x Normal ScalingReplicaSet: Scaled up replica set orders-", "log:]"},
		"kind: pod, name: " + pod.Name:                               {"Ready=False ContainersNotReady", "app: ready=false, 4 restarts, waits: CrashLoopBackOff", "ended with exit code 2: Error"},
		"kind: pod, log_lines: 2, name: " + pod.Name:                 {"log:two\nthree\n"},
		"kind: pod, log_lines: 9, previous: true, name: " + pod.Name: {"log:panic: out of memory\n"},
	} {
		for _, want := range wants {
			if got := describe(params); !strings.Contains(got, want) {
				t.Errorf("%s does not hold %q: %s", params, want, got)
			}
		}
	}
	if got := describe("kind: pod, log_lines: 1, container: sidecar, name: " + pod.Name); !strings.Contains(got, "CrashLoopBackOff") || !strings.Contains(got, "container sidecar is not valid for pod") {
		t.Errorf("without a log: %s", got)
	}
	_, problems := named(t, System(nil), "kubernetes.describe").Bind([]byte("{namespace: shop, kind: job, name: x, log_lines: 3}"))
	if err := problems.Err(); err == nil || !strings.Contains(err.Error(), "only a pod has a log") {
		t.Errorf("%v", err)
	}
}
