package prometheus

import (
	"context"
	"fmt"
	"math"
	"time"

	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/actions"
)

type queryParams struct {
	Query      string `json:"query" min:"1" doc:"PromQL, an instant query." example:"max(db_pool_waiting / db_pool_size)"`
	Reduce     string `json:"reduce,omitempty" optional:"true" enum:"max|min|sum|avg|count" doc:"What to make of several series; without it they are an error."`
	Connection string `json:"connection,omitempty" optional:"true" connection:"prometheus" doc:"Connection to ask; the only one when absent."`
}

type queryResult struct {
	Value    float64  `json:"value" doc:"The value; of several series, what reduce makes of them."`
	Series   []sample `json:"series" doc:"Each series with its value; none for a scalar."`
	Warnings []string `json:"warnings" doc:"What the server warned of, such as a partial answer."`
}

type sample struct {
	Labels map[string]string `json:"labels" doc:"Labels, with the name of the metric as __name__ where there is one."`
	Value  float64           `json:"value" doc:"Value."`
}

const (
	queryTimeout = 30 * time.Second
	// maxSeries keeps a result small enough for a run's history.
	maxSeries = 1000
)

func query(conns *actions.Connections) actions.Action {
	return actions.Define(actions.Def[queryParams, queryResult]{
		Name: "prometheus.query",
		Doc: "Ask for the value of a PromQL expression now. No data is an error, and so is a value that is no finite number, " +
			"so that a condition is never true for want of data. Where none is a good answer, write it: `… or vector(0)`.",
		Risk:    actions.ReadOnly,
		Example: "{query: 'max(db_pool_waiting / db_pool_size)'}",
		Target:  func(p queryParams) string { return "prometheus/" + orOnly(p.Connection) },
		Timeout: queryTimeout,
		Run: func(ctx context.Context, _ actions.Key, _ actions.Target, p queryParams) (queryResult, error) {
			c, err := server.Get(ctx, conns, p.Connection)
			if err != nil {
				return queryResult{}, err
			}
			return c.query(ctx, p)
		},
	})
}

func orOnly(connection string) string {
	if connection == "" {
		return "default"
	}
	return connection
}

func (c *client) query(ctx context.Context, p queryParams) (queryResult, error) {
	value, warnings, err := c.api.Query(ctx, p.Query, time.Time{}, v1.WithLimit(maxSeries+1))
	if err != nil {
		return queryResult{}, classify(fmt.Errorf("query prometheus %q: %w", c.name, shown(err)))
	}
	r, err := read(value, p.Reduce)
	if err != nil {
		return queryResult{}, actions.Permanent(fmt.Errorf("query prometheus %q: %s: %w", c.name, p.Query, err))
	}
	r.Warnings = append([]string{}, warnings...)
	return r, nil
}

func read(value model.Value, reduce string) (queryResult, error) {
	switch v := value.(type) {
	case *model.Scalar:
		return queryResult{Value: float64(v.Value), Series: []sample{}}, finite(v.Value, nil)
	case model.Vector:
		return readVector(v, reduce)
	case model.Matrix:
		return queryResult{}, fmt.Errorf("it is a range of values, not one; use a function over it, such as max_over_time")
	default:
		return queryResult{}, fmt.Errorf("it is a %s, not a number", value.Type())
	}
}

func readVector(v model.Vector, reduce string) (r queryResult, err error) {
	switch {
	case len(v) == 0:
		return r, fmt.Errorf("returned no data; check the labels, or that the target is scraped")
	case len(v) > maxSeries:
		return r, fmt.Errorf("returned more than %d series; aggregate them in the query", maxSeries)
	case len(v) > 1 && reduce == "":
		return r, fmt.Errorf("returned %d series, the first %s; aggregate them in the query, or set reduce", len(v), v[0].Metric)
	}
	for _, s := range v {
		if s.Histogram != nil {
			return r, fmt.Errorf("%s is a native histogram, not a number; use a function such as histogram_quantile", s.Metric)
		}
		if err := finite(s.Value, s.Metric); err != nil {
			return r, err
		}
		r.Series = append(r.Series, sample{labels(s.Metric), float64(s.Value)})
	}
	r.Value = reduced(r.Series, reduce)
	return r, finite(model.SampleValue(r.Value), nil)
}

// finite: JSON has no other numbers, and a comparison with NaN says nothing.
func finite(v model.SampleValue, of model.Metric) error {
	if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
		return fmt.Errorf("the value%s is %s; is something divided by zero?", ofMetric(of), v)
	}
	return nil
}

func ofMetric(m model.Metric) string {
	if len(m) == 0 {
		return ""
	}
	return " of " + m.String()
}

func labels(m model.Metric) map[string]string {
	all := make(map[string]string, len(m))
	for name, value := range m {
		all[string(name)] = string(value)
	}
	return all
}

func reduced(all []sample, how string) float64 {
	value := all[0].Value
	for _, s := range all[1:] {
		switch how {
		case "max":
			value = max(value, s.Value)
		case "min":
			value = min(value, s.Value)
		default:
			value += s.Value
		}
	}
	switch how {
	case "avg":
		return value / float64(len(all))
	case "count":
		return float64(len(all))
	}
	return value
}
