// Package chaosmesh disturbs pods through Chaos Mesh. It is the only place that
// knows its API module, which brings controller-runtime into the program.
//
// Chaos Mesh accepts what harms: an empty selector means a whole namespace, an
// experiment without a duration lasts for ever, a partition without a target
// cuts a pod off from its own kubelet. So the pods are resolved here and named
// one by one, each experiment has a duration, and parameters are held against
// rules of our own before the API server sees them.
package chaosmesh

import (
	"context"
	"sync"
	"time"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
)

// Injector is the faults of Chaos Mesh. Clusters are reached by the connections
// that the actions have, too.
func Injector(conns *actions.Connections) chaos.Injector {
	i := &injector{conns: conns, clusters: map[string]*cluster{}}
	return chaos.Injector{
		Name: "chaosmesh",
		Faults: []chaos.Fault{
			apply(i),
			containerKill(i),
			dns(i),
			httpFault(i),
			ioFault(i),
			ioLatency(i),
			networkBandwidth(i),
			networkCorrupt(i),
			networkDelay(i),
			networkDuplicate(i),
			networkLoss(i),
			networkPartition(i),
			podFailure(i),
			podKill(i),
			stressCPU(i),
			stressMemory(i),
			timeSkew(i),
		},
		Active: i.active,
		Heal:   i.healFound,
	}
}

type injector struct {
	conns *actions.Connections

	mu       sync.Mutex
	clusters map[string]*cluster // by the names of their connections
}

// quiet keeps controller-runtime from complaining on standard error that nobody
// has told it where to log.
var quiet = sync.OnceFunc(func() { ctrl.SetLogger(logr.Discard()) })

// plan is an experiment before its pods are known.
type plan struct {
	cluster    string
	pods       Pods
	target     *Pods    // the other side of a network fault
	containers []string // where the fault is one of containers
	object     func(aim) runtime.Object
	// wrong says why the parameters do not go together.
	wrong error
}

// aim is what an experiment is pointed at, and for how long.
type aim struct {
	pods     cm.PodSelector
	target   *cm.PodSelector
	duration *string
}

func (a aim) containers(names []string) cm.ContainerSelector {
	return cm.ContainerSelector{PodSelector: a.pods, ContainerNames: names}
}

// define declares a fault by the experiment it is.
func define[P any](i *injector, name, doc, example string, does func(P) plan) chaos.Fault {
	d := faulty(i, name, doc, example, does)
	d.Recover = func(ctx context.Context, id chaos.ID, p P) error {
		e, err := i.experiment(ctx, does(p), id)
		if err != nil {
			return err
		}
		return e.heal(ctx)
	}
	d.Healed = func(ctx context.Context, id chaos.ID, p P) error {
		e, err := i.experiment(ctx, does(p), id)
		if err != nil {
			return err
		}
		return e.healed(ctx)
	}
	return chaos.Define(d)
}

// defineOneShot declares a fault that is over once it happened.
func defineOneShot[P any](i *injector, name, doc, example string, does func(P) plan) chaos.Fault {
	d := faulty(i, name, doc, example, does)
	d.OneShot = true
	return chaos.Define(d)
}

func faulty[P any](i *injector, name, doc, example string, does func(P) plan) chaos.Def[P] {
	d := chaos.Def[P]{Name: "chaosmesh." + name, Doc: doc, Example: example}
	d.Targets = func(ctx context.Context, p P) (chaos.Selection, error) {
		e, err := i.experiment(ctx, does(p), "")
		if err != nil {
			return chaos.Selection{}, err
		}
		return e.targets(ctx)
	}
	d.Allowed = func(ctx context.Context, p P) error {
		e, err := i.experiment(ctx, does(p), "")
		if err != nil {
			return err
		}
		return e.allowed(ctx)
	}
	d.Inject = func(ctx context.Context, id chaos.ID, p P, deadline time.Time) error {
		e, err := i.experiment(ctx, does(p), id)
		if err != nil {
			return err
		}
		return e.inject(ctx, d.Name, deadline)
	}
	return d
}

// experiment is one on its cluster.
func (i *injector) experiment(ctx context.Context, p plan, id chaos.ID) (*experiment, error) {
	if p.wrong != nil {
		return nil, actions.Permanent(p.wrong)
	}
	c, err := i.cluster(ctx, p.cluster)
	if err != nil {
		return nil, err
	}
	return &experiment{cluster: c, plan: p, id: id, object: object{kindOf(p.object(aim{})), p.pods.Namespace, nameOf(id)}}, nil
}
