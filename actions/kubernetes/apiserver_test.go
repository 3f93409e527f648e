package kubernetes

// A stand-in for the Kubernetes API server, over HTTP, so that everything from
// the kubeconfig to client-go's own retries is the real thing. It keeps objects
// as JSON and does what the actions rely on in the way the API server does it:
// resource versions and the conflict of a stale one, generations that count
// changes of the spec, merge patches, label selectors, lists in pages, graceful
// deletion with the precondition on the UID, tokens and per-verb refusals with
// the API server's own messages.
//
// What it does not show: that a real API server behaves like this. There are no
// controllers (nothing restarts or replaces a pod), no validation, no admission,
// no RBAC engine, no audit, no watch, no kubelet (the test plays it). Until the
// same cases run against a real API server, these tests prove our side only.

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
)

const token = "canary-token-3307"

// apiServer holds objects by their path, such as
// /api/v1/namespaces/shop/pods/orders-api-1.
type apiServer struct {
	*httptest.Server

	mu       sync.Mutex
	objects  map[string]map[string]any
	version  int
	requests []string // "PATCH /apis/…"
	// before sees each request first, and may answer it.
	before func(w http.ResponseWriter, r *http.Request) (answered bool)
	// denied are verbs without a rule: "patch deployments".
	denied map[string]bool
}

func newAPIServer(t *testing.T) *apiServer {
	t.Helper()
	s := &apiServer{objects: map[string]map[string]any{}, denied: map[string]bool{}}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// kubeconfig is a file that reaches an address as this server.
func (s *apiServer) kubeconfig(t *testing.T, address string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c,
contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: 'https://%s', insecure-skip-tls-verify: true}}],
users: [{name: u, user: {token: %s}}]}`, address, token)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (s *apiServer) address() string { return s.Listener.Addr().String() }

// add stores an object as somebody else's kubectl would.
func (s *apiServer) add(t *testing.T, object metav1.Object) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	if object.GetUID() == "" {
		object.SetUID(types.UID(fmt.Sprintf("uid-%d", s.version)))
	}
	if object.GetCreationTimestamp().Time.IsZero() {
		object.SetCreationTimestamp(metav1.NewTime(time.Now().Add(-time.Hour)))
	}
	object.SetNamespace("shop")
	object.SetGeneration(1)
	object.SetResourceVersion(strconv.Itoa(s.version))
	raw, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var plain map[string]any
	if err := json.Unmarshal(raw, &plain); err != nil {
		t.Fatal(err)
	}
	s.objects[pathOf(object)] = plain
}

func pathOf(object metav1.Object) string {
	place := "/apis/apps/v1/namespaces/shop/"
	switch object.(type) {
	case *appsv1.Deployment:
		place += "deployments/"
	case *appsv1.StatefulSet:
		place += "statefulsets/"
	case *appsv1.DaemonSet:
		place += "daemonsets/"
	case *corev1.Pod:
		place = "/api/v1/namespaces/shop/pods/"
	}
	return place + object.GetName()
}

// state is all objects as text.
func (s *apiServer) state(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(s.objects)) {
		raw, err := json.Marshal(s.objects[path])
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s\n", path, raw)
	}
	return b.String()
}

// read gives one object.
func (s *apiServer) read(t *testing.T, path string, into any) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	raw, err := json.Marshal(s.objects[path])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

// meta is a field of the metadata of an object.
func (s *apiServer) meta(path, field string) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return metadata(s.objects[path])[field]
}

// remove is what the kubelet does once a pod has ended.
func (s *apiServer) remove(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.objects, path)
}

func (s *apiServer) count(prefix string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func metadata(object map[string]any) map[string]any {
	m, _ := object["metadata"].(map[string]any)
	return m
}

func (s *apiServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	before := s.before
	s.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+token {
		fail(w, apierrors.NewUnauthorized("Unauthorized"))
		return
	}
	q := newQuery(r)
	if s.denied[q.verb+" "+q.resource.Resource] {
		fail(w, apierrors.NewForbidden(q.resource, q.name, fmt.Errorf(
			"User %q cannot %s resource %q in API group %q in the namespace %q", "system:serviceaccount:ops:runbook", q.verb, q.resource.Resource, q.resource.Group, q.namespace)))
		return
	}
	if err := s.answer(w, r, q); err != nil {
		fail(w, err)
	}
}

func (s *apiServer) answer(w http.ResponseWriter, r *http.Request, q query) *apierrors.StatusError {
	if q.verb == "list" {
		s.list(w, r, q)
		return nil
	}
	object, known := s.objects[r.URL.Path]
	if !known {
		return apierrors.NewNotFound(q.resource, q.name)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	var failed *apierrors.StatusError
	switch q.verb {
	case "patch":
		object, failed = s.patch(r, q, object, body)
	case "delete":
		failed = s.delete(q, object, body)
	}
	if failed != nil {
		return failed
	}
	reply(w, http.StatusOK, object)
	return nil
}

// list gives pods in pages; its continue token is where to go on.
func (s *apiServer) list(w http.ResponseWriter, r *http.Request, q query) {
	selected, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	if err != nil {
		fail(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	var items []any
	for _, path := range slices.Sorted(maps.Keys(s.objects)) {
		set := labels.Set{}
		if values, ok := metadata(s.objects[path])["labels"].(map[string]any); ok {
			for name, value := range values {
				set[name] = value.(string)
			}
		}
		if strings.HasPrefix(path, r.URL.Path+"/") && selected.Matches(set) {
			items = append(items, s.objects[path])
		}
	}
	from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
	to := len(items)
	if limit, _ := strconv.Atoi(r.URL.Query().Get("limit")); limit > 0 {
		to = min(to, from+limit)
	}
	next := ""
	if to < len(items) {
		next = strconv.Itoa(to)
	}
	reply(w, http.StatusOK, map[string]any{
		"kind": "PodList", "apiVersion": "v1", "items": items[from:to],
		"metadata": map[string]any{"resourceVersion": strconv.Itoa(s.version), "continue": next},
	})
}

func (s *apiServer) patch(r *http.Request, q query, object map[string]any, body []byte) (map[string]any, *apierrors.StatusError) {
	if r.Header.Get("Content-Type") != "application/merge-patch+json" {
		return nil, apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "patch", q.resource, q.name, "the body is of a kind that this stand-in does not know", 0, false)
	}
	var wanted map[string]any
	if err := json.Unmarshal(body, &wanted); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if version, given := metadata(wanted)["resourceVersion"]; given && version != metadata(object)["resourceVersion"] {
		return nil, apierrors.NewConflict(q.resource, q.name, fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
	}
	merged, err := mergePatch(object, body)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if !same(object["spec"], merged["spec"]) {
		metadata(merged)["generation"] = metadata(object)["generation"].(float64) + 1
	}
	s.version++
	metadata(merged)["resourceVersion"] = strconv.Itoa(s.version)
	s.objects[r.URL.Path] = merged
	return merged, nil
}

func mergePatch(object map[string]any, patch []byte) (merged map[string]any, err error) {
	raw, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	if raw, err = jsonpatch.MergePatch(raw, patch); err != nil {
		return nil, err
	}
	return merged, json.Unmarshal(raw, &merged)
}

// delete is graceful: the pod stays, terminating, until its kubelet is done.
func (s *apiServer) delete(q query, object map[string]any, body []byte) *apierrors.StatusError {
	var options metav1.DeleteOptions
	// client-go sends protobuf where it can.
	if _, _, err := scheme.Codecs.UniversalDeserializer().Decode(body, nil, &options); err != nil {
		return apierrors.NewBadRequest(err.Error())
	}
	meta := metadata(object)
	if p := options.Preconditions; p != nil && p.UID != nil && string(*p.UID) != meta["uid"] {
		return apierrors.NewConflict(q.resource, q.name, fmt.Errorf(
			"the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated", *p.UID, meta["uid"]))
	}
	grace := 30.0
	if options.GracePeriodSeconds != nil {
		grace = float64(*options.GracePeriodSeconds)
	}
	if before, terminating := meta["deletionGracePeriodSeconds"].(float64); terminating && grace >= before {
		return nil
	}
	s.version++
	meta["resourceVersion"] = strconv.Itoa(s.version)
	meta["deletionTimestamp"] = time.Now().UTC().Format(time.RFC3339)
	meta["deletionGracePeriodSeconds"] = grace
	return nil
}

// query is what a request means in the words of access rules.
type query struct {
	verb, namespace, name string
	resource              schema.GroupResource
}

func newQuery(r *http.Request) query {
	q := query{verb: strings.ToLower(r.Method)}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if parts[0] == "apis" {
		q.resource.Group = parts[1]
		parts = parts[1:]
	}
	q.namespace, q.resource.Resource = parts[3], parts[4]
	if len(parts) > 5 {
		q.name = parts[5]
	} else {
		q.verb = "list"
	}
	return q
}

func fail(w http.ResponseWriter, err *apierrors.StatusError) {
	status := err.Status()
	status.Kind, status.APIVersion = "Status", "v1"
	reply(w, int(status.Code), status)
}

func reply(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}

func same(a, b any) bool {
	left, _ := json.Marshal(a)
	right, _ := json.Marshal(b)
	return string(left) == string(right)
}
