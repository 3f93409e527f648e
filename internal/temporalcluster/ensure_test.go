//go:build !noembedded

package temporalcluster_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/runbook-engine/runbook/internal/temporalcluster"
	"github.com/runbook-engine/runbook/internal/temporalserver"
)

type types = map[string]enumspb.IndexedValueType

var wanted = types{
	"TestRunbook": enumspb.INDEXED_VALUE_TYPE_KEYWORD,
	"TestTargets": enumspb.INDEXED_VALUE_TYPE_INT,
}

// deny plays a cluster on which our identity may not call these methods.
func deny(methods ...string) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		for _, m := range methods {
			if strings.HasSuffix(method, "/"+m) {
				return status.Error(codes.PermissionDenied, "request unauthorized")
			}
		}
		return invoke(ctx, method, req, reply, cc, opts...)
	}
}

func start(t *testing.T) *temporalserver.Server {
	t.Helper()
	s, err := temporalserver.Start(t.Context(), temporalserver.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func dial(t *testing.T, s *temporalserver.Server, watch ...grpc.UnaryClientInterceptor) client.Client {
	t.Helper()
	options := s.ClientOptions()
	options.Logger = sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))
	options.ConnectionOptions.DialOptions = []grpc.DialOption{grpc.WithChainUnaryInterceptor(watch...)}
	c, err := client.Dial(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func retention(t *testing.T, c client.Client, namespace string) time.Duration {
	t.Helper()
	desc, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	return desc.Config.WorkflowExecutionRetentionTtl.AsDuration()
}

func TestEnsureFromNothingBySeveralAtOnce(t *testing.T) {
	s := start(t)
	var wg sync.WaitGroup
	for range 3 {
		c := dial(t, s)
		wg.Go(func() {
			if err := temporalcluster.Ensure(t.Context(), c, "fresh", 0, wanted); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c := dial(t, s)
	if got := retention(t, c, "fresh"); got != temporalcluster.DefaultRetention {
		t.Errorf("retention is %s", got)
	}
	list, err := c.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{Namespace: "fresh"})
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range wanted {
		if list.CustomAttributes[name] != kind {
			t.Errorf("%s is %s, want %s", name, list.CustomAttributes[name], kind)
		}
	}
	_, err = c.WorkflowService().ListWorkflowExecutions(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: "fresh", Query: `TestRunbook = "x" AND TestTargets > 1`,
	})
	if err != nil {
		t.Error(err)
	}
}

func TestEnsureNeedsNoPermissionWhenNothingIsMissing(t *testing.T) {
	s := start(t)
	if err := temporalcluster.Ensure(t.Context(), dial(t, s), "shared", time.Hour*48, wanted); err != nil {
		t.Fatal(err)
	}
	for name, denied := range map[string][]string{
		"no changes":  {"RegisterNamespace", "UpdateNamespace", "AddSearchAttributes"},
		"no operator": {"RegisterNamespace", "UpdateNamespace", "AddSearchAttributes", "ListSearchAttributes"},
	} {
		c := dial(t, s, deny(denied...))
		for _, keep := range []time.Duration{0, time.Hour * 24, time.Hour * 48} {
			if err := temporalcluster.Ensure(t.Context(), c, "shared", keep, wanted); err != nil {
				t.Errorf("%s, retention %s: %v", name, keep, err)
			}
		}
	}
}

func TestEnsureSaysWhatAnAdministratorHasToRun(t *testing.T) {
	s := start(t)
	for name, c := range map[string]struct {
		denied    []string
		namespace string
		keep      time.Duration
		want      []string
	}{
		"attributes": {
			[]string{"AddSearchAttributes"}, "default", 0,
			[]string{
				"temporal operator search-attribute create --namespace default --name TestRunbook --type Keyword",
				"temporal operator search-attribute create --namespace default --name TestTargets --type Int",
			},
		},
		"attributes that cannot be listed": {
			[]string{"AddSearchAttributes", "ListSearchAttributes"}, "default", 0,
			[]string{
				"temporal operator search-attribute create --namespace default --name TestRunbook --type Keyword",
				"temporal operator search-attribute create --namespace default --name TestTargets --type Int",
			},
		},
		"namespace": {
			[]string{"RegisterNamespace"}, "absent", 0,
			[]string{"temporal operator namespace create --namespace absent --retention 4320h"},
		},
		"retention": {
			[]string{"UpdateNamespace"}, "default", 365 * 24 * time.Hour,
			[]string{"temporal operator namespace update --namespace default --retention 8760h"},
		},
	} {
		err := temporalcluster.Ensure(t.Context(), dial(t, s, deny(c.denied...)), c.namespace, c.keep, wanted)
		var permission *temporalcluster.PermissionError
		if !errors.As(err, &permission) {
			t.Errorf("%s: got %v, want a PermissionError", name, err)
			continue
		}
		if strings.Join(permission.Commands, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: commands are\n%s\nwant\n%s", name, strings.Join(permission.Commands, "\n"), strings.Join(c.want, "\n"))
		}
		for _, command := range c.want {
			if !strings.Contains(err.Error(), command) {
				t.Errorf("%s: %q is not in the error: %v", name, command, err)
			}
		}
	}
}

func TestEnsureRefusesAnotherType(t *testing.T) {
	c := dial(t, start(t))
	if err := temporalcluster.Ensure(t.Context(), c, "default", 0, types{"TestRunbook": enumspb.INDEXED_VALUE_TYPE_INT}); err != nil {
		t.Fatal(err)
	}
	err := temporalcluster.Ensure(t.Context(), c, "default", 0, wanted)
	if err == nil || !strings.Contains(err.Error(), "TestRunbook") || !strings.Contains(err.Error(), "type Int and Keyword is needed") {
		t.Errorf("got %v", err)
	}
}
