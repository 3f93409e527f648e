package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/runbook-engine/runbook/actions"
)

const (
	lookEvery = 200 * time.Millisecond
	// injectedWithin bounds the wait for Chaos Mesh to bring a fault about.
	injectedWithin = time.Minute
	// selectedWithin is how long a controller that looks at an experiment may
	// find no pod: it does not look again by itself.
	selectedWithin = 5 * time.Second
)

// inject creates the experiment and waits until it is in force. An experiment of
// the same injection that is there already is taken as it is.
func (e *experiment) inject(ctx context.Context, fault string, deadline time.Time) error {
	there, err := e.get(ctx)
	if err != nil {
		return err
	}
	if there == nil {
		if there, err = e.create(ctx, fault, deadline); err != nil {
			return err
		}
	}
	if err := e.adopt(there); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, injectedWithin)
	defer cancel()
	if err := e.awaitInjected(ctx, expected(there)); err != nil {
		return e.giveUp(ctx, err)
	}
	return nil
}

func (e *experiment) create(ctx context.Context, fault string, deadline time.Time) (*unstructured.Unstructured, error) {
	o, records, err := e.build(ctx, fault, deadline)
	if err != nil {
		return nil, err
	}
	annotations := o.GetAnnotations()
	annotations[recordsAnnotation] = fmt.Sprint(records)
	o.SetAnnotations(annotations)
	made, err := e.cluster.in(e.object.kind, e.object.namespace).Create(ctx, o, metav1.CreateOptions{})
	switch {
	case apierrors.IsAlreadyExists(err):
		return e.get(ctx)
	case apierrors.IsNotFound(err):
		return nil, actions.Permanent(e.cluster.failure("inject into", fmt.Errorf("it knows no %s; is Chaos Mesh installed? %w", e.object.kind, err)))
	case err != nil:
		return nil, e.cluster.failure("create "+e.object.String()+" in", err)
	}
	return made, nil
}

// get gives nil when there is none.
func (e *experiment) get(ctx context.Context) (*unstructured.Unstructured, error) {
	there, err := e.cluster.in(e.object.kind, e.object.namespace).Get(ctx, e.object.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, e.cluster.failure("look at "+e.object.String()+" in", err)
	}
	return there, nil
}

func (e *experiment) adopt(there *unstructured.Unstructured) error {
	switch {
	case there == nil:
		return e.cluster.failure("inject into", fmt.Errorf("%s has vanished", e.object))
	case !e.ours(there):
		return actions.Permanent(e.cluster.failure("inject into", fmt.Errorf("%s is there, and is not of this injection", e.object)))
	case there.GetDeletionTimestamp() != nil:
		return actions.Permanent(e.cluster.failure("inject into", fmt.Errorf("%s is being healed", e.object)))
	}
	return nil
}

func (e *experiment) ours(there *unstructured.Unstructured) bool {
	l := there.GetLabels()
	return l[managedBy] == us && l[injectionLabel] == string(e.id)
}

func (e *experiment) awaitInjected(ctx context.Context, records int) error {
	var empty time.Time // since when it has been looked at, and found empty
	for {
		there, err := e.get(ctx)
		if actions.ClassOf(err) == actions.ClassPermanent {
			return err
		}
		var now status
		if there != nil {
			now = read(there)
		}
		switch {
		case there == nil && err == nil:
			return fmt.Errorf("inject into kubernetes %q: somebody has deleted %s", e.cluster.name, e.object)
		case now.injected(records), now.over():
			return nil
		case now.failed() != "":
			return actions.Permanent(fmt.Errorf("inject into kubernetes %q: %s: %s", e.cluster.name, e.object, now.failed()))
		case now.late():
			return actions.Permanent(fmt.Errorf("inject into kubernetes %q: the time of %s was over before it was in force", e.cluster.name, e.object))
		case err != nil: // the API server does not answer now
		case now.empty() && empty.IsZero():
			empty = time.Now()
		case now.empty() && time.Since(empty) > selectedWithin:
			return actions.Permanent(fmt.Errorf("inject into kubernetes %q: %s selects nothing", e.cluster.name, e.object))
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			if err != nil {
				return errors.Join(ctx.Err(), err)
			}
			return fmt.Errorf("inject into kubernetes %q: %s is not in force: %s: %w", e.cluster.name, e.object, now, ctx.Err())
		}
	}
}

// giveUp leaves no fault to come about later. That it is gone, Recover waits for.
func (e *experiment) giveUp(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteWithin)
	defer cancel()
	return errors.Join(err, e.delete(ctx))
}
