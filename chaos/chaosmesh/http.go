package chaosmesh

import (
	"errors"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/chaos"
)

type httpParams struct {
	Cluster string         `json:"cluster,omitempty" optional:"true" connection:"kubernetes" doc:"Connection to the cluster; the only one without it."`
	Pods    Pods           `json:"pods" doc:"The pods that serve."`
	Port    int            `json:"port" min:"1" max:"65535" doc:"Port that they serve on." example:"8080"`
	Target  string         `json:"target" default:"Response" enum:"Request|Response" doc:"What is meant: what comes in, or what goes out."`
	Abort   bool           `json:"abort" default:"false" doc:"The connection is broken off. Either this or delay."`
	Delay   model.Duration `json:"delay" default:"0s" min:"0s" max:"10m" doc:"It is late. Either this or abort."`
	Path    string         `json:"path" default:"*" doc:"Only paths that this pattern means."`
	Method  string         `json:"method,omitempty" optional:"true" enum:"GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS" doc:"Only this method."`
	Code    int            `json:"code,omitempty" optional:"true" min:"100" max:"599" doc:"Only responses with this status."`
}

func httpFault(i *injector) chaos.Fault {
	return define(i, "http",
		"HTTP requests to pods are broken off, or late.",
		"{pods: {namespace: shop, labels: {app: orders}, count: 1}, port: 8080, delay: 2s}",
		func(p httpParams) plan {
			made := plan{cluster: p.Cluster, pods: p.Pods, object: p.object}
			if p.Abort == (p.Delay > 0) {
				made.wrong = errors.New("an HTTP fault is either abort or delay")
			}
			if p.Code != 0 && p.Target != "Response" {
				made.wrong = errors.New("code is that of a response")
			}
			return made
		})
}

func (p httpParams) object(a aim) runtime.Object {
	spec := cm.HTTPChaosSpec{PodSelector: a.pods, Duration: a.duration, Target: cm.PodHttpChaosTarget(p.Target), Port: int32(p.Port), Path: &p.Path}
	if p.Abort {
		spec.Abort = &p.Abort
	} else {
		late := duration(p.Delay)
		spec.Delay = &late
	}
	if p.Method != "" {
		spec.Method = &p.Method
	}
	if p.Code != 0 {
		code := int32(p.Code)
		spec.Code = &code
	}
	return &cm.HTTPChaos{Spec: spec}
}
