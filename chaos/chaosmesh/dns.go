package chaosmesh

import (
	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/chaos"
)

type dnsParams struct {
	Cluster    string   `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods       Pods     `json:"pods" doc:"The pods that ask."`
	Containers []string `json:"containers,omitempty" optional:"true" min:"1" max:"20" doc:"Names of the containers; the first one of each pod without it."`
	Answer     string   `json:"answer" default:"error" enum:"error|random" doc:"What they get: an error, or a random address."`
	Names      []string `json:"names" min:"1" max:"100" doc:"Host names that are meant; ? is any character, and * at the end is any text. Never empty: that would be all names." example:"[orders-db.shop.svc.*]"`
}

func dns(i *injector) chaos.Fault {
	return define(i, "dns",
		"Host names lead nowhere, or anywhere.",
		"{pods: {namespace: shop, labels: {app: orders}}, names: [orders-db.shop.svc.*]}",
		func(p dnsParams) plan {
			return plan{cluster: p.Cluster, pods: p.Pods, containers: p.Containers, object: func(a aim) runtime.Object {
				return &cm.DNSChaos{Spec: cm.DNSChaosSpec{
					ContainerSelector: a.containers(p.Containers), Duration: a.duration,
					Action: cm.DNSChaosAction(p.Answer), DomainNamePatterns: p.Names,
				}}
			}}
		})
}
