package chaosmesh

import (
	"context"
	"errors"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runbook-engine/runbook/actions"
)

// allowed asks the API server for every right that the experiment takes. One that
// is only missed when it is to be healed is missed too late.
func (e *experiment) allowed(ctx context.Context) error {
	var missing []error
	for _, verb := range []string{"get", "create", "delete"} {
		missing = append(missing, e.may(ctx, verb, e.object.kind, e.object.namespace))
	}
	if !oneShot(e.plan.object(aim{})) {
		for _, namespace := range e.namespaces() {
			for _, kind := range ruleKinds {
				missing = append(missing, e.may(ctx, "list", kind, namespace))
			}
		}
	}
	return errors.Join(missing...)
}

func (e *experiment) may(ctx context.Context, verb, kind, namespace string) error {
	r := resource(kind)
	question := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: namespace, Verb: verb, Group: r.Group, Resource: r.Resource},
	}}
	answer, err := e.cluster.set.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, question, metav1.CreateOptions{})
	if err != nil {
		return e.cluster.failure("ask for the rights in", err)
	}
	if !answer.Status.Allowed {
		return actions.Permanent(fmt.Errorf("kubernetes %q does not allow to %s %s.%s in namespace %s", e.cluster.name, verb, r.Resource, r.Group, namespace))
	}
	return nil
}
