package objects

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/common/model"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/rollout"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

type runJobParams struct {
	Connection  string         `json:"connection,omitempty" connection:"kubernetes" optional:"true" doc:"Connection to the cluster; may be left out when there is only one."`
	Namespace   string         `json:"namespace" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" max:"63" doc:"Namespace of the job." example:"shop"`
	CronJob     string         `json:"cronjob" pattern:"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$" max:"52" doc:"CronJob whose job is run now. It may be suspended." example:"purge-sessions"`
	Wait        model.Duration `json:"wait" default:"5m" min:"0s" max:"12h" doc:"Wait up to this long until it has succeeded; with 0s it is only started." example:"15m"`
	AllowSystem bool           `json:"allow_system_namespace" default:"false" doc:"Allow the namespaces of the cluster itself: kube-system and all others that begin with kube-."`
}

// UnmarshalDocument also checks what no single field can say.
func (p *runJobParams) UnmarshalDocument(n *document.Node) diag.List {
	type fields runJobParams
	problems := document.Decode(n, (*fields)(p))
	return append(problems, cluster.GuardNamespace(n, p.Namespace, p.AllowSystem)...)
}

type runJobResult struct {
	Job       string `json:"job" doc:"Name of the job."`
	Succeeded bool   `json:"succeeded" doc:"True when it has succeeded; false when it was not waited for."`
}

func (s system) runJobAction() actions.Action {
	return actions.Define(actions.Def[runJobParams, runJobResult]{
		Name: "kubernetes.run_job",
		Doc: "Run the job of a CronJob now, like kubectl create job --from, and wait until it has succeeded. " +
			"What a job may do is said in the cluster, and not in a runbook.",
		Risk:    actions.Destructive,
		Example: "{namespace: shop, cronjob: purge-sessions, wait: 15m}",
		Target:  func(p runJobParams) string { return "cronjob/" + p.Namespace + "/" + p.CronJob },
		Limit:   func(p runJobParams) time.Duration { return time.Duration(p.Wait) + time.Minute },
		Accepts: func(ctx context.Context, _ actions.Target, p runJobParams) error {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return err
			}
			_, err = startJob(ctx, c.Rehearsing(), cluster.Asking, p)
			return err
		},
		Run: func(ctx context.Context, key actions.Key, _ actions.Target, p runJobParams) (runJobResult, error) {
			c, err := s.Client(ctx, p.Connection)
			if err != nil {
				return runJobResult{}, err
			}
			job, err := startJob(ctx, c, key, p)
			if err != nil || p.Wait == 0 {
				return runJobResult{Job: job.Name}, err
			}
			return runJobResult{Job: job.Name, Succeeded: true}, awaitJob(ctx, c, job, time.Duration(p.Wait))
		},
	})
}

// startJob gives the job the same name on each retry, so that there is one.
func startJob(ctx context.Context, c cluster.Client, key actions.Key, p runJobParams) (cluster.Object, error) {
	job := cluster.Object{
		GroupVersionResource: batchv1.SchemeGroupVersion.WithResource("jobs"),
		Namespace:            p.Namespace, Name: p.CronJob + "-" + cluster.MarkOf(key)[:10],
	}
	read, err := c.Get(ctx, cluster.Object{GroupVersionResource: batchv1.SchemeGroupVersion.WithResource("cronjobs"), Namespace: p.Namespace, Name: p.CronJob})
	if err != nil {
		return job, err
	}
	cron, err := cluster.Typed[batchv1.CronJob](read)
	if err != nil {
		return job, err
	}
	body, err := runtime.DefaultUnstructuredConverter.ToUnstructured(jobOf(cron, job.Name))
	if err != nil {
		return job, err
	}
	if _, err = c.Create(ctx, job, &unstructured.Unstructured{Object: body}); apierrors.IsAlreadyExists(err) {
		return job, nil
	}
	return job, err
}

func jobOf(cron batchv1.CronJob, name string) *batchv1.Job {
	job := &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job"},
		ObjectMeta: *cron.Spec.JobTemplate.ObjectMeta.DeepCopy(),
		Spec:       cron.Spec.JobTemplate.Spec,
	}
	job.Name = name
	job.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(&cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))}
	if job.Annotations == nil {
		job.Annotations = map[string]string{}
	}
	job.Annotations["cronjob.kubernetes.io/instantiate"] = "manual" // what kubectl sets
	return job
}

func awaitJob(ctx context.Context, c cluster.Client, job cluster.Object, wait time.Duration) error {
	var why string
	done, err := cluster.Await(ctx, wait, func() (bool, error) {
		read, err := c.Get(ctx, job)
		if err != nil {
			return false, err
		}
		now, err := cluster.Typed[batchv1.Job](read)
		if err != nil {
			return false, err
		}
		why = fmt.Sprintf("%d pods run, %d failed", now.Status.Active, now.Status.Failed)
		for _, condition := range now.Status.Conditions {
			if condition.Status != corev1.ConditionTrue {
				continue
			}
			switch condition.Type {
			case batchv1.JobComplete:
				return true, nil
			case batchv1.JobFailed:
				return false, actions.Permanent(c.Errorf("job %s/%s failed: %s: %s", job.Namespace, job.Name, condition.Reason, condition.Message))
			}
		}
		return false, nil
	})
	if err != nil || done {
		return err
	}
	if pods, err := c.ListPods(ctx, job.Namespace, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job.Name}); err == nil {
		if broken := rollout.Broken(pods); broken != "" {
			why = broken
		}
	}
	return actions.Permanent(c.Errorf("job %s/%s has not succeeded after %s: %s", job.Namespace, job.Name, wait, why))
}
