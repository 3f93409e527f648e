package lab

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/runbook-engine/runbook/deploy"
	"github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/lab/programs"
)

// PrometheusOptions says what Prometheus watches.
type PrometheusOptions struct {
	// Interval between scrapes, and between evaluations of the rules; 200ms
	// unless set.
	Interval time.Duration
	// Targets are the addresses (host:port) to scrape, by job.
	Targets map[string][]string
	// Alertmanagers are the addresses (host:port) to send alerts to.
	Alertmanagers []string
}

// Prometheus is a Prometheus of its own, with the alerting rules of the
// package deploy.
type Prometheus struct {
	*child.Server
	// URL is where it serves, and API its client.
	URL string
	API prometheus.API

	home string
}

// StartPrometheus starts Prometheus with its files below dir.
func StartPrometheus(ctx context.Context, dir string, options PrometheusOptions) (*Prometheus, error) {
	path, err := programs.Prometheus.Find()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, "prometheus")
	if err := options.write(home); err != nil {
		return nil, fmt.Errorf("configure Prometheus: %w", err)
	}
	p := &Prometheus{home: home}
	p.Server, err = child.RunOnFreePorts(ctx, 1, func(ports []int) child.Program {
		p.URL = "http://" + child.Address(ports[0])
		return child.Program{
			Name: "Prometheus", Path: path, Dir: home, Log: filepath.Join(dir, "prometheus.log"),
			Args: []string{
				"--config.file=prometheus.yml", "--storage.tsdb.path=data",
				"--web.listen-address=" + child.Address(ports[0]), "--rules.alert.resend-delay=1s", "--web.enable-lifecycle",
			},
			Stop: syscall.SIGTERM, Orphan: syscall.SIGKILL,
			Ready: answers(p.URL + "/-/ready"),
		}
	})
	if err != nil {
		return nil, err
	}
	client, err := api.NewClient(api.Config{Address: p.URL})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a client of Prometheus: %w", err), p.Kill())
	}
	p.API = prometheus.NewAPI(client)
	return p, nil
}

func (o PrometheusOptions) write(home string) error {
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	if err := os.CopyFS(filepath.Join(home, rulesIn), deploy.AlertRules()); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(home, foundIn), 0o755); err != nil {
		return err
	}
	return writeYAML(filepath.Join(home, "prometheus.yml"), o.configuration())
}

const (
	rulesIn = "rules"
	foundIn = "targets" // of later
)

// SetRules makes a running Prometheus take a file of rules in the place of the one
// of that name.
func (p *Prometheus) SetRules(ctx context.Context, file, text string) error {
	if err := os.WriteFile(filepath.Join(p.home, rulesIn, file), []byte(text), 0o600); err != nil {
		return fmt.Errorf("write rules: %w", err)
	}
	if _, err := request(ctx, http.MethodPost, p.URL+"/-/reload", nil); err != nil {
		return fmt.Errorf("reload Prometheus: %w", err)
	}
	return nil
}

// Watch makes a running Prometheus scrape more addresses (host:port), and waits
// until a query has a result.
func (p *Prometheus) Watch(ctx context.Context, job, address, query string) error {
	text, err := json.Marshal([]settings{{"targets": []string{address}, "labels": settings{"job": job}}})
	if err == nil {
		err = os.WriteFile(filepath.Join(p.home, foundIn, job+".json"), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("make Prometheus watch %s: %w", job, err)
	}
	return p.await(ctx, query)
}

func (o PrometheusOptions) configuration() settings {
	interval := duration(cmp.Or(o.Interval, 200*time.Millisecond))
	jobs := []settings{{"job_name": "found", "file_sd_configs": []settings{{"files": []string{foundIn + "/*.json"}}}}}
	for job, targets := range o.Targets {
		jobs = append(jobs, settings{"job_name": job, "static_configs": []settings{{"targets": targets}}})
	}
	return settings{
		"global":         settings{"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
		"rule_files":     []string{rulesIn + "/*.yml"},
		"scrape_configs": jobs,
		"alerting": settings{"alertmanagers": []settings{
			{"static_configs": []settings{{"targets": o.Alertmanagers}}},
		}},
	}
}

// AlertState is what Prometheus thinks of an alerting rule.
type AlertState struct {
	// State is "inactive", "pending" or "firing".
	State string
	// ActiveAt is when its condition became true, by Prometheus's clock.
	ActiveAt time.Time
	Labels   map[string]string
}

// AlertState is the state of the first alert of that name which is active.
func (p *Prometheus) AlertState(ctx context.Context, name string) (AlertState, error) {
	active, err := p.API.Alerts(ctx)
	if err != nil {
		return AlertState{}, fmt.Errorf("read the alerts of Prometheus: %w", err)
	}
	for _, alert := range active.Alerts {
		if string(alert.Labels["alertname"]) == name {
			labels := make(map[string]string, len(alert.Labels))
			for key, value := range alert.Labels {
				labels[string(key)] = string(value)
			}
			return AlertState{State: string(alert.State), ActiveAt: alert.ActiveAt, Labels: labels}, nil
		}
	}
	return AlertState{State: "inactive"}, nil
}

// Value is the first value of an instant query; found is false when there is
// none.
func (p *Prometheus) Value(ctx context.Context, query string) (value float64, found bool, err error) {
	result, _, err := p.API.Query(ctx, query, time.Now())
	if err != nil {
		return 0, false, fmt.Errorf("query Prometheus for %s: %w", query, err)
	}
	if vector, ok := result.(model.Vector); ok && len(vector) > 0 {
		return float64(vector[0].Value), true, nil
	}
	return 0, false, nil
}

// await waits until a query has a result.
func (p *Prometheus) await(ctx context.Context, query string) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	_, err := moment(ctx, "Prometheus", func(ctx context.Context) error {
		_, found, err := p.Value(ctx, query)
		if err == nil && !found {
			err = fmt.Errorf("no result of %s yet", query)
		}
		return err
	})
	return err
}
