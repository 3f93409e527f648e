package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync/atomic"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runbook-engine/runbook/actions"
)

// Request is one call of the API, in the words of its access rules.
type Request struct {
	Verb, Group, Resource string // get, apps, deployments; pods/eviction
	Namespace, Name       string // Name is empty for a list, Namespace for what is in none
	Reads                 bool   // changes nothing, whatever its verb
}

func (r Request) writes() bool {
	return !r.Reads && slices.Contains([]string{"create", "update", "patch", "delete"}, r.Verb)
}

// String is how errors call it: patch deployments.apps shop/orders-api.
func (r Request) String() string {
	resource, object := r.Resource, r.Namespace
	if r.Group != "" {
		resource += "." + r.Group
	}
	if r.Name != "" {
		object = strings.TrimPrefix(object+"/"+r.Name, "/")
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Verb, resource, object))
}

// rule is the access rule that allows it.
func (r Request) rule() string {
	place := "a Role in namespace " + r.Namespace
	if r.Namespace == "" {
		place = "a ClusterRole"
	}
	return fmt.Sprintf("add to %s: {apiGroups: [%q], resources: [%q], verbs: [%q]}", place, r.Group, r.Resource, r.Verb)
}

// Do makes one request and classifies its error.
func (c Client) Do(ctx context.Context, r Request, call func(ctx context.Context) error) error {
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	return c.Failure(r, call(ctx), sent.Load())
}

// Failure says of an error which request failed and what to do, and classifies
// it; sent is whether the server may have got the request.
func (c Client) Failure(r Request, err error, sent bool) error {
	if err == nil {
		return nil
	}
	return c.classified(r, sent, c.Errorf("%s: %w%s", r, err, hint(r, err)))
}

// MayDo asks the API server whether its access rules allow a request, where it has
// no dry run for it.
func (c Client) MayDo(ctx context.Context, r Request) error {
	resource, part, _ := strings.Cut(r.Resource, "/")
	question := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
		Namespace: r.Namespace, Name: r.Name, Verb: r.Verb, Group: r.Group, Resource: resource, Subresource: part,
	}}}
	asking := Request{Verb: "create", Group: authorizationv1.GroupName, Resource: "selfsubjectaccessreviews", Reads: true}
	err := c.Do(ctx, asking, func(ctx context.Context) (err error) {
		question, err = c.Set.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, question, metav1.CreateOptions{})
		return err
	})
	if err == nil && !question.Status.Allowed {
		err = actions.Permanent(c.Errorf("%s: the access rules do not allow it; %s", r, r.rule()))
	}
	return err
}

// Errorf is fmt.Errorf with the name of the connection in front.
func (c Client) Errorf(format string, args ...any) error {
	return fmt.Errorf("kubernetes "+c.Name+": "+format, args...)
}

func (c Client) classified(r Request, sent bool, err error) error {
	var untrusted *tls.CertificateVerificationError
	code := codeOf(err)
	switch {
	case isRefusal(code), errors.As(err, &untrusted):
		return actions.Permanent(err)
	case r.writes() && len(c.dryRun) == 0 && sent && (code == 0 || code >= 500):
		return actions.Ambiguous(err)
	default:
		return err
	}
}

// codeOf is the HTTP status of the answer; 0 when there was none.
func codeOf(err error) int {
	var answered apierrors.APIStatus
	if errors.As(err, &answered) {
		return int(answered.Status().Code)
	}
	return 0
}

// Answered reports an error in which the server said why it can not do this
// now. A missing right is none, nor is an answer that never came.
func Answered(err error) bool {
	code := codeOf(err)
	return code != 0 && code != http.StatusUnauthorized && code != http.StatusForbidden
}

// Refused reports an answer that will be the same next time.
func Refused(err error) bool { return isRefusal(codeOf(err)) }

func isRefusal(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	}
	return code >= 300 && code < 500
}

// hint says what to do. A request can also be forbidden by an admission
// controller, which no access rule changes.
func hint(r Request, err error) string {
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "cannot "+r.Verb):
		return "; " + r.rule()
	case apierrors.IsUnauthorized(err):
		return "; check the credentials in the kubeconfig of the connection"
	}
	return ""
}
