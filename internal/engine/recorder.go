package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/prometheus/client_golang/prometheus"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"github.com/runbook-engine/runbook/internal/metrics"
	"github.com/runbook-engine/runbook/internal/run"
	"github.com/runbook-engine/runbook/workflows"
)

// recorder counts each run once, although it may be told of its end twice.
type recorder struct {
	metrics *metrics.Metrics
	log     *slog.Logger

	mu   sync.Mutex
	seen *lru.LRU[string, struct{}]
}

const maxSeen = 10_000

func newRecorder(m *metrics.Metrics, log *slog.Logger) *recorder {
	seen, err := lru.NewLRU[string, struct{}](maxSeen, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &recorder{metrics: m, log: log, seen: seen}
}

func (r *recorder) concluded(ended run.Run) {
	if r.again(ended.ID) {
		return
	}
	r.metrics.Concluded(ended)
	r.log.Info("run concluded", "run", ended.ID, "runbook", ended.Runbook, "mode", ended.Mode,
		"outcome", ended.Outcome, "reason", ended.OutcomeReason)
}

func (r *recorder) again(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen.Contains(id) {
		return true
	}
	r.seen.Add(id, struct{}{})
	return false
}

// underWay counts the runs that have not ended, when Prometheus asks.
type underWay struct {
	client client.Client
	log    *slog.Logger
}

var underWayMetric = prometheus.NewDesc("runbook_runs_under_way", "Runs that have not ended.", nil, nil)

func (u underWay) Describe(out chan<- *prometheus.Desc) { out <- underWayMetric }

// Collect gives no value when the runs can not be counted: a guess would hide
// that.
func (u underWay) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	n, err := u.count(ctx)
	if err != nil {
		u.log.Warn("the runs under way can not be counted", "error", err)
		return
	}
	out <- prometheus.MustNewConstMetric(underWayMetric, prometheus.GaugeValue, float64(n))
}

func (u underWay) count(ctx context.Context) (int64, error) {
	answer, err := u.client.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{
		Query: "WorkflowType = '" + workflows.RemediateType + "' AND ExecutionStatus = 'Running'",
	})
	return answer.GetCount(), err
}
