package toxiproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/runbook-engine/runbook/chaos/backstop"
)

// keeper runs one proxy as a child of the engine, on the same addresses as long
// as the engine lives. A proxy that ended is started again: without faults, for
// they are in its memory only.
type keeper struct {
	spec   serveSpec
	client *http.Client

	mu     sync.Mutex
	child  *backstop.Child
	closed bool
}

const (
	apiName = "api"
	// revive is how long a proxy that does not start is left alone between tries.
	revive = 200 * time.Millisecond
	// startsWithin bounds one try.
	startsWithin = 10 * time.Second
)

// keep starts the proxy. Its API is a socket in a folder of our own.
func keep(ctx context.Context, spec serveSpec) (*keeper, error) {
	dir, err := os.MkdirTemp("", "runbook-toxiproxy-")
	if err != nil {
		return nil, err
	}
	spec.Socket = filepath.Join(dir, apiName)
	k := &keeper{spec: spec, client: overSocket(spec.Socket)}
	if k.child, err = backstop.Start(ctx, serveMode, spec.Name, spec); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	go k.watch()
	return k, nil
}

// overSocket keeps no connection: the other end may be killed at any time.
func overSocket(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
	}}
}

func (k *keeper) api() api { return api{"http://proxy", k.client} }

func (k *keeper) current() (child *backstop.Child, closed bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.child, k.closed
}

func (k *keeper) watch() {
	for {
		child, closed := k.current()
		if closed {
			return
		}
		<-child.Done()
		ctx, cancel := context.WithTimeout(context.Background(), startsWithin)
		// Why it does not start, the next call says that needs it.
		if k.renewFrom(ctx, child) != nil {
			time.Sleep(revive)
		}
		cancel()
	}
}

// renew kills the proxy and starts it clean.
func (k *keeper) renew(ctx context.Context) error {
	child, _ := k.current()
	return k.renewFrom(ctx, child)
}

// renewFrom does nothing when somebody else has renewed the proxy since.
func (k *keeper) renewFrom(ctx context.Context, seen *backstop.Child) (err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.child != seen {
		return nil
	}
	k.child.Kill()
	started, err := backstop.Start(ctx, serveMode, k.spec.Name, k.spec)
	if err != nil {
		return fmt.Errorf("start the proxy again: %w", err)
	}
	k.child = started
	return nil
}

func (k *keeper) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = true
	k.child.Kill()
	_ = os.RemoveAll(filepath.Dir(k.spec.Socket)) // an empty folder left in the temporary one harms nobody
}

// armed are the marks of the toxics that the proxy was told to add.
func (k *keeper) armed(ctx context.Context) (marks []mark, err error) {
	var names []string
	if err := k.api().call(ctx, http.MethodGet, armedPath, nil, &names); err != nil {
		return nil, err
	}
	for _, name := range names {
		if m, ours := readMark(name); ours {
			marks = append(marks, m)
		}
	}
	return marks, nil
}

func decode[T any](spec json.RawMessage) (t T, err error) { return t, json.Unmarshal(spec, &t) }
