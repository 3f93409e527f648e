// Package writer is a client that writes and knows what it was promised.
package writer

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// writeWithin is how long the writer waits for one write.
	writeWithin = time.Second
	writePause  = 5 * time.Millisecond
)

// Writer is a client that writes one number after the other, each in a
// transaction of its own, and remembers those that the server acknowledged. It
// connects again when it must.
type Writer struct {
	dsn  string
	stop context.CancelFunc
	done chan struct{}

	mu    sync.Mutex
	acked []int64
	began []time.Time // of each of them
	times []time.Time // of its acknowledgement
}

// Table is what a writer needs.
const Table = "CREATE TABLE written (number bigint PRIMARY KEY)"

// Start writes through a connection URL until it is stopped.
func Start(dsn string) *Writer {
	ctx, stop := context.WithCancel(context.Background())
	w := &Writer{dsn: dsn, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		w.write(ctx)
	}()
	return w
}

// Stop ends the writer.
func (w *Writer) Stop() {
	w.stop()
	<-w.done
}

// Acknowledged are the numbers that are written for good.
func (w *Writer) Acknowledged() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.acked)
}

// AwaitWrite waits for a write that began and was acknowledged after a moment,
// and gives the time of its acknowledgement.
func (w *Writer) AwaitWrite(ctx context.Context, after time.Time) (time.Time, error) {
	for {
		if at, found := w.first(after); found {
			return at, nil
		}
		select {
		case <-time.After(writePause):
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		}
	}
}

func (w *Writer) first(after time.Time) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i, _ := slices.BinarySearchFunc(w.began, after, time.Time.Compare)
	if i == len(w.began) {
		return time.Time{}, false
	}
	return w.times[i], true
}

func (w *Writer) write(ctx context.Context) {
	var conn *pgx.Conn
	for number := int64(1); ctx.Err() == nil; number++ {
		var err error
		began := time.Now()
		if conn, err = w.one(ctx, conn, number); err == nil {
			w.acknowledge(number, began)
		}
		select {
		case <-time.After(writePause):
		case <-ctx.Done():
		}
	}
	drop(conn)
}

// one writes a number, and gives back the connection if it is still of use.
func (w *Writer) one(ctx context.Context, conn *pgx.Conn, number int64) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	if conn == nil {
		var err error
		if conn, err = pgx.Connect(ctx, w.dsn); err != nil {
			return nil, err
		}
	}
	if _, err := conn.Exec(ctx, "INSERT INTO written VALUES ($1)", number); err != nil {
		drop(conn)
		return nil, err
	}
	return conn, nil
}

func drop(conn *pgx.Conn) {
	if conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), writePause)
		defer cancel()
		_ = conn.Close(ctx) // nobody may be there to say goodbye to
	}
}

func (w *Writer) acknowledge(number int64, began time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acked, w.began, w.times = append(w.acked, number), append(w.began, began), append(w.times, time.Now())
}
