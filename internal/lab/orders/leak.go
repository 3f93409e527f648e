package orders

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"

	"github.com/jackc/pgx/v5/pgxpool"
)

// maxLeak bounds the requests of one leak.
const maxLeak = 1000

// leak is the bug of the service: requests that hold a connection in an open
// transaction while they wait for a payment provider that never answers.
type leak struct {
	pool *pool
	log  *slog.Logger

	mu      sync.Mutex
	ctx     context.Context // of the leak that is on
	cancel  context.CancelFunc
	holders *sync.WaitGroup
}

func newLeak(pool *pool, log *slog.Logger) *leak {
	l := &leak{pool: pool, log: log}
	l.reset()
	return l
}

func (l *leak) reset() {
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.holders = new(sync.WaitGroup)
}

// start answers POST /fault/leak?sessions=N, once each of the N requests holds
// a connection or has waited in vain for one.
func (l *leak) start(w http.ResponseWriter, r *http.Request) {
	sessions, err := strconv.Atoi(r.FormValue("sessions"))
	if err != nil || sessions < 1 || sessions > maxLeak {
		http.Error(w, fmt.Sprintf("sessions must be a number from 1 to %d", maxLeak), http.StatusBadRequest)
		return
	}
	outcomes := make(chan error, sessions)
	l.mu.Lock()
	for range sessions {
		ctx := l.ctx
		l.holders.Go(func() { l.pay(ctx, outcomes) })
	}
	l.mu.Unlock()
	held := 0
	for range sessions {
		if err := <-outcomes; err != nil {
			l.log.Warn("leak: no session", "error", err)
			continue
		}
		held++
	}
	l.answer(w, held)
}

// stop answers DELETE /fault/leak, once all connections are released.
func (l *leak) stop(w http.ResponseWriter, _ *http.Request) {
	l.end()
	l.answer(w, 0)
}

func (l *leak) answer(w http.ResponseWriter, held int) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(map[string]int{"sessions": held}); err != nil {
		l.log.Warn("leak: answer not sent", "error", err)
	}
}

func (l *leak) end() {
	l.mu.Lock()
	cancel, holders := l.cancel, l.holders
	l.reset()
	l.mu.Unlock()
	cancel()
	holders.Wait()
}

// pay is one request. It tells whether it holds a connection, and then holds
// it until the leak or the session ends.
func (l *leak) pay(ctx context.Context, outcome chan<- error) {
	conn, err := l.reserve(ctx)
	outcome <- err
	if err != nil {
		return
	}
	defer conn.Release()
	for err == nil {
		// Nobody notifies us: this waits for the end of the context, or of
		// the session when the server ends it.
		_, err = conn.Conn().WaitForNotification(ctx)
	}
	if ctx.Err() == nil {
		l.log.Warn("payment failed: lost the database session", "error", err)
		return
	}
	l.rollback(conn)
}

func (l *leak) rollback(conn *pgxpool.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		l.log.Warn("leak: not rolled back", "error", err)
	}
}

func (l *leak) reserve(ctx context.Context) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	conn, err := l.pool.acquire(ctx)
	if err != nil {
		return nil, err
	}
	for _, statement := range []string{"BEGIN", "SELECT count(*) FROM orders WHERE created_at > now() - interval '1 second'"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			conn.Release()
			return nil, err
		}
	}
	return conn, nil
}
