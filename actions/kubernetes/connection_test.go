package kubernetes

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/secret"
	"github.com/runbook-engine/runbook/internal/version"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWaysToTheCluster(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, deployment())
	var agent atomic.Value
	s.before = func(_ http.ResponseWriter, r *http.Request) bool {
		agent.Store(r.UserAgent())
		return false
	}
	path := s.kubeconfig(t, s.address())
	t.Setenv("HOME", t.TempDir())
	for name, way := range map[string]struct{ config, variable string }{
		"file":                {"{kubeconfig: '" + path + "'}", ""},
		"file and context":    {"{kubeconfig: '" + path + "', context: c}", ""},
		"variable":            {"{}", path},
		"context of variable": {"{context: c}", path},
	} {
		t.Setenv("KUBECONFIG", way.variable)
		restart := bind(t, actionOver(t, way.config, "kubernetes.rollout_restart", time.Now), restart4)
		if _, err := restart.Run(t.Context(), actions.Key(name), actions.Target{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := agent.Load().(string); !strings.HasPrefix(got, "runbook/"+version.Version()+" (") {
		t.Errorf("the user agent is %q", got)
	}
}

func TestAConfigThatCanNotWorkIsPermanentAndShowsNoSecret(t *testing.T) {
	s := newAPIServer(t)
	path := s.kubeconfig(t, s.address())
	good := readFile(t, path)
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	for config, want := range map[string]string{
		"{kubeconfig: /nonexistent/config}":            "no such file",
		"{kubeconfig: '" + path + "', context: other}": `context "other" does not exist`,
		"{}":           "set kubeconfig in the connection",
		"{context: c}": "",
		"{kubeconfig: '" + writeFile(t, good+"\n\t: ["+token) + "'}": "",
		"{kubeconfig: '" + writeFile(t, "users: "+token) + "'}":      "",
		"{kubeconfig: '" + writeFile(t, token) + "'}":                "",
	} {
		restart := bind(t, actionOver(t, config, "kubernetes.rollout_restart", time.Now), restart4)
		_, err := restart.Run(t.Context(), "run/1", actions.Target{})
		if err == nil || !strings.Contains(err.Error(), want) || actions.ClassOf(err) != actions.ClassPermanent {
			t.Errorf("%s: %v (%s), want …%s…", config, err, actions.ClassOf(err), want)
		}
		if err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("%s: the secret shows in %v", config, err)
		}
	}
}

// A plugin that asks for a password would wait for ever. Tests have no terminal
// that it could be seen on, so the settings are looked at.
func TestALoginPluginWorksAndGetsNoTerminal(t *testing.T) {
	s := newAPIServer(t)
	s.add(t, deployment())
	plugin := writeFile(t, `#!/bin/sh
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"`+token+`"}}'`)
	path := writeFile(t, strings.ReplaceAll(readFile(t, s.kubeconfig(t, s.address())), "token: "+token,
		"exec: {apiVersion: client.authentication.k8s.io/v1, command: '"+plugin+"', interactiveMode: IfAvailable}"))
	run[restartResult](t, bind(t, actionOver(t, "{kubeconfig: '"+path+"'}", "kubernetes.rollout_restart", time.Now), restart4), "run/1", actions.Target{})
	settings, err := config{Kubeconfig: secret.File(path)}.settings()
	if err != nil {
		t.Fatal(err)
	}
	if !tuned(settings).ExecProvider.StdinUnavailable {
		t.Error("the plugin may ask a person")
	}
}
