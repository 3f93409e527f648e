package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/runbook-engine/runbook/actions"
	"github.com/runbook-engine/runbook/internal/document"
	"github.com/runbook-engine/runbook/internal/testcluster"
)

// childVariable makes this test program an engine that does one call and ends.
const childVariable = "RUNBOOK_TEST_CALL"

type call struct{ Config, Action, Params, Key, Target string }

func (c call) run() error {
	nodes, problems := document.Parse("config.yaml", []byte(c.Config))
	if err := problems.Err(); err != nil {
		return err
	}
	conns, problems := actions.NewConnections([]*actions.ConnectionKind{System(nil).Connection}, nodes[0])
	if err := problems.Err(); err != nil {
		return err
	}
	for _, a := range newSystem(conns, time.Now).Actions {
		if a.Name != c.Action {
			continue
		}
		b, problems := a.Bind([]byte(c.Params))
		if err := problems.Err(); err != nil {
			return err
		}
		_, err := b.Run(context.Background(), actions.Key(c.Key), actions.Target{ID: c.Target})
		return err
	}
	return errors.New("no action " + c.Action)
}

func runChild(text string) int {
	var c call
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = c.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// killAfterWrite runs an action in a process of its own, and kills that once its
// first write has reached the API server, before the answer has reached it.
func killAfterWrite(t *testing.T, c call) {
	t.Helper()
	s, written := newFaulty(t), make(chan struct{})
	var once sync.Once
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			return false
		}
		answer := httptest.NewRecorder()
		s.through.ServeHTTP(answer, r)
		if answer.Code == http.StatusConflict { // a controller was faster
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
			return true
		}
		once.Do(func() { close(written) })
		<-r.Context().Done() // nobody is there any more
		return true
	}
	c.Config = "prod: {kubernetes: {kubeconfig: '" + real.KubeconfigAt(t, s.address()) + "', " + allowsPatches + "}}"
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+string(text))
	var says strings.Builder
	child.Stderr = &says
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	select {
	case <-written:
	case err := <-ended:
		t.Fatalf("%s ended before it wrote: %v: %s", c.Action, err, says.String())
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
}

const allowsPatches = "patch: [{resource: configmaps, namespaces: ['test-*'], fields: [/data]}]"

// What the engine that takes over does under the same key is nothing.
func TestAnEngineThatIsKilledAfterItsWriteHasWrittenOnce(t *testing.T) {
	t.Parallel()
	namespace, node := real.Namespace(t), addNode(t)
	real.Deploy(t, namespace, "web", 2)
	setImage(t, namespace, "web", "well.test/app:2")
	real.AwaitAvailable(t, namespace, "web")
	addAutoscaler(t, namespace, "other", 2, 10)
	addLimits(t, namespace)
	addCronJob(t, namespace, "purge", testcluster.Image)
	playDriver(t, namespace, map[string]any{"readyToUse": true})
	addClaim(t, namespace, "data")
	arrangeDatabase(t, namespace)
	playOperator(t, namespace, obey)
	for _, c := range []struct{ action, params string }{
		{"rollout_restart", "deployment: web"},
		{"rollout_undo", "deployment: web"},
		{"scale", "deployment: web, replicas: 3"},
		{"hpa_bounds", "autoscaler: other, min: 3"},
		{"patch", "resource: configmaps.v1., name: limits, merge: {data: {pool: '20'}}"},
		{"run_job", "cronjob: purge, wait: 1m"},
		{"volume_snapshot", "claim: data, wait: 1m"},
		{"delete_pods", "selector: app=web, limit: 1"},
		{"evict_pods", "selector: app=web, limit: 1"},
		{"restart_pods", "selector: app=web, limit: 1"},
		{"cnpg_promote", "cluster: orders, instance: orders-2, wait: 1m"},
		{"cordon", "names: [" + node + "]"},
	} {
		real.AwaitAvailable(t, namespace, "web")
		params := "{namespace: " + namespace + ", " + c.params + "}"
		if c.action == "cordon" {
			params = "{" + c.params + "}"
		}
		a := actionOver(t, "{kubeconfig: '"+real.Kubeconfig()+"', "+allowsPatches+"}", "kubernetes."+c.action, time.Now)
		b := bind(t, a, params)
		target := onlyTarget(t, b)
		before := everything(t, namespace, node)
		killAfterWrite(t, call{Action: a.Name, Params: params, Key: "run/1/" + c.action, Target: target.ID})
		real.AwaitAvailable(t, namespace, "web")
		written := everything(t, namespace, node)
		if written == before {
			t.Errorf("%s wrote nothing", c.action)
		}
		if _, err := tryRunOn(t, b, "run/1/"+c.action, target); err != nil {
			t.Errorf("the retry of %s gives %v", c.action, err)
		}
		real.AwaitAvailable(t, namespace, "web")
		if after := everything(t, namespace, node); after != written {
			t.Errorf("the retry of %s wrote again:\n%s\nafter\n%s", c.action, after, written)
		}
	}
}

// everything is what an action could change, and how often it did.
func everything(t *testing.T, namespace, node string) string {
	t.Helper()
	d, err := real.Set.AppsV1().Deployments(namespace).Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var hpa *autoscalingv2.HorizontalPodAutoscaler
	if hpa, err = real.Set.AutoscalingV2().HorizontalPodAutoscalers(namespace).Get(t.Context(), "other", metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	jobs, err := real.Set.BatchV1().Jobs(namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kept, err := snapshots(t, namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintln(d.Generation, len(jobs.Items), len(kept.Items)) + specOf(t, namespace, "web") + asJSON(t, hpa.Spec) + fmt.Sprint(hpa.Annotations) +
		limits(t, namespace) + nodeState(t, node) + primaryWanted(t, namespace) + podsOf(t, namespace, "app=web")
}

// podsOf are those that nobody has asked to go.
func podsOf(t *testing.T, namespace, selector string) (all string) {
	t.Helper()
	for _, pod := range real.Pods(t, namespace, selector) {
		if pod.DeletionTimestamp == nil {
			all += fmt.Sprintln(pod.Name, pod.UID)
		}
	}
	return all
}
