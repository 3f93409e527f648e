// Package standin is a stand-in for the controller and the daemon of Chaos Mesh,
// which need a kernel and containers to disturb. It is not the real one. It
// reproduces, against a real API server, what the real one was seen to do: the
// finalizer, the records and their phases, the conditions, and the ways in which
// they do not mean what they say. It can be told to fail as the real one fails.
package standin

import (
	"context"
	"errors"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Switches are the ways in which it fails.
type Switches struct {
	SelectsNothing bool // finds no pod, and does not look again
	StuckInWait    bool // the daemon never answers: nothing is injected
	FailsToApply   bool // each injection fails, and its experiment can not be deleted
	FailsToRecover int  // so many recoveries fail
	FinalizerStuck bool // everything is taken back, and the object stays
	ForgetsResidue bool // says that it has recovered, and leaves the rules of pods
	NodeFails      bool // takes the rules away, and the node can not follow
	Dead           bool // does nothing at all
}

// Controller is a running stand-in.
type Controller struct {
	set   *kubernetes.Clientset
	any   dynamic.Interface
	where string
	kinds []string

	mu       sync.Mutex
	switches map[string]Switches        // by namespace
	hit      map[string]map[string]bool // pods that suffer, by source
	kills    map[string]int             // by namespace
	looked   map[string]bool            // experiments that found nothing, by uid
}

const every = 100 * time.Millisecond

// Start runs one for the experiments of these kinds in a namespace, or in all of
// them where it is "", until ctx ends. What it knows is in the cluster: one that
// was killed is followed by another.
func Start(ctx context.Context, settings *rest.Config, namespace string, kinds ...string) (*Controller, error) {
	set, err := kubernetes.NewForConfig(settings)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(settings)
	if err != nil {
		return nil, err
	}
	c := &Controller{
		set: set, any: dyn, where: namespace, kinds: kinds, switches: map[string]Switches{},
		hit: map[string]map[string]bool{}, kills: map[string]int{}, looked: map[string]bool{},
	}
	go c.run(ctx)
	return c, nil
}

// Switch tells it how to fail for the experiments of a namespace.
func (c *Controller) Switch(namespace string, s Switches) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.switches[namespace] = s
}

// Suffers reports an experiment that a pod suffers from, or "".
func (c *Controller) Suffers(namespace, pod string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for source, pods := range c.hit {
		if pods[namespace+"/"+pod] {
			return source
		}
	}
	return ""
}

// Kills is how many pods or containers of a namespace were killed.
func (c *Controller) Kills(namespace string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kills[namespace]
}

// Forget sets the kills of a namespace back to none.
func (c *Controller) Forget(namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kills[namespace] = 0
}

func (c *Controller) run(ctx context.Context) {
	for ctx.Err() == nil {
		for _, kind := range c.kinds {
			list, err := c.any.Resource(resource(kind)).Namespace(c.where).List(ctx, metav1.ListOptions{})
			if err != nil {
				continue // it is not installed yet, or the server is busy
			}
			for _, o := range list.Items {
				c.one(ctx, &o)
			}
		}
		time.Sleep(every)
	}
}

// one reconciles an experiment. What does not work now is tried again in the
// next round, as with the real controller.
func (c *Controller) one(ctx context.Context, o *unstructured.Unstructured) {
	if s := c.of(o); s.Dead {
		return
	}
	if e, err := c.experiment(o); err == nil {
		_ = e.reconcile(ctx)
	}
}

func (c *Controller) of(o *unstructured.Unstructured) Switches {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.switches[o.GetNamespace()]
}

// recoveryFails counts down the recoveries that fail.
func (c *Controller) recoveryFails(namespace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.switches[namespace]
	if s.FailsToRecover == 0 {
		return false
	}
	s.FailsToRecover--
	c.switches[namespace] = s
	return true
}

func (c *Controller) mark(source, pod string, suffers bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hit[source] == nil {
		c.hit[source] = map[string]bool{}
	}
	c.hit[source][pod] = suffers
}

func (c *Controller) killed(namespace string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kills[namespace]++
}

var (
	errStuck = errors.New("rpc error: the daemon does not answer")
	errFlush = errors.New("unable to flush ip sets for pod")
)
