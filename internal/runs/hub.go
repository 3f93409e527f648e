package runs

import "sync"

// Hub passes on that a run has changed, within one process.
type Hub struct {
	mu       sync.Mutex
	watchers map[string]map[chan struct{}]bool
}

// NewHub makes a hub.
func NewHub() *Hub { return &Hub{watchers: map[string]map[chan struct{}]bool{}} }

// Changed tells those who watch the run. It never blocks.
func (h *Hub) Changed(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.watchers[id] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func (h *Hub) subscribe(id string) (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watchers[id] == nil {
		h.watchers[id] = map[chan struct{}]bool{}
	}
	h.watchers[id][ch] = true
	return ch, func() { h.unsubscribe(id, ch) }
}

func (h *Hub) unsubscribe(id string, ch chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers[id], ch)
	if len(h.watchers[id]) == 0 {
		delete(h.watchers, id)
	}
}
