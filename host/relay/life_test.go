package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/store/memory"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestNewNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, err := New(Config{MaxWait: -1, Tries: -1, RetryBase: -1, Searches: -1, StopGrace: -1, PayloadTTL: -1}, Deps{})
	for _, want := range []string{"MaxWait", "Tries", "RetryBase", "Searches", "StopGrace", "PayloadTTL", "dependency"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in %v", want, err)
		}
	}
	w := &world{}
	r, err := New(Config{}, Deps{Store: memory.New(nil), Routes: w, Adapters: w, Sealer: w, Log: slog.Default()})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		MaxWait: time.Minute, Tries: 3, RetryBase: 100 * time.Millisecond, Searches: 8,
		StopGrace: 10 * time.Second, PayloadTTL: 72 * time.Hour,
	}
	if r.cfg != want {
		t.Errorf("defaults %+v", r.cfg)
	}
}

// TestStopWithACallThatHangs: Run returns within StopGrace, whatever an adapter does,
// and what it could not wait for is unknown.
func TestStopWithACallThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		end := w.begin(Config{StopGrace: 3 * time.Second})
		free := make(chan struct{})
		defer close(free)
		w.behave(func(context.Context, *process, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			<-free // it does not even look at its context
			return nil, errBroken
		})
		answered := make(chan error, 1)
		go func() {
			_, err := w.send(time.Minute, "A")
			answered <- err
		}()
		synctest.Wait()
		began := time.Now()
		end()
		if took := time.Since(began); took < 3*time.Second || took > 3*time.Second+2*reapTime {
			t.Errorf("Run took %s to stop", took)
		}
		w.wantCode(fault.Outcome, <-answered)
		w.wantState(ledger.Unknown)
	})
}

func TestStopLetsCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		end := w.begin(Config{StopGrace: 5 * time.Second})
		failed := w.failedOnce("Z")
		w.behave(func(_ context.Context, _ *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			time.Sleep(2 * time.Second)
			return sdk.Logged(w.write(req)), nil
		})
		answered := make(chan error, 1)
		go func() {
			_, err := w.send(0, "A")
			answered <- err
		}()
		synctest.Wait()
		began := time.Now()
		stopped := make(chan struct{})
		go func() { end(); close(stopped) }()
		synctest.Wait()
		// It takes nothing new meanwhile.
		_, err := w.send(0, "B")
		w.wantCode(fault.ShuttingDown, err)
		_, err = w.relay.Retry(t.Context(), RetryCall{Tenant: "t1", ID: failed.ID})
		w.wantCode(fault.ShuttingDown, err)
		_, err = w.relay.Resolve(t.Context(), ResolveCall{Tenant: "t1", ID: failed.ID, LogID: "R1"})
		w.wantCode(fault.ShuttingDown, err)
		_, err = w.relay.Forget(t.Context(), "t1", failed.ID)
		w.wantCode(fault.ShuttingDown, err)
		<-stopped
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("Run took %s to stop", took)
		}
		if err := <-answered; err != nil {
			t.Error(err)
		}
		w.wantCopies(1, "A")
		w.wantCopies(0, "B", "Z")
	})
}

func TestStopWhileTheLedgerCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f *flaky
		w := newWorld(t, func(s Store) Store { f = &flaky{Store: s}; return f })
		end := w.begin(Config{StopGrace: time.Second})
		f.set(func(ledger.Event) (error, error) { return errors.New("disk full"), nil }, nil)
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		began := time.Now()
		end()
		if took := time.Since(began); took != time.Second {
			t.Errorf("Run took %s to stop", took)
		}
		w.wantState(ledger.InFlight)
		f.set(nil, nil)
		w.start() // the next life finds what the adapter wrote
		w.wantState(ledger.Unknown)
		time.Sleep(settles)
		w.wantState(ledger.Logged)
		w.wantCopies(1, "A")
	})
}

// TestLogIDThatCouldNotBeWrittenIsWrittenLater: the record exists, so the log ID must
// not be lost with one write (naive failure 17).
func TestLogIDThatCouldNotBeWrittenIsWrittenLater(t *testing.T) {
	for name, blind := range map[string]bool{"nobody else can bring it": true, "the CRM can be searched": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f *flaky
				w := newWorld(t, func(s Store) Store { f = &flaky{Store: s}; return f })
				if blind {
					w.blind()
				}
				f.set(func(ledger.Event) (error, error) { return errors.New("disk full"), nil }, nil)
				_, err := w.send(0, "A")
				w.wantCode(fault.Outcome, err)
				durable := make(chan bool, 1)
				f.set(func(ev ledger.Event) (error, error) {
					if id, ok := ev.(ledger.LogID); ok {
						durable <- id.Durable
					}
					return nil, nil
				}, nil)
				time.Sleep(lag - time.Second) // before a search could show it
				if e := w.wantState(ledger.Logged); e.LogID != "R1" {
					t.Errorf("log ID %s", e.LogID)
				}
				if !<-durable { // by then its window may be over
					t.Error("it was written without an fsync")
				}
			})
		})
	}
}

func TestRecoverMakesAllEntriesInFlightUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		const n = 1234
		for i := range n {
			_, err := w.store.Claim(t.Context(), store.Claim{
				Draft: ledger.Entry{
					ID:    ulid.Make().String(),
					Scope: ledger.Scope{Tenant: fmt.Sprintf("t%d", i%3), Adapter: "acme", ContactID: "7"}, Messages: []string{fmt.Sprint(i)},
				},
				Timing: ledger.Timing{Window: window, Apply: apply, Lag: lag},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.relay.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		counts, err := w.store.CountStates(t.Context(), "")
		if err != nil || counts[ledger.Unknown] != n || counts[ledger.InFlight] != 0 {
			t.Errorf("counts %v, %v", counts, err)
		}
	})
}

func TestRecoverFailsWhenTheLedgerDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f *flaky
		w := newWorld(t, func(s Store) Store { f = &flaky{Store: s}; return f })
		f.set(func(ledger.Event) (error, error) { return errors.New("disk full"), nil }, nil)
		go w.send(time.Millisecond, "A")
		time.Sleep(time.Second)
		if err := w.relay.Recover(t.Context()); err == nil || !strings.Contains(err.Error(), "disk full") {
			t.Errorf("recovered: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.relay.Recover(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("recovered: %v", err)
		}
		f.set(nil, nil)
	})
}

// TestWindowEndsByItself: the claim of an uncertain commit has no call, and yet its
// entry comes to an end.
func TestWindowEndsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f *flaky
		w := newWorld(t, func(s Store) Store { f = &flaky{Store: s}; return f })
		f.set(nil, func() (error, error) { return nil, store.ErrUncertain })
		began := time.Now()
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		f.set(nil, nil)
		_, err = w.send(time.Second, "A")
		w.wantCode(fault.InProgress, err)
		time.Sleep(time.Until(began.Add(window + slack - time.Millisecond)))
		w.wantState(ledger.InFlight)
		time.Sleep(agendaRest)
		w.wantState(ledger.Unknown)
	})
}

// TestAgendaOutlivesAStoreThatFails: an agenda that cannot be read is read again.
func TestAgendaOutlivesAStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sick := &sickAgenda{}
		w := newWorld(t, func(s Store) Store { sick.Store = s; return sick })
		w.behave(writeAndDie(0))
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		time.Sleep(settles)
		w.wantState(ledger.Logged)
		if sick.refused == 0 {
			t.Error("the agenda was never refused")
		}
	})
}

// sickAgenda refuses every other look at the agenda.
type sickAgenda struct {
	Store
	looks, refused int
}

func (s *sickAgenda) Due(ctx context.Context, limit int, except []string) ([]ledger.Entry, time.Duration, error) {
	if s.looks++; s.looks%2 == 1 {
		s.refused++
		return nil, 0, errors.New("disk error")
	}
	return s.Store.Due(ctx, limit, except)
}

// TestHangingSearchesLeaveRoom: no more than Searches of one adapter at a time, and
// the others go on.
func TestHangingSearchesLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		gate := &gatedSearches{process: &process{w: w, done: make(chan struct{}), canFind: true}}
		w.mu.Lock()
		w.hand = gate
		w.mu.Unlock()
		for i := range 20 {
			scope := ledger.Scope{Tenant: "t1", Adapter: "acme", Account: "x.acme.example", ContactID: "7"}
			c := store.Claim{
				Draft: ledger.Entry{
					ID: ulid.Make().String(), Scope: scope, CanFind: true, Messages: []string{fmt.Sprint(i)},
				},
				Timing: ledger.Timing{Window: window, Apply: apply, Lag: lag}, Payload: w.payload(fmt.Sprint(i)),
			}
			if _, err := w.store.Claim(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.relay.Recover(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(settles)
		synctest.Wait()
		if gate.most != 8 {
			t.Errorf("%d searches at once", gate.most)
		}
	})
}

// payload is a stored request for one message.
func (w *world) payload(id string) []byte {
	w.t.Helper()
	req, err := decode(body("Bearer good", id), w.route)
	if err != nil {
		w.t.Fatal(err)
	}
	sealed, err := w.relay.sealRequest(&req.AddMessageLogRequest)
	if err != nil {
		w.t.Fatal(err)
	}
	return sealed
}

// gatedSearches is a process whose searches last as long as they may.
type gatedSearches struct {
	*process
	now, most int
}

func (g *gatedSearches) FindMessageLog(ctx context.Context, _ *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	g.count(1)
	defer g.count(-1)
	<-ctx.Done()
	return nil, fault.OutcomeUnknown(ctx.Err())
}

func (g *gatedSearches) count(by int) {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	g.now += by
	g.most = max(g.most, g.now)
}
