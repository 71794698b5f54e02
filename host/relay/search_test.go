package relay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// stubborn is a process that lives for a while after it was condemned.
type stubborn struct {
	*process
	lives time.Duration
	req   *sdk.AddMessageLogRequest // of its last call
}

func (s *stubborn) Condemn(string) {
	time.AfterFunc(s.lives, s.die)
}

func (s *stubborn) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	s.w.mu.Lock()
	s.w.calls = append(s.w.calls, req)
	s.req = req
	s.w.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-s.done:
	}
	return nil, errBroken
}

// TestNotFoundIsNotBelievedWhileTheProcessLives is the second half of rule 2.
func TestNotFoundIsNotBelievedWhileTheProcessLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		const lives = 10 * time.Minute
		w.mu.Lock()
		w.hand = &stubborn{&process{w: w, done: make(chan struct{}), canFind: true}, lives, nil}
		w.mu.Unlock()
		_, err := w.send(time.Second, "A")
		w.wantCode(fault.Outcome, err)
		time.Sleep(window + apply)
		w.mu.Lock()
		w.hand = nil // others serve the searches
		w.mu.Unlock()
		time.Sleep(lives - time.Minute) // long after it settled
		e := w.wantState(ledger.Unknown)
		if e.Verdict != "notFound" {
			t.Errorf("verdict %q", e.Verdict)
		}
		_, err = w.relay.Resolve(t.Context(), ResolveCall{Tenant: "t1", ID: e.ID, NotLogged: true})
		w.wantCode(fault.OutcomeUnsettled, err)
		time.Sleep(10 * time.Minute)
		w.wantState(ledger.Failed)
	})
}

// TestNotFoundIsOfTheMomentTheSearchBegan: a search that began before the entry
// settled shows nothing of what came after, whenever it ends.
func TestNotFoundIsOfTheMomentTheSearchBegan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(writeAndDie(apply - time.Second))
		began := time.Now()
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		time.Sleep(time.Until(began.Add(apply + lag - 2*time.Second))) // a second too early
		w.setSearches(30*time.Second, 0)
		_, err = w.send(0, "A") // lends its credentials to a search
		w.wantCode(fault.OutcomeUnsettled, err)
		w.setSearches(0, 0)
		time.Sleep(5 * time.Minute)
		w.wantState(ledger.Logged)
		w.wantCopies(1, "A")
	})
}

// TestNotFoundIsAsOldAsTheCRMsIndex: a CRM may say how far its search is behind.
func TestNotFoundIsAsOldAsTheCRMsIndex(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.setSearches(0, time.Hour)
		w.behave(func(_ context.Context, p *process, _ *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			p.die()
			return nil, errBroken
		})
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		time.Sleep(time.Hour)
		w.wantState(ledger.Unknown)
		time.Sleep(settles + 6*time.Minute)
		w.wantState(ledger.Failed)
	})
}

// TestProcessThatDiesDuringASearchWasAliveInIt: whether the call can still send is
// asked before the search, not after it.
func TestProcessThatDiesDuringASearchWasAliveInIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		p := &stubborn{&process{w: w, done: make(chan struct{}), canFind: true}, time.Hour, nil}
		w.mu.Lock()
		w.hand = p
		w.mu.Unlock()
		_, err := w.send(time.Second, "A")
		w.wantCode(fault.Outcome, err)
		time.Sleep(window + apply + settles)
		w.mu.Lock()
		w.hand = nil
		w.mu.Unlock()
		w.wantState(ledger.Unknown)
		w.setSearches(5*time.Second, 0)
		time.AfterFunc(2*time.Second, func() {
			w.write(p.req) // its last act
			p.die()
		})
		_, err = w.send(0, "A")
		w.wantCode(fault.OutcomeUnsettled, err)
		w.wantState(ledger.Unknown)
		time.Sleep(10 * time.Minute)
		w.wantState(ledger.Logged)
		w.wantCopies(1, "A")
	})
}

// setSearches sets how long searches take and how old the CRM's index is.
func (w *world) setSearches(slow, age time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.slow, w.age = slow, age
}

// searcher is a process whose searches are answered in one way.
type searcher struct {
	*process
	found *sdk.FindMessageLogResponse
	err   error
}

func (s *searcher) FindMessageLog(context.Context, *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	return s.found, s.err
}

// TestOnlyNotFoundMeansNotFound: whatever else a search brings leaves the entry in
// doubt, however long ago it settled.
func TestOnlyNotFoundMeansNotFound(t *testing.T) {
	for name, c := range map[string]struct {
		found *sdk.FindMessageLogResponse
		err   error
	}{
		"cannot tell":         {sdk.CannotTell(0), nil},
		"cannot tell yet":     {sdk.CannotTell(time.Minute), nil},
		"found, but no ID":    {&sdk.FindMessageLogResponse{Verdict: sdk.VerdictFound}, nil},
		"an unknown verdict":  {&sdk.FindMessageLogResponse{Verdict: 99}, nil},
		"refused credentials": {nil, fault.Unauthorized("expired")},
		"a rejection":         {nil, fault.Rejected("no such contact")},
		"a rate limit":        {nil, fault.RetryAfter(time.Minute, "slow down")},
		"a plain error":       {nil, errors.New("no route to host")},
		"a broken call":       {nil, errBroken},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				w.behave(writeAndDie(0))
				_, err := w.send(0, "A")
				w.wantCode(fault.Outcome, err)
				w.mu.Lock()
				w.add, w.hand = nil, &searcher{&process{w: w, done: make(chan struct{}), canFind: true}, c.found, c.err}
				w.mu.Unlock()
				time.Sleep(3 * settles)
				if e := w.wantState(ledger.Unknown); e.Verdict != "cannotTell" {
					t.Errorf("verdict %q", e.Verdict)
				}
				_, err = w.send(0, "A")
				w.wantCode(fault.OutcomeUnsettled, err)
				w.mu.Lock()
				w.hand = nil // searches work again
				w.mu.Unlock()
				time.Sleep(10 * time.Minute)
				w.wantState(ledger.Logged)
				w.wantCopies(1, "A")
			})
		})
	}
}
