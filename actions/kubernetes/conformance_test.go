package kubernetes

import (
	"fmt"
	"testing"

	"github.com/runbook-engine/runbook/actions/conformance"
)

func conforms(t *testing.T, s *apiServer, c conformance.Case) {
	c.System, c.Address, c.Secrets = System, s.address(), []string{token}
	c.State = s.state
	c.Connections = func(address string) string {
		return fmt.Sprintf("prod: {kubernetes: {kubeconfig: '%s'}}", s.kubeconfig(t, address))
	}
	conformance.Run(t, c)
}

func TestRolloutRestartConforms(t *testing.T) {
	s := newAPIServer(t)
	conforms(t, s, conformance.Case{
		Action:  "kubernetes.rollout_restart",
		Params:  `{namespace: shop, deployment: orders-api}`,
		Arrange: func(t *testing.T) { s.add(t, deployment()) },
	})
}

func TestDeletePodsConforms(t *testing.T) {
	s := newAPIServer(t)
	conforms(t, s, conformance.Case{
		Action:  "kubernetes.delete_pods",
		Params:  `{namespace: shop, selector: app=orders-api, older_than: 5m, grace_period: 20s, limit: 2}`,
		Nothing: `{namespace: shop, selector: app=nothing}`,
		Arrange: func(t *testing.T) {
			for _, name := range []string{"orders-api-1", "orders-api-2", "orders-api-3"} {
				s.add(t, pod(name, "orders-api"))
			}
			s.add(t, pod("stock-api-1", "stock-api"))
		},
	})
}
