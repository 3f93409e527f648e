package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/http/pprof"
	"net/url"
	"path/filepath"
	"syscall"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/runbook-engine/runbook/internal/lab"
	processes "github.com/runbook-engine/runbook/internal/lab/child"
	"github.com/runbook-engine/runbook/internal/lab/programs"
	"github.com/runbook-engine/runbook/internal/lab/proxy"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

// Systems that let us in and do as they are asked: the credentials are used, and
// are nowhere afterwards. The histories of these runs are in the database that is
// looked through.
func TestNoCredentialIsKeptOfWhatSucceeds(t *testing.T) {
	t.Parallel()
	v := newVault(t)
	host, port, pooler := v.databases()
	prometheus, err := lab.StartPrometheus(t.Context(), t.TempDir(), lab.PrometheusOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = prometheus.Kill() })
	metrics := v.demands("Bearer ", "prometheus", forwards(t, prometheus.URL))
	alerts := v.demands("Bearer ", "alertmanager", forwards(t, startAlertmanager(t, lab.AlertmanagerOptions{}).URL))
	profiles := v.demands("Bearer ", "pprof", http.HandlerFunc(pprof.Index))
	flags := v.demands("", "http", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	v.keeps(true,
		call{"redis", "{address: '" + v.redis() + "', username: default, password_file: " + v.kept("redis") + "}", "redis.info", "{redis: redis}"},
		call{"postgres", fmt.Sprintf("{host: %s, port: %s, user: engine, password_file: %s, database: postgres, sslmode: disable}", host, port, v.kept("postgres")), "postgres.query", "{database: postgres, query: SELECT 1}"},
		call{"pgbouncer", pooler, "pgbouncer.pool", "{pooler: pgbouncer, database: orders}"},
		call{"prometheus", "{url: '" + metrics + "', bearer_token_file: " + v.kept("prometheus") + "}", "prometheus.query", "{query: vector(1)}"},
		call{"alertmanager", "{url: '" + alerts + "', bearer_token_file: " + v.kept("alertmanager") + "}", "alertmanager.raise", "{alertname: Raised}"},
		call{"pprof", "{url: '" + profiles + "/debug/pprof', bearer_token_file: " + v.kept("pprof") + "}", "pprof.capture", "{service: pprof, profile: heap}"},
		call{"http", "{url: '" + flags + "', header_files: {Authorization: " + v.kept("http") + "}}", "http.request", "{connection: http, url: /flag, method: PUT, json: {percent: 10}}"},
	)
}

// kept is the file of a secret that a system knows already.
func (v *vault) kept(name string) string {
	return secretFile(v.t, v.dir, name, "canary-"+name+"-4711")
}

// databases are a PostgreSQL, and a PgBouncer before it by its connection.
func (v *vault) databases() (host, port, pooler string) {
	v.t.Helper()
	server, err := lab.StartPostgres(v.t.Context(), v.t.TempDir(), lab.PostgresOptions{})
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = server.Close() })
	if err := server.Exec(v.t.Context(), "postgres", "CREATE ROLE engine LOGIN PASSWORD '"+v.secret("postgres")+"'"); err != nil {
		v.t.Fatal(err)
	}
	host, port, err = net.SplitHostPort(server.Address())
	bouncer, failed := proxy.StartPgBouncer(v.t.Context(), v.t.TempDir(), proxy.PgBouncerOptions{
		Databases: map[string]string{"orders": "host=" + host + " port=" + port + " dbname=postgres"},
		Admins:    map[string]string{"engine": v.secret("pgbouncer")},
	})
	if err := errors.Join(err, failed); err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = bouncer.Close() })
	_, at, _ := net.SplitHostPort(bouncer.Address())
	return host, port, "{host: 127.0.0.1, port: " + at + ", user: engine, password_file: " + v.kept("pgbouncer") + "}"
}

// redis is the address of a Redis.
func (v *vault) redis() (address string) {
	v.t.Helper()
	program, err := programs.Redis.Find()
	if err != nil {
		v.t.Fatal(err)
	}
	secret, dir := v.secret("redis"), v.t.TempDir()
	server, err := processes.RunOnFreePorts(v.t.Context(), 1, func(ports []int) processes.Program {
		address = processes.Address(ports[0])
		file := secretFile(v.t, dir, "redis.conf", fmt.Sprintf("port %d\nbind 127.0.0.1\nrequirepass %s\nsave \"\"\n", ports[0], secret))
		return processes.Program{
			Name: "redis-server", Path: program, Args: []string{file}, Dir: dir, Log: filepath.Join(dir, "log"), Stop: syscall.SIGTERM, Orphan: syscall.SIGKILL,
			Ready: func(ctx context.Context) error {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
				if err == nil {
					err = conn.Close()
				}
				return err
			},
		}
	})
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = server.Kill() })
	return address
}

// noTokenIsKept is the same of a cluster, which hands out its tokens itself.
func noTokenIsKept(t *testing.T, cluster *testcluster.Cluster) {
	namespace := cluster.Namespace(t)
	cluster.Deploy(t, namespace, "orders", 1)
	account := cluster.Account(t, namespace, rbacv1.PolicyRule{APIGroups: []string{"", "apps"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "patch"}})
	v := newVault(t)
	v.canaries = []string{account.Token}
	v.keeps(true, call{"kubernetes", "{kubeconfig: " + account.Kubeconfig + "}", "kubernetes.rollout_restart", "{namespace: " + namespace + ", deployment: orders}"})
}

// demands is the address of a server that lets in who brings the secret.
func (v *vault) demands(scheme, name string, then http.Handler) string {
	want := scheme + v.secret(name)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != want {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		then.ServeHTTP(w, r)
	}))
	v.t.Cleanup(server.Close)
	return server.URL
}

func forwards(t *testing.T, to string) http.Handler {
	t.Helper()
	at, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return httputil.NewSingleHostReverseProxy(at)
}
