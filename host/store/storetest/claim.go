package storetest

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

var claimCases = map[string]func(*testing.T, *fixture){
	"all free":                 claimAllFree,
	"some held":                claimSomeHeld,
	"none free":                claimNoneFree,
	"same message twice":       claimTwiceInOne,
	"no messages":              claimNothing,
	"an ID that exists":        claimExistingID,
	"other scopes":             claimOtherScopes,
	"ids compared as bytes":    claimExactIDs,
	"largest group":            claimLargest,
	"64 callers, same message": claimStampede,
	"overlapping groups":       claimOverlapping,
	"distinct, all at once":    claimDistinct,
	"released is free again":   claimAfterRelease,
	"nothing shared":           claimSharesNothing,
}

func claimAllFree(t *testing.T, f *fixture) {
	draft := f.draft("3", "1", "2")
	draft.Async = true
	before := f.Now()
	got := f.claim(t, draft)
	if len(got.Held) != 0 {
		t.Errorf("Held = %+v, want none", got.Held)
	}
	e := got.Entry
	if e.CreatedAt.Before(before.Add(-time.Microsecond)) || e.CreatedAt.After(f.Now()) {
		t.Errorf("CreatedAt = %v, want the store's now", e.CreatedAt)
	}
	wantEqual(t, "entry", e, ledger.Open(draft, draft.Messages, timing, e.CreatedAt))
	wantEqual(t, "Entry", f.entry(t, e.ID), e)
	wantEqual(t, "Holders", f.holders(t, scope, "1", "2", "3", "4"),
		map[string]string{"1": e.ID, "2": e.ID, "3": e.ID})
	if !f.hasPayload(t, e.ID) {
		t.Error("the payload of a claim in flight is not stored")
	}
}

func claimSomeHeld(t *testing.T, f *fixture) {
	first := f.open(t, f.draft("b"))
	second := f.log(t, "log-d", "d")
	got := f.claim(t, f.draft("a", "b", "c", "d"))
	wantEqual(t, "Messages", got.Entry.Messages, []string{"a", "c"})
	wantEqual(t, "Held", got.Held, []store.Holder{{Message: "b", Entry: first}, {Message: "d", Entry: second}})
	wantEqual(t, "Entry", f.entry(t, got.Entry.ID), got.Entry)
	wantEqual(t, "first holder", f.entry(t, first.ID), first)
}

func claimNoneFree(t *testing.T, f *fixture) {
	first := f.open(t, f.draft("a", "b"))
	draft := f.draft("b", "a")
	got := f.claim(t, draft)
	if got.Entry.ID != "" {
		t.Errorf("Entry = %+v, want none", got.Entry)
	}
	wantEqual(t, "Held", got.Held, []store.Holder{{Message: "b", Entry: first}, {Message: "a", Entry: first}})
	_, err := f.Store.Entry(f.ctx, scope.Tenant, draft.ID)
	wantErr(t, "Entry", err, store.ErrNotFound)
	if f.hasPayload(t, draft.ID) {
		t.Error("a claim that got nothing stored its payload")
	}
	counts, err := f.Store.CountStates(f.ctx, scope.Tenant)
	wantErr(t, "CountStates", err, nil)
	wantEqual(t, "CountStates", counts[ledger.InFlight], 1)
}

func claimTwiceInOne(t *testing.T, f *fixture) {
	got := f.claim(t, f.draft("a", "b", "a"))
	wantEqual(t, "Messages", got.Entry.Messages, []string{"a", "b"})
	wantEqual(t, "Held", len(got.Held), 0)
	again := f.claim(t, f.draft("a", "c", "a"))
	wantEqual(t, "Messages", again.Entry.Messages, []string{"c"})
	wantEqual(t, "Held", len(again.Held), 1)
}

func claimNothing(t *testing.T, f *fixture) {
	nameless := f.draft("a")
	nameless.ID = ""
	for name, draft := range map[string]ledger.Entry{"messages": f.draft(), "ID": nameless} {
		if got, err := f.Store.Claim(f.ctx, store.Claim{Draft: draft, Timing: timing}); err == nil {
			t.Errorf("a draft without %s: %+v, want an error", name, got)
		}
	}
	wantEqual(t, "Holders", f.holders(t, scope, "a"), map[string]string{})
}

func claimExistingID(t *testing.T, f *fixture) {
	first := f.open(t, f.draft("a"))
	again := f.draft("b")
	again.ID = first.ID
	_, err := f.Store.Claim(f.ctx, store.Claim{Draft: again, Timing: timing, Payload: []byte("other")})
	wantErr(t, "Claim", err, store.ErrConflict)
	wantEqual(t, "Holders", f.holders(t, scope, "b"), map[string]string{})
	wantEqual(t, "Entry", f.entry(t, first.ID), first)
	if !f.hasPayload(t, first.ID) {
		t.Error("the payload of the first entry is gone")
	}
}

func claimOtherScopes(t *testing.T, f *fixture) {
	f.open(t, f.draft("1"))
	for name, change := range map[string]func(*ledger.Scope){
		"tenant":       func(s *ledger.Scope) { s.Tenant = "other" },
		"adapter":      func(s *ledger.Scope) { s.Adapter = "other" },
		"account":      func(s *ledger.Scope) { s.Account = "" },
		"contact type": func(s *ledger.Scope) { s.ContactType = "" },
		"contact id":   func(s *ledger.Scope) { s.ContactID = "8" },
	} {
		draft := f.draft("1")
		change(&draft.Scope)
		got := f.claim(t, draft)
		if got.Entry.ID == "" {
			t.Errorf("another %s: the message is held by %+v", name, got.Held)
		}
		wantEqual(t, name, f.holders(t, draft.Scope, "1"), map[string]string{"1": draft.ID})
	}
	newer := f.draft("1")
	newer.Version = "2.0.0"
	if got := f.claim(t, newer); got.Entry.ID != "" {
		t.Error("another version of the adapter claimed a held message")
	}
}

// claimExactIDs shows that ids are text: no collation, no number, no trimming.
func claimExactIDs(t *testing.T, f *fixture) {
	ids := []string{
		"7", "07", "7.0", " 7", "7 ", "a", "A", "ä", "a\u0308", "%", "_", "'", `"`,
		"5578984350117917661", strings.Repeat("9", 256), strings.Repeat("9", 255) + "8", "1e3", "1000",
	}
	for _, id := range ids {
		draft := f.draft(id)
		if got := f.claim(t, draft); got.Entry.ID != draft.ID {
			t.Errorf("%q is taken for %+v", id, got.Held)
		}
	}
	got := f.claim(t, f.draft(ids...))
	wantEqual(t, "held", len(got.Held), len(ids))
}

func claimLargest(t *testing.T, f *fixture) {
	messages := numbered(strings.Repeat("m", 250), 500)
	e := f.open(t, f.draft(messages...))
	wantEqual(t, "Messages", f.entry(t, e.ID).Messages, messages)
	held := f.holders(t, scope, messages...)
	wantEqual(t, "held", len(held), len(messages))
}

// claimStampede is the same request from many callers: one entry.
func claimStampede(t *testing.T, f *fixture) {
	drafts := make([]ledger.Entry, 64)
	for i := range drafts {
		drafts[i] = f.draft("a", "b", "c")
	}
	got := f.claimAll(t, drafts)
	var won []ledger.Entry
	for _, c := range got {
		if c.Entry.ID != "" {
			won = append(won, c.Entry)
		}
	}
	if len(won) != 1 {
		t.Fatalf("%d callers got an entry, want 1", len(won))
	}
	for _, c := range got {
		if c.Entry.ID != "" {
			continue
		}
		wantEqual(t, "Held", c.Held, []store.Holder{
			{Message: "a", Entry: won[0]}, {Message: "b", Entry: won[0]}, {Message: "c", Entry: won[0]},
		})
	}
}

// claimAll claims all drafts at the same time.
func (f *fixture) claimAll(t *testing.T, drafts []ledger.Entry) []store.Claimed {
	t.Helper()
	got := make([]store.Claimed, len(drafts))
	errs := make([]error, len(drafts))
	var wg sync.WaitGroup
	begin := make(chan struct{})
	for i, draft := range drafts {
		wg.Go(func() {
			<-begin
			got[i], errs[i] = f.Store.Claim(f.ctx, store.Claim{
				Draft: draft, Timing: timing, Payload: []byte("payload of " + draft.ID),
			})
		})
	}
	close(begin)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("Claim: %v", err)
	}
	return got
}

// claimOverlapping claims {A,B}, {B,C}, {C,A} at once, many times: each message
// has one holder, and every caller is told of each message he did not get.
func claimOverlapping(t *testing.T, f *fixture) {
	for range 20 {
		contact := scope
		contact.ContactID = f.ids.next()
		groups := [][]string{{"A", "B"}, {"B", "C"}, {"C", "A"}, {"B", "A"}, {"A", "B", "C"}}
		drafts := make([]ledger.Entry, len(groups))
		for i, messages := range groups {
			drafts[i] = f.draft(messages...)
			drafts[i].Scope = contact
		}
		got := f.claimAll(t, drafts)
		holders := map[string]string{}
		for i, c := range got {
			for _, m := range c.Entry.Messages {
				if holders[m] != "" {
					t.Errorf("%s is held by %s and %s", m, holders[m], c.Entry.ID)
				}
				holders[m] = c.Entry.ID
			}
			told := slices.Clone(c.Entry.Messages)
			for _, h := range c.Held {
				told = append(told, h.Message)
			}
			wantEqual(t, "told", slices.Sorted(slices.Values(told)), slices.Sorted(slices.Values(groups[i])))
		}
		wantEqual(t, "Holders", f.holders(t, contact, "A", "B", "C"), holders)
		for _, c := range got {
			for _, h := range c.Held {
				wantEqual(t, "holder of "+h.Message, h.Entry.ID, holders[h.Message])
			}
		}
	}
}

func claimDistinct(t *testing.T, f *fixture) {
	var drafts []ledger.Entry
	for _, m := range numbered("m", 200) {
		drafts = append(drafts, f.draft(m))
	}
	for i, c := range f.claimAll(t, drafts) {
		if c.Entry.ID != drafts[i].ID {
			t.Errorf("%v is held by %+v", drafts[i].Messages, c.Held)
		}
	}
	held := f.holders(t, scope, numbered("m", 200)...)
	for _, draft := range drafts {
		wantEqual(t, "holder", held[draft.Messages[0]], draft.ID)
	}
}

func claimAfterRelease(t *testing.T, f *fixture) {
	first := f.open(t, f.draft("a", "b"))
	f.apply(t, first.ID, ledger.Failure{Epoch: first.Epoch, Problem: rejected}, ledger.Applied)
	second := f.open(t, f.draft("b", "c"))
	f.apply(t, second.ID, ledger.Failure{Epoch: second.Epoch, Problem: rejected}, ledger.Applied)
	third := f.open(t, f.draft("a", "b", "c"))
	wantEqual(t, "Holders", f.holders(t, scope, "a", "b", "c"),
		map[string]string{"a": third.ID, "b": third.ID, "c": third.ID})
	wantEqual(t, "first keeps its messages", f.entry(t, first.ID).Messages, []string{"a", "b"})
}

// claimSharesNothing shows that what a caller does to its values afterwards does
// not reach the store.
func claimSharesNothing(t *testing.T, f *fixture) {
	draft := f.draft("a", "b")
	payload := []byte("payload of " + draft.ID)
	got, err := f.Store.Claim(f.ctx, store.Claim{Draft: draft, Timing: timing, Payload: payload})
	wantErr(t, "Claim", err, nil)
	clear(payload)
	draft.Messages[0], got.Entry.Messages[1] = "x", "y"
	wantEqual(t, "Messages", f.entry(t, draft.ID).Messages, []string{"a", "b"})
	if !f.hasPayload(t, draft.ID) {
		t.Error("the payload is gone")
	}
	e := f.apply(t, draft.ID, ledger.LogID{Epoch: 99, ID: "stray"}, ledger.Strayed)
	e.Messages[0], e.StrayIDs[0] = "x", "y"
	wantEqual(t, "StrayIDs", f.entry(t, draft.ID).StrayIDs, []string{"stray"})
	wantEqual(t, "Messages", f.entry(t, draft.ID).Messages, []string{"a", "b"})
}

// wantErr wants err to be one of these.
func wantErr(t *testing.T, what string, err error, want ...error) {
	t.Helper()
	for _, w := range want {
		if errors.Is(err, w) {
			return
		}
	}
	t.Errorf("%s: error %v, want %v", what, err, want)
}
