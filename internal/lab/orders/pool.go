package orders

import (
	"context"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// pool is a connection pool that knows how many wait for a connection, which
// pgxpool does not tell, and is its own metrics collector, so that all its
// figures are of one moment.
type pool struct {
	*pgxpool.Pool
	waiting atomic.Int64
}

func (p *pool) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	return p.Acquire(ctx)
}

func poolGauge(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, nil, prometheus.Labels{"db": "orders"})
}

var (
	sizeGauge    = poolGauge("db_pool_size", "Highest number of connections in the pool.")
	inUseGauge   = poolGauge("db_pool_in_use", "Connections that a request holds now.")
	idleGauge    = poolGauge("db_pool_idle", "Open connections that nobody holds now.")
	waitingGauge = poolGauge("db_pool_waiting", "Requests that wait for a connection now.")
)

// Describe implements prometheus.Collector.
func (p *pool) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{sizeGauge, inUseGauge, idleGauge, waitingGauge} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (p *pool) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value)
	}
	now := p.Stat()
	gauge(sizeGauge, float64(now.MaxConns()))
	gauge(inUseGauge, float64(now.AcquiredConns()))
	gauge(idleGauge, float64(now.IdleConns()))
	gauge(waitingGauge, float64(p.waiting.Load()))
}
