package relay

import (
	"context"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store/memory"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// post makes one addMessageLog call of a tenant's.
func (w *world) post(tenant string, change fields) (*Result, error) {
	return w.relay.AddMessageLog(context.Background(), Call{
		Tenant: tenant, Adapter: "acme", Body: fields{}.with(change), RequestID: "r1",
	})
}

// TestRule13WhatAMessageIsUniqueIn: the same message of the same contact of the same
// account of a tenant's adapter is one, in whatever form its ids come; any other is
// another.
func TestRule13WhatAMessageIsUniqueIn(t *testing.T) {
	for name, c := range map[string]struct {
		tenant string
		change fields
		same   bool
	}{
		"another tenant":                  {"t2", nil, false},
		"another contact":                 {"t1", fields{"contactInfo": `{"id":8,"type":"person"}`}, false},
		"another type of contact":         {"t1", fields{"contactInfo": `{"id":7,"type":"lead"}`}, false},
		"no type of contact":              {"t1", fields{"contactInfo": `{"id":7}`}, false},
		"another account":                 {"t1", fields{"user": `{"id":"42","hostname":"y.acme.example"}`}, false},
		"another message":                 {"t1", fields{"message": message(`8`)}, false},
		"a message id with a zero":        {"t1", fields{"message": message(`"07"`)}, false},
		"the same, ids as text":           {"t1", fields{"contactInfo": `{"id":"7","type":"person"}`, "message": message(`"7"`)}, true},
		"the same, host in capitals":      {"t1", fields{"user": `{"id":"42","hostname":"X.ACME.Example."}`}, true},
		"the same, another user":          {"t1", fields{"user": `{"id":"43","hostname":"x.acme.example"}`}, true},
		"the same, other words":           {"t1", fields{"contactInfo": `{"id":7,"type":"person","name":"Eve"}`}, true},
		"the same, another token":         {"t1", fields{"authHeader": `"Bearer other"`}, true},
		"the same, of another time":       {"t1", fields{"message": message(`7`, `"creationTime":"2025-01-02T03:04:05Z"`)}, true},
		"the same, twice in one request":  {"t1", fields{"message": "[" + message(`7`) + "," + message(`"7"`) + "]"}, true},
		"the same, as a list of messages": {"t1", fields{"message": "", "messages": "[" + message(`7`) + "]"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				first := w.logged(w.post("t1", fields{"message": message(`7`)}))
				change := fields{"message": message(`7`)}
				maps.Copy(change, c.change)
				res, err := w.post(c.tenant, change)
				if got := w.logged(res, err); (got == first) != c.same || res.Created == c.same || len(res.Messages) != 1 {
					t.Errorf("log ID %s after %s, created %v", got, first, res.Created)
				}
			})
		})
	}
}

// TestUpgradeDoesNotLogAgain: the adapter's version is no part of what a message is
// unique in, and of the key neither.
func TestUpgradeDoesNotLogAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(writeAndDie(0))
		_, err := w.send(0, "A")
		w.wantCode(fault.Outcome, err)
		w.behave(nil)
		w.mu.Lock()
		w.route.Version = "2.0.0"
		w.mu.Unlock()
		time.Sleep(lag)
		res, err := w.send(0, "A") // the new version finds what the old one wrote
		w.logged(res, err)
		if res.Created {
			t.Error("it was logged again")
		}
		w.wantCopies(1, "A")
	})
}

// TestRule16StoresClockIsAnHourOff: nothing depends on the store's clock being the
// host's.
func TestRule16StoresClockIsAnHourOff(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(Store) Store { return memory.New(func() time.Time { return time.Now().Add(off) }) })
				began := time.Now()
				w.behave(func(_ context.Context, p *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
					if got := req.NotAfter.Sub(began); got != window {
						t.Errorf("NotAfter is %s from the claim", got)
					}
					return writeAndDie(apply-time.Second)(t.Context(), p, req)
				})
				_, err := w.send(0, "A")
				w.wantCode(fault.Outcome, err)
				w.behave(nil)
				time.Sleep(time.Second)
				_, err = w.send(0, "A")
				w.wantCode(fault.OutcomeUnsettled, err)
				left := time.Until(began.Add(settles))
				if wait := fault.RetryAfterOf(err); wait < left-time.Second || wait > left {
					t.Errorf("Retry-After %s, want %s", wait, left)
				}
				_, err = w.relay.Retry(t.Context(), RetryCall{Tenant: "t1", ID: w.only().ID})
				w.wantCode(fault.OutcomeUnsettled, err)
				if wait := fault.RetryAfterOf(err); wait < left-time.Second || wait > left {
					t.Errorf("Retry-After of retry %s, want %s", wait, left)
				}
				for _, find := range w.asked() {
					if after, before := find.SentAfter.Sub(began), find.SentBefore.Sub(began); after.Abs() > time.Second || (before-settles).Abs() > time.Second {
						t.Errorf("searched from %s to %s", after, before)
					}
				}
				time.Sleep(time.Until(began.Add(apply + lag - 2*time.Second)))
				w.wantState(ledger.Unknown)
				time.Sleep(settles)
				w.wantState(ledger.Logged)
				w.wantCopies(1, "A")
			})
		})
	}
}

// TestAnswerNamesEveryMessageInTheOrderOfTheRequest: what the caller is told, message
// by message.
func TestAnswerNamesEveryMessageInTheOrderOfTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		first, err := w.send(0, "B")
		w.logged(first, err)
		res, err := w.send(0, "A", "B", "C")
		w.logged(res, err)
		var got []string
		for _, m := range res.Messages {
			got = append(got, m.ID+" "+m.LogID)
			if m.Duplicate != (m.ID == "B") || m.State != ledger.Logged {
				t.Errorf("message %+v", m)
			}
		}
		if want := []string{"A R2", "B R1", "C R2"}; !slices.Equal(got, want) {
			t.Errorf("messages %q, want %q", got, want)
		}
		if !res.Created || res.Entry.LogID != "R2" || res.Entry.LogURL != "https://x.acme.example/log/R2" {
			t.Errorf("entry %+v, page %s", res.Entry, res.Entry.LogURL)
		}
		// All were logged before: the answer speaks of the newest message's entry.
		res, err = w.send(0, "A", "B")
		w.logged(res, err)
		if res.Created || res.Entry.LogID != "R1" || res.Entry.ID != first.Entry.ID {
			t.Errorf("entry %+v", res.Entry)
		}
	})
}

// TestWaitingCallerHasItsOwnDeadline: rule 6, and the one who is waited for is not
// disturbed.
func TestWaitingCallerHasItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(func(_ context.Context, _ *process, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			time.Sleep(5 * time.Second)
			return sdk.Logged(w.write(req)), nil
		})
		first := make(chan error, 1)
		go func() {
			_, err := w.send(0, "A")
			first <- err
		}()
		time.Sleep(time.Second)
		began := time.Now()
		_, err := w.send(2*time.Second, "A")
		w.wantCode(fault.InProgress, err)
		if took := time.Since(began); took != 2*time.Second || fault.RetryAfterOf(err) != time.Second {
			t.Errorf("waited %s, Retry-After %s", took, fault.RetryAfterOf(err))
		}
		// One that waits for a part sends the rest at once.
		_, err = w.send(time.Second, "A", "B")
		w.wantCode(fault.Outcome, err)
		if err := <-first; err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		w.wantCopies(1, "A", "B")
		if n := len(w.relay.hub.waiters); n != 0 {
			t.Errorf("%d entries are still watched", n)
		}
	})
}

func TestWaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.behave(func(ctx context.Context, _ *process, _ *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			<-ctx.Done()
			return nil, errBroken
		})
		for want, wait := range map[time.Duration]time.Duration{window: 0, time.Second: time.Second} {
			began := time.Now()
			_, err := w.send(wait, "A"+wait.String())
			w.wantCode(fault.Outcome, err)
			if took := time.Since(began); took != want {
				t.Errorf("wait %s: answered after %s", wait, took)
			}
			if sent := w.sent(); sent[len(sent)-1].Deadline.Sub(began) != want {
				t.Errorf("wait %s: the adapter was told %s", wait, sent[len(sent)-1].Deadline.Sub(began))
			}
		}
		// A caller that waits longer than the host allows: MaxWait.
		ctx, cancel := w.relay.waitFor(t.Context(), time.Hour, w.route)
		defer cancel()
		if deadline, _ := ctx.Deadline(); time.Until(deadline) != time.Minute {
			t.Errorf("the longest wait is %s", time.Until(deadline))
		}
	})
}
