package admission_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// register is what the effects are made on. With fencing it takes nothing under
// a token that is older than one it has seen.
type register struct {
	mu      sync.Mutex
	fenced  bool
	newest  map[string]int64
	history []event
}

// event is one line of the history. Times are in nanoseconds since 1970; what
// was asked was decided between sent and done.
type event struct {
	Kind     string `json:"kind"` // grant, believe, write, release or reserve
	Run      string `json:"run"`
	Runbook  string `json:"runbook,omitempty"`
	Resource string `json:"resource,omitempty"`
	Token    int64  `json:"token,omitempty"`
	Sent     int64  `json:"sent"`
	Done     int64  `json:"done"`
	Acted    bool   `json:"acted,omitempty"`
	Kept     bool   `json:"kept,omitempty"` // the lease was held throughout a release
	Why      string `json:"why,omitempty"`  // of what was refused
}

func newRegister(fenced bool) *register {
	return &register{fenced: fenced, newest: map[string]int64{}}
}

func (r *register) note(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, e)
}

func (r *register) events() []event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.history)
}

// write reports whether it was taken.
func (r *register) write(run, resource string, token int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fenced && token < r.newest[resource] {
		r.history = append(r.history, event{Kind: "stale", Run: run, Resource: resource, Token: token})
		return false
	}
	r.newest[resource] = max(r.newest[resource], token)
	now := time.Now().UnixNano()
	r.history = append(r.history, event{Kind: "write", Run: run, Resource: resource, Token: token, Sent: now, Done: now})
	return true
}

// serve makes the register reachable from another process.
func (r *register) serve(t testing.TB) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		var e event
		if err := json.NewDecoder(q.Body).Decode(&e); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if e.Kind != "write" {
			r.note(e)
		} else if !r.write(e.Run, e.Resource, e.Token) {
			w.WriteHeader(http.StatusConflict)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// remote is the register as another process has it.
type remote string

func (url remote) post(e event) bool {
	raw, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	answer, err := http.Post(string(url), "application/json", bytes.NewReader(raw))
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

func (url remote) note(e event) { url.post(e) }

func (url remote) write(run, resource string, token int64) bool {
	return url.post(event{Kind: "write", Run: run, Resource: resource, Token: token})
}
