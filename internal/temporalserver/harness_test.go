//go:build !noembedded

package temporalserver

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"google.golang.org/grpc"
)

const queue = "test"

func TestMain(m *testing.M) {
	if play := os.Getenv(childEnv); play != "" {
		os.Exit(child(play, os.Getenv(childDirEnv)))
	}
	os.Exit(m.Run())
}

func start(tb testing.TB, o Options) *Server {
	tb.Helper()
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	s, err := Start(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Stop)
	return s
}

// dial sees every call on the wire, the SDK's retries included, in watch.
func dial(tb testing.TB, s *Server, watch ...grpc.UnaryClientInterceptor) client.Client {
	tb.Helper()
	c, err := connect(s, watch...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func connect(s *Server, watch ...grpc.UnaryClientInterceptor) (client.Client, error) {
	options := s.ClientOptions()
	options.Logger = sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
	options.ConnectionOptions.DialOptions = []grpc.DialOption{grpc.WithChainUnaryInterceptor(watch...)}
	return client.Dial(options)
}

func work(tb testing.TB, c client.Client) {
	tb.Helper()
	w := worker.New(c, queue, worker.Options{})
	register(w)
	if err := w.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(w.Stop)
}

func register(w worker.Worker) {
	for _, wf := range []any{oneLocalActivity, oneActivity, oneShortActivity, sleeps, holdsActivity, holdsLocalActivity} {
		w.RegisterWorkflow(wf)
	}
	for _, a := range []any{noop, note, hold} {
		w.RegisterActivity(a)
	}
}

// finished waits for a run by asking, as a waiter on the history may miss its end.
func finished(tb testing.TB, c client.Client, id string) {
	tb.Helper()
	eventually(tb, 3*time.Minute, "run "+id+" completes", func() error {
		desc, err := c.DescribeWorkflowExecution(tb.Context(), id, "")
		if err != nil {
			return err
		}
		if status := desc.WorkflowExecutionInfo.Status; status != enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED {
			return fmt.Errorf("status is %s", status)
		}
		return nil
	})
}

func eventually(tb testing.TB, within time.Duration, what string, check func() error) {
	tb.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("waited %s until %s: %v", within, what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// listed waits until a query finds exactly so many runs.
func listed(tb testing.TB, c client.Client, query string, want int64) {
	tb.Helper()
	eventually(tb, 3*time.Minute, fmt.Sprintf("%d runs match %q", want, query), func() error {
		n, err := count(tb.Context(), c, query)
		var invalid *serviceerror.InvalidArgument
		if errors.As(err, &invalid) {
			tb.Fatalf("query %q: %v", query, err)
		}
		if err == nil && n != want {
			err = fmt.Errorf("%d do", n)
		}
		return err
	})
}
