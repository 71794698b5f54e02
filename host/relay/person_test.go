package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// failedOnce brings an entry to failed and returns it.
func (w *world) failedOnce(messages ...string) ledger.Entry {
	w.t.Helper()
	w.answers(fault.Rejected("no"), nil)
	_, err := w.send(0, messages...)
	w.wantCode(fault.CRMRejected, err)
	return w.wantState(ledger.Failed)
}

// entry returns the ledger's present word on an entry.
func (w *world) entry(id string) ledger.Entry {
	w.t.Helper()
	e, err := w.store.Entry(context.Background(), "t1", id)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// hasPayload reports whether the entry's request is still stored.
func (w *world) hasPayload(id string) bool {
	w.t.Helper()
	_, err := w.store.Payload(context.Background(), id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		w.t.Fatal(err)
	}
	return err == nil
}

func TestRetryNeedsTheStoredRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		e := w.failedOnce("A")
		time.Sleep(71 * time.Hour)
		if !w.hasPayload(e.ID) {
			t.Fatal("the stored request was erased too early")
		}
		time.Sleep(2 * time.Hour)
		if w.hasPayload(e.ID) {
			t.Fatal("the stored request was kept too long")
		}
		_, err := w.relay.Retry(t.Context(), RetryCall{Tenant: "t1", ID: e.ID, AuthHeader: sdk.NewSecret("Bearer fresh")})
		w.wantCode(fault.Conflict, err)
		if w.attempts() != 1 {
			t.Errorf("%d calls", w.attempts())
		}
		w.logged(w.send(0, "A")) // a new request is free to try
		w.wantCopies(1, "A")
	})
}

func TestRule10RequestIsStoredAsLongAsItIsNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		res, err := w.send(0, "A")
		w.logged(res, err)
		if w.hasPayload(res.Entry.ID) {
			t.Error("the request of a logged entry is still stored")
		}
		w.behave(writeAndDie(0))
		_, err = w.send(0, "B")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		entries, err := w.store.Entries(t.Context(), store.Query{States: []ledger.State{ledger.Unknown}})
		if err != nil || len(entries) != 1 || !w.hasPayload(entries[0].ID) {
			t.Fatalf("entries %+v, %v; or no stored request", entries, err)
		}
		sealed, err := w.store.Payload(t.Context(), entries[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Unseal(sealed, []byte("t2")); err == nil {
			t.Error("the stored request is not bound to its tenant")
		}
		time.Sleep(settles)
		if e := w.entry(entries[0].ID); e.State != ledger.Logged || w.hasPayload(e.ID) {
			t.Errorf("state %s, stored %v", e.State, w.hasPayload(e.ID))
		}
		// Each search was given the whole request: the first with the credentials of
		// the attempt, the host's own with those that were stored.
		if len(w.asked()) < 2 {
			t.Fatalf("%d searches", len(w.asked()))
		}
		for _, got := range w.asked() {
			if o := got.Original; o.AuthHeader.Reveal() != "Bearer good" || len(o.Messages) != 1 || o.User.Hostname != "x.acme.example" ||
				o.ContactInfo.ID.String() != "7" || got.IdempotencyKey != w.sent()[1].IdempotencyKey || !o.NotAfter.IsZero() || got.Lent {
				t.Errorf("searched for %+v", got)
			}
		}
	})
}

func TestRetryIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		e := w.failedOnce("A")
		retry := func(want fault.Code, change func(*RetryCall)) error {
			t.Helper()
			call := RetryCall{Tenant: "t1", ID: e.ID}
			change(&call)
			_, err := w.relay.Retry(t.Context(), call)
			w.wantCode(want, err)
			return err
		}
		retry(fault.MessageLogNotFound, func(c *RetryCall) { c.ID = "01JAAAAAAAAAAAAAAAAAAAAAAA" })
		retry(fault.MessageLogNotFound, func(c *RetryCall) { c.Tenant = "t2" })
		retry(fault.InvalidFields, func(c *RetryCall) { c.AuthHeader = sdk.NewSecret("a\nb") })
		w.mu.Lock()
		w.route.Enabled = false
		w.mu.Unlock()
		retry(fault.AdapterDisabled, func(*RetryCall) {})
		w.mu.Lock()
		w.route.Enabled = true
		w.down = &fault.Error{Code: fault.AdapterUnavailable, Class: fault.Retryable, RetryAfter: time.Second}
		w.mu.Unlock()
		retry(fault.AdapterUnavailable, func(*RetryCall) {})
		if got := w.wantState(ledger.Failed); got.Epoch != e.Epoch {
			t.Error("a refused retry changed the entry")
		}
		w.mu.Lock()
		w.down = nil
		w.mu.Unlock()
		w.behave(func(_ context.Context, _ *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			time.Sleep(5 * time.Second)
			return sdk.Logged(w.write(req)), nil
		})
		err := retry(fault.Outcome, func(c *RetryCall) { c.Wait = time.Second }) // its caller goes, it goes on
		var told *MessagesError
		if !errors.As(err, &told) || told.EntryIDs()[0] != e.ID {
			t.Errorf("the answer does not name the entry: %v", err)
		}
		if err := retry(fault.InProgress, func(*RetryCall) {}); fault.RetryAfterOf(err) != time.Second {
			t.Errorf("Retry-After %s", fault.RetryAfterOf(err))
		}
		time.Sleep(5 * time.Second)
		w.wantState(ledger.Logged)
		retry(fault.AlreadyLogged, func(*RetryCall) {})
		w.wantCopies(1, "A")
	})
}

func TestRetryOfAnUnknownEntrySearchesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(writeAndDie(0))
		_, err := w.sendAs("Bearer expired", 0, "A")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		time.Sleep(lag)
		e := w.wantState(ledger.Unknown)
		_, err = w.relay.Retry(t.Context(), RetryCall{Tenant: "t1", ID: e.ID})
		w.wantCode(fault.OutcomeUnsettled, err)
		if wait := fault.RetryAfterOf(err); wait <= 0 || wait > settles {
			t.Errorf("Retry-After %s", wait)
		}
		res, err := w.relay.Retry(t.Context(), RetryCall{Tenant: "t1", ID: e.ID, AuthHeader: sdk.NewSecret("Bearer fresh")})
		w.logged(res, err)
		if res.Created {
			t.Error("it was sent again")
		}
		w.wantCopies(1, "A")
	})
}

func TestResolve(t *testing.T) {
	t.Run("not logged, after settling, frees the message", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			w.blind()
			w.behave(func(_ context.Context, p *process, _ *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
				p.die()
				return nil, errBroken
			})
			_, err := w.send(0, "A")
			w.wantCode(fault.Outcome, err)
			w.behave(nil)
			time.Sleep(settles)
			e, err := w.relay.Resolve(t.Context(), ResolveCall{Tenant: "t1", ID: w.only().ID, NotLogged: true})
			if err != nil || e.State != ledger.Failed {
				t.Fatalf("%+v, %v", e, err)
			}
			w.logged(w.send(0, "A"))
			w.wantCopies(1, "A")
		})
	})
	t.Run("not logged, but the CRM has it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			w.behave(writeAndDie(0))
			_, err := w.sendAs("Bearer expired", 0, "A")
			w.wantCode(fault.Outcome, err)
			w.behave(nil)
			time.Sleep(2 * settles)
			e, err := w.relay.Resolve(t.Context(), ResolveCall{
				Tenant: "t1", ID: w.wantState(ledger.Unknown).ID, NotLogged: true, AuthHeader: sdk.NewSecret("Bearer fresh"),
			})
			if err != nil || e.State != ledger.Logged || e.LogID != "R1" {
				t.Fatalf("%+v, %v", e, err)
			}
			_, err = w.relay.Resolve(t.Context(), ResolveCall{Tenant: "t1", ID: e.ID, NotLogged: true})
			w.wantCode(fault.AlreadyLogged, err)
		})
	})
	t.Run("a failed entry that was logged by hand", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			e := w.failedOnce("A")
			if got, err := w.relay.Resolve(t.Context(), ResolveCall{Tenant: "t1", ID: e.ID, NotLogged: true}); err != nil || got.State != ledger.Failed {
				t.Errorf("%+v, %v", got, err)
			}
			if got, err := w.relay.Resolve(t.Context(), ResolveCall{Tenant: "t1", ID: e.ID, LogID: "H1"}); err != nil || got.LogID != "H1" {
				t.Errorf("%+v, %v", got, err)
			}
			if id := w.logged(w.send(0, "A")); id != "H1" {
				t.Errorf("log ID %s", id)
			}
			w.wantCopies(0, "A")
			_, err := w.relay.Resolve(t.Context(), ResolveCall{Tenant: "t2", ID: e.ID, LogID: "H1"})
			w.wantCode(fault.MessageLogNotFound, err)
		})
	})
}

func TestPersonIsToldWhenTheLedgerIsNotSure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f *flaky
		w := newWorld(t, func(s Store) Store { f = &flaky{Store: s}; return f })
		res, err := w.send(0, "A")
		w.logged(res, err)
		f.set(func(ledger.Event) (error, error) { return nil, store.ErrUncertain }, nil)
		_, err = w.relay.Forget(t.Context(), "t1", res.Entry.ID)
		w.wantCode(fault.Outcome, err)
		f.set(func(ledger.Event) (error, error) { return errors.New("disk full"), nil }, nil)
		_, err = w.relay.Forget(t.Context(), "t1", res.Entry.ID)
		w.wantCode(fault.Overloaded, err)
	})
}

func TestForgetAndLogAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		first, err := w.send(0, "A", "B")
		w.logged(first, err)
		e, err := w.relay.Forget(t.Context(), "t1", first.Entry.ID)
		if err != nil || e.State != ledger.Logged || e.ForgottenAt.IsZero() {
			t.Fatalf("%+v, %v", e, err)
		}
		if again, err := w.relay.Forget(t.Context(), "t1", first.Entry.ID); err != nil || !again.ForgottenAt.Equal(e.ForgottenAt) {
			t.Errorf("forgotten twice: %+v, %v", again, err)
		}
		second, err := w.send(0, "A")
		w.logged(second, err)
		if !second.Created || second.Entry.ID == first.Entry.ID || second.Entry.LogID == first.Entry.LogID {
			t.Errorf("logged again as %+v", second)
		}
		if w.entry(first.Entry.ID).LogID != first.Entry.LogID {
			t.Error("the history is gone")
		}
		_, err = w.relay.Retry(t.Context(), RetryCall{Tenant: "t1", ID: first.Entry.ID})
		w.wantCode(fault.Conflict, err)
		_, err = w.relay.Forget(t.Context(), "t1", "01JAAAAAAAAAAAAAAAAAAAAAAA")
		w.wantCode(fault.MessageLogNotFound, err)
	})
}

// TestTwoRecordsAreListedAndAudited: rules 12 and 14. The CRM made two records of one
// call; both are found by the key, the oldest counts, the other is a stray.
func TestTwoRecordsAreListedAndAudited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(func(_ context.Context, p *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			w.write(req)
			w.write(req)
			p.die()
			return nil, errBroken
		})
		began := time.Now()
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		time.Sleep(2*lag + time.Second)
		e := w.wantState(ledger.Logged)
		if e.LogID != "R1" || !slices.Equal(e.StrayIDs, []string{"R2"}) || e.Audits != 2 || !w.hasPayload(e.ID) {
			t.Fatalf("found %+v", e)
		}
		if at := e.NextAt.Sub(began); at != settles {
			t.Errorf("the first audit is due after %s", at)
		}
		asked := len(w.asked())
		time.Sleep(settles)
		if e = w.entry(e.ID); e.Audits != 1 || len(w.asked()) != asked+1 {
			t.Errorf("after the first audit: %d left, %d searches", e.Audits, len(w.asked())-asked)
		}
		time.Sleep(24 * time.Hour)
		e = w.entry(e.ID)
		if e.Audits != 0 || e.Vanished || !slices.Equal(e.StrayIDs, []string{"R2"}) || w.hasPayload(e.ID) {
			t.Errorf("after the last audit: %+v, stored %v", e, w.hasPayload(e.ID))
		}
		w.logged(w.send(0, "A"))
	})
}

func TestVanishedRecordRaisesTheAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		e := w.failedOnce("A")
		w.logged(w.relay.Retry(t.Context(), RetryCall{Tenant: "t1", ID: e.ID}))
		w.mu.Lock()
		w.records = nil // deleted by somebody
		w.mu.Unlock()
		time.Sleep(settles + time.Second)
		if e = w.entry(e.ID); !e.Vanished || e.State != ledger.Logged || e.Audits != 1 {
			t.Errorf("after the audit: %+v", e)
		}
		if _, err := w.relay.Forget(t.Context(), "t1", e.ID); err != nil {
			t.Fatal(err)
		}
		w.logged(w.send(0, "A"))
		w.wantCopies(1, "A")
	})
}

// TestSettledEntryIsNotSearchedForAgain: a search that comes too late is not made,
// and nothing is scheduled for an entry that needs nothing.
func TestSettledEntryIsNotSearchedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		res, err := w.send(0, "A")
		w.logged(res, err)
		stale := res.Entry
		stale.State = ledger.Unknown // as another caller read it a moment ago
		e := w.relay.search(t.Context(), stale, inquiry{})
		if e.State != ledger.Logged || !e.NextAt.IsZero() || len(w.asked()) != 0 {
			t.Errorf("%s, next %s, %d searches", e.State, e.NextAt, len(w.asked()))
		}
		w.blind()
		w.behave(writeAndDie(0))
		_, err = w.send(0, "B")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		_, err = w.send(0, "B")
		w.wantCode(fault.OutcomeUnsettled, err)
		if fault.RetryAfterOf(err) != 0 {
			t.Errorf("Retry-After %s for a person's decision", fault.RetryAfterOf(err))
		}
		due, wait, err := w.store.Due(t.Context(), 10, nil)
		if err != nil || len(due) != 0 || wait != 0 {
			t.Errorf("due %d, in %s, %v", len(due), wait, err)
		}
	})
}

func TestConcurrentSearchesShareOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(writeAndDie(0))
		_, err := w.sendAs("Bearer expired", 0, "A")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		time.Sleep(2 * lag)
		before := len(w.asked())
		answers := make(chan string, 10)
		for range 10 {
			go func() {
				res, err := w.send(0, "A")
				if err != nil {
					answers <- err.Error()
					return
				}
				answers <- fmt.Sprint(res.Entry.LogID, res.Created)
			}()
		}
		for range 10 {
			if got := <-answers; got != "R1false" {
				t.Errorf("answer %s", got)
			}
		}
		if n := len(w.asked()) - before; n > 2 {
			t.Errorf("%d searches", n)
		}
	})
}
