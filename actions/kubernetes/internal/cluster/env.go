package cluster

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/runbook-engine/runbook/actions"
)

// Env is what actions are made of.
type Env struct {
	Conns *actions.Connections
	Now   func() time.Time
}

// Client is a connection by its name; the only one when that is empty.
func (e Env) Client(ctx context.Context, name string) (Client, error) {
	return Connection().Get(ctx, e.Conns, name)
}

// Typed is an answer of the API as T has it.
func Typed[T any](object *unstructured.Unstructured) (into T, err error) {
	err = runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &into)
	return into, err
}
