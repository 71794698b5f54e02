package relay

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// TestDoubtIsToldAlthoughTheAdapterIsDown: "surely not sent" would be untrue of a
// message whose earlier attempt is unknown.
func TestDoubtIsToldAlthoughTheAdapterIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(writeAndDie(0))
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		w.mu.Lock()
		w.down = fault.New(fault.AdapterUnavailable, "quarantined")
		w.mu.Unlock()
		_, err = w.send(0, "A")
		w.wantCode(fault.OutcomeUnsettled, err)
		if fault.ClassOf(err) != fault.Unknown {
			t.Errorf("class %s", fault.ClassOf(err))
		}
		_, err = w.send(0, "B")
		w.wantCode(fault.AdapterUnavailable, err)
	})
}

// unreadable is a store whose holders cannot be read.
type unreadable struct {
	Store
	holders error
}

func (u *unreadable) Holders(ctx context.Context, scope ledger.Scope, messages []string) ([]store.Holder, error) {
	if u.holders != nil {
		return nil, u.holders
	}
	return u.Store.Holders(ctx, scope, messages)
}

// TestDoubtIsToldAlthoughTheLedgerCannotBeRead: what the claim showed still counts.
func TestDoubtIsToldAlthoughTheLedgerCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u *unreadable
		w := newWorld(t, func(s Store) Store { u = &unreadable{Store: s}; return u })
		w.behave(writeAndDie(0))
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		u.holders = context.DeadlineExceeded
		_, err = w.send(0, "A")
		w.wantCode(fault.OutcomeUnsettled, err)
		u.holders = nil
	})
}

// TestLoggedMessageIsToldAlthoughTheLedgerCannotBeWritten, as on a full disk.
func TestLoggedMessageIsToldAlthoughTheLedgerCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f *flaky
		w := newWorld(t, func(s Store) Store { f = &flaky{Store: s}; return f })
		id := w.logged(w.send(0, "A"))
		f.set(nil, func() (error, error) { return context.DeadlineExceeded, nil })
		if again := w.logged(w.send(0, "A")); again != id {
			t.Errorf("log ID %s, then %s", id, again)
		}
		_, err := w.send(0, "B")
		w.wantCode(fault.Overloaded, err)
	})
}

// TestFreshCredentialsAreUsedAlthoughASearchIsUnderWay: a background search with
// expired ones must not speak for a caller who brings better.
func TestFreshCredentialsAreUsedAlthoughASearchIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(writeAndDie(0))
		_, err := w.sendAs("Bearer expired", 0, "A")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		time.Sleep(2 * lag)
		e := w.wantState(ledger.Unknown)
		done, first := w.relay.beginSearch(e.ID) // another search is under way
		if !first {
			t.Fatal("a search was under way")
		}
		found := make(chan ledger.Entry, 1)
		go func() {
			found <- w.relay.search(t.Context(), e, inquiry{auth: sdk.NewSecret("Bearer good"), lent: true})
		}()
		synctest.Wait()
		w.relay.endSearch(e.ID) // it settled nothing
		<-done
		if got := <-found; got.State != ledger.Logged {
			t.Errorf("entry is %s", got.State)
		}
	})
}

// TestAdapterIsToldOfLentCredentials: "not found" from other eyes than those of the
// attempt may be blindness, and only the adapter can know.
func TestAdapterIsToldOfLentCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		lost := func(_ context.Context, p *process, _ *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			p.die()
			return nil, errBroken
		}
		expect := func(when string, auth string, lent bool) {
			t.Helper()
			asked := w.asked()
			last := asked[len(asked)-1]
			if got := last.Original.AuthHeader.Reveal(); got != auth || last.Lent != lent {
				t.Errorf("%s: searched with %q, lent: %t", when, got, last.Lent)
			}
		}
		w.behave(lost)
		_, err := w.sendAs("Bearer first", time.Minute, "A")
		w.wantCode(fault.Outcome, err)
		expect("the attempt's own search", "Bearer first", false)
		_, err = w.sendAs("Bearer first", 0, "A")
		w.wantCode(fault.OutcomeUnsettled, err)
		expect("the same credentials again", "Bearer first", false)
		_, err = w.sendAs("Bearer second", 0, "A")
		w.wantCode(fault.OutcomeUnsettled, err)
		expect("others", "Bearer second", true)
		time.Sleep(settles)
		e := w.wantState(ledger.Failed)
		expect("the host's own", "Bearer first", false)
		_, err = w.relay.Retry(t.Context(), RetryCall{Tenant: "t1", ID: e.ID, AuthHeader: sdk.NewSecret("Bearer third"), Wait: time.Minute})
		w.wantCode(fault.Outcome, err)
		time.Sleep(settles)
		w.wantState(ledger.Failed)
		expect("the host's own, of a retry with other credentials", "Bearer first", true)
	})
}

// TestAdapterWithItsShareOfWorkersIsLeftOut: its backlog must not hide what is due
// for others.
func TestAdapterWithItsShareOfWorkersIsLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := crew{relay: &Relay{cfg: Config{}.withDefaults()}, at: map[string]string{}}
		for i := range c.relay.cfg.Searches {
			if full := c.full(); len(full) != 0 {
				t.Fatalf("full after %d: %v", i, full)
			}
			c.at[string(rune('a'+i))] = "acme"
		}
		if full := c.full(); len(full) != 1 || full[0] != "acme" {
			t.Errorf("full: %v", full)
		}
	})
}

// TestRecordFoundBySearchHasItsPage: the answer links to it as any other.
func TestRecordFoundBySearchHasItsPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(writeAndDie(0))
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		time.Sleep(settles)
		if e := w.wantState(ledger.Logged); e.LogURL != "https://x.acme.example/log/R1" {
			t.Errorf("page %q", e.LogURL)
		}
	})
}
