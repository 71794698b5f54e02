package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Each test of this file is one way in which a simpler protocol loses or doubles
// a message, numbered as in docs/DELIVERY.md. Numbers 4, 10 and 14 are tests of
// host/ledger and of the store's suite, 13, 15 and 16 of sdk/crmhttp and
// host/store/sqlite.

// writeAndDie is an adapter that sends its create, which the CRM applies after
// late, and dies.
func writeAndDie(late time.Duration) func(context.Context, *process, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	return func(_ context.Context, p *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		if late == 0 {
			p.w.write(req)
		} else {
			go func() {
				time.Sleep(late)
				p.w.write(req)
			}()
		}
		p.die()
		return nil, errBroken
	}
}

func TestNaive01CrashAfterSendingIsNotSentAgainBeforeItSettles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(writeAndDie(apply - time.Second))
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		// Repeated by the client at once and every second: never a second record.
		for range 10 {
			_, err = w.send(0, "A")
			w.wantCode(fault.OutcomeUnsettled, err)
			if wait := fault.RetryAfterOf(err); wait <= 0 || wait > settles {
				t.Fatalf("Retry-After = %s", wait)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(settles)
		e := w.wantState(ledger.Logged)
		res, err := w.send(0, "A")
		if id := w.logged(res, err); id != e.LogID || res.Created || !res.Messages[0].Duplicate {
			t.Errorf("answer %+v, entry %s", res, e.LogID)
		}
		w.wantCopies(1, "A")
	})
}

func TestNaive01NothingFoundAfterSettlingFreesTheMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(func(_ context.Context, p *process, _ *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			p.die() // before it sent anything, as only it knows
			return nil, errBroken
		})
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		time.Sleep(settles - 2*time.Second)
		w.wantState(ledger.Unknown)
		time.Sleep(4 * time.Second)
		if e := w.wantState(ledger.Failed); e.Problem.Class != fault.Retryable {
			t.Errorf("problem %+v", e.Problem)
		}
		w.logged(w.send(0, "A"))
		w.wantCopies(1, "A")
	})
}

func TestNaive02NothingIsSentAfterTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		began := time.Now()
		w.behave(func(_ context.Context, p *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			if got := req.NotAfter.Sub(began); got != window {
				t.Errorf("NotAfter is %s from the claim, want %s", got, window)
			}
			time.Sleep(settles - 3*time.Second) // paused, and awake when all have given up
			if time.Now().Before(req.NotAfter) {
				return sdk.Logged(w.write(req)), nil
			}
			return nil, fault.Unavailable(0, "the send window has closed")
		})
		_, err := w.send(time.Second, "A")
		w.wantCode(fault.Outcome, err)
		time.Sleep(2 * settles)
		w.wantState(ledger.Failed)
		w.wantCopies(0, "A")
	})
}

func TestNaive03SettlingCountsFromTheEndOfTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(func(_ context.Context, p *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			time.Sleep(window - time.Millisecond) // sent in the last moment of the window
			go func() {
				time.Sleep(apply - time.Second)
				w.write(req)
			}()
			p.die()
			return nil, errBroken
		})
		_, err := w.send(time.Second, "A") // the caller's 504 comes after one second
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		time.Sleep(time.Second + apply + lag) // where a wrong settling time would be
		if e := w.wantState(ledger.Unknown); !e.SettlesAt.After(time.Now()) {
			t.Errorf("settles at %s, now %s", e.SettlesAt, time.Now())
		}
		time.Sleep(settles)
		w.wantState(ledger.Logged)
		w.wantCopies(1, "A")
	})
}

// flaky is a store whose writes fail on demand.
type flaky struct {
	Store
	mu    sync.Mutex
	apply func(ev ledger.Event) (before, after error)
	claim func() (before, after error)
}

func (f *flaky) Apply(ctx context.Context, id string, ev ledger.Event) (ledger.Result, error) {
	f.mu.Lock()
	hook := f.apply
	f.mu.Unlock()
	if hook == nil {
		return f.Store.Apply(ctx, id, ev)
	}
	before, after := hook(ev)
	if before != nil {
		return ledger.Result{}, before
	}
	res, err := f.Store.Apply(ctx, id, ev)
	return res, errors.Join(err, after)
}

func (f *flaky) Claim(ctx context.Context, c store.Claim) (store.Claimed, error) {
	f.mu.Lock()
	hook := f.claim
	f.mu.Unlock()
	if hook == nil {
		return f.Store.Claim(ctx, c)
	}
	before, after := hook()
	if before != nil {
		return store.Claimed{}, before
	}
	got, err := f.Store.Claim(ctx, c)
	return got, errors.Join(err, after)
}

func (f *flaky) set(apply func(ledger.Event) (error, error), claim func() (error, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.apply, f.claim = apply, claim
}

func TestNaive05LostFailureWriteIsNotToldAsFailure(t *testing.T) {
	for name, hook := range map[string]func(ledger.Event) (error, error){
		"not written":   func(ledger.Event) (error, error) { return errors.New("disk full"), nil },
		"not confirmed": func(ledger.Event) (error, error) { return nil, store.ErrUncertain },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f *flaky
				w := newWorld(t, func(s Store) Store { f = &flaky{Store: s}; return f })
				f.set(hook, nil)
				w.behave(func(context.Context, *process, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
					return nil, fault.Rejected("no")
				})
				_, err := w.send(0, "A")
				w.wantCode(fault.Outcome, err)
				if fault.ClassOf(err) != fault.Unknown {
					t.Errorf("class %s", fault.ClassOf(err))
				}
				f.set(nil, nil)
				time.Sleep(10 * time.Second) // the write is tried again
				if e := w.wantState(ledger.Failed); e.Problem.Code != fault.CRMRejected {
					t.Errorf("problem %+v", e.Problem)
				}
			})
		})
	}
}

func TestNaive06UncertainClaimIsUnknownAndNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f *flaky
		w := newWorld(t, func(s Store) Store { f = &flaky{Store: s}; return f })
		f.set(nil, func() (error, error) { return nil, store.ErrUncertain })
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		var told *MessagesError
		if !errors.As(err, &told) || len(told.EntryIDs()) != 1 || told.EntryIDs()[0] != w.only().ID {
			t.Errorf("the answer does not name the entry: %v", err)
		}
		if len(w.calls) != 0 {
			t.Error("an uncertain claim was sent")
		}
		f.set(nil, nil)
		time.Sleep(2 * settles)
		w.wantState(ledger.Failed)
		w.logged(w.send(0, "A"))
		w.wantCopies(1, "A")
	})
}

func TestClaimThatSurelyFailedIsRetryable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f *flaky
		w := newWorld(t, func(s Store) Store { f = &flaky{Store: s}; return f })
		f.set(nil, func() (error, error) { return errors.New("database is locked"), nil })
		_, err := w.send(0, "A")
		w.wantCode(fault.Overloaded, err)
		w.wantCopies(0, "A")
	})
}

func TestNaive07RetryOfAnEntryWhoseMessagesWereLoggedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(func(context.Context, *process, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return nil, fault.Rejected("no")
		})
		_, err := w.send(0, "A")
		w.wantCode(fault.CRMRejected, err)
		failed := w.only()
		w.behave(nil)
		w.logged(w.send(0, "A"))
		_, err = w.relay.Retry(t.Context(), RetryCall{Tenant: "t1", ID: failed.ID})
		w.wantCode(fault.AlreadyLogged, err)
		w.wantCopies(1, "A")
	})
}

func TestRetrySendsAFailedEntryAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(func(_ context.Context, _ *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			if req.AuthHeader.Reveal() != "Bearer fresh" {
				return nil, fault.Unauthorized("expired")
			}
			return sdk.Logged(w.write(req)), nil
		})
		_, err := w.send(0, "A", "B")
		w.wantCode(fault.CRMUnauthorized, err)
		e := w.only()
		res, err := w.relay.Retry(t.Context(), RetryCall{Tenant: "t1", ID: e.ID, AuthHeader: sdk.NewSecret("Bearer fresh")})
		w.logged(res, err)
		if !res.Created || res.Entry.ID != e.ID || res.Entry.Attempts != 2 {
			t.Errorf("result %+v", res)
		}
		first, second := w.calls[0], w.calls[1]
		if first.IdempotencyKey != second.IdempotencyKey || second.Attempt != 2 || len(second.Messages) != 2 {
			t.Errorf("second call: key %s then %s, attempt %d", first.IdempotencyKey, second.IdempotencyKey, second.Attempt)
		}
		_, err = w.relay.Retry(t.Context(), RetryCall{Tenant: "t1", ID: e.ID})
		w.wantCode(fault.AlreadyLogged, err)
		w.wantCopies(1, "A", "B")
	})
}

func TestNaive08NotLoggedIsAcceptedOnlyAfterSettling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.canFind = false
		w.behave(writeAndDie(apply))
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		e := w.only()
		resolve := ResolveCall{Tenant: "t1", ID: e.ID, NotLogged: true}
		_, err = w.relay.Resolve(t.Context(), resolve)
		w.wantCode(fault.OutcomeUnsettled, err)
		if wait := fault.RetryAfterOf(err); wait < settles-time.Second || wait > settles {
			t.Errorf("Retry-After %s, want about %s", wait, settles)
		}
		time.Sleep(3 * settles)
		w.wantState(ledger.Unknown) // it waits for a person
		_, err = w.send(0, "A")
		w.wantCode(fault.OutcomeUnsettled, err)
		got, err := w.relay.Resolve(t.Context(), ResolveCall{Tenant: "t1", ID: e.ID, LogID: "R1"})
		if err != nil || got.State != ledger.Logged || got.LogID != "R1" {
			t.Fatalf("resolve: %+v, %v", got, err)
		}
		w.logged(w.send(0, "A"))
		w.wantCopies(1, "A")
	})
}

func TestNaive09EmptyLogIDIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, id := range []string{"", string(make([]byte, 600)), "a\nb"} {
			w := newWorld(t, nil)
			w.behave(func(_ context.Context, _ *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
				w.write(req)
				return sdk.Logged(id), nil
			})
			_, err := w.send(0, "A")
			w.wantCode(fault.AdapterFault, err)
			if fault.ClassOf(err) != fault.Unknown {
				t.Errorf("class %s", fault.ClassOf(err))
			}
			time.Sleep(2 * lag)
			w.wantState(ledger.Logged)
			w.wantCopies(1, "A")
		}
	})
}

func TestNaive12OverlappingGroupsDoNotDeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(func(_ context.Context, _ *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			time.Sleep(time.Second)
			return sdk.Logged(w.write(req)), nil
		})
		var wg sync.WaitGroup
		for _, group := range [][]string{{"A", "B"}, {"B", "C"}, {"C", "A"}, {"B", "A"}, {"A", "B", "C"}} {
			wg.Go(func() {
				res, err := w.send(0, group...)
				if err != nil {
					t.Errorf("group %v: %v", group, err)
					return
				}
				for _, m := range res.Messages {
					if m.State != ledger.Logged || m.LogID == "" {
						t.Errorf("group %v: message %+v", group, m)
					}
				}
			})
		}
		wg.Wait()
		w.wantCopies(1, "A", "B", "C")
	})
}

func TestNaive17LateAnswerStillCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, late := range map[string]time.Duration{"inside the window": 3 * time.Second, "after it": window + 5*time.Second} {
			w := newWorld(t, nil)
			w.behave(func(_ context.Context, _ *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
				id := w.write(req)
				time.Sleep(late)
				return sdk.Logged(id), nil
			})
			w.mu.Lock()
			w.canFind = false // nobody else can settle it
			w.mu.Unlock()
			_, err := w.send(time.Second, "A")
			w.wantCode(fault.Outcome, err)
			time.Sleep(late)
			if e := w.wantState(ledger.Logged); e.LogID != "R1" {
				t.Errorf("%s: log ID %q", name, e.LogID)
			}
			w.wantCopies(1, "A")
		}
	})
}

func TestHundredIdenticalRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(func(_ context.Context, _ *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			time.Sleep(100 * time.Millisecond)
			return sdk.Logged(w.write(req)), nil
		})
		var (
			wg      sync.WaitGroup
			mu      sync.Mutex
			created int
			ids     []string
		)
		for range 100 {
			wg.Go(func() {
				res, err := w.send(0, "A")
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
					return
				}
				if res.Created {
					created++
				}
				ids = append(ids, res.Entry.LogID)
			})
		}
		wg.Wait()
		if slices.Sort(ids); created != 1 || len(slices.Compact(ids)) != 1 {
			t.Errorf("created %d, log IDs %v", created, slices.Compact(ids))
		}
		w.wantCopies(1, "A")
	})
}

func TestWaiterTakesOverWhenTheFirstFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(func(_ context.Context, _ *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			time.Sleep(time.Second)
			if req.AuthHeader.Reveal() == "Bearer expired" {
				return nil, fault.Unauthorized("expired")
			}
			return sdk.Logged(w.write(req)), nil
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := w.sendAs("Bearer expired", 0, "A")
			w.wantCode(fault.CRMUnauthorized, err)
		})
		time.Sleep(100 * time.Millisecond)
		res, err := w.send(0, "A")
		w.logged(res, err)
		if !res.Created {
			t.Error("the waiter did not send its own")
		}
		wg.Wait()
		w.wantCopies(1, "A")
	})
}

func TestGroupWithLoggedAndUnknownMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		first := w.logged(w.send(0, "A"))
		w.canFind = false
		w.mu.Lock()
		w.live = nil
		w.mu.Unlock()
		w.behave(writeAndDie(0))
		_, err := w.send(0, "B")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		// A is logged, B is unknown, C is free: C goes on (rule 9).
		_, err = w.send(0, "A", "B", "C")
		w.wantCode(fault.OutcomeUnsettled, err)
		var told *MessagesError
		if !errors.As(err, &told) {
			t.Fatalf("no messages in %v", err)
		}
		got := fmt.Sprint(told.Messages[0].State, told.Messages[0].LogID, told.Messages[1].State, told.Messages[2].State, told.Messages[2].Duplicate)
		if want := fmt.Sprint(ledger.Logged, first, ledger.Unknown, ledger.Logged, false); got != want {
			t.Errorf("messages %s, want %s", got, want)
		}
		w.wantCopies(1, "A", "B", "C")
		if sent := w.calls[len(w.calls)-1].Messages; len(sent) != 1 || sent[0].ID.String() != "C" {
			t.Errorf("sent %d messages with C", len(sent))
		}
	})
}

func TestUnknownEntryIsSearchedWithFreshCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(writeAndDie(0))
		_, err := w.sendAs("Bearer expired", 0, "A")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		time.Sleep(lag + time.Second)
		w.wantState(ledger.Unknown) // the stored credentials are refused
		res, err := w.send(0, "A")  // lends fresh ones
		w.logged(res, err)
		if res.Created {
			t.Error("it was sent again")
		}
		w.wantCopies(1, "A")
	})
}

func TestCrashThatWroteIsFoundWhileTheCallerWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(func(_ context.Context, p *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			w.write(req)
			time.Sleep(lag) // the search shows it by now
			p.die()
			return nil, errBroken
		})
		w.logged(w.send(0, "A"))
		w.wantCopies(1, "A")
	})
}

func TestHostDeathMakesEntriesUnknownAndFindsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		// What a killed host leaves behind: a claim, and a record it never heard of.
		route, err := w.Route("t1", "acme")
		if err != nil {
			t.Fatal(err)
		}
		req, err := decode(body("Bearer good", "A"), route)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		j := w.relay.newJob(ctx, route, req, "r0")
		draft, err := j.draft(&process{w: w, canFind: true})
		if err != nil {
			t.Fatal(err)
		}
		claimed, err := w.store.Claim(ctx, draft)
		if err != nil {
			t.Fatal(err)
		}
		sent := req.AddMessageLogRequest
		sent.IdempotencyKey = idempotencyKey(claimed.Entry.Scope, claimed.Entry.Messages)
		w.write(&sent)
		w.start() // the next life
		w.wantState(ledger.Unknown)
		time.Sleep(settles)
		w.wantState(ledger.Logged)
		w.wantCopies(1, "A")
	})
}
