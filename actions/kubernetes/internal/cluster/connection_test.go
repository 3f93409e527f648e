package cluster

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/runbook-engine/runbook/internal/secret"
)

// A plugin that asks for a password would wait for ever. Tests have no terminal
// that it could be seen on, so the settings are looked at.
func TestALoginPluginGetsNoTerminal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}],
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: login, interactiveMode: IfAvailable}}}]}`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	settings, err := Config{Kubeconfig: secret.File(path)}.settings()
	if err != nil {
		t.Fatal(err)
	}
	if !tuned(settings).ExecProvider.StdinUnavailable {
		t.Error("the plugin may ask a person")
	}
}
