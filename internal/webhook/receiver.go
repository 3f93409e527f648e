package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/runbook-engine/runbook/internal/alertmanagerapi"
	"github.com/runbook-engine/runbook/internal/audit"
	"github.com/runbook-engine/runbook/internal/metrics"
	"github.com/runbook-engine/runbook/internal/runs"
	"github.com/runbook-engine/runbook/runbooks"
)

// Options are what a receiver works with.
type Options struct {
	// Set is the documents in use now.
	Set  func() *runbooks.Set
	Runs *runs.Service
	// Alertmanagers are asked for the alerts that a message left out.
	Alertmanagers alertmanagerapi.Peers
	// Full reports that no more runs may wait; nil is never.
	Full func() bool
	// Shared says that other engines start runs as well: what they have heard is
	// looked up.
	Shared bool
	// Ready reports why no run can be made durable now, or nil.
	Ready   func() error
	Metrics *metrics.Metrics
	Audit   *audit.Log
	Log     *slog.Logger
	// MaxBody is the largest message, in bytes.
	MaxBody int64
	// Wait bounds the time in which a message is answered.
	Wait time.Duration
	// Witness hears of what messages bring; nil where nobody has to.
	Witness Witness
}

const (
	// parallelStarts is how many runs are being made durable at a time. More do
	// not make the embedded server faster.
	parallelStarts = 64
	// bodiesInMemory is how many messages of the largest size are held at a time.
	bodiesInMemory = 4
)

// Receiver is the handler of Alertmanager's notifications.
type Receiver struct {
	Options
	episodes  *episodes
	receivers *receivers
	starts    *semaphore.Weighted
	memory    *semaphore.Weighted
}

// New makes a receiver.
func New(o Options) *Receiver {
	return &Receiver{
		Options: o, episodes: newEpisodes(), receivers: newReceivers(),
		starts: semaphore.NewWeighted(parallelStarts), memory: semaphore.NewWeighted(bodiesInMemory * o.MaxBody),
	}
}

// ServeHTTP answers 200 when every run that the message leads to is durable, 503
// when that can not be reached now, so that Alertmanager sends it again, and 400
// or 413 for a message that will be no better the next time.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(request.Context(), r.Wait)
	defer cancel()
	status, err := r.receive(ctx, w, request)
	r.Metrics.Answered(status, time.Since(began))
	if err != nil {
		r.Log.Error("a message of Alertmanager was not accepted", "status", status, "error", err, "remote", request.RemoteAddr)
		http.Error(w, err.Error(), status)
		return
	}
	w.WriteHeader(status)
}

func (r *Receiver) receive(ctx context.Context, w http.ResponseWriter, request *http.Request) (int, error) {
	at := time.Now()
	if err := r.Ready(); err != nil {
		return http.StatusServiceUnavailable, err
	}
	size := request.ContentLength
	if size < 0 || size > r.MaxBody {
		size = r.MaxBody
	}
	if err := r.memory.Acquire(ctx, size); err != nil {
		return http.StatusServiceUnavailable, fmt.Errorf("too many messages at a time: %w", err)
	}
	defer r.memory.Release(size)
	body, status, err := r.read(w, request)
	if err != nil {
		return status, err
	}
	m, alerts, err := Decode(body)
	if err != nil {
		return http.StatusBadRequest, err
	}
	r.receivers.add(m.Receiver)
	m.body, m.at = body, at
	return r.decideAll(ctx, &m, alerts)
}

func (r *Receiver) read(w http.ResponseWriter, request *http.Request) (body []byte, status int, err error) {
	body, err = io.ReadAll(http.MaxBytesReader(w, request.Body, r.MaxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, http.StatusRequestEntityTooLarge, fmt.Errorf("the message has more than %d bytes; raise webhook.max_body, or set max_alerts in Alertmanager", r.MaxBody)
	case err != nil:
		return nil, http.StatusBadRequest, fmt.Errorf("read the message: %w", err)
	}
	return body, 0, nil
}
