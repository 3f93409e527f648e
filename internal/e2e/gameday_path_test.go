package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/lab/proxy"
)

// detour is a lab whose orders-api reaches its database through HAProxy, which
// has two ways there: the first through the engine's toxiproxy, and a spare.
type detour struct {
	*theatre
	front *proxy.HAProxy
}

func newDetour(t *testing.T) *detour {
	t.Helper()
	env := startLab(t, lab.Options{Orders: lab.OrdersOptions{Traffic: -1}})
	way, err := lab.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	d := &detour{theatre: &theatre{lab: env}}
	d.front, err = proxy.StartHAProxy(t.Context(), t.TempDir(), "orders", []proxy.HAProxyServer{
		{Name: "orders-a", Address: way},
		{Name: "orders-b", Address: env.Postgres.Address()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.front.Kill() })
	orders := d.orders(t)
	d.host = newHost(t, fmt.Sprintf("connections:\n  edge: {haproxy: {address: '%s'}}\n  orders-path: {toxiproxy: {listen: '%s', upstream: '%s'}}\n"+
		"  orders-api: {http: {url: %s}}\n  metrics: {prometheus: {url: %s}}\n  alerts: {alertmanager: {url: %s}}\n",
		d.front.Admin, way, env.Postgres.Address(), orders.URL, env.Prometheus.URL, env.Alertmanagers[0].URL),
		shipped(t, "database-path.yaml", map[string]string{"cooldown: 10m": "cooldown: 1s", "hold: 5s": "hold: 1s"}))
	d.host.write("books/path.gameday.yaml", strings.ReplaceAll(shipped(t, "database-path.gameday.yaml", nil), "hold: 5s", "hold: 2s"))
	d.host.start()
	d.watched(t)
	return d
}

// orders is an orders-api behind HAProxy.
func (d *detour) orders(t *testing.T) *lab.Orders {
	t.Helper()
	dsn, err := os.ReadFile(d.lab.ServiceDSNFile)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "dsn")
	if err := os.WriteFile(file, []byte(d.front.Through(string(dsn), d.lab.Postgres.Address())), 0o600); err != nil {
		t.Fatal(err)
	}
	orders, err := lab.StartOrders(t.Context(), t.TempDir(), file, lab.OrdersOptions{Traffic: 5})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = orders.Kill() })
	return orders
}

// watched has Prometheus look at HAProxy, and its alerts sent to the engine.
func (d *detour) watched(t *testing.T) {
	t.Helper()
	address := strings.TrimSuffix(strings.TrimPrefix(d.front.Health, "http://"), "/")
	if err := d.lab.Prometheus.Watch(t.Context(), "haproxy", address, `haproxy_server_status{server="orders-a",state="UP"} == 1`); err != nil {
		t.Fatal(err)
	}
	if err := d.lab.SetWebhook(t.Context(), lab.Webhook{URL: d.host.webhook()}); err != nil {
		t.Fatal(err)
	}
}

// first leads clients over the first way, and makes the other one the spare.
func (d *detour) first(t *testing.T) {
	t.Helper()
	err := d.front.Tell(t.Context(), "set server orders/orders-a state ready", "set server orders/orders-b state maint",
		"shutdown sessions server orders/orders-b", "set server orders/orders-b state drain")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the alert to be over", func() error {
		now, err := d.lab.Prometheus.AlertState(t.Context(), "DatabasePathBad")
		if err == nil && now.State != "inactive" {
			err = fmt.Errorf("it is %s", now.State)
		}
		return err
	})
}

// The shipped game days of the shipped runbook. The remedy is another way to the
// database: the first one is as bad as ever until the drill heals it.
func TestTheWayToTheDatabaseIsLeftWhileItIsBad(t *testing.T) {
	t.Parallel()
	d := newDetour(t)
	for _, name := range []string{"orders-db-path-slow", "orders-db-path-dead"} {
		d.first(t)
		began := time.Now()
		drill := d.play(api.Drill{Gameday: name})
		if drill.Verdict.Verdict != verdict.Passed || drill.Verdict.Because != gameday.ByRunbook {
			t.Errorf("%s: %s", name, tell(drill))
		}
		f := drill.Verdict.Figures
		t.Logf("%s: detected after %v, acted after %v, recovered after %v, healed after %v, all in %s",
			name, f.TimeToDetect, f.TimeToAct, f.TimeToRecover, f.TimeToHeal, time.Since(began).Round(time.Second))
	}
}
