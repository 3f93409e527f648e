package rollout

import (
	"strings"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// workload names a thing that runs pods from a template.
type workload struct{ kind, namespace, name string }

// workloadOf is the one of the names that is given.
func workloadOf(namespace, deployment, statefulSet, daemonSet string) workload {
	switch {
	case statefulSet != "":
		return workload{"statefulset", namespace, statefulSet}
	case daemonSet != "":
		return workload{"daemonset", namespace, daemonSet}
	default:
		return workload{"deployment", namespace, deployment}
	}
}

// id is its name as a target.
func (w workload) id() string { return w.kind + "/" + w.namespace + "/" + w.name }

func (w workload) object() cluster.Object {
	return cluster.Object{GroupVersionResource: appsv1.SchemeGroupVersion.WithResource(w.kind + "s"), Namespace: w.namespace, Name: w.name}
}

// guardOne wants exactly one of the keys, and a namespace that may be touched.
func guardOne(n *document.Node, namespace string, allowSystem bool, keys ...string) (problems diag.List) {
	if cluster.Given(n, keys...) != 1 {
		last := len(keys) - 1
		problems.Add(n.At, "exactly-one", "exactly one of "+strings.Join(keys[:last], ", ")+" and "+keys[last]+" must be given", keys[0]+": NAME")
	}
	return append(problems, cluster.GuardNamespace(n, namespace, allowSystem)...)
}
