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
	"github.com/runbook-engine/runbook/internal/version"
)

// look is an action that reads one object, and waits for nothing.
const look = "kubernetes.rollout_status"

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
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	var agent atomic.Value
	s := newFaulty(t)
	s.before = func(_ http.ResponseWriter, r *http.Request) bool {
		agent.Store(r.UserAgent())
		return false
	}
	path := real.KubeconfigAt(t, s.address())
	t.Setenv("HOME", t.TempDir())
	for name, way := range map[string]struct{ config, variable string }{
		"file":                {"{kubeconfig: '" + path + "'}", ""},
		"file and context":    {"{kubeconfig: '" + path + "', context: test}", ""},
		"variable":            {"{}", path},
		"context of variable": {"{context: test}", path},
	} {
		t.Setenv("KUBECONFIG", way.variable)
		if _, err := tryRun(t, bind(t, actionOver(t, way.config, look, time.Now), "{namespace: "+namespace+", deployment: orders}"), "run/1"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := agent.Load().(string); !strings.HasPrefix(got, "runbook/"+version.Version()+" (") {
		t.Errorf("the user agent is %q", got)
	}
}

func TestAConfigThatCanNotWorkIsPermanentAndShowsNoSecret(t *testing.T) {
	path, token := real.Kubeconfig(), real.Config.BearerToken
	good := readFile(t, path)
	t.Setenv("HOME", t.TempDir())
	t.Setenv("KUBECONFIG", "")
	for config, want := range map[string]string{
		"{kubeconfig: /nonexistent/config}":            "no such file",
		"{kubeconfig: '" + path + "', context: other}": `context "other" does not exist`,
		"{}":              "set kubeconfig in the connection",
		"{context: test}": "",
		"{kubeconfig: '" + writeFile(t, good+"\n\t: ["+token) + "'}": "",
		"{kubeconfig: '" + writeFile(t, "users: "+token) + "'}":      "",
		"{kubeconfig: '" + writeFile(t, token) + "'}":                "",
	} {
		_, err := tryRun(t, bind(t, actionOver(t, config, look, time.Now), "{namespace: shop, deployment: orders}"), "run/1")
		refused(t, err, actions.ClassPermanent, want)
		if err != nil && strings.Contains(err.Error(), token) {
			t.Errorf("%s: the secret shows in %v", config, err)
		}
	}
}

func TestALoginPluginWorks(t *testing.T) {
	namespace := real.Namespace(t)
	real.Deploy(t, namespace, "orders", 1)
	token := real.Config.BearerToken
	plugin := writeFile(t, `#!/bin/sh
echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"`+token+`"}}'`)
	path := writeFile(t, strings.ReplaceAll(readFile(t, real.Kubeconfig()), "token: "+token,
		"exec: {apiVersion: client.authentication.k8s.io/v1, command: '"+plugin+"', interactiveMode: IfAvailable}"))
	run(t, bind(t, actionOver(t, "{kubeconfig: '"+path+"'}", look, time.Now), "{namespace: "+namespace+", deployment: orders}"), "run/1")
}

func TestAServerWeDoNotTrustIsPermanent(t *testing.T) {
	path := writeFile(t, strings.ReplaceAll(readFile(t, real.Kubeconfig()), ", certificate-authority: '"+filepath.Join(real.Dir(), "apiserver.crt")+"'", ""))
	_, err := tryRun(t, bind(t, actionOver(t, "{kubeconfig: '"+path+"'}", look, time.Now), "{namespace: shop, deployment: orders}"), "run/1")
	refused(t, err, actions.ClassPermanent, "unknown authority")
}
