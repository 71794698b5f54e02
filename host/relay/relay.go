// Package relay carries one addMessageLog call from the edge to an adapter and
// back, so that no message is lost and none is logged twice.
//
// One call's life: decode and check the body; claim the messages that nobody
// holds, durably; send them, in one adapter call, while the send window is open;
// record the outcome; answer. Messages that another request holds are waited
// for, messages whose outcome is unknown are searched for in the CRM. The caller's
// deadline ends the caller's wait, never the call: a late log ID still settles
// its entry. docs/DELIVERY.md has the rules by number; host/ledger has the state
// table.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
)

// Call is one addMessageLog call as an edge received it.
type Call struct {
	Tenant  string
	Adapter string
	// Body is the request body as it came. It must not change afterwards.
	Body []byte
	// Wait is how long the caller wants to wait; 0 is the adapter's call timeout.
	Wait time.Duration
	// RequestID names the call in every log line.
	RequestID string
}

// Result is the answer to a call all of whose messages are logged.
type Result struct {
	// Entry is the entry created now, else the one of the newest message.
	Entry ledger.Entry
	// Created is whether a CRM record was created now.
	Created bool
	// Messages are the messages in the order of the request.
	Messages []Message
}

// Message says where one message of a request stands.
type Message struct {
	ID        string
	State     ledger.State
	Duplicate bool   // logged by an earlier request
	LogID     string // empty unless logged
	EntryID   string // empty when no entry holds it
}

// MessagesError is the cause of a fault that concerns only some messages, or
// leaves the caller with entries to ask after. It says where each message stands.
type MessagesError struct{ Messages []Message }

// Error says what it is; the fault around it carries the text for people.
func (e *MessagesError) Error() string { return "not every message is logged" }

// EntryIDs returns the entries involved, each once.
func (e *MessagesError) EntryIDs() []string {
	var out []string
	seen := map[string]bool{}
	for _, m := range e.Messages {
		if m.EntryID != "" && !seen[m.EntryID] {
			seen[m.EntryID] = true
			out = append(out, m.EntryID)
		}
	}
	return out
}

// Relay carries calls. Make one with New, call Recover before the first call, and
// keep Run going. Its methods may be called concurrently.
type Relay struct {
	cfg  Config
	deps Deps
	log  *slog.Logger
	hub  hub
	// wake tells Run that something became due.
	wake chan struct{}
	// life is the life of calls in flight: it outlasts their callers.
	life    context.Context
	endLife context.CancelFunc
	// ahead is by how much the store's clock was ahead of this host's at the last
	// write, in nanoseconds.
	ahead atomic.Int64

	mu       sync.Mutex // guards what follows
	stopping bool
	calls    sync.WaitGroup
	// busy are the entries whose newest attempt may still send: a call is out, or
	// its process has not been reaped yet.
	busy map[string]<-chan struct{}
	// searching are the entries of which a search is under way.
	searching map[string]chan struct{}
}

// New returns a Relay, or every fault of cfg and deps at once. It does no work.
func New(cfg Config, deps Deps) (*Relay, error) {
	cfg = cfg.withDefaults()
	if err := errors.Join(cfg.validate(), deps.validate()); err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	life, end := context.WithCancel(context.Background())
	return &Relay{
		cfg: cfg, deps: deps, log: deps.Log, wake: make(chan struct{}, 1),
		life: life, endLife: end,
		busy: map[string]<-chan struct{}{}, searching: map[string]chan struct{}{},
	}, nil
}

// begin counts one more call in flight. It reports false once the relay stops;
// otherwise end must be called.
func (r *Relay) begin() (end func(), ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopping {
		return nil, false
	}
	r.calls.Add(1)
	return r.calls.Done, true
}

// occupy notes that the entry's newest attempt may send until done is closed.
func (r *Relay) occupy(id string, done <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy[id] = done
}

// vacate notes that the entry's newest attempt was answered.
func (r *Relay) vacate(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.busy, id)
}

// dead reports whether nothing of the entry can be sent any more: its call has
// returned, or its process has been reaped (rule 2). Processes of an earlier life
// of this host were reaped before it began.
func (r *Relay) dead(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	done, busy := r.busy[id]
	if !busy {
		return true
	}
	select {
	case <-done:
		delete(r.busy, id)
		return true
	default:
		return false
	}
}

// forgetDead drops the processes that have been reaped from busy.
func (r *Relay) forgetDead() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, done := range r.busy {
		select {
		case <-done:
			delete(r.busy, id)
		default:
		}
	}
}

// apply brings an event to an entry and tells those who wait for it. It is never
// cut off by a caller's context: a write that began is finished.
func (r *Relay) apply(ctx context.Context, id string, ev ledger.Event) (ledger.Result, error) {
	began := time.Now()
	res, err := r.deps.Store.Apply(context.WithoutCancel(ctx), id, ev)
	if err != nil {
		return res, fmt.Errorf("write ledger entry: %w", err)
	}
	if res.Changed() {
		r.compareClocks(began, res.Entry.UpdatedAt)
		r.changed(res)
	}
	return res, nil
}

// compareClocks notes what the store's clock said in a write that began at began.
// Entries carry the store's times, which must never be compared with this host's
// (rule 16).
func (r *Relay) compareClocks(began, store time.Time) {
	r.ahead.Store(int64(store.Sub(began.Round(0))))
}

// storeNow returns now by the store's clock.
func (r *Relay) storeNow() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }

// hostTime returns a time of the store's by this host's clock.
func (r *Relay) hostTime(t time.Time) time.Time { return t.Add(-time.Duration(r.ahead.Load())) }

// changed logs a transition and wakes those whom it concerns. It is the only
// place that does.
func (r *Relay) changed(res ledger.Result) {
	e := res.Entry
	level := slog.LevelDebug
	if (e.State == ledger.Unknown && res.From != e.State) || res.Outcome == ledger.Strayed {
		level = slog.LevelWarn
	}
	if r.log.Enabled(context.Background(), level) {
		r.logChange(level, res)
	}
	r.hub.tell(e.ID)
	if !e.NextAt.IsZero() && e.State != ledger.InFlight {
		r.poke()
	}
}

func (r *Relay) logChange(level slog.Level, res ledger.Result) {
	e := res.Entry
	attrs := []any{
		"message_log_id", e.ID, "tenant", e.Tenant, "adapter", e.Adapter,
		"from", res.From, "to", e.State, "attempt", e.Attempts,
	}
	if e.Problem != nil {
		attrs = append(attrs, "code", e.Problem.Code, "class", e.Problem.Class)
	}
	msg := "message log changed"
	if res.Outcome == ledger.Strayed {
		msg = "stray CRM record noted"
	}
	r.log.Log(context.Background(), level, msg, attrs...)
}

// poke makes Run look at what is due.
func (r *Relay) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
