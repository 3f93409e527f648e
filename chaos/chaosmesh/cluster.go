package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	cm "github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/runbook-engine/runbook/actions"
	actual "github.com/runbook-engine/runbook/actions/kubernetes"
	"github.com/runbook-engine/runbook/chaos"
)

// cluster is one with Chaos Mesh.
type cluster struct {
	name string // of the connection
	set  *kubernetes.Clientset
	any  dynamic.Interface
}

// cluster opens a connection once.
func (i *injector) cluster(ctx context.Context, name string) (*cluster, error) {
	settings, err := actual.Settings(ctx, i.conns, name)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = i.conns.Names(actual.Kind)[0] // it is the only one
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if opened, there := i.clusters[name]; there {
		return opened, nil
	}
	quiet()
	set, setErr := kubernetes.NewForConfig(settings)
	dyn, dynErr := dynamic.NewForConfig(settings)
	if err := errors.Join(setErr, dynErr); err != nil {
		return nil, actions.Permanent(fmt.Errorf("open kubernetes %q: %w", name, err))
	}
	i.clusters[name] = &cluster{name, set, dyn}
	return i.clusters[name], nil
}

func (c *cluster) failure(what string, err error) error {
	err = fmt.Errorf("%s kubernetes %q: %w", what, c.name, err)
	for _, forGood := range []func(error) bool{
		apierrors.IsForbidden, apierrors.IsUnauthorized, apierrors.IsInvalid, apierrors.IsBadRequest, apierrors.IsMethodNotSupported,
	} {
		if forGood(err) {
			return actions.Permanent(err)
		}
	}
	return err
}

// resource is that of a kind. The plural of every kind of Chaos Mesh is the kind
// in small letters.
func resource(kind string) schema.GroupVersionResource {
	return cm.SchemeGroupVersion.WithResource(strings.ToLower(kind))
}

func (c *cluster) in(kind, namespace string) dynamic.ResourceInterface {
	return c.any.Resource(resource(kind)).Namespace(namespace)
}

func kindOf(o runtime.Object) string { return reflect.TypeOf(o).Elem().Name() }

// object says where an experiment is.
type object struct{ kind, namespace, name string }

func (o object) String() string { return o.kind + "/" + o.namespace + "/" + o.name }

// source is how Chaos Mesh calls an experiment in the rules it makes of it.
func (o object) source() string { return o.namespace + "/" + o.name }

const namePrefix = "rb-"

func nameOf(id chaos.ID) string { return namePrefix + string(id) }
