package conformance

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/chaos"
	"github.com/runbook-engine/runbook/internal/document"
)

const (
	// long is a deadline that no check lives to see.
	long = 5 * time.Minute
	// patience is how long a check waits for what the system does in its own time.
	patience = 30 * time.Second
	glance   = 20 * time.Millisecond
	// promptly is how long a call may go on once its context has ended.
	promptly = 10 * time.Second
)

// trial is one promise of one fault being checked.
type trial struct {
	Case
	t     *testing.T
	conns *actions.Connections
	bound chaos.Bound
	id    chaos.ID
	leaks error
}

func (c Case) try(t *testing.T, p promise) (err error) {
	if c.Arrange != nil {
		c.Arrange(t)
	}
	tr := &trial{Case: c, t: t, id: newID()}
	if tr.conns, err = tr.connections(); err != nil {
		return err
	}
	defer tr.conns.Close()
	if err := tr.conns.Open(t.Context()); err != nil { // as an engine does that starts
		return err
	}
	if tr.bound, err = tr.bind(tr.conns); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tr.cleanUp(), tr.leaks) }()
	return p.kept(tr)
}

func newID() chaos.ID { return chaos.NewID("conformance-"+strings.ToLower(rand.Text()[:8]), "try") }

// cleanUp leaves the system as it was, also when a check failed.
func (tr *trial) cleanUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(tr.Patience, patience))
	defer cancel()
	return tr.eventually("clean up", func() error { return tr.bound.Recover(ctx, tr.id) })
}

func (tr *trial) connections() (*actions.Connections, error) {
	nodes, problems := document.Parse("connections.yaml", []byte(tr.Connections))
	if len(nodes) != 1 {
		return nil, fmt.Errorf("connections: %q is not one document: %w", tr.Connections, problems.Err())
	}
	kind := tr.Kind
	if kind == nil {
		kind = tr.Injector(nil).Connection
	}
	conns, problems := actions.NewConnections([]*actions.ConnectionKind{kind}, nodes[0])
	if err := problems.Err(); err != nil {
		return nil, fmt.Errorf("connections: %w", err)
	}
	return conns, nil
}

func (tr *trial) bind(conns *actions.Connections) (chaos.Bound, error) {
	b, problems := tr.fault(conns).Bind([]byte(tr.Params))
	if err := problems.Err(); err != nil {
		return b, fmt.Errorf("parameters %s: %w", tr.Params, err)
	}
	return b, nil
}

func (tr *trial) inject(lasting time.Duration) error {
	return tr.seen(tr.bound.Inject(tr.t.Context(), tr.id, time.Now().Add(lasting)))
}

func (tr *trial) recover() error { return tr.seen(tr.bound.Recover(tr.t.Context(), tr.id)) }

func (tr *trial) healed() error { return tr.seen(tr.bound.Healed(tr.t.Context(), tr.id)) }

// seen looks for secrets in an error.
func (tr *trial) seen(err error) error {
	if err != nil {
		tr.look("error", err.Error())
	}
	return err
}

func (tr *trial) look(where, text string) {
	for _, secret := range tr.Secrets {
		if strings.Contains(text, secret) {
			tr.leaks = fmt.Errorf("a secret shows in the %s of %s: %s", where, tr.Fault, text)
		}
	}
}

func (tr *trial) state() string {
	if tr.State == nil {
		return ""
	}
	return tr.State(tr.t)
}

// untouched: nobody can see that anything happened.
func (tr *trial) untouched(before, what string) error {
	if now := tr.state(); now != before {
		return fmt.Errorf("%s changed the system:\n--- before\n%s\n--- after\n%s", what, before, now)
	}
	if err := tr.Suffers(tr.t); err != nil {
		return fmt.Errorf("%s can be felt: %w", what, err)
	}
	return nil
}

// eventually waits until check gives nil.
func (tr *trial) eventually(what string, check func() error) error {
	patience := cmp.Or(tr.Patience, patience)
	for deadline := time.Now().Add(patience); ; time.Sleep(glance) {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not after %s: %w", what, patience, err)
		}
	}
}

func (tr *trial) felt() error {
	return tr.eventually("the fault is felt", func() error {
		if tr.Suffers(tr.t) == nil {
			return errors.New("the data path is well")
		}
		return nil
	})
}

func (tr *trial) well() error {
	return tr.eventually("the data path is well again", func() error { return tr.Suffers(tr.t) })
}

func orNil(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}
