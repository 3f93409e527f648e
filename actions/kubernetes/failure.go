package kubernetes

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/runbook-engine/runbook/actions"
)

// request is one call of the API, in the words of its access rules.
type request struct {
	verb, group, resource string // get, apps, deployments
	namespace, name       string // name is empty for a list
}

func (r request) writes() bool { return r.verb == "patch" || r.verb == "delete" }

// String is how errors call it: patch deployments.apps shop/orders-api.
func (r request) String() string {
	resource, object := r.resource, r.namespace
	if r.group != "" {
		resource += "." + r.group
	}
	if r.name != "" {
		object += "/" + r.name
	}
	return fmt.Sprintf("%s %s %s", r.verb, resource, object)
}

// rule is the access rule that allows it.
func (r request) rule() string {
	return fmt.Sprintf("add to a Role in namespace %s: {apiGroups: [%q], resources: [%q], verbs: [%q]}", r.namespace, r.group, r.resource, r.verb)
}

// do makes one request and classifies its error.
func (c client) do(ctx context.Context, r request, call func(ctx context.Context) error) error {
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
	})
	err := call(ctx)
	if err == nil {
		return nil
	}
	return classified(r, sent.Load(), fmt.Errorf("kubernetes %s: %s: %w%s", c.name, r, err, hint(r, err)))
}

func classified(r request, sent bool, err error) error {
	var untrusted *tls.CertificateVerificationError
	code := codeOf(err)
	switch {
	case isRefusal(code), errors.As(err, &untrusted):
		return actions.Permanent(err)
	case r.writes() && sent && (code == 0 || code >= 500):
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

// isRefusal reports an answer that will be the same next time.
func isRefusal(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests:
		return false
	}
	return code >= 300 && code < 500
}

// hint says what to do. A request can also be forbidden by an admission
// controller, which no access rule changes.
func hint(r request, err error) string {
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "cannot "+r.verb):
		return "; " + r.rule()
	case apierrors.IsUnauthorized(err):
		return "; check the credentials in the kubeconfig of the connection"
	}
	return ""
}
