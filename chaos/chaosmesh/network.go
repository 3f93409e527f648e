package chaosmesh

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"time"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/runtime"
)

// network is a fault between pods and another side: other pods, addresses, or
// everybody.
type network struct {
	cluster   string
	pods      Pods
	target    *Pods
	external  []string
	direction string
}

func (n network) plan(action cm.NetworkChaosAction, how func(*cm.NetworkChaosSpec)) plan {
	return plan{cluster: n.cluster, pods: n.pods, target: n.target, wrong: n.check(), object: func(a aim) runtime.Object {
		spec := cm.NetworkChaosSpec{
			PodSelector: a.pods, Action: action, Duration: a.duration, Direction: cm.Direction(n.direction),
			Target: a.target, ExternalTargets: n.external,
		}
		how(&spec)
		return &cm.NetworkChaos{Spec: spec}
	}}
}

var hostForm = regexp.MustCompile(`^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z]([-a-z0-9]*[a-z0-9])?$`)

func (n network) check() error {
	if n.target != nil && len(n.external) > 0 {
		return errors.New("target and external exclude each other")
	}
	if n.direction != string(cm.To) && n.target == nil {
		return fmt.Errorf("direction %s needs a target", n.direction)
	}
	for _, host := range n.external {
		_, address := netip.ParseAddr(host)
		_, network := netip.ParsePrefix(host)
		if address != nil && network != nil && !hostForm.MatchString(host) {
			return fmt.Errorf("external %q is no address, network or host name", host)
		}
	}
	return nil
}

func percent(n float64) string { return fmt.Sprint(n) }

// duration is as the API wants it: one number and one unit.
func duration(d model.Duration) string { return fmt.Sprintf("%dms", time.Duration(d).Milliseconds()) }
