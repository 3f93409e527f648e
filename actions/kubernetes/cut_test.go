package kubernetes

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

// scissors are a TCP proxy that closes a connection, without a word, once so
// many bytes have come back over it.
type scissors struct {
	net.Listener
	after atomic.Int64
}

func cutting(t *testing.T, server string) *scissors {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scissors{Listener: listener}
	s.after.Store(1 << 40)
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.handOn(conn, server)
		}
	}()
	return s
}

func (s *scissors) handOn(conn net.Conn, server string) {
	defer conn.Close()
	to, err := new(net.Dialer).DialContext(context.Background(), "tcp", server)
	if err != nil {
		return
	}
	defer to.Close()
	go func() { _, _ = io.Copy(to, conn) }()
	chunk := make([]byte, 16<<10)
	for passed := int64(0); passed <= s.after.Load(); {
		n, err := to.Read(chunk)
		if err != nil {
			return
		}
		if _, err := conn.Write(chunk[:n]); err != nil {
			return
		}
		passed += int64(n)
	}
}

// hindrances are what makes a copy go this way, and be cut after a megabyte.
func hindrances(how string, cut *scissors) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(how, "SPDY") && withoutWebSocket(w, r) {
			return true
		}
		if strings.Contains(how, "cat") {
			withoutProgram("tar")(w, r)
		}
		if program := r.URL.Query().Get("command"); program == "tar" || program == "cat" {
			cut.after.Store(1 << 20)
		}
		return false
	}
}

// behindScissors is a namespace with a pod "web-1", and what is between the API
// server and its kubelet.
func behindScissors(t *testing.T) (namespace string, kubelet *scissors) {
	t.Helper()
	node := addNode(t)
	status, err := real.Set.CoreV1().Nodes().Get(t.Context(), node, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kubelet = cutting(t, fmt.Sprintf("127.0.0.1:%d", status.Status.DaemonEndpoints.KubeletEndpoint.Port))
	patch := fmt.Appendf(nil, `{"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":%d}}}}`, kubelet.Addr().(*net.TCPAddr).Port)
	if _, err := real.Set.CoreV1().Nodes().Patch(t.Context(), node, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status"); err != nil {
		t.Fatal(err)
	}
	namespace = real.Namespace(t)
	addPod(t, namespace, "web-1", testcluster.Image, func(p *corev1.Pod) {
		p.Spec.NodeName = node
		p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
	})
	awaitPods(t, namespace, "app=web", "running pod", allRunning)
	return namespace, kubelet
}

// Neither WebSocket nor SPDY, nor the API server between us and a kubelet, tells
// that the end of a stream is the end of what was printed.
func TestACopyThatIsCutShortIsKnown(t *testing.T) {
	t.Parallel()
	namespace, kubelet := behindScissors(t)
	between := newFaulty(t)
	api := cutting(t, between.address())
	kubeconfig := real.KubeconfigAt(t, api.Addr().String())
	path, sum := file(t, 4<<20)
	for _, how := range []string{"tar", "cat", "SPDY tar", "SPDY cat"} {
		for who, cut := range map[string]*scissors{"kubelet": kubelet, "API server": api} {
			kept := store(t, 8<<20)
			a := insideOf(t, kubeconfig, kept, "kubernetes.copy")
			b := bind(t, a, "{namespace: "+namespace+", selector: app=web, path: "+path+", timeout: 1m}")
			target := onlyTarget(t, b)
			between.before = hindrances(how, cut)
			_, err := tryRunOn(t, b, "run/1", target)
			if err == nil || actions.ClassOf(err) == actions.ClassPermanent {
				t.Errorf("%s, cut at the %s: %v (%s)", how, who, err, actions.ClassOf(err))
			}
			cut.after.Store(1 << 40)
			between.before = nil
			b = bind(t, insideOf(t, kubeconfig, kept, "kubernetes.copy"), "{namespace: "+namespace+", selector: app=web, path: "+path+"}")
			if got, err := tryRunOn(t, b, "run/1", target); err != nil || got["artefact"].(map[string]any)["sha256"] != sum {
				t.Errorf("the retry gives %v (%v)", got, err)
			}
		}
	}
}

// A command of which nobody knows how it ended has not succeeded.
func TestACommandWhoseEndIsNotToldIsAmbiguous(t *testing.T) {
	t.Parallel()
	namespace, kubelet := behindScissors(t)
	api := cutting(t, real.Address())
	b := bind(t, insideOf(t, real.KubeconfigAt(t, api.Addr().String()), nil, "kubernetes.exec"),
		"{namespace: "+namespace+", selector: app=web, argv: [/usr/bin/head, -c, '3000000', /dev/zero]}")
	target := onlyTarget(t, b)
	run(t, b, "run/0")
	for who, cut := range map[string]*scissors{"kubelet": kubelet, "API server": api} {
		cut.after.Store(1 << 20)
		_, err := tryRunOn(t, b, "run/"+who, target)
		refused(t, err, actions.ClassAmbiguous, "the connection ended before the command did")
		cut.after.Store(1 << 40)
	}
}

func TestACommandGoesWhereThereIsAWay(t *testing.T) {
	t.Parallel()
	namespace := onePod(t)
	for how, between := range map[string]func(w http.ResponseWriter, r *http.Request) bool{"no SPDY": withoutSPDY, "no WebSocket": withoutWebSocket} {
		s := newFaulty(t)
		s.before = between
		b := bind(t, insideOf(t, real.KubeconfigAt(t, s.address()), nil, "kubernetes.exec"), "{namespace: "+namespace+", selector: app=web, argv: [/bin/echo, x]}")
		if got := run(t, b, "run/1"); got["stdout"] != "x\n" {
			t.Errorf("%s: %v", how, got)
		}
	}
}

// withoutSPDY is a proxy between, that knows none.
func withoutSPDY(w http.ResponseWriter, r *http.Request) bool {
	spdy := r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/exec")
	if spdy {
		http.Error(w, "what is that?", http.StatusBadGateway)
	}
	return spdy
}
