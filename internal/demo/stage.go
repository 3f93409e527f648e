package demo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/runbooks/library"
)

// stage is everything that is up during the demo.
type stage struct {
	Options
	lab    *lab.Lab
	engine *engine
}

func (s *stage) say(format string, args ...any) { fmt.Fprintf(s.Out, format+"\n", args...) }

func (s *stage) set(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s.say("Starting PostgreSQL, orders-api, Prometheus and Alertmanager on the loopback…")
	began := time.Now()
	var err error
	if s.lab, err = lab.Start(ctx, lab.Options{Interval: 500 * time.Millisecond, Orders: lab.OrdersOptions{Traffic: traffic}}); err != nil {
		return err
	}
	s.say("  up after %s, files in %s", rounded(time.Since(began)), s.lab.Dir)
	s.say("Starting runbook serve with an embedded Temporal…")
	began = time.Now()
	if s.engine, err = s.startEngine(ctx); err != nil {
		return err
	}
	s.say("  ready after %s", rounded(time.Since(began)))
	return s.lab.SetWebhook(ctx, lab.Webhook{URL: s.engine.url + "/webhook/alertmanager", BearerToken: s.engine.token})
}

// traffic is enough that requests which wait for a lock fill the pool at once.
const traffic = 40

const (
	runbookFile = "db-pool-exhausted.yaml"
	gamedayFile = "db-pool-exhausted.gameday.yaml"
)

func writeRunbook(dir, name string) error {
	text, err := fs.ReadFile(library.FS(), name)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), text, 0o644)
}

// startEngine writes what a team would write, a config and a runbook, and
// starts the program with it.
func (s *stage) startEngine(ctx context.Context) (*engine, error) {
	dir := filepath.Join(s.lab.Dir, "engine")
	for _, name := range []string{runbookFile, gamedayFile} {
		if err := writeRunbook(filepath.Join(dir, "runbooks"), name); err != nil {
			return nil, fmt.Errorf("write the runbook and its game day: %w", err)
		}
	}
	address, err := lab.FreeAddress()
	if err != nil {
		return nil, err
	}
	e := newEngine(s.Program, dir, address)
	config := fmt.Sprintf(`listen: %s
data_dir: data
runbooks: [runbooks]
auth:
  tokens:
    - {name: demo, token_file: token}
connections:
  orders: {postgres: {dsn_file: %s}}
  orders-app: {postgres: {dsn_file: %s}}
  orders-api: {http: {url: %s}}
  metrics: {prometheus: {url: %s}}
  alerts: {alertmanager: {url: %s}}
`, address, s.lab.EngineDSNFile, s.lab.ServiceDSNFile, s.lab.Orders.URL, s.lab.Prometheus.URL, s.lab.Alertmanagers[0].URL)
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "token"), []byte(e.token), 0o600),
		os.WriteFile(e.config, []byte(config), 0o600),
	); err != nil {
		return nil, fmt.Errorf("write the config: %w", err)
	}
	return e, e.start(ctx)
}

func (s *stage) close() error {
	var failed []error
	if s.engine != nil {
		failed = append(failed, s.engine.stop())
	}
	if s.lab != nil {
		failed = append(failed, s.lab.Close())
	}
	return errors.Join(failed...)
}

// addresses says where everything is, for whoever wants to look around.
func (s *stage) addresses() {
	s.say(`
Everything stays up until you press Ctrl-C:
  Prometheus    %s/alerts
  Alertmanager  %s
  orders-api    %s/metrics
  engine        %s   (metrics at /metrics)

  export RUNBOOK_SERVER=%s RUNBOOK_TOKEN_FILE=%s
  %s runs show last
  %s exec db-pool-exhausted --set database=orders --dry-run
  curl -X POST '%s/fault/leak?sessions=20'        # once more`,
		s.lab.Prometheus.URL, s.lab.Alertmanagers[0].URL, s.lab.Orders.URL, s.engine.url,
		s.engine.url, filepath.Join(filepath.Dir(s.engine.config), "token"), s.Program, s.Program, s.lab.Orders.URL)
}

const tail = 2000

// logs is the end of the engine's log, for a demo that fails.
func (s *stage) logs() string {
	text, err := os.ReadFile(s.engine.log)
	if err != nil {
		return err.Error()
	}
	return "the end of the engine's log:\n" + strings.ToValidUTF8(string(text[max(0, len(text)-tail):]), "")
}

func rounded(d time.Duration) time.Duration {
	switch {
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	case d < time.Second:
		return d.Round(time.Millisecond)
	default:
		return d.Round(10 * time.Millisecond)
	}
}
