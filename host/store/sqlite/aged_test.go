package sqlite

import (
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

// TestNotFoundAgesInTheQueue: a search that began before its entry settled is not
// believed because its write had to wait until afterwards.
func TestNotFoundAgesInTheQueue(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	cfg := tempConfig(t)
	cfg.Clock = func() time.Time { return now }
	db := openTest(t, cfg)
	got, err := db.Claim(t.Context(), store.Claim{
		Draft: ledger.Entry{ID: "E1", Scope: ledger.Scope{Tenant: "t", Adapter: "a"}, Messages: []string{"m"}, CanFind: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Apply(t.Context(), "E1", ledger.Lost{Epoch: got.Entry.Epoch, Problem: &ledger.Problem{}}); err != nil {
		t.Fatal(err)
	}
	now = got.Entry.SettlesAt // by the store's clock; the wait is by the machine's
	release := stall(t, db)
	found := make(chan ledger.Result, 1)
	failed := make(chan error, 1)
	go func() {
		res, err := db.Apply(t.Context(), "E1", ledger.NotFound{Epoch: got.Entry.Epoch + 1, Dead: true})
		found <- res
		failed <- err
	}()
	for len(db.writer.queue) == 0 {
		time.Sleep(time.Millisecond) // until it waits for its turn
	}
	release()
	if res, err := <-found, <-failed; err != nil || res.Entry.State != ledger.Unknown {
		t.Errorf("entry is %s, %v", res.Entry.State, err)
	}
}
