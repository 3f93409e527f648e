package alertmanagerapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// Error is a request that failed.
type Error struct {
	// Op is what was being done, such as "list alerts".
	Op string
	// Server is the address of the Alertmanager.
	Server string
	// Status is that of the answer when it was no success; 0 when there was no
	// answer, or one that can not be understood.
	Status int
	// Sent reports that the request may have reached Alertmanager.
	Sent bool
	Err  error
}

func (e *Error) Error() string {
	if hint := hints[e.Status]; hint != "" {
		return fmt.Sprintf("%s at %s: %v (%s)", e.Op, e.Server, e.Err, hint)
	}
	return fmt.Sprintf("%s at %s: %v", e.Op, e.Server, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

var hints = map[int]string{
	http.StatusUnauthorized: "check bearer_token_file, or username and password_file, of the connection",
	http.StatusForbidden:    "the login of the connection may not do this",
	http.StatusNotFound:     "check the path prefix in the url of the connection",
}

// exchange is what is known of one request from outside the generated client,
// which loses the status when it can not read the body of a failure.
type exchange struct {
	sent   atomic.Bool
	status atomic.Int32
}

type exchangeKey struct{}

// observed notes the status of each answer in the exchange of its request.
type observed struct{ *http.Transport }

func (o observed) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := o.Transport.RoundTrip(request)
	if x, ok := request.Context().Value(exchangeKey{}).(*exchange); ok && err == nil && response.StatusCode >= 300 {
		x.status.Store(int32(response.StatusCode))
	}
	return response, err
}

// do runs one request and gives its error the place and the fate.
func (c *Client) do(ctx context.Context, op string, request func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	x := &exchange{}
	ctx = httptrace.WithClientTrace(context.WithValue(ctx, exchangeKey{}, x), &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { x.sent.Store(true) },
	})
	err := request(ctx)
	if err == nil {
		return nil
	}
	status := int(x.status.Load())
	if status != 0 {
		err = fmt.Errorf("the answer is %d %s%s", status, http.StatusText(status), said(err))
	}
	return &Error{Op: op, Server: c.url, Status: status, Sent: x.sent.Load(), Err: err}
}

// said is what Alertmanager wrote in the answer, as far as the generated client
// keeps it.
func said(err error) string {
	var spoken interface{ GetPayload() string }
	if errors.As(err, &spoken) && spoken.GetPayload() != "" {
		return ": " + spoken.GetPayload()
	}
	return ""
}
