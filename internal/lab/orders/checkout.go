package orders

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// checkout answers 200 when an order is in the database, 503 when it is not.
func (s *Service) checkout(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.order(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		s.config.Log.Warn("checkout failed", "error", err)
		http.Error(w, "checkout failed: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// order keeps its connection also when the customer has gone, as many services do.
func (s *Service) order(ctx context.Context) error {
	conn, err := s.pool.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statementTimeout)
	defer cancel()
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO orders (amount_cents) VALUES ($1)", 100+rand.IntN(20000))
		return err
	})
}

func measured(registry prometheus.Registerer, path string, next http.Handler) http.Handler {
	factory := promauto.With(prometheus.WrapRegistererWith(prometheus.Labels{"path": path}, registry))
	requests := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Requests answered.",
	}, []string{"code"})
	duration := factory.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_request_duration_seconds", Help: "Time to answer a request.",
	}, []string{"code"})
	return promhttp.InstrumentHandlerDuration(duration, promhttp.InstrumentHandlerCounter(requests, next))
}

// generate sends requests at a steady rate (a second), each on its own, as
// customers do who do not wait for each other.
func generate(ctx context.Context, rate float64, url string) {
	if rate <= 0 {
		return
	}
	client := &http.Client{Timeout: 2 * requestTimeout, Transport: &http.Transport{}}
	ticker := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer ticker.Stop()
	var visits sync.WaitGroup
	// A server that shuts down waits for connections that have not been used yet.
	defer client.CloseIdleConnections()
	defer visits.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			visits.Go(func() { visit(ctx, client, url) })
		}
	}
}

// visit makes one request; how it went is in the service's own metrics.
func visit(ctx context.Context, client *http.Client, url string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	if response, err := client.Do(request); err == nil {
		response.Body.Close()
	}
}
