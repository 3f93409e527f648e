package inside

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	utilexec "k8s.io/client-go/util/exec"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/kubernetes/internal/cluster"
)

// run gives the exit code of a command that was run to its end. No shell reads
// its arguments.
func (in container) run(ctx context.Context, r cluster.Request, argv []string, stdout, stderr io.Writer) (exit int, err error) {
	session, err := in.session(r, argv)
	if err != nil {
		return 0, actions.Permanent(in.c.Errorf("%s: %w", r, err))
	}
	err = stream(ctx, session, remotecommand.StreamOptions{Stdout: stdout, Stderr: stderr})
	var ended utilexec.CodeExitError
	if errors.As(err, &ended) {
		exit, err = ended.Code, nil
	}
	err = in.c.Failure(r, err, !neverReached(err))
	if neverStarted(exit, err) {
		return exit, notFound{err}
	}
	return exit, err
}

// stream ends with its context, also while the other end does not answer the
// beginning: there client-go waits until the context's deadline, which run's
// callers set, whether or not it is cancelled.
func stream(ctx context.Context, session remotecommand.Executor, options remotecommand.StreamOptions) error {
	ended := make(chan error, 1)
	go func() { ended <- session.StreamWithContext(ctx, options) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func neverReached(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "dial"
}

// session speaks WebSocket, and SPDY where what is between us and the API server,
// or our rights, do not let a WebSocket through. For a command that changes
// something it is the other way round: when an API server loses the node of a pod,
// it says over a WebSocket that the command has succeeded.
func (in container) session(r cluster.Request, argv []string) (remotecommand.Executor, error) {
	url := in.c.Set.CoreV1().RESTClient().Post().Timeout(0).
		Namespace(in.pod.Namespace).Resource("pods").Name(in.pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: in.name, Command: argv, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
	modern, err := remotecommand.NewWebSocketExecutor(in.c.Rest, http.MethodGet, url.String())
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(in.c.Rest)
	if err != nil {
		return nil, err
	}
	old := &endsKnown{upgrader: upgrader}
	if old.Executor, err = remotecommand.NewSPDYExecutorForTransports(transport, old, http.MethodPost, url); err != nil {
		return nil, err
	}
	if r.Reads {
		return remotecommand.NewFallbackExecutor(modern, old, func(err error) bool {
			return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
		})
	}
	// Nothing is started before there is a connection that streams are made on.
	return remotecommand.NewFallbackExecutor(old, modern, func(err error) bool {
		return !old.opened.Load() && !neverReached(err) && !cluster.Refused(err)
	})
}

// endsKnown tells a command that has succeeded from a connection that ended: over
// SPDY client-go takes both for success, as either ends the stream of errors.
type endsKnown struct {
	remotecommand.Executor
	upgrader spdy.Upgrader
	opened   atomic.Bool
	told     atomic.Bool
}

// StreamWithContext implements remotecommand.Executor.
func (e *endsKnown) StreamWithContext(ctx context.Context, options remotecommand.StreamOptions) error {
	err := e.Executor.StreamWithContext(ctx, options)
	if err == nil && !e.told.Load() {
		err = errors.New("the connection ended before the command did")
	}
	return err
}

// NewConnection implements spdy.Upgrader.
func (e *endsKnown) NewConnection(answer *http.Response) (httpstream.Connection, error) {
	connection, err := e.upgrader.NewConnection(answer)
	e.opened.Store(err == nil)
	return watched{connection, &e.told}, err
}

type watched struct {
	httpstream.Connection
	told *atomic.Bool
}

// CreateStream implements httpstream.Connection.
func (w watched) CreateStream(headers http.Header) (httpstream.Stream, error) {
	stream, err := w.Connection.CreateStream(headers)
	if err == nil && headers.Get(corev1.StreamType) == corev1.StreamTypeError {
		return telling{stream, w.told}, nil
	}
	return stream, err
}

type telling struct {
	httpstream.Stream
	told *atomic.Bool
}

// Read implements io.Reader.
func (t telling) Read(p []byte) (int, error) {
	n, err := t.Stream.Read(p)
	if n > 0 {
		t.told.Store(true)
	}
	return n, err
}

// notFound is a command that was never started, as its program is not in the image.
type notFound struct{ err error }

func (n notFound) Error() string {
	if n.err == nil {
		return "the image does not have the program, or it can not be executed"
	}
	return n.err.Error()
}

func (n notFound) Unwrap() error { return n.err }

// neverStarted knows what runtimes say: containerd and CRI-O the text of runc,
// others the exit codes of a shell.
func neverStarted(exit int, err error) bool {
	if err == nil {
		return exit == 126 || exit == 127
	}
	return strings.Contains(err.Error(), "executable file not found") ||
		strings.Contains(err.Error(), "exec failed") && strings.Contains(err.Error(), "no such file or directory")
}
