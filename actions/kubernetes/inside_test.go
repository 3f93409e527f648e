package kubernetes

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/actions/conformance"
	"github.com/runbook-engine/runbook/internal/artefact"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

// The kubelets of the cluster are stand-ins: what is run in a pod runs on this machine,
// in the folder of the cluster, and the files of a pod are those of this machine.
const allowsInside = "exec: [{argv: [/bin/echo, '*'], namespaces: ['test-*']}, {argv: [/bin/sleep, '*'], namespaces: ['test-*']}, {argv: [/bin/mkdir, 'made-*'], namespaces: ['test-*']}, " +
	"{argv: [/bin/sh, -c, 'echo broken >&2; exit 3'], namespaces: ['test-*']}, {argv: [/usr/bin/head, -c, '[0-9]*', /dev/zero], namespaces: ['test-*']}, {argv: [/nowhere/program], namespaces: ['test-*']}], " +
	"copy: [{path: /etc/hostname, namespaces: ['test-*']}, {path: '/*/*/*', namespaces: ['test-*']}, {path: '/*/*/*/*', namespaces: ['test-*']}, {path: '/*/*/*/*/*', namespaces: ['test-*']}, {path: /dumps/heap, namespaces: [other]}]"

func store(t *testing.T, size int64) actions.Artefacts {
	t.Helper()
	d, err := artefact.OpenDirectory(t.TempDir(), artefact.Limits{MaxSize: size, MaxTotal: 1 << 30, MaxAge: time.Hour}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func keeping(s actions.Artefacts) func(*actions.Connections) actions.System {
	return func(conns *actions.Connections) actions.System {
		if conns != nil {
			conns.KeepArtefacts(s)
		}
		return System(conns)
	}
}

// insideOf is an action that may look into pods, through an address, and keeps what
// it finds in a store.
func insideOf(t *testing.T, kubeconfig string, s actions.Artefacts, name string) actions.Action {
	t.Helper()
	conns := connections(t, "{kubeconfig: '"+kubeconfig+"', "+allowsInside+"}")
	return named(t, keeping(s)(conns), name)
}

// pod is one with the app "web", in a namespace of its own.
func onePod(t *testing.T, change ...func(*corev1.Pod)) (namespace string) {
	t.Helper()
	namespace = real.Namespace(t)
	addPod(t, namespace, "web-1", testcluster.Image, append(change, func(p *corev1.Pod) { p.Spec.NodeName = "node-1" })...)
	awaitPods(t, namespace, "app=web", "running pod", allRunning)
	return namespace
}

func file(t *testing.T, size int) (path string, sum string) {
	t.Helper()
	content := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
	path = filepath.Join(t.TempDir(), "heap.hprof")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256(content)
	return path, hex.EncodeToString(digest[:])
}

func TestExecConforms(t *testing.T) {
	t.Parallel()
	namespace := onePod(t)
	made := "made-" + namespace
	conforms(t, conformance.Case{
		Action: "kubernetes.exec", Measured: []string{"duration"},
		Params:  "{namespace: " + namespace + ", selector: app=web, argv: [/bin/mkdir, " + made + "]}",
		Nothing: "{namespace: " + namespace + ", selector: app=nothing, argv: [/bin/echo, x]}",
		Slow:    "{namespace: " + namespace + ", selector: app=web, argv: [/bin/sleep, '60'], timeout: 5m}",
		Arrange: func(*testing.T) { os.Remove(filepath.Join(real.Dir(), made)) },
		State: func(*testing.T) string {
			_, err := os.Stat(filepath.Join(real.Dir(), made))
			return fmt.Sprint(err == nil)
		},
	})
}

func TestCopyConforms(t *testing.T) {
	t.Parallel()
	namespace := onePod(t)
	path, _ := file(t, 1000)
	conforms(t, conformance.Case{
		Action:  "kubernetes.copy",
		Params:  "{namespace: " + namespace + ", selector: app=web, path: " + path + "}",
		Nothing: "{namespace: " + namespace + ", selector: app=nothing, path: " + path + "}",
	})
}

// Arguments come out of alerts: none may mean anything to a shell.
func TestArgumentsInAPodAreArguments(t *testing.T) {
	t.Parallel()
	namespace := onePod(t)
	for _, argument := range []string{"plain", "two words", "$(id)", "a;b", "a'b", `a"b\c`, "a&&b", "$HOME", "*", "a\nb", "ü", "a?b=c&d#e"} {
		b := bind(t, insideOf(t, real.Kubeconfig(), nil, "kubernetes.exec"), "{namespace: "+namespace+", selector: app=web, argv: [/bin/echo, "+asJSON(t, argument)+"]}")
		if got := run(t, b, "run/"+argument); got["stdout"] != argument+"\n" || got["exit_code"] != 0.0 || got["pod"] != "web-1" {
			t.Errorf("%q gives %v", argument, got)
		}
	}
}

func TestHowACommandInAPodEnds(t *testing.T) {
	t.Parallel()
	namespace := onePod(t)
	exec := func(params string) (output, error) {
		return tryRun(t, bind(t, insideOf(t, real.Kubeconfig(), store(t, 100<<10), "kubernetes.exec"), "{namespace: "+namespace+", selector: app=web, "+params+"}"), "run/"+params)
	}
	_, err := exec("argv: [/bin/sh, -c, 'echo broken >&2; exit 3']")
	refused(t, err, actions.ClassPermanent, "in container app of pod "+namespace+"/web-1: exit code 3, not [0]: broken")
	if got, err := exec("argv: [/bin/sh, -c, 'echo broken >&2; exit 3'], expect_exit: [0, 3]"); err != nil || got["exit_code"] != 3.0 || got["stderr"] != "broken\n" {
		t.Errorf("an exit code that is expected: %v, %v", got, err)
	}
	if got, err := exec("argv: [/usr/bin/head, -c, '100000', /dev/zero]"); err != nil || len(got["stdout"].(string)) != 64<<10 || got["truncated"] != true {
		t.Errorf("much output: %d bytes, %v", len(fmt.Sprint(got["stdout"])), err)
	}
	if got, err := exec("argv: [/usr/bin/head, -c, '100000', /dev/zero], keep: zeros.bin"); err != nil || got["stdout"] != "" || got["artefact"].(map[string]any)["size"] != 100000.0 {
		t.Errorf("kept output: %v, %v", got["artefact"], err)
	}
	_, err = exec("argv: [/usr/bin/head, -c, '200000000', /dev/zero], keep: zeros.bin")
	refused(t, err, actions.ClassPermanent, "larger than 102400 bytes")
	_, err = exec("argv: [/nowhere/program]")
	refused(t, err, actions.ClassPermanent, "/nowhere/program")
	_, err = exec("argv: [/bin/sleep, '60'], timeout: 500ms")
	refused(t, err, actions.ClassAmbiguous, "took longer than 500ms")
	_, err = exec("argv: [/bin/echo, x], container: sidecar")
	refused(t, err, actions.ClassPermanent, "sidecar")
}

func TestTheContainerThatThePodSays(t *testing.T) {
	t.Parallel()
	namespace := onePod(t, func(p *corev1.Pod) {
		p.Annotations = map[string]string{"kubectl.kubernetes.io/default-container": "sidecar"}
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "sidecar", Image: testcluster.Image})
	})
	for params, want := range map[string]string{"": "sidecar", ", container: app": "app"} {
		s := newFaulty(t)
		asked := ""
		s.before = func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/exec") {
				asked = r.URL.Query().Get("container")
			}
			return false
		}
		run(t, bind(t, insideOf(t, real.KubeconfigAt(t, s.address()), nil, "kubernetes.exec"), "{namespace: "+namespace+", selector: app=web, argv: [/bin/echo, x]"+params+"}"), "run/1")
		if asked != want {
			t.Errorf("%q runs in %q", params, asked)
		}
	}
}

func TestOnlyWhatTheConnectionAllowsIsDoneInAPod(t *testing.T) {
	t.Parallel()
	s := newFaulty(t)
	kubeconfig := real.KubeconfigAt(t, s.address())
	for params, says := range map[string]string{
		"exec namespace: test-x, argv: [/bin/ls]":            "does not allow it",
		"exec namespace: test-x, argv: [/bin/echo]":          "does not allow it",
		"exec namespace: test-x, argv: [/bin/echo, -n]":      "does not allow it",
		"exec namespace: test-x, argv: [/bin/echo, a, b]":    "does not allow it",
		"exec namespace: shop, argv: [/bin/echo, a]":         "does not allow it",
		"copy namespace: test-x, path: /dumps/heap":          "does not allow it",
		"copy namespace: shop, path: /dumps/heap":            "{path: /dumps/heap, namespaces: [shop]}",
		"copy namespace: test-x, path: /var/run/secrets/a/b": "",
	} {
		name, params, _ := strings.Cut(params, " ")
		b := bind(t, insideOf(t, kubeconfig, store(t, 1000), "kubernetes."+name), "{"+params+", selector: app=web}")
		_, err := b.Targets(t.Context())
		_, ran := tryRunOn(t, b, "run/1", actions.Target{ID: "pod/" + namespaceOf(params) + "/web-1@uid"})
		if says == "" {
			continue
		}
		refused(t, err, actions.ClassPermanent, says)
		refused(t, ran, actions.ClassPermanent, says)
	}
	if n := s.count("GET /api/v1/namespaces/shop"); n != 0 {
		t.Errorf("asked for %d", n)
	}
	for _, path := range []string{"relative", "/", "/dumps/../etc/passwd", "/dumps//heap", "/dumps/", "/dumps/."} {
		_, problems := named(t, System(nil), "kubernetes.copy").Bind([]byte("{namespace: shop, selector: app=web, path: '" + path + "'}"))
		if err := problems.Err(); err == nil || !strings.Contains(err.Error(), "not the absolute path of a file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func namespaceOf(params string) string {
	namespace, _, _ := strings.Cut(strings.TrimPrefix(params, "namespace: "), ",")
	return namespace
}

func TestAnotherPodUnderTheNameIsLeftAlone(t *testing.T) {
	t.Parallel()
	namespace := onePod(t)
	path, _ := file(t, 10)
	for name, params := range map[string]string{"exec": "argv: [/bin/mkdir, made-" + namespace + "]", "copy": "path: " + path} {
		b := bind(t, insideOf(t, real.Kubeconfig(), store(t, 1000), "kubernetes."+name), "{namespace: "+namespace+", selector: app=web, "+params+"}")
		_, err := tryRunOn(t, b, "run/1", actions.Target{ID: "pod/" + namespace + "/web-1@another"})
		refused(t, err, actions.ClassPermanent, "pod "+namespace+"/web-1 is gone, or another pod has its name")
	}
	if _, err := os.Stat(filepath.Join(real.Dir(), "made-"+namespace)); err == nil {
		t.Error("it was run in the other pod")
	}
}

func TestADryRunAsksWhetherACommandMayRun(t *testing.T) {
	t.Parallel()
	namespace := onePod(t)
	reader := real.Account(t, namespace, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list"}})
	for kubeconfig, says := range map[string]string{real.Kubeconfig(): "", reader.Kubeconfig: `{apiGroups: [""], resources: ["pods/exec"], verbs: ["create"]}`} {
		b := bind(t, insideOf(t, kubeconfig, nil, "kubernetes.exec"), "{namespace: "+namespace+", selector: app=web, argv: [/bin/mkdir, made-"+namespace+"]}")
		target := onlyTarget(t, b)
		if err := b.Accepts(t.Context(), target); (err == nil) != (says == "") || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("the dry run gives %v, want …%s…", err, says)
		}
		if says != "" {
			_, err := tryRunOn(t, b, "run/1", target)
			refused(t, err, actions.ClassPermanent, "cannot create resource", says)
		}
	}
	if _, err := os.Stat(filepath.Join(real.Dir(), "made-"+namespace)); err == nil {
		t.Error("it was run")
	}
}

// Most sizes are not a multiple of what tar, the session or a pipe takes at once.
func TestAFileIsCopiedAsItIs(t *testing.T) {
	t.Parallel()
	namespace := onePod(t)
	for how, between := range map[string]func(w http.ResponseWriter, r *http.Request) bool{"tar": nil, "cat": withoutProgram("tar"), "SPDY": withoutWebSocket, "SPDY and cat": func(w http.ResponseWriter, r *http.Request) bool {
		return withoutWebSocket(w, r) || withoutProgram("tar")(w, r)
	}} {
		s, kept := newFaulty(t), store(t, 8<<20)
		s.before = between
		for _, size := range []int{0, 1, 511, 512, 10240, 100_001, 3 << 20} {
			path, sum := file(t, size)
			b := bind(t, insideOf(t, real.KubeconfigAt(t, s.address()), kept, "kubernetes.copy"), "{namespace: "+namespace+", selector: app=web, path: "+path+"}")
			got, err := tryRun(t, b, fmt.Sprint("run/", size))
			if err != nil {
				t.Fatalf("%s: %v", how, err)
			}
			if copied := got["artefact"].(map[string]any); copied["sha256"] != sum || copied["size"] != float64(size) || !strings.HasSuffix(copied["url"].(string), "/heap.hprof") {
				t.Errorf("%d bytes by %s: %v, want %s", size, how, copied, sum)
			}
			asked := s.count("")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if again, err := tryRunOn(t, b, fmt.Sprint("run/", size), onlyTarget(t, b)); err != nil || fmt.Sprint(again) != fmt.Sprint(got) || s.count("") != asked+1 {
				t.Errorf("the retry gives %v (%v), and asked %d times", again, err, s.count("")-asked)
			}
		}
	}
}

// withoutProgram is an image without it.
func withoutProgram(name string) func(w http.ResponseWriter, r *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		query := r.URL.Query()
		if command := query["command"]; len(command) > 0 && command[0] == name {
			command[0] = "no-such-" + name
			r.URL.RawQuery = query.Encode()
		}
		return false
	}
}

// withoutWebSocket is a proxy between, that knows none.
func withoutWebSocket(w http.ResponseWriter, r *http.Request) bool {
	websocket := r.Header.Get("Upgrade") == "websocket"
	if websocket {
		http.Error(w, "what is that?", http.StatusBadGateway)
	}
	return websocket
}

func TestWhatCanNotBeCopied(t *testing.T) {
	t.Parallel()
	namespace := onePod(t)
	path, _ := file(t, 4000)
	link := filepath.Join(filepath.Dir(path), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	bare := newFaulty(t)
	bare.before = func(w http.ResponseWriter, r *http.Request) bool {
		return withoutProgram("tar")(w, r) || withoutProgram("wc")(w, r)
	}
	for _, c := range []struct {
		path, kubeconfig string
		size             int64
		says             string
	}{
		{folder + "/gone", real.Kubeconfig(), 1 << 20, "No such file"},
		{folder, real.Kubeconfig(), 1 << 20, "no regular file"},
		{link, real.Kubeconfig(), 1 << 20, "no regular file"},
		{path, real.Kubeconfig(), 3999, "larger than 3999 bytes"},
		{path, real.KubeconfigAt(t, bare.address()), 1 << 20, "neither tar nor cat and wc"},
	} {
		kept := store(t, c.size)
		b := bind(t, insideOf(t, c.kubeconfig, kept, "kubernetes.copy"), "{namespace: "+namespace+", selector: app=web, path: "+c.path+"}")
		_, err := tryRun(t, b, "run/1")
		refused(t, err, actions.ClassPermanent, c.says, "copy "+c.path+" out of container app of pod "+namespace+"/web-1")
		if _, there, err := kept.Find(t.Context(), actions.Key("run/1").ArtefactName(filepath.Base(c.path))); there || err != nil {
			t.Errorf("%s is kept (%v)", c.path, err)
		}
	}
}

func TestACopyThatIsCancelledEnds(t *testing.T) {
	t.Parallel()
	namespace := onePod(t)
	ctx, cancel := context.WithCancel(t.Context())
	s, kept, over := newFaulty(t), store(t, 1<<20), make(chan struct{})
	s.before = func(_ http.ResponseWriter, r *http.Request) bool {
		asked := strings.HasSuffix(r.URL.Path, "/exec")
		if asked {
			cancel()
			<-over
		}
		return asked
	}
	path, _ := file(t, 1000)
	b := bind(t, insideOf(t, real.KubeconfigAt(t, s.address()), kept, "kubernetes.copy"), "{namespace: "+namespace+", selector: app=web, timeout: 1h, path: "+path+"}")
	target, ended := onlyTarget(t, b), make(chan error, 1)
	go func() { _, err := b.Run(ctx, "run/1", target); ended <- err }()
	select {
	case err := <-ended:
		if err == nil || actions.ClassOf(err) != actions.ClassTransient || !strings.Contains(err.Error(), "context canceled") {
			t.Errorf("it gives %v (%s)", err, actions.ClassOf(err))
		}
	case <-time.After(30 * time.Second):
		t.Error("it waits for an answer that nobody needs")
	}
	close(over)
}
