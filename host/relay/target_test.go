package relay

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// install puts another package in the place of the route's.
func (w *world) install(digest string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := *w.route
	now.Digest = digest
	w.route = &now
}

// wantDigests demands that processes of these packages were asked for since the
// last time, each once or several times in a row.
func (w *world) wantDigests(digests ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var got []string
	for _, t := range w.targets {
		got = append(got, t.Digest)
		if t.Tenant != "t1" || t.Adapter != "acme" || t.Version != "1.0.0" {
			w.t.Errorf("target %+v", t)
		}
	}
	w.targets = nil
	if got = slices.Compact(got); !slices.Equal(got, digests) {
		w.t.Errorf("processes of %q were asked for, want %q", got, digests)
	}
}

// TestCallsKeepTheirPackage installs another package while calls go on: every try
// of a call is for the package against which the call was checked; later calls,
// retries and searches are for the new one.
func TestCallsKeepTheirPackage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.install("one")
		w.behave(func(context.Context, *process, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			w.install("two")
			return nil, fault.Unavailable(0, "down")
		})
		_, err := w.send(0, "A")
		w.wantCode(fault.CRMUnavailable, err)
		w.wantDigests("one")
		if n := w.attempts(); n != 3 {
			t.Errorf("%d tries, want 3", n)
		}

		w.behave(writeAndDie(0))
		_, err = w.relay.Retry(t.Context(), RetryCall{Tenant: "t1", ID: w.wantState(ledger.Failed).ID})
		w.wantCode(fault.Outcome, err)
		synctest.Wait()
		w.wantDigests("two") // the retry, and the first search
		w.install("three")
		w.behave(nil)
		time.Sleep(settles)
		w.wantState(ledger.Logged)
		w.wantDigests("three") // the searches that followed
		w.logged(w.send(0, "A"))
		w.logged(w.send(0, "B"))
		w.wantDigests("three")
	})
}
