package cluster

import (
	"fmt"
	"strings"

	"github.com/runbook-engine/runbook/internal/diag"
	"github.com/runbook-engine/runbook/internal/document"
)

// systemPrefix is reserved for the namespaces that the cluster itself needs.
const systemPrefix = "kube-"

// GuardNamespace refuses the namespaces of the cluster itself unless the
// document allows them: a namespace often comes from a label of an alert.
func GuardNamespace(n *document.Node, namespace string, allowed bool) (problems diag.List) {
	if strings.HasPrefix(namespace, systemPrefix) && !allowed {
		problems.Add(n.Get("namespace").At, "system-namespace",
			fmt.Sprintf("namespace %q belongs to the cluster itself", namespace), "allow_system_namespace: true, if this is meant")
	}
	return problems
}

// Given counts which of the keys a document sets.
func Given(n *document.Node, keys ...string) (count int) {
	for _, key := range keys {
		if value := n.Get(key); value != nil && value.Kind != document.Null {
			count++
		}
	}
	return count
}
