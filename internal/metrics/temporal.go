package metrics

import (
	"fmt"
	"log/slog"

	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	otelmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"
)

// TemporalSDK takes the metrics of the Temporal SDK, temporal_*: requests, tasks,
// pollers and the workflow cache.
func (m *Metrics) TemporalSDK(log *slog.Logger) (client.MetricsHandler, error) {
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(m.registry),
		otelprometheus.WithoutScopeInfo(), otelprometheus.WithoutTargetInfo(), otelprometheus.WithoutUnits())
	if err != nil {
		return nil, fmt.Errorf("export the metrics of the temporal SDK: %w", err)
	}
	inSeconds := otelmetric.NewView(
		otelmetric.Instrument{Kind: otelmetric.InstrumentKindHistogram},
		otelmetric.Stream{Aggregation: otelmetric.AggregationExplicitBucketHistogram{Boundaries: latencies}},
	)
	provider := otelmetric.NewMeterProvider(otelmetric.WithReader(exporter), otelmetric.WithView(inSeconds))
	return opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter: provider.Meter("temporal-sdk-go"), UseMonotonicCounters: true,
		OnError: func(err error) { log.Error("a metric of the temporal SDK", "error", err) },
	}), nil
}
