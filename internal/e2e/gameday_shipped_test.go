package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/runbook-engine/runbook/chaos/gameday"
	"github.com/runbook-engine/runbook/chaos/gameday/verdict"
	"github.com/runbook-engine/runbook/internal/api"
	"github.com/runbook-engine/runbook/internal/lab"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

// The shipped game day, on a real pair whose standby reaches its primary through the
// engine's toxiproxy, beside the runbook that could promote it.
func TestACutReplicationIsNoDeadPrimary(t *testing.T) {
	t.Parallel()
	pair, err := lab.StartPostgresPair(t.Context(), t.TempDir(), lab.PostgresPairOptions{Settings: map[string]string{"wal_receiver_timeout": "1s", "wal_retrieve_retry_interval": "500ms"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pair.Close() })
	if err := pair.Primary.Exec(t.Context(), "postgres", "CREATE ROLE engine LOGIN PASSWORD '"+canary+"' IN ROLE pg_read_all_stats"); err != nil {
		t.Fatal(err)
	}
	way, err := lab.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	password, config := secretFile(t, t.TempDir(), "password", canary), "connections:\n"
	for name, server := range map[string]*lab.Postgres{"orders-a": pair.Primary, "orders-b": pair.Standby} {
		host, port, _ := net.SplitHostPort(server.Address())
		config += fmt.Sprintf("  %s: {postgres: {host: %s, port: %s, user: engine, password_file: %s, database: postgres, sslmode: disable}}\n", name, host, port, password)
	}
	alerts := startAlertmanager(t, lab.AlertmanagerOptions{})
	config += fmt.Sprintf("  edge: {haproxy: {address: '127.0.0.1:1'}}\n  fence: {exec: {allow: [{argv: [/usr/local/sbin/fence-postgres, 'orders-[ab]']}]}}\n  orders-replication: {toxiproxy: {listen: '%s', upstream: '%s'}}\n  alerts: {alertmanager: {url: '%s'}}\nalertmanagers: [alerts]\n", way, pair.Primary.Address(), alerts.URL)
	x := &theatre{host: newHost(t, config, shipped(t, "primary-down.yaml", nil))}
	x.host.write("books/cut.gameday.yaml", strings.ReplaceAll(shipped(t, "primary-down.gameday.yaml", map[string]string{"hold: 5s": "hold: 1s"}), "90s", "4s"))
	x.host.start()
	reach(t, pair.Standby, pair.Replication.Address(), way)
	drill := x.play(api.Drill{Gameday: "orders-replication-cut"})
	if drill.Verdict.Verdict != verdict.Passed || drill.Verdict.Because != gameday.ByExpiry {
		t.Error(tell(drill))
	}
	t.Logf("recovered after %v", drill.Verdict.Figures.TimeToRecover)
}

// reach leads a standby to its primary by another way, and waits until it streams.
func reach(t *testing.T, standby *lab.Postgres, from, to string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), standby.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, before, _ := net.SplitHostPort(from)
	_, after, _ := net.SplitHostPort(to)
	var info string
	if err := conn.QueryRow(t.Context(), "SELECT replace(current_setting('primary_conninfo'), $1, $2)", before, after).Scan(&info); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"ALTER SYSTEM SET primary_conninfo = '" + strings.ReplaceAll(info, "'", "''") + "'", "SELECT pg_reload_conf()"} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, time.Minute, "the standby to stream by the other way", func() (err error) {
		var streams bool
		err = conn.QueryRow(t.Context(), "SELECT count(*) = 1 FROM pg_stat_wal_receiver WHERE status = 'streaming' AND sender_port = $1::int", after).Scan(&streams)
		if err == nil && !streams {
			err = errors.New("it does not yet")
		}
		return err
	})
}

// The shipped game day. A pod of the tests' cluster is ready at once, so that nobody
// would see that it was away; it is available two seconds later.
func podKilled(t *testing.T, cluster *testcluster.Cluster) {
	namespace := cluster.Namespace(t)
	startController(t, cluster, namespace)
	cluster.Deploy(t, namespace, "orders-api", 2, func(d *appsv1.Deployment) { d.Spec.MinReadySeconds = 2 })
	alerts := startAlertmanager(t, lab.AlertmanagerOptions{})
	x := &theatre{host: newHost(t, fmt.Sprintf("connections:\n  prod: {kubernetes: {kubeconfig: %q}}\n  metrics: {prometheus: {url: 'http://127.0.0.1:1'}}\n  alerts: {alertmanager: {url: '%s'}}\nalertmanagers: [alerts]\n", cluster.Kubeconfig(), alerts.URL),
		shipped(t, "pod-crash-loop.yaml", nil))}
	x.host.write("books/pod.gameday.yaml", strings.NewReplacer("namespace: shop", "namespace: "+namespace, "[shop]", "["+namespace+"]", "hold: 10s", "hold: 2s").Replace(shipped(t, "pod-crash-loop.gameday.yaml", nil)))
	x.host.start()
	began := time.Now()
	drill := x.play(api.Drill{Gameday: "shop-pod-killed"})
	if drill.Verdict.Verdict != verdict.Passed || drill.Verdict.Because != gameday.ByReplacement {
		t.Error(tell(drill))
	}
	t.Logf("recovered after %v, all in %s", drill.Verdict.Figures.TimeToRecover, time.Since(began).Round(time.Second))
}
