package testcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/remotecommand"
)

var cluster *Cluster

func TestMain(m *testing.M) { os.Exit(Main(m, &cluster)) }

// What an image does to its pod is what kube/pods.yaml says on top.
func TestImages(t *testing.T) {
	namespace := cluster.Namespace(t)
	for image, want := range map[string]string{
		Image:            "Running ready",
		"missing.test/a": "Pending ImagePullBackOff",
		"crashing.test/": "Running CrashLoopBackOff",
		"unready.test/a": "Running",
		"failing.test/a": "Failed exit 3",
	} {
		name := strings.ToLower(strings.Split(image, ".")[0])
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: Template(name, image).Spec}
		if _, err := cluster.Set.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		Eventually(t, want, func() error {
			now, err := cluster.Set.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
			if err == nil && told(now) != want {
				err = fmt.Errorf("pod %s is %s", name, told(now))
			}
			return err
		})
	}
}

func told(pod *corev1.Pod) string {
	text := string(pod.Status.Phase)
	for _, c := range pod.Status.ContainerStatuses {
		switch {
		case c.Ready:
			text += " ready"
		case c.State.Waiting != nil:
			text += " " + c.State.Waiting.Reason
		case c.State.Terminated != nil:
			text += fmt.Sprint(" exit ", c.State.Terminated.ExitCode)
		}
	}
	return text
}

func TestJobsEnd(t *testing.T) {
	namespace := cluster.Namespace(t)
	for image, want := range map[string]batchv1.JobConditionType{Image: batchv1.JobComplete, "failing.test/a": batchv1.JobFailed} {
		template, none := Template("job", image), int32(0)
		template.Spec.RestartPolicy = corev1.RestartPolicyNever
		job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{GenerateName: "job-"}, Spec: batchv1.JobSpec{Template: template, BackoffLimit: &none}}
		job, err := cluster.Set.BatchV1().Jobs(namespace).Create(t.Context(), job, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		Eventually(t, string(want), func() error {
			now, err := cluster.Set.BatchV1().Jobs(namespace).Get(t.Context(), job.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			for _, c := range now.Status.Conditions {
				if c.Type == want {
					return nil
				}
			}
			return fmt.Errorf("conditions %v", now.Status.Conditions)
		})
	}
}

func TestADisruptionBudgetHoldsBackEvictions(t *testing.T) {
	namespace := cluster.Namespace(t)
	cluster.Deploy(t, namespace, "web", 2)
	cluster.Budget(t, namespace, "web", intstr.FromInt32(2))
	pod := cluster.Pods(t, namespace, "app=web")[0]
	err := cluster.Set.CoreV1().Pods(namespace).EvictV1(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name}})
	if !apierrors.IsTooManyRequests(err) {
		t.Errorf("the eviction gives %v", err)
	}
}

func TestInsideOfAPod(t *testing.T) {
	namespace := cluster.Namespace(t)
	cluster.Deploy(t, namespace, "web", 1)
	pod := cluster.Pods(t, namespace, "app=web")[0]
	cluster.Log(t, "one\ntwo\n", "before\n")
	for options, want := range map[*corev1.PodLogOptions]string{{}: "one\ntwo\n", {Previous: true}: "before\n"} {
		if log, err := cluster.Set.CoreV1().Pods(namespace).GetLogs(pod.Name, options).DoRaw(t.Context()); err != nil || string(log) != want {
			t.Errorf("%+v gives %q (%v)", options, log, err)
		}
	}
	request := cluster.Set.CoreV1().RESTClient().Post().Namespace(namespace).Resource("pods").Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: []string{"echo", "hello"}, Stdout: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(cluster.Config, "GET", request.URL().String())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := executor.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &out}); err != nil || out.String() != "hello\n" {
		t.Errorf("exec gives %q (%v)", out.String(), err)
	}
}

func TestAnAccountHasItsRightsOnly(t *testing.T) {
	namespace, other := cluster.Namespace(t), cluster.Namespace(t)
	account := cluster.Account(t, namespace, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}})
	config, err := clientcmd.BuildConfigFromFlags("", account.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	pods := kubernetes.NewForConfigOrDie(config).CoreV1()
	if _, err := pods.Pods(namespace).List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := pods.Pods(other).List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), account.Name) {
		t.Errorf("elsewhere: %v", err)
	}
}

func TestAFrozenClusterAnswersNobodyAndGoesOn(t *testing.T) {
	cluster.Freeze(t)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := cluster.Set.CoreV1().Nodes().List(ctx, metav1.ListOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("frozen, it gives %v", err)
	}
	cluster.Thaw(t)
	if _, err := cluster.Set.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("thawed, it gives %v", err)
	}
}

func TestALostNode(t *testing.T) {
	namespace := cluster.Namespace(t)
	cluster.Deploy(t, namespace, "web", 1, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.NodeSelector = map[string]string{"kubernetes.io/hostname": "node-2"}
	})
	cluster.LoseNode(t, "node-2")
	pod := cluster.Pods(t, namespace, "app=web")[0]
	Eventually(t, "unready pod", func() error {
		now, err := cluster.Set.CoreV1().Pods(namespace).Get(t.Context(), pod.Name, metav1.GetOptions{})
		if err == nil {
			for _, c := range now.Status.Conditions {
				if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
					err = errors.New("it is ready")
				}
			}
		}
		return err
	})
	if err := cluster.Set.CoreV1().Pods(namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if now, err := cluster.Set.CoreV1().Pods(namespace).Get(t.Context(), pod.Name, metav1.GetOptions{}); err != nil || now.DeletionTimestamp == nil {
		t.Errorf("%v (%v)", now.DeletionTimestamp, err)
	}
}

func TestInstalledResources(t *testing.T) {
	names := []string{"podchaos.chaos-mesh.org", "volumesnapshots.snapshot.storage.k8s.io"}
	cluster.Install(t, names...)
	cluster.Install(t, names...)
	for group, resource := range map[string]string{"chaos-mesh.org/v1alpha1": "podchaos", "snapshot.storage.k8s.io/v1": "volumesnapshots"} {
		Eventually(t, resource, func() error {
			list, err := cluster.Set.Discovery().ServerResourcesForGroupVersion(group)
			if err == nil && list.APIResources[0].Name != resource {
				err = fmt.Errorf("there is %s", list.APIResources[0].Name)
			}
			return err
		})
	}
}
