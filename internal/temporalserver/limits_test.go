//go:build !noembedded

package temporalserver

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// A storm of alerts and a dashboard that lists runs must not run into the server's limits between tenants. The SDK
// retries what was refused, so the test looks at the wire.
func TestABurstIsNotRateLimited(t *testing.T) {
	const burst, lists = 300, 100
	var refused, late atomic.Int64
	watch := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		err := invoke(ctx, method, req, reply, cc, opts...)
		if status.Code(err) == codes.ResourceExhausted {
			refused.Add(1)
		}
		if poll, ok := reply.(*workflowservice.PollWorkflowTaskQueueResponse); ok && poll.Attempt > 1 {
			late.Add(1)
		}
		return err
	}
	c := dial(t, start(t, Options{}), watch)
	work(t, c)
	began := time.Now()
	var wg sync.WaitGroup
	slots := make(chan struct{}, 16)
	for i := range burst {
		slots <- struct{}{}
		wg.Go(func() {
			execute(t, c, fmt.Sprint("burst/", i), oneLocalActivity)
			<-slots
		})
	}
	for range lists {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if _, err := count(t.Context(), c, "ExecutionStatus = 'Running'"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	t.Logf("%d runs were started within %s", burst, time.Since(began))
	listed(t, c, "ExecutionStatus = 'Completed'", burst)
	t.Logf("and had finished within %s; %d workflow tasks timed out", time.Since(began), late.Load())
	if n := refused.Load(); n > 0 {
		t.Errorf("%d calls were refused by a rate limit", n)
	}
}
