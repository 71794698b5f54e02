package relay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// answers is an adapter that answers its calls in turn: nil writes and logs, the last
// answer stands for all that follow.
func (w *world) answers(list ...error) {
	n := 0
	w.behave(func(_ context.Context, p *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		p.w.mu.Lock()
		err := list[min(n, len(list)-1)]
		n++
		p.w.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return sdk.Logged(p.w.write(req)), nil
	})
}

// attempts returns how many calls the adapter got.
func (w *world) attempts() int {
	return len(w.sent())
}

func TestRetriesInsideTheWindow(t *testing.T) {
	down := fault.Unavailable(0, "down")
	doubt := &fault.Error{Code: fault.Outcome, Source: fault.Adapter, Msg: "no answer from the CRM"}
	for name, c := range map[string]struct {
		answers []error
		wait    time.Duration
		want    fault.Code // empty: logged
		calls   int
		least   time.Duration // how long it takes
		most    time.Duration
	}{
		"works the second time":         {[]error{down, nil}, 0, "", 2, 0, 100 * time.Millisecond},
		"works the third time":          {[]error{down, down, nil}, 0, "", 3, 0, 300 * time.Millisecond},
		"three tries and no more":       {[]error{down}, 0, fault.CRMUnavailable, 3, 0, 300 * time.Millisecond},
		"Retry-After is honoured":       {[]error{fault.RetryAfter(5*time.Second, "slow"), nil}, 0, "", 2, 5 * time.Second, 5 * time.Second},
		"Retry-After past the deadline": {[]error{fault.RetryAfter(5*time.Second, "slow"), nil}, 4 * time.Second, fault.RateLimited, 1, 0, 0},
		"Retry-After past the window":   {[]error{fault.RetryAfter(window+10*time.Second, "slow"), nil}, 50 * time.Second, fault.RateLimited, 1, 0, 0},
		"Retry-After past both":         {[]error{fault.RetryAfter(time.Minute, "slow"), nil}, 50 * time.Second, fault.RateLimited, 1, 0, 0},
		"a rejection is not repeated":   {[]error{fault.Rejected("no"), nil}, 0, fault.CRMRejected, 1, 0, 0},
		"a doubt is not repeated":       {[]error{doubt, nil}, 0, fault.Outcome, 1, 0, 0},
		"nor is a doubt after a retry":  {[]error{down, doubt, nil}, 0, fault.Outcome, 2, 0, 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.answers(c.answers...)
				began := time.Now()
				_, err := w.send(c.wait, "A")
				took := time.Since(began)
				if c.want != "" {
					w.wantCode(c.want, err)
				} else if err != nil {
					t.Fatal(err)
				}
				if w.attempts() != c.calls || took < c.least || took > c.most {
					t.Errorf("%d calls in %s, want %d in %s to %s", w.attempts(), took, c.calls, c.least, c.most)
				}
				if c.want == fault.RateLimited && fault.RetryAfterOf(err) < 5*time.Second {
					t.Errorf("Retry-After %s", fault.RetryAfterOf(err))
				}
				for _, call := range w.sent() {
					if call.Attempt != 1 || !call.NotAfter.Equal(w.sent()[0].NotAfter) {
						t.Errorf("a repetition is attempt %d, not after %s", call.Attempt, call.NotAfter)
					}
				}
				// Rule 4: repetitions write nothing but the outcome.
				if e := w.only(); e.Attempts != 1 || (e.Epoch != 2 && e.State != ledger.Unknown) {
					t.Errorf("%d attempts, epoch %d", e.Attempts, e.Epoch)
				}
			})
		})
	}
}

func TestAdapterUnavailableWritesNothing(t *testing.T) {
	for _, down := range []*fault.Error{
		{Code: fault.AdapterUnavailable, Class: fault.Retryable, RetryAfter: 7 * time.Second},
		{Code: fault.Overloaded, Class: fault.Retryable, RetryAfter: time.Second},
		{Code: fault.ShuttingDown, Class: fault.Retryable},
	} {
		t.Run(string(down.Code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				id := w.logged(w.send(0, "A"))
				w.mu.Lock()
				w.down = down
				w.mu.Unlock()
				_, err := w.send(0, "A", "B")
				w.wantCode(down.Code, err)
				if fault.RetryAfterOf(err) != down.RetryAfter || fault.ClassOf(err) != fault.Retryable {
					t.Errorf("fault %v, Retry-After %s", err, fault.RetryAfterOf(err))
				}
				var told *MessagesError
				if !errors.As(err, &told) || told.Messages[0].LogID != id || told.Messages[1].EntryID != "" {
					t.Errorf("messages %+v", told)
				}
				w.only() // nothing was written for B
				// What was logged before needs no adapter.
				res, err := w.send(0, "A")
				if w.logged(res, err) != id || res.Created || !res.Messages[0].Duplicate {
					t.Errorf("answer %+v", res)
				}
			})
		})
	}
}

func TestProcessThatDiedBeforeTheCallIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f *flaky
		w := newWorld(t, func(s Store) Store { f = &flaky{Store: s}; return f })
		f.set(nil, func() (error, error) {
			w.mu.Lock()
			p := w.live
			w.mu.Unlock()
			p.die() // while the claim is being written
			return nil, nil
		})
		w.logged(w.send(0, "A"))
		w.wantCopies(1, "A")
	})
}

func TestNothingIsSentWhenTheClaimTookTheWholeWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f *flaky
		w := newWorld(t, func(s Store) Store { f = &flaky{Store: s}; return f })
		f.set(nil, func() (error, error) {
			time.Sleep(window) // a disk that stands still
			return nil, nil
		})
		_, err := w.send(time.Minute, "A")
		w.wantCode(fault.Overloaded, err)
		if fault.ClassOf(err) != fault.Retryable || w.attempts() != 0 {
			t.Errorf("class %s after %d calls", fault.ClassOf(err), w.attempts())
		}
		w.wantState(ledger.Failed)
	})
}

func TestCallerWhoseClaimIsSlowIsNotToldThatNothingWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f *flaky
		w := newWorld(t, func(s Store) Store { f = &flaky{Store: s}; return f })
		f.set(nil, func() (error, error) {
			time.Sleep(5 * time.Second)
			return nil, nil
		})
		_, err := w.send(time.Second, "A")
		w.wantCode(fault.Outcome, err)
		if fault.ClassOf(err) != fault.Unknown {
			t.Errorf("class %s", fault.ClassOf(err))
		}
		time.Sleep(5 * time.Second)
		w.wantState(ledger.Logged) // it goes on without its caller
		w.wantCopies(1, "A")
	})
}

// TestHangingCall is a call that never returns: the caller has its answer in time,
// the host listens until W + D, then the process goes, and only then "not found"
// counts (rule 11).
func TestHangingCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(func(ctx context.Context, p *process, _ *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			<-p.done
			return nil, errBroken
		})
		began := time.Now()
		_, err := w.send(2*time.Second, "A")
		w.wantCode(fault.Outcome, err)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("the caller waited %s", took)
		}
		w.wantState(ledger.InFlight)
		w.mu.Lock()
		p := w.live
		w.mu.Unlock()
		defer p.die()
		time.Sleep(time.Until(began.Add(window + apply - time.Millisecond)))
		synctest.Wait()
		select {
		case <-p.done:
			t.Error("the process was killed before W + D")
		default:
		}
		time.Sleep(time.Second)
		synctest.Wait()
		select {
		case <-p.done:
		default:
			t.Error("the process lives on")
		}
		time.Sleep(lag + 2*slack)
		w.wantState(ledger.Failed)
	})
}

// TestStaleFailureIsNotTold: a failure that comes when the window has ended changes
// nothing, and its caller is told that the outcome is open (rule 3).
func TestStaleFailureIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(func(context.Context, *process, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			time.Sleep(window + apply - time.Second)
			return nil, fault.Rejected("no")
		})
		_, err := w.send(time.Minute, "A")
		w.wantCode(fault.Outcome, err)
		if fault.ClassOf(err) != fault.Unknown {
			t.Errorf("class %s", fault.ClassOf(err))
		}
		w.wantState(ledger.Unknown)
		time.Sleep(settles)
		w.wantState(ledger.Failed)
	})
}

// TestRule05WhenALogIDIsFsynced: when nobody can search for the record, and when the
// answer came late.
func TestRule05WhenALogIDIsFsynced(t *testing.T) {
	for name, c := range map[string]struct {
		blind bool
		takes time.Duration
		want  bool
	}{
		"can be found":           {false, 0, false},
		"cannot be found":        {true, 0, true},
		"late, and can be found": {false, window + time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f *flaky
				w := newWorld(t, func(s Store) Store { f = &flaky{Store: s}; return f })
				if c.blind {
					w.blind()
				}
				seen := make(chan bool, 1)
				f.set(func(ev ledger.Event) (error, error) {
					if id, ok := ev.(ledger.LogID); ok {
						seen <- id.Durable
					}
					return nil, nil
				}, nil)
				w.behave(func(_ context.Context, _ *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
					id := w.write(req)
					time.Sleep(c.takes)
					return sdk.Logged(id), nil
				})
				w.logged(w.send(time.Minute, "A"))
				if got := <-seen; got != c.want {
					t.Errorf("fsynced: %v", got)
				}
			})
		})
	}
}

func TestStoreThatCannotBeReadTellsNothingWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(s Store) Store { return &blinded{Store: s} })
		w.behave(func(_ context.Context, _ *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			time.Sleep(2 * time.Second)
			return sdk.Logged(w.write(req)), nil
		})
		first := make(chan error, 1)
		go func() {
			_, err := w.send(0, "A")
			first <- err
		}()
		time.Sleep(time.Second)
		_, err := w.send(0, "A")
		w.wantCode(fault.InProgress, err)
		if err := <-first; err != nil {
			t.Error(err)
		}
	})
}

// blinded is a store that does not tell who holds a message.
type blinded struct{ Store }

func (b *blinded) Holders(context.Context, ledger.Scope, []string) ([]store.Holder, error) {
	return nil, errors.New("disk error")
}
