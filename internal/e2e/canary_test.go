package e2e

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// probing is a runbook of one call, which is tried again for ten seconds.
func probing(name, do, with string) string {
	return strings.NewReplacer("NAME", name, "DO", do, "WITH", with).Replace(`---
runbook: NAME
summary: Make one call.
triggers: [{alert: NAME}]
params: {app: {type: string, from: alert.labels.app}}
autonomy: auto
guards: {resource: NAME, approve: {at: destructive, within: 1s, otherwise: skip}}
remedies:
  - {id: one, within: 10s, steps: [{id: call, do: DO, with: WITH}]}
verify: {do: wait, with: {duration: 0s}, until: duration >= duration("0s")}
`)
}

// vault is where an engine finds its credentials, all of them known.
type vault struct {
	t        *testing.T
	dir      string
	canaries []string
}

func newVault(t *testing.T) *vault { return &vault{t: t, dir: t.TempDir()} }

func (v *vault) secret(name string) string {
	v.canaries = append(v.canaries, "canary-"+name+"-4711")
	return v.canaries[len(v.canaries)-1]
}

func (v *vault) file(name string) string { return secretFile(v.t, v.dir, name, v.secret(name)) }

// call is what a runbook does over one connection, which has a name like its kind.
type call struct{ connection, config, do, with string }

// A system that refuses us, and one that breaks off, may not make the engine tell
// anybody its credentials: not in a history, a log, the audit, or an answer of the
// API.
func TestNoCredentialIsInAnythingThatIsKept(t *testing.T) {
	t.Parallel()
	refuse := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) })
	refusing, safely := httptest.NewServer(refuse), httptest.NewTLSServer(refuse) // no kubeconfig gives a token away without TLS
	t.Cleanup(refusing.Close)
	t.Cleanup(safely.Close)
	v := newVault(t)
	key, line := sshKey(t)
	v.canaries = append(v.canaries, line)
	address := strings.TrimPrefix(refusing.URL, "http://")
	_, port, _ := strings.Cut(address, ":")
	kubeconfig := secretFile(t, v.dir, "kubeconfig", fmt.Sprintf("{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], "+
		"clusters: [{name: c, cluster: {server: '%s', insecure-skip-tls-verify: true}}], users: [{name: u, user: {token: %s}}]}", safely.URL, v.secret("kubernetes")))
	v.keeps(false,
		call{"mysql", "{host: 127.0.0.1, port: " + port + ", user: u, password_file: " + v.file("mysql") + "}", "mysql.query", "{database: mysql, query: SELECT 1}"},
		call{"postgres", "{host: 127.0.0.1, port: " + port + ", user: u, password_file: " + v.file("postgres") + "}", "postgres.query", "{database: postgres, query: SELECT 1}"},
		call{"redis", "{address: '" + address + "', username: u, password_file: " + v.file("redis") + "}", "redis.info", "{redis: redis}"},
		call{"pgbouncer", "{host: 127.0.0.1, port: " + port + ", user: u, password_file: " + v.file("pgbouncer") + "}", "pgbouncer.pool", "{pooler: pgbouncer, database: orders}"},
		call{"patroni", "{urls: ['" + refusing.URL + "'], username: u, password_file: " + v.file("patroni") + "}", "patroni.cluster", "{cluster: patroni}"},
		call{"orchestrator", "{urls: ['" + refusing.URL + "'], username: u, password_file: " + v.file("orchestrator") + "}", "orchestrator.cluster", "{cluster: orders}"},
		call{"pprof", "{url: '" + refusing.URL + "', bearer_token_file: " + v.file("pprof") + "}", "pprof.capture", "{service: pprof, profile: heap}"},
		call{"http", "{url: '" + refusing.URL + "', header_files: {X-Api-Key: " + v.file("http") + "}}", "http.setting", "{connection: http, url: /flag, from: {on: true}, to: {on: false}}"},
		call{"prometheus", "{url: '" + refusing.URL + "', bearer_token_file: " + v.file("prometheus") + "}", "prometheus.query", "{query: up}"},
		call{"ssh", "{address: '" + address + "', user: u, key_file: " + key + ", known_hosts_file: " + secretFile(t, v.dir, "known", "") + ", allow: [{argv: [/bin/true]}]}", "ssh.command", "{machine: ssh, argv: [/bin/true]}"},
		call{"kubernetes", "{kubeconfig: " + kubeconfig + "}", "kubernetes.delete_pods", "{namespace: shop, selector: app=x}"},
	)
}

// keeps has an engine make all calls, which succeed or fail, and looks through all
// that is left of them.
func (v *vault) keeps(succeed bool, calls ...call) {
	v.t.Helper()
	connections, books := "", ""
	var alerts []map[string]string
	for _, c := range calls {
		connections += fmt.Sprintf("  %s: {%s: %s}\n", c.connection, c.connection, c.config)
		books += probing(c.connection, c.do, c.with)
		alerts = append(alerts, map[string]string{"alertname": c.connection, "app": "seen-4711"})
	}
	h := newHost(v.t, "artefacts: {dir: artefacts}\nconnections:\n"+connections, books).start()
	h.deliver(alerts...)
	for _, row := range h.ended(2*time.Minute, len(calls)) {
		_, text, err := fetch(v.t.Context(), h.url("/api/v1/runs/"+row.ID))
		if err != nil || !strings.Contains(text, "seen-4711") || strings.Contains(text, `"outcome":"done"`) != succeed {
			v.t.Errorf("%s is not as meant: %v %s", row.Runbook, err, text)
		}
		leaks(v.t, "the run of "+row.Runbook, []byte(text), v.canaries)
	}
	if seen := searched(v.t, h.dir, v.canaries); !seen {
		v.t.Error("what every run holds was not found, so a secret would not be either")
	}
}

func secretFile(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sshKey is the file of a new key, and a line of it.
func sshKey(t *testing.T) (file, line string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(block))
	return secretFile(t, t.TempDir(), "key", text), strings.Split(text, "\n")[2]
}

func leaks(t *testing.T, where string, text []byte, canaries []string) {
	t.Helper()
	for _, secret := range canaries {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s holds %s", where, secret)
		}
	}
}

// searched looks through all that an engine has written: logs, audit, and the
// database of the histories.
func searched(t *testing.T, dir string, canaries []string) (seen bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		leaks(t, path, text, canaries)
		seen = seen || strings.Contains(path, "temporal") && bytes.Contains(text, []byte("seen-4711"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}
