package relay

import "sync"

// hub tells waiters that an entry changed. The zero value is ready.
type hub struct {
	mu sync.Mutex // guards what follows
	// waiters are those who watch an entry. Each channel holds one token.
	waiters map[string]map[chan struct{}]bool
}

// watch returns a channel that receives when one of the entries changes, and a
// function to call when it is no longer needed. Watch first, then read the
// entries: a change in between is not missed.
func (h *hub) watch(ids []string) (changed <-chan struct{}, leave func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiters == nil {
		h.waiters = map[string]map[chan struct{}]bool{}
	}
	for _, id := range ids {
		if h.waiters[id] == nil {
			h.waiters[id] = map[chan struct{}]bool{}
		}
		h.waiters[id][ch] = true
	}
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, id := range ids {
			delete(h.waiters[id], ch)
			if len(h.waiters[id]) == 0 {
				delete(h.waiters, id)
			}
		}
	}
}

// tell wakes all who watch the entry.
func (h *hub) tell(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for ch := range h.waiters[id] {
		select {
		case ch <- struct{}{}:
		default: // it has its token already
		}
	}
}
