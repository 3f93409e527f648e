// Package alertmanager has the actions on Alertmanager 0.25 and later: raising
// our own alerts, silencing those of others, and looking at what fires.
package alertmanager

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
)

// System is the actions of the package and their connection.
func System(conns *actions.Connections) actions.System {
	return newSystem(conns, time.Now)
}

func newSystem(conns *actions.Connections, now func() time.Time) actions.System {
	s := system{conns: conns, now: now}
	return actions.System{
		Connection: connection().Erase(),
		Actions:    []actions.Action{s.alertsAction(), s.raiseAction(), s.silenceAction()},
	}
}

type system struct {
	conns *actions.Connections
	now   func() time.Time
}

// client is a connection under its name in the engine's config.
type client struct {
	*alertmanagerapi.Client
	name string
}

func connection() actions.Connection[alertmanagerapi.Config, client] {
	return actions.Connection[alertmanagerapi.Config, client]{
		Kind: "alertmanager",
		Doc:  "One Alertmanager, 0.25 or later.",
		Open: func(_ context.Context, name string, config alertmanagerapi.Config) (client, error) {
			opened, err := alertmanagerapi.Open(config)
			if err != nil {
				return client{}, actions.Permanent(err)
			}
			return client{opened, name}, nil
		},
		Close: func(c client) { c.Close() },
	}
}

func (s system) client(ctx context.Context, name string) (client, error) {
	return connection().Get(ctx, s.conns, name)
}

// markOf is what we write beside an effect, to recognise it on a retry. It is a
// digest, because a key may hold what an alert said.
func markOf(key actions.Key) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:16])
}

// readFailure classifies the error of a request that changes nothing.
func (c client) readFailure(err error) error {
	err = fmt.Errorf("alertmanager %s: %w", c.name, err)
	var untrusted *tls.CertificateVerificationError
	if isRefusal(statusOf(err)) || errors.As(err, &untrusted) {
		return actions.Permanent(err)
	}
	return err
}

// writeFailure classifies the error of a request that changes something.
func (c client) writeFailure(err error) error {
	var failed *alertmanagerapi.Error
	if status := statusOf(err); (status == 0 || status >= 500) && errors.As(err, &failed) && failed.Sent {
		return actions.Ambiguous(fmt.Errorf("alertmanager %s: %w", c.name, err))
	}
	return c.readFailure(err)
}

func statusOf(err error) int {
	var failed *alertmanagerapi.Error
	if errors.As(err, &failed) {
		return failed.Status
	}
	return 0
}

// isRefusal reports an answer that will be the same next time. 408 and 429 come
// from proxies that are busy.
func isRefusal(status int) bool {
	return status >= 300 && status < 500 && status != 408 && status != 429
}
