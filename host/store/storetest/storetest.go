// Package storetest is the contract of host/store as a suite. A driver's own test
// calls Run with a way to open an empty store; what passes may be used by the
// host.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Harness { ... })
//	}
//
// The suite's cases are named after the method and the outcome they show. Where a
// method runs the state table, the suite does not repeat the table: it runs
// ledger.Apply on what the store said before, and compares.
package storetest

import (
	"context"
	"reflect"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"
	"pgregory.net/rapid"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

// Harness is one empty store and what the suite needs to handle it. The one who
// opens it also sees to its end, by t.Cleanup.
type Harness struct {
	Store store.Store
	// Now reads the store's clock, which stands still or runs on.
	Now func() time.Time
	// Advance moves the store's clock forward.
	Advance func(time.Duration)
	// Reopen closes the store and opens it again on the same data. Nil when the
	// driver keeps nothing: then the durability cases do not exist.
	Reopen func(t *testing.T) store.Store
}

// Run runs the whole contract. open is called once per case.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	t.Helper()
	groups := map[string]map[string]func(*testing.T, *fixture){
		"Claim":     claimCases,
		"Apply":     applyCases,
		"Query":     queryCases,
		"Agenda":    agendaCases,
		"Directory": directoryCases,
		"Registry":  registryCases,
		"Lifecycle": lifecycleCases,
	}
	for group, cases := range groups {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			for name, check := range cases {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					check(t, newFixture(t, open(t)))
				})
			}
		})
	}
	t.Run("Durable", func(t *testing.T) {
		t.Parallel()
		for name, check := range durableCases {
			if h := open(t); h.Reopen != nil {
				t.Run(name, func(t *testing.T) { check(t, newFixture(t, h)) })
			}
		}
	})
	t.Run("Model", func(t *testing.T) { t.Parallel(); runModel(t, open) })
}

// Clock is a clock that stands still until it is moved. Its methods may be called
// concurrently.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows a fixed moment of 2026.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)}
}

// Now returns the moment that the clock shows.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fixture is a harness with the words that cases are written in.
type fixture struct {
	Harness
	ctx context.Context
	ids *idSource
}

func newFixture(t *testing.T, h Harness) *fixture {
	return &fixture{Harness: h, ctx: t.Context(), ids: &idSource{}}
}

// idSource makes ULIDs that sort in the order they were made.
type idSource struct {
	mu   sync.Mutex
	last uint64
}

func (s *idSource) next() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	var id ulid.ULID
	if err := id.SetTime(1_772_366_400_000 + s.last); err != nil {
		panic(err)
	}
	return id.String()
}

// timing is what the cases claim with: the window ends after 11 s (with the
// slack), and the entry settles after 31 s.
var timing = ledger.Timing{Window: 10 * time.Second, Apply: 12 * time.Second, Lag: 8 * time.Second}

var scope = ledger.Scope{
	Tenant: "acme", Adapter: "examplecrm", Account: "acme.example.com",
	ContactType: "person", ContactID: "7",
}

// draft returns a draft on these messages of the usual contact.
func (f *fixture) draft(messages ...string) ledger.Entry {
	return ledger.Entry{
		ID: f.ids.next(), Scope: scope, Version: "1.2.3", UserID: "42",
		CanFind: true, Messages: messages,
	}
}

// claim claims the draft and fails the test on any error.
func (f *fixture) claim(t *testing.T, draft ledger.Entry) store.Claimed {
	t.Helper()
	got, err := f.Store.Claim(f.ctx, store.Claim{
		Draft: draft, Timing: timing, Payload: []byte("payload of " + draft.ID),
	})
	if err != nil {
		t.Fatalf("Claim(%v): %v", draft.Messages, err)
	}
	return got
}

// open claims the draft and wants to get all of it.
func (f *fixture) open(t *testing.T, draft ledger.Entry) ledger.Entry {
	t.Helper()
	got := f.claim(t, draft)
	if len(got.Held) > 0 || got.Entry.ID != draft.ID {
		t.Fatalf("Claim(%v) = %+v, want all of it", draft.Messages, got)
	}
	return got.Entry
}

// apply applies the event and wants an outcome.
func (f *fixture) apply(t *testing.T, id string, ev ledger.Event, want ledger.Outcome) ledger.Entry {
	t.Helper()
	res, err := f.Store.Apply(f.ctx, id, ev)
	if err != nil {
		t.Fatalf("Apply(%T): %v", ev, err)
	}
	if res.Outcome != want {
		t.Fatalf("Apply(%T) in %s: outcome %d, want %d", ev, res.From, res.Outcome, want)
	}
	return res.Entry
}

// log claims the messages and logs them.
func (f *fixture) log(t *testing.T, logID string, messages ...string) ledger.Entry {
	t.Helper()
	e := f.open(t, f.draft(messages...))
	return f.apply(t, e.ID, ledger.LogID{Epoch: e.Epoch, ID: logID}, ledger.Applied)
}

// entry reads the entry of the usual tenant.
func (f *fixture) entry(t *testing.T, id string) ledger.Entry {
	t.Helper()
	e, err := f.Store.Entry(f.ctx, scope.Tenant, id)
	if err != nil {
		t.Fatalf("Entry(%s): %v", id, err)
	}
	return e
}

// holders returns who holds which of the messages, as message to entry ID.
func (f *fixture) holders(t *testing.T, of ledger.Scope, messages ...string) map[string]string {
	t.Helper()
	held, err := f.Store.Holders(f.ctx, of, messages)
	if err != nil {
		t.Fatalf("Holders(%v): %v", messages, err)
	}
	got := map[string]string{}
	for _, h := range held {
		if _, twice := got[h.Message]; twice {
			t.Errorf("Holders(%v) names %s twice", messages, h.Message)
		}
		got[h.Message] = h.Entry.ID
	}
	return got
}

// hasPayload reports whether the entry's request is still stored.
func (f *fixture) hasPayload(t *testing.T, id string) bool {
	t.Helper()
	payload, err := f.Store.Payload(f.ctx, id)
	if err == nil && string(payload) != "payload of "+id {
		t.Errorf("Payload(%s) = %q", id, payload)
	}
	wantErr(t, "Payload", err, nil, store.ErrNotFound)
	return err == nil
}

// numbered returns n message ids with that prefix.
func numbered(prefix string, n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = prefix + strconv.Itoa(i)
	}
	return ids
}

func wantEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if !equal(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// same is wantEqual for the model's runs, which end at the first difference.
func same(rt *rapid.T, what string, got, want any) {
	rt.Helper()
	if !equal(got, want) {
		rt.Fatalf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

// equal is reflect.DeepEqual, but an empty slice equals none.
func equal(got, want any) bool {
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	if g.Kind() == reflect.Slice && w.Kind() == reflect.Slice && g.Len() == 0 && w.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(got, want)
}
