package storetest

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

// runModel drives the store with random claims, events and waits, and compares
// it all the way with a model: maps, and the state table.
func runModel(t *testing.T, open func(t *testing.T) Harness) {
	f := newFixture(t, open(t))
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{
			fixture: f, tenant: "tenant-" + f.ids.next(),
			entries: map[string]ledger.Entry{}, claims: map[string]string{}, payloads: map[string]bool{},
		}
		rt.Repeat(map[string]func(*rapid.T){
			"claim":   m.claim,
			"apply":   m.apply,
			"advance": m.advance,
			"erase":   m.erase,
			"":        m.check,
		})
		m.checkAll(rt)
	})
}

// model is one tenant as it ought to be.
type model struct {
	*fixture
	tenant   string
	touched  string   // the entry of the last action
	ids      []string // of all entries, oldest first
	entries  map[string]ledger.Entry
	claims   map[string]string // message to entry ID
	payloads map[string]bool
}

var modelMessages = []string{"a", "b", "c", "d", "e"}

func (m *model) scope() ledger.Scope {
	of := scope
	of.Tenant = m.tenant
	return of
}

func (m *model) claim(rt *rapid.T) {
	picked := rapid.Permutation(modelMessages).Draw(rt, "messages")[:rapid.IntRange(1, 4).Draw(rt, "n")]
	draft := m.draft(picked...)
	draft.Scope = m.scope()
	draft.Async = rapid.Bool().Draw(rt, "async")
	draft.CanFind = rapid.Bool().Draw(rt, "canFind")
	got, err := m.Store.Claim(m.ctx, store.Claim{
		Draft: draft, Timing: timing, Payload: []byte("payload of " + draft.ID),
	})
	if err != nil {
		rt.Fatalf("Claim: %v", err)
	}
	var free []string
	var held []store.Holder
	for _, message := range picked {
		if holder, taken := m.claims[message]; taken {
			held = append(held, store.Holder{Message: message, Entry: m.entries[holder]})
			continue
		}
		free = append(free, message)
	}
	same(rt, "Held", got.Held, held)
	if len(free) == 0 {
		same(rt, "Entry", got.Entry, ledger.Entry{})
		return
	}
	same(rt, "Entry", got.Entry, micros(ledger.Open(draft, free, timing, got.Entry.CreatedAt)))
	m.ids = append(m.ids, draft.ID)
	m.touched = draft.ID
	m.entries[draft.ID] = got.Entry
	m.payloads[draft.ID] = true
	for _, message := range free {
		m.claims[message] = draft.ID
	}
}

func (m *model) apply(rt *rapid.T) {
	if len(m.ids) == 0 {
		rt.Skip("nothing to apply to")
	}
	e := m.entries[rapid.SampledFrom(m.ids).Draw(rt, "entry")]
	m.touched = e.ID
	meant := e
	meant.Epoch -= int64(rapid.IntRange(0, 1).Draw(rt, "stale"))
	list := events(meant)
	ev := list[rapid.IntRange(0, len(list)-1).Draw(rt, "event")]
	got, err := m.Store.Apply(m.ctx, e.ID, ev)
	if err != nil {
		rt.Fatalf("Apply(%T%+v): %v", ev, ev, err)
	}
	now := m.Now()
	if got.Changed() {
		now = got.Entry.UpdatedAt
	}
	want := ledger.Apply(e, ev, now, m.rows(e))
	same(rt, "Outcome", got.Outcome, want.Outcome)
	if !want.Changed() {
		return
	}
	same(rt, "Entry", got.Entry, micros(want.Entry))
	m.entries[e.ID] = got.Entry
	m.payloads[e.ID] = m.payloads[e.ID] && !want.ErasePayload
	for _, message := range e.Messages {
		switch {
		case want.Rows == ledger.TakeRows:
			m.claims[message] = e.ID
		case want.Rows == ledger.ReleaseRows && m.claims[message] == e.ID:
			delete(m.claims, message)
		}
	}
}

func (m *model) rows(e ledger.Entry) ledger.RowState {
	state := ledger.RowsFree
	for _, message := range e.Messages {
		holder, taken := m.claims[message]
		if !taken || holder == e.ID {
			continue
		}
		if m.entries[holder].State == ledger.Logged {
			return ledger.RowsLogged
		}
		state = ledger.RowsHeld
	}
	return state
}

func (m *model) advance(rt *rapid.T) {
	m.Advance(rapid.SampledFrom([]time.Duration{time.Millisecond, 12 * time.Second, time.Hour}).Draw(rt, "by"))
}

func (m *model) erase(rt *rapid.T) {
	if _, err := m.Store.ErasePayloads(m.ctx, 30*time.Minute, 1<<20); err != nil {
		rt.Fatalf("ErasePayloads: %v", err)
	}
	for id := range m.payloads {
		if m.entries[id].CreatedAt.Before(m.Now().Add(-30 * time.Minute)) {
			m.payloads[id] = false
		}
	}
}

// check compares the entry that was touched last, and who holds which message.
func (m *model) check(rt *rapid.T) {
	m.checkHolders(rt)
	if m.touched == "" {
		return
	}
	got, err := m.Store.Entry(m.ctx, m.tenant, m.touched)
	if err != nil {
		rt.Fatalf("Entry: %v", err)
	}
	same(rt, "Entry", got, m.entries[m.touched])
	m.checkPayload(rt, m.touched)
}

// checkAll compares all that can be read of the tenant.
func (m *model) checkAll(rt *rapid.T) {
	got, err := m.Store.Entries(m.ctx, store.Query{Tenant: m.tenant, Limit: 500})
	if err != nil {
		rt.Fatalf("Entries: %v", err)
	}
	counts := map[ledger.State]int{}
	var want []ledger.Entry
	for _, id := range slices.Backward(m.ids) {
		want = append(want, m.entries[id])
		counts[m.entries[id].State]++
		m.checkPayload(rt, id)
	}
	same(rt, "Entries", got, want[:min(len(want), 500)])
	counted, err := m.Store.CountStates(m.ctx, m.tenant)
	if err != nil {
		rt.Fatalf("CountStates: %v", err)
	}
	for _, state := range ledger.States() {
		same(rt, "count of "+string(state), counted[state], counts[state])
	}
}

func (m *model) checkPayload(rt *rapid.T, id string) {
	if _, err := m.Store.Payload(m.ctx, id); (err == nil) != m.payloads[id] {
		rt.Fatalf("Payload(%s): %v, want it kept: %v", id, err, m.payloads[id])
	}
}

func (m *model) checkHolders(rt *rapid.T) {
	held, err := m.Store.Holders(m.ctx, m.scope(), modelMessages)
	if err != nil {
		rt.Fatalf("Holders: %v", err)
	}
	var want []store.Holder
	for _, message := range modelMessages {
		if holder, taken := m.claims[message]; taken {
			want = append(want, store.Holder{Message: message, Entry: m.entries[holder]})
		}
	}
	same(rt, "Holders", held, want)
}
