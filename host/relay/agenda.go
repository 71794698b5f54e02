package relay

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

const (
	// agendaBatch is how many due entries are read at once.
	agendaBatch = 256
	// agendaRest is the longest rest between two looks at the agenda. A claim does
	// not wake the agenda, so its window may be ended this much late.
	agendaRest = time.Second
	// agendaPause is the shortest, so that a clock that runs behind the store's does
	// not keep a processor busy.
	agendaPause = 20 * time.Millisecond
	// attendAgain is the rest before an entry that stayed due is attended to again.
	attendAgain = time.Second
	// erasePause is the time between two sweeps for stored requests that are too
	// old, and eraseBatch how many one transaction erases.
	erasePause = 10 * time.Minute
	eraseBatch = 500
)

// Recover makes entries that an earlier life of the host left in flight unknown:
// their processes are gone, but the CRM may have acted. It must return before the
// first call.
func (r *Relay) Recover(ctx context.Context) error {
	for cursor := ""; ; {
		entries, err := r.deps.Store.Entries(ctx, store.Query{
			States: []ledger.State{ledger.InFlight}, Before: cursor, Limit: 500,
		})
		if err != nil {
			return fmt.Errorf("read entries in flight: %w", err)
		}
		if len(entries) == 0 {
			return nil
		}
		for _, e := range entries {
			problem := ledger.ProblemOf(fault.New(fault.Outcome, "the host ended while the call was in flight"))
			if _, err := r.apply(ctx, e.ID, ledger.Lost{Epoch: e.Epoch, Problem: problem}); err != nil {
				return err
			}
			cursor = e.ID
		}
	}
}

// Run does what is due until ctx is done: it ends windows, searches for unknown
// entries, audits, and erases stored requests. Then it lets calls in flight end,
// for StopGrace at most. When it returns, every goroutine of the relay is gone.
func (r *Relay) Run(ctx context.Context) error {
	defer r.stop()
	crew := crew{relay: r, at: map[string]string{}}
	defer crew.workers.Wait()
	eraseAt := time.Now()
	for {
		due, wait, err := r.deps.Store.Due(ctx, agendaBatch, crew.full())
		if err != nil && ctx.Err() == nil {
			r.log.Error("agenda not read", "error", err)
			wait = time.Second
		}
		for _, e := range due {
			if e.State == ledger.InFlight {
				r.expire(ctx, e) // asks nobody, so it needs no worker
			} else {
				crew.send(ctx, e)
			}
		}
		if !time.Now().Before(eraseAt) {
			eraseAt = time.Now().Add(r.erase(ctx))
		}
		if !r.rest(ctx, wait) {
			return nil
		}
	}
}

// crew are the workers that attend to due entries: one to an entry, and so few to
// an adapter that a hanging one does not keep the others waiting.
type crew struct {
	relay   *Relay
	workers sync.WaitGroup
	mu      sync.Mutex        // guards at
	at      map[string]string // entry being attended to → its adapter
}

// shares returns how many workers each adapter has. mu is held.
func (c *crew) shares() map[string]int {
	out := map[string]int{}
	for _, adapter := range c.at {
		out[adapter]++
	}
	return out
}

// full returns the adapters that have their share of workers.
func (c *crew) full() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for adapter, share := range c.shares() {
		if share >= c.relay.cfg.Searches {
			out = append(out, adapter)
		}
	}
	return out
}

// send attends to the entry, unless that is being done or its adapter has its
// share of workers. A worker that ends has the agenda read again.
func (c *crew) send(ctx context.Context, e ledger.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	share := c.shares()[e.Adapter]
	if _, busy := c.at[e.ID]; busy || share >= c.relay.cfg.Searches {
		return
	}
	c.at[e.ID] = e.Adapter
	c.workers.Go(func() {
		if !c.relay.attend(ctx, e) {
			pauseFor(ctx, attendAgain)
		}
		c.mu.Lock()
		delete(c.at, e.ID)
		c.mu.Unlock()
		c.relay.poke()
	})
}

// rest waits until the next entry is due or something changed. It reports false
// when ctx is done.
func (r *Relay) rest(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		wait = agendaRest
	}
	timer := time.NewTimer(min(max(wait, agendaPause), agendaRest))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-r.wake:
		return true
	}
}

// expire ends the window of an entry in flight.
func (r *Relay) expire(ctx context.Context, e ledger.Entry) {
	if _, err := r.apply(ctx, e.ID, ledger.Expire{Epoch: e.Epoch}); err != nil {
		r.log.ErrorContext(ctx, "window not ended", "message_log_id", e.ID, "error", err)
	}
}

// attend does what is due for one entry that is not in flight. It reports false
// when the entry stayed as it was, and so stays due.
func (r *Relay) attend(ctx context.Context, e ledger.Entry) bool {
	if e.State != ledger.Unknown && e.State != ledger.Logged {
		return false // nothing is queued by this version, and failed entries are never due
	}
	return r.search(ctx, e, inquiry{}).Epoch != e.Epoch
}

// pauseFor waits for d, or until ctx is done.
func pauseFor(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// erase erases stored requests that are too old and returns when to look again.
func (r *Relay) erase(ctx context.Context) time.Duration {
	r.forgetDead()
	n, err := r.deps.Store.ErasePayloads(ctx, r.cfg.PayloadTTL, eraseBatch)
	if err != nil {
		r.log.ErrorContext(ctx, "stored requests not erased", "error", err)
		return erasePause
	}
	if n == eraseBatch {
		return 0 // there are more
	}
	return erasePause
}

// stop lets calls in flight end, then ends them.
func (r *Relay) stop() {
	r.mu.Lock()
	r.stopping = true
	r.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		r.calls.Wait()
		close(ended)
	}()
	grace := time.NewTimer(r.cfg.StopGrace)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C:
	}
	r.endLife()
	<-ended
}
