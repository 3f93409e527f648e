package toxiproxy

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// armory stands in front of the API of the engine's own proxy. It knows the
// deadline of each toxic from its name before the toxic is added, and lets in
// none that has no deadline. It answers also when the API hangs.
type armory struct {
	api http.Handler
	due chan mark // the deadlines that have come

	mu     sync.Mutex
	timers map[string]*time.Timer // by the name of the toxic
}

const armedPath = "/armed"

func newArmory(api http.Handler) *armory {
	return &armory{api: api, due: make(chan mark), timers: map[string]*time.Timer{}}
}

func (a *armory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == armedPath:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(a.names()) // nobody listens any more
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/toxics"):
		a.add(w, r)
	case r.Method == http.MethodDelete:
		a.api.ServeHTTP(w, r)
		a.disarm(path.Base(r.URL.Path))
	default:
		a.api.ServeHTTP(w, r)
	}
}

func (a *armory) add(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var t toxic
	if err := json.Unmarshal(text, &t); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m, ours := readMark(t.Name)
	if !ours {
		http.Error(w, "a toxic without a deadline is not let in", http.StatusForbidden)
		return
	}
	a.arm(t.Name, m)
	r.Body = io.NopCloser(bytes.NewReader(text))
	a.api.ServeHTTP(w, r)
}

func (a *armory) arm(name string, m mark) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, armed := a.timers[name]; !armed {
		a.timers[name] = time.AfterFunc(until(m.deadline), func() { a.due <- m })
	}
}

// disarm comes after the toxic was taken away; when that hangs, the deadline
// still stands.
func (a *armory) disarm(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if timer, armed := a.timers[name]; armed {
		timer.Stop()
		delete(a.timers, name)
	}
}

func (a *armory) names() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.AppendSeq([]string{}, maps.Keys(a.timers))
}
