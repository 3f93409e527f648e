package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/postgres"
	"github.com/runbook-engine/runbook/chaos"
)

// injector remembers what this engine holds.
type injector struct {
	conns *actions.Connections

	mu   sync.Mutex
	held map[chaos.ID]*hold
}

// hold is the sessions of one injection. They do nothing: neither end of their
// connections is ever read again.
type hold struct {
	mu       sync.Mutex
	sessions []*pgx.Conn
}

const closesWithin = 2 * time.Second

func (i *injector) known(id chaos.ID) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.held[id] != nil
}

// keep closes our side at the deadline, at which the server closes its own.
func (i *injector) keep(m mark, h *hold) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.held[m.id] = h
	time.AfterFunc(timeLeft(m.deadline), h.close)
}

// forget closes what this engine holds, if anything.
func (i *injector) forget(id chaos.ID) {
	i.mu.Lock()
	h := i.held[id]
	i.mu.Unlock()
	if h != nil {
		h.close()
	}
}

func (h *hold) add(conn *pgx.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sessions = append(h.sessions, conn)
}

// close ends the sessions. The server may be gone, or have ended them: what is
// left of them, it tells itself.
func (h *hold) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closesWithin)
	defer cancel()
	var group sync.WaitGroup
	for _, conn := range h.sessions {
		group.Go(func() { _ = conn.Close(ctx) })
	}
	group.Wait()
	h.sessions = nil
}

// open begins a transaction in a session that the server ends at the deadline:
// the time is set before the transaction begins, and the session is idle in it
// from the end of prepare on.
func (i *injector) open(ctx context.Context, h *hold, database string, m mark, prepare func(context.Context, *pgx.Conn) error) error {
	conn, err := postgres.Session(ctx, i.conns, database, m.application())
	if err != nil {
		return err
	}
	h.add(conn)
	err = limit(ctx, conn, m.deadline)
	if err == nil {
		_, err = conn.Exec(ctx, "BEGIN")
	}
	if err == nil {
		err = prepare(ctx, conn)
	}
	if err != nil {
		return postgres.Failure(ctx, database, "hold a session of", err)
	}
	return nil
}

func limit(ctx context.Context, conn *pgx.Conn, deadline time.Time) error {
	_, err := conn.Exec(ctx, fmt.Sprintf("SET idle_in_transaction_session_timeout = %d", timeLeft(deadline).Milliseconds()))
	return err
}

func stillThere(n int) error {
	if n == 0 {
		return nil
	}
	return errors.New(fmt.Sprint(n, " sessions of the fault are still there"))
}
