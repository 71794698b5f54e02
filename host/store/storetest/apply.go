package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

var applyCases = func() map[string]func(*testing.T, *fixture) {
	cases := map[string]func(*testing.T, *fixture){
		"no such entry":        applyMissing,
		"a lost race":          applyRace,
		"a bug in one event":   applyPanic,
		"every field is kept":  applyKeepsFields,
		"rows held in part":    applyRowsInPart,
		"rows logged and held": applyRowsMixed,
		"rows of an old entry": applyRowsMoveOn,
	}
	for name, begin := range situations {
		cases["every event when "+name] = func(t *testing.T, f *fixture) { applyAll(t, f, begin) }
	}
	return cases
}()

var (
	rejected = &ledger.Problem{
		Code: fault.CRMRejected, Class: fault.Permanent, Source: fault.CRM, Detail: "the contact is archived",
	}
	unavailable = &ledger.Problem{
		Code: fault.CRMUnavailable, Class: fault.Retryable, Source: fault.CRM, Detail: "the CRM is down",
	}
	unclear = &ledger.Problem{
		Code: fault.Outcome, Class: fault.Unknown, Source: fault.Adapter, Detail: "the connection broke",
	}
)

// situations bring a new entry where an event may meet it.
var situations = map[string]func(*testing.T, *fixture, ledger.Entry) ledger.Entry{
	"in flight": func(_ *testing.T, _ *fixture, e ledger.Entry) ledger.Entry { return e },
	"in flight, window over": func(_ *testing.T, f *fixture, e ledger.Entry) ledger.Entry {
		f.Advance(20 * time.Second)
		return e
	},
	"in flight again": func(t *testing.T, f *fixture, e ledger.Entry) ledger.Entry {
		e = f.apply(t, e.ID, ledger.Failure{Epoch: e.Epoch, Problem: rejected}, ledger.Applied)
		return f.apply(t, e.ID, ledger.Retry{Timing: timing}, ledger.Applied)
	},
	"queued": func(t *testing.T, f *fixture, e ledger.Entry) ledger.Entry {
		e = f.apply(t, e.ID, ledger.Lost{Epoch: e.Epoch, Problem: unclear}, ledger.Applied)
		f.Advance(time.Minute)
		return f.apply(t, e.ID, ledger.NotFound{Epoch: e.Epoch, Dead: true, Requeue: true}, ledger.Applied)
	},
	"unknown": func(t *testing.T, f *fixture, e ledger.Entry) ledger.Entry {
		return f.apply(t, e.ID, ledger.Lost{Epoch: e.Epoch, Problem: unclear, Crash: true}, ledger.Applied)
	},
	"unknown, settled": func(t *testing.T, f *fixture, e ledger.Entry) ledger.Entry {
		e = f.apply(t, e.ID, ledger.Lost{Epoch: e.Epoch, Problem: unclear}, ledger.Applied)
		f.Advance(time.Minute)
		return e
	},
	"logged": func(t *testing.T, f *fixture, e ledger.Entry) ledger.Entry {
		return f.apply(t, e.ID, ledger.LogID{Epoch: e.Epoch, ID: "log-1"}, ledger.Applied)
	},
	"logged, audit due": func(t *testing.T, f *fixture, e ledger.Entry) ledger.Entry {
		e = f.apply(t, e.ID, ledger.Failure{Epoch: e.Epoch, Problem: rejected}, ledger.Applied)
		e = f.apply(t, e.ID, ledger.Retry{Timing: timing}, ledger.Applied)
		return f.apply(t, e.ID, ledger.LogID{Epoch: e.Epoch, ID: "log-1"}, ledger.Applied)
	},
	"forgotten": func(t *testing.T, f *fixture, e ledger.Entry) ledger.Entry {
		f.apply(t, e.ID, ledger.LogID{Epoch: e.Epoch, ID: "log-1"}, ledger.Applied)
		return f.apply(t, e.ID, ledger.Forget{}, ledger.Applied)
	},
	"failed, rows free": func(t *testing.T, f *fixture, e ledger.Entry) ledger.Entry {
		return f.apply(t, e.ID, ledger.Failure{Epoch: e.Epoch, Problem: rejected}, ledger.Applied)
	},
	"failed, rows held": func(t *testing.T, f *fixture, e ledger.Entry) ledger.Entry {
		e = f.apply(t, e.ID, ledger.Failure{Epoch: e.Epoch, Problem: rejected}, ledger.Applied)
		f.again(t, e)
		return e
	},
	"failed, rows logged": func(t *testing.T, f *fixture, e ledger.Entry) ledger.Entry {
		e = f.apply(t, e.ID, ledger.Failure{Epoch: e.Epoch, Problem: rejected}, ledger.Applied)
		other := f.again(t, e)
		f.apply(t, other.ID, ledger.LogID{Epoch: other.Epoch, ID: "log-2"}, ledger.Applied)
		return e
	},
}

// again opens a new entry on the messages of e.
func (f *fixture) again(t *testing.T, e ledger.Entry) ledger.Entry {
	t.Helper()
	draft := f.draft(e.Messages...)
	draft.Scope = e.Scope
	return f.open(t, draft)
}

// events are all kinds of events, in all their variants, for an entry.
func events(e ledger.Entry) []ledger.Event {
	list := []ledger.Event{
		ledger.Retry{Timing: timing},
		ledger.ResolveLogged{ID: "log-9"},
		ledger.ResolveNotLogged{},
		ledger.ResolveNotLogged{Dead: true},
		ledger.Forget{},
	}
	text := &ledger.ReturnMessage{Message: "logged", MessageType: "success", TTLMillis: 3000}
	for _, epoch := range []int64{e.Epoch, e.Epoch - 1} {
		list = append(list,
			ledger.LogID{Epoch: epoch, ID: "log-1", URL: "https://acme.example.com/1", Return: text},
			ledger.LogID{Epoch: epoch, ID: "log-3", Durable: true},
			ledger.Failure{Epoch: epoch, Problem: rejected},
			ledger.Failure{Epoch: epoch, Problem: unavailable, Delay: 1500 * time.Nanosecond},
			ledger.Failure{Epoch: epoch, Problem: unclear},
			ledger.Lost{Epoch: epoch, Problem: unclear},
			ledger.Lost{Epoch: epoch, Problem: unclear, Crash: true},
			ledger.Expire{Epoch: epoch},
			ledger.Take{Epoch: epoch, Timing: timing},
			ledger.Found{Epoch: epoch, LogIDs: []string{"log-1"}, Complete: true},
			ledger.Found{Epoch: epoch, LogIDs: []string{"log-1", "log-4"}},
			ledger.NotFound{Epoch: epoch},
			ledger.NotFound{Epoch: epoch, Dead: true, Age: time.Second},
			ledger.NotFound{Epoch: epoch, Dead: true, Requeue: true},
			ledger.CannotTell{Epoch: epoch},
			ledger.CannotTell{Epoch: epoch, RetryAfter: 7 * time.Second},
		)
	}
	return list
}

// applyAll applies every event to an entry of its own in that situation, once
// asynchronous, and once synchronous of an adapter that can search.
func applyAll(t *testing.T, f *fixture, begin func(*testing.T, *fixture, ledger.Entry) ledger.Entry) {
	for i := range events(ledger.Entry{}) {
		for _, async := range []bool{true, false} {
			draft := f.draft("a", "b")
			draft.ContactID = draft.ID
			draft.Async, draft.CanFind = async, !async
			before := begin(t, f, f.open(t, draft))
			f.applyOne(t, before, events(before)[i])
		}
	}
}

// applyOne compares what the store makes of the event with what the table says,
// in the result, the entry, the claims and the payload.
func (f *fixture) applyOne(t *testing.T, before ledger.Entry, ev ledger.Event) {
	t.Helper()
	name := fmt.Sprintf("%s, epoch %d, %T%+v", before.State, before.Epoch, ev, ev)
	wantEqual(t, name+": entry before", f.entry(t, before.ID), before)
	heldBefore := f.holders(t, before.Scope, before.Messages...)
	payloadBefore := f.hasPayload(t, before.ID)
	rows := f.rowState(t, before)

	got, err := f.Store.Apply(f.ctx, before.ID, ev)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	now := f.Now()
	if got.Changed() {
		now = got.Entry.UpdatedAt
	}
	want := ledger.Apply(before, ev, now, rows)
	wantEqual(t, name+": outcome", got.Outcome, want.Outcome)
	wantEqual(t, name+": from", got.From, want.From)
	wantEqual(t, name+": rows", got.Rows, want.Rows)
	wantEqual(t, name+": erase", got.ErasePayload, want.ErasePayload)
	wantEqual(t, name+": refusal", fault.CodeOf(got.Refusal), fault.CodeOf(want.Refusal))
	after := before
	if want.Changed() {
		after = micros(want.Entry)
		wantEqual(t, name+": entry", got.Entry, after)
	}
	wantEqual(t, name+": stored entry", f.entry(t, before.ID), after)
	wantHeld := heldBefore
	for _, m := range before.Messages {
		switch want.Rows {
		case ledger.TakeRows:
			wantHeld[m] = before.ID
		case ledger.ReleaseRows:
			delete(wantHeld, m)
		case ledger.KeepRows:
		}
	}
	wantEqual(t, name+": holders", f.holders(t, before.Scope, before.Messages...), wantHeld)
	wantEqual(t, name+": payload", f.hasPayload(t, before.ID), payloadBefore && !want.ErasePayload)
}

// rowState says who holds the messages of e beside e, from what Holders says.
func (f *fixture) rowState(t *testing.T, e ledger.Entry) ledger.RowState {
	t.Helper()
	held, err := f.Store.Holders(f.ctx, e.Scope, e.Messages)
	wantErr(t, "Holders", err, nil)
	state := ledger.RowsFree
	for _, h := range held {
		switch {
		case h.Entry.ID == e.ID:
		case h.Entry.State == ledger.Logged:
			return ledger.RowsLogged
		default:
			state = ledger.RowsHeld
		}
	}
	return state
}

// micros cuts the times of an entry to what a store keeps: whole microseconds.
func micros(e ledger.Entry) ledger.Entry {
	for _, at := range []*time.Time{
		&e.WindowEnd, &e.SettlesAt, &e.UnsettledUntil, &e.NextAt, &e.ReconciledAt,
		&e.CreatedAt, &e.UpdatedAt, &e.ForgottenAt, &e.FirstSentAt,
	} {
		*at = at.UTC().Truncate(time.Microsecond)
	}
	return e
}

func applyMissing(t *testing.T, f *fixture) {
	_, err := f.Store.Apply(f.ctx, f.ids.next(), ledger.Forget{})
	wantErr(t, "Apply", err, store.ErrNotFound)
	_, err = f.Store.Apply(f.ctx, "", ledger.LogID{Epoch: 1, ID: "1"})
	wantErr(t, "Apply", err, store.ErrNotFound)
}

// applyRace takes one queued entry from many callers: one gets it.
func applyRace(t *testing.T, f *fixture) {
	draft := f.draft("a")
	draft.Async = true
	e := f.open(t, draft)
	e = f.apply(t, e.ID, ledger.Failure{Epoch: e.Epoch, Problem: unavailable}, ledger.Applied)
	results := make(chan ledger.Result, 32)
	for range cap(results) {
		go func() {
			res, err := f.Store.Apply(f.ctx, e.ID, ledger.Take{Epoch: e.Epoch, Timing: timing})
			if err != nil {
				t.Errorf("Apply: %v", err)
			}
			results <- res
		}()
	}
	taken := 0
	for range cap(results) {
		if res := <-results; res.Outcome == ledger.Applied {
			taken++
		}
	}
	wantEqual(t, "takers", taken, 1)
	wantEqual(t, "epoch", f.entry(t, e.ID).Epoch, e.Epoch+1)
}

// applyPanic brings an event that the table cannot digest, among others.
func applyPanic(t *testing.T, f *fixture) {
	bad, good := f.open(t, f.draft("a")), f.open(t, f.draft("b"))
	done := make(chan error, 8)
	for range cap(done) {
		go func() {
			_, err := f.Store.Apply(f.ctx, bad.ID, ledger.Found{Epoch: bad.Epoch})
			done <- err
		}()
	}
	f.apply(t, good.ID, ledger.LogID{Epoch: good.Epoch, ID: "1"}, ledger.Applied)
	for range cap(done) {
		if err := <-done; err == nil {
			t.Error("an event that panics gave no error")
		}
	}
	wantEqual(t, "entry", f.entry(t, bad.ID), bad)
	f.apply(t, bad.ID, ledger.LogID{Epoch: bad.Epoch, ID: "2"}, ledger.Applied)
}

// applyKeepsFields walks one entry through everything that fills its fields.
func applyKeepsFields(t *testing.T, f *fixture) {
	draft := f.draft("a")
	draft.Async = true
	e := f.open(t, draft)
	step := func(ev ledger.Event) {
		t.Helper()
		f.Advance(time.Minute + 1500*time.Nanosecond)
		f.applyOne(t, e, ev)
		e = f.entry(t, e.ID)
	}
	step(ledger.Failure{Epoch: e.Epoch, Problem: unavailable, Delay: time.Second})
	step(ledger.Take{Epoch: e.Epoch, Timing: timing})
	step(ledger.Lost{Epoch: e.Epoch, Problem: unclear, Crash: true})
	step(ledger.CannotTell{Epoch: e.Epoch})
	step(ledger.LogID{
		Epoch: 1, ID: "log-ä\u2028'\"", URL: "https://acme.example.com/?a=1&b=<2>",
		Return: &ledger.ReturnMessage{Message: "naïve ☎", MessageType: "warning", TTLMillis: 1 << 40},
	})
	step(ledger.Found{Epoch: e.Epoch, LogIDs: []string{"log-2", "log-3"}})
	step(ledger.Found{Epoch: e.Epoch, LogIDs: []string{"log-2"}, Complete: true})
	step(ledger.Forget{})
	if !e.Vanished || len(e.StrayIDs) != 2 || e.Crashes != 1 || e.Attempts != 2 || e.Return == nil {
		t.Errorf("entry at the end: %+v", e)
	}
}

// applyRowsInPart retries an entry of which one message is held by another: it
// takes none.
func applyRowsInPart(t *testing.T, f *fixture) {
	e := f.open(t, f.draft("a", "b", "c"))
	e = f.apply(t, e.ID, ledger.Failure{Epoch: e.Epoch, Problem: rejected}, ledger.Applied)
	other := f.open(t, f.draft("c"))
	f.apply(t, e.ID, ledger.Retry{Timing: timing}, ledger.Refused)
	wantEqual(t, "Holders", f.holders(t, scope, "a", "b", "c"), map[string]string{"c": other.ID})
	f.apply(t, other.ID, ledger.Failure{Epoch: other.Epoch, Problem: rejected}, ledger.Applied)
	f.apply(t, e.ID, ledger.Retry{Timing: timing}, ledger.Applied)
	wantEqual(t, "Holders", f.holders(t, scope, "a", "b", "c"),
		map[string]string{"a": e.ID, "b": e.ID, "c": e.ID})
}

// applyRowsMixed retries an entry of which one message is held and another one
// logged: no retry can ever succeed, so the answer is "already logged".
func applyRowsMixed(t *testing.T, f *fixture) {
	e := f.open(t, f.draft("a", "b", "c"))
	e = f.apply(t, e.ID, ledger.Failure{Epoch: e.Epoch, Problem: rejected}, ledger.Applied)
	f.open(t, f.draft("a"))
	f.log(t, "log-1", "b")
	f.open(t, f.draft("c"))
	res, err := f.Store.Apply(f.ctx, e.ID, ledger.Retry{Timing: timing})
	wantErr(t, "Apply", err, nil)
	wantEqual(t, "refusal", fault.CodeOf(res.Refusal), fault.AlreadyLogged)
}

// applyRowsMoveOn shows that an entry which lost its messages to a newer one does
// not release them: only their holder does.
func applyRowsMoveOn(t *testing.T, f *fixture) {
	old := f.log(t, "log-1", "a")
	f.apply(t, old.ID, ledger.Forget{}, ledger.Applied)
	newer := f.open(t, f.draft("a"))
	f.apply(t, old.ID, ledger.Forget{}, ledger.Ignored)
	f.apply(t, old.ID, ledger.LogID{Epoch: 1, ID: "log-2"}, ledger.Strayed)
	wantEqual(t, "Holders", f.holders(t, scope, "a"), map[string]string{"a": newer.ID})
}
