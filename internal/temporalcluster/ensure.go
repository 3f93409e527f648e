// Package temporalcluster prepares a namespace for the engine over Temporal's API, on the embedded server and on a
// cluster alike.
package temporalcluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/types/known/durationpb"
)

// DefaultRetention is how long a closed run stays readable in a namespace that Ensure creates without being told.
const DefaultRetention = 180 * 24 * time.Hour

const (
	// settling is how long a cluster may take until all of its hosts know of a change.
	settling = 30 * time.Second
	pause    = 50 * time.Millisecond
)

// Ensure makes sure that the namespace exists, keeps closed runs for at least retention, and has the search attributes,
// and returns once they can be used. It changes nothing that is already so: calling it again, or from several processes
// at once, is fine. A longer retention stays. With retention zero an existing namespace keeps what it has and a new one
// gets DefaultRetention.
//
// The error is a *PermissionError when the client's identity may not make a change that is needed. An attribute that
// exists with another type is an error, as Temporal cannot change it.
func Ensure(ctx context.Context, c client.Client, namespace string, retention time.Duration, attrs map[string]enumspb.IndexedValueType) error {
	if err := ensureNamespace(ctx, c, namespace, retention); err != nil {
		return err
	}
	return settle(ctx, as[*serviceerror.NamespaceNotFound], func(ctx context.Context) error {
		return ensureAttributes(ctx, c, namespace, attrs)
	})
}

func ensureNamespace(ctx context.Context, c client.Client, namespace string, retention time.Duration) error {
	desc, err := c.WorkflowService().DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	switch {
	case as[*serviceerror.NamespaceNotFound](err):
		return register(ctx, c, namespace, retention)
	case err != nil:
		return fmt.Errorf("looking up namespace %s: %w", namespace, err)
	case desc.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration() >= retention:
		return nil
	}
	return prolong(ctx, c, namespace, retention)
}

func register(ctx context.Context, c client.Client, namespace string, retention time.Duration) error {
	if retention == 0 {
		retention = DefaultRetention
	}
	_, err := c.WorkflowService().RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
		Namespace:                        namespace,
		Description:                      "Runs of Runbook.",
		WorkflowExecutionRetentionPeriod: durationpb.New(retention),
	})
	switch {
	case denied(err):
		return &PermissionError{
			Need:     fmt.Sprintf("creating namespace %s", namespace),
			Commands: []string{fmt.Sprintf("temporal operator namespace create --namespace %s --retention %s", namespace, hours(retention))},
			Err:      err,
		}
	case err != nil && !as[*serviceerror.NamespaceAlreadyExists](err):
		return fmt.Errorf("creating namespace %s: %w", namespace, err)
	}
	return nil
}

func prolong(ctx context.Context, c client.Client, namespace string, retention time.Duration) error {
	_, err := c.WorkflowService().UpdateNamespace(ctx, &workflowservice.UpdateNamespaceRequest{
		Namespace: namespace,
		Config:    &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(retention)},
	})
	switch {
	case denied(err):
		return &PermissionError{
			Need:     fmt.Sprintf("prolonging the retention of namespace %s", namespace),
			Commands: []string{fmt.Sprintf("temporal operator namespace update --namespace %s --retention %s", namespace, hours(retention))},
			Err:      err,
		}
	case err != nil:
		return fmt.Errorf("prolonging the retention of namespace %s to %s: %w", namespace, hours(retention), err)
	}
	return nil
}

func hours(d time.Duration) string { return fmt.Sprintf("%dh", int(d.Hours())) }

// settle repeats do while it fails in a way that passes by itself: a cluster's hosts learn of a change one after the other.
func settle(ctx context.Context, passes func(error) bool, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	for {
		err := do(ctx)
		if err == nil || !passes(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// as tells whether err is or wraps an E.
func as[E error](err error) bool {
	var target E
	return errors.As(err, &target)
}
