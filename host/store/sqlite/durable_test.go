package sqlite

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

var timing = ledger.Timing{Window: time.Minute, Apply: time.Minute, Lag: time.Minute}

var rejected = &ledger.Problem{Code: fault.CRMRejected, Class: fault.Permanent, Source: fault.CRM, Detail: "no"}

// draft is an entry of one message, whose ID is made of the number.
func draft(n int) ledger.Entry {
	return ledger.Entry{
		ID: fmt.Sprintf("%026d", n), Version: "1.0.0", Messages: []string{fmt.Sprint("m", n)}, CanFind: true,
		Scope: ledger.Scope{Tenant: "acme", Adapter: "examplecrm", Account: "a", ContactID: "7"},
	}
}

func claim(t testing.TB, db *DB, n int) ledger.Entry {
	t.Helper()
	got, err := tryClaim(t, db, n)
	if err != nil {
		t.Fatalf("Claim %d: %v", n, err)
	}
	return got
}

func tryClaim(t testing.TB, db *DB, n int) (ledger.Entry, error) {
	got, err := db.Claim(t.Context(), claimOf(n))
	return got.Entry, err
}

func claimOf(n int) store.Claim {
	return store.Claim{Draft: draft(n), Timing: timing, Payload: make([]byte, 100)}
}

func apply(t testing.TB, db *DB, n int, ev ledger.Event) ledger.Entry {
	t.Helper()
	res, err := db.Apply(t.Context(), draft(n).ID, ev)
	if err != nil || res.Outcome != ledger.Applied {
		t.Fatalf("Apply(%T) to %d: outcome %d, error %v", ev, n, res.Outcome, err)
	}
	return res.Entry
}

// state returns the state of the entry, "" when there is none.
func state(t testing.TB, db *DB, n int) ledger.State {
	t.Helper()
	e, err := db.Entry(t.Context(), "acme", draft(n).ID)
	wantErr(t, "Entry", err, nil, store.ErrNotFound)
	return e.State
}

// TestPowerLoss takes the power away after each of a run of writes: whatever was
// told as durable is there when it returns, and lazy writes are there or not, but
// never in part. It fails when claims are committed with synchronous=NORMAL.
func TestPowerLoss(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	db := openTest(t, d.config())
	want := map[int][]ledger.State{} // the states that may be found
	steps := map[int]func(n int){
		0: func(n int) { want[n] = []ledger.State{ledger.InFlight} },
		1: func(n int) {
			apply(t, db, n, ledger.LogID{Epoch: 1, ID: "lazy"})
			want[n] = []ledger.State{ledger.InFlight, ledger.Logged}
		},
		2: func(n int) {
			apply(t, db, n, ledger.LogID{Epoch: 1, ID: "durable", Durable: true})
			want[n] = []ledger.State{ledger.Logged}
		},
		3: func(n int) {
			apply(t, db, n, ledger.Failure{Epoch: 1, Problem: rejected})
			want[n] = []ledger.State{ledger.Failed}
		},
		4: func(n int) {
			apply(t, db, n, ledger.Lost{Epoch: 1, Problem: rejected})
			want[n] = []ledger.State{ledger.InFlight, ledger.Unknown}
		},
	}
	for n := range 15 {
		claim(t, db, n)
		steps[n%len(steps)](n)
		for way, survives := range losses(uint64(n)) {
			t.Run(fmt.Sprintf("after %d/%s", n, way), func(t *testing.T) {
				after := d.afterPowerLoss(t, survives)
				checkStates(t, after, want)
			})
		}
	}
}

// checkStates holds the database against the states that each entry may be in,
// and its claims, payloads and counts against the state found.
func checkStates(t *testing.T, db *DB, want map[int][]ledger.State) {
	t.Helper()
	counts := map[ledger.State]int{}
	for n, allowed := range want {
		got := state(t, db, n)
		counts[got]++
		if !slices.Contains(allowed, got) {
			t.Errorf("entry %d is %q, want one of %q", n, got, allowed)
		}
		held, err := db.Holders(t.Context(), draft(n).Scope, draft(n).Messages)
		wantErr(t, "Holders", err, nil)
		if got != "" && (len(held) == 1) != (got != ledger.Failed) {
			t.Errorf("entry %d is %s and holds %d messages", n, got, len(held))
		}
		_, err = db.Payload(t.Context(), draft(n).ID)
		if has := err == nil; got != "" && has != (got != ledger.Logged) {
			t.Errorf("entry %d is %s; its payload: %v", n, got, err)
		}
	}
	delete(counts, "")
	stored, err := db.CountStates(t.Context(), "")
	wantErr(t, "CountStates", err, nil)
	for _, s := range ledger.States() {
		if stored[s] != counts[s] {
			t.Errorf("CountStates: %d %s, want %d", stored[s], s, counts[s])
		}
	}
}

// TestOneFsyncPerCall counts what a call that goes well costs.
func TestOneFsyncPerCall(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	db := openTest(t, d.config())
	n := 0
	for name, step := range map[string]struct {
		syncs int
		event ledger.Event
	}{
		"log ID":         {1, ledger.LogID{Epoch: 1, ID: "1"}},
		"durable log ID": {2, ledger.LogID{Epoch: 1, ID: "1", Durable: true}},
		"failure":        {2, ledger.Failure{Epoch: 1, Problem: rejected}},
		"lost":           {1, ledger.Lost{Epoch: 1, Problem: rejected}},
	} {
		claim(t, db, n) // the log's first page is fsynced by itself
		before := d.synced()
		claim(t, db, n+1)
		apply(t, db, n+1, step.event)
		if got := d.synced() - before; got != step.syncs {
			t.Errorf("%s: %d fsyncs, want %d", name, got, step.syncs)
		}
		n += 2
	}
}

// TestFailedFsync fails the fsync of one claim; what it should have written, earlier
// lazy writes included, is on the disk all the same or lost for good. The writer
// settles that by itself.
func TestFailedFsync(t *testing.T) {
	t.Parallel()
	eachLoss(t, func(t *testing.T, d *disk, survives func() bool) {
		db := openTest(t, d.config())
		claim(t, db, 1)
		apply(t, db, 1, ledger.LogID{Epoch: 1, ID: "lazy"})
		d.set(func(d *disk) { d.failSyncs = 1 })
		if _, err := tryClaim(t, db, 2); err == nil || errors.Is(err, store.ErrUncertain) {
			t.Fatalf("Claim: %v, want a definite error", err)
		}
		want := map[int][]ledger.State{1: {ledger.Logged}, 2: {""}}
		checkStates(t, db, want)
		checkStates(t, d.afterPowerLoss(t, survives), want)
		claim(t, db, 3)
		want[3] = []ledger.State{ledger.InFlight}
		checkStates(t, d.afterPowerLoss(t, survives), want)
		claim(t, db, 2)
	})
}

// eachLoss runs the case with every way of losing what was not fsynced, and with
// failed fsyncs that wrote everything or nothing.
func eachLoss(t *testing.T, check func(t *testing.T, d *disk, survives func() bool)) {
	for _, kept := range []bool{false, true} {
		for way, survives := range losses(7) {
			t.Run(fmt.Sprintf("failed fsyncs wrote: %v/%s", kept, way), func(t *testing.T) {
				t.Parallel()
				d := newDisk(t)
				d.keepFailed = kept
				check(t, d, survives)
			})
		}
	}
}

// TestUncertainCommit fails every fsync for a while: the claim's, and those that
// were to settle it.
func TestUncertainCommit(t *testing.T) {
	t.Parallel()
	eachLoss(t, func(t *testing.T, d *disk, survives func() bool) {
		db := openTest(t, d.config())
		claim(t, db, 1)
		d.set(func(d *disk) { d.failSyncs = 1000 })
		if _, err := tryClaim(t, db, 2); !errors.Is(err, store.ErrUncertain) {
			t.Fatalf("Claim: %v, want ErrUncertain", err)
		}
		want := map[int][]ledger.State{1: {ledger.InFlight}, 2: {"", ledger.InFlight}, 3: {""}}
		checkStates(t, d.afterPowerLoss(t, survives), want)
		for range 3 {
			if _, err := tryClaim(t, db, 3); err == nil || errors.Is(err, store.ErrUncertain) {
				t.Fatalf("Claim while the disk is broken: %v, want a definite error", err)
			}
			if _, err := db.Apply(t.Context(), draft(1).ID, ledger.LogID{Epoch: 1, ID: "x"}); err == nil {
				t.Fatal("a log ID was taken while the disk is broken")
			}
		}
		checkStates(t, d.afterPowerLoss(t, survives), want)
		d.set(func(d *disk) { d.failSyncs = 0 })
		apply(t, db, 1, ledger.LogID{Epoch: 1, ID: "x", Durable: true})
		claim(t, db, 3)
		want = map[int][]ledger.State{1: {ledger.Logged}, 2: {""}, 3: {ledger.InFlight}}
		checkStates(t, db, want)
		checkStates(t, d.afterPowerLoss(t, survives), want)
	})
}

// TestFailedCheckpoint fails the fsync of a checkpoint, which no caller waits for,
// and loses what it should have written: lazy writes in the middle of the log.
// Claims behind them must be found nevertheless.
func TestFailedCheckpoint(t *testing.T) {
	t.Parallel()
	eachLoss(t, func(t *testing.T, d *disk, survives func() bool) {
		db := openTest(t, d.config())
		claim(t, db, 1)
		apply(t, db, 1, ledger.LogID{Epoch: 1, ID: "lazy"})
		d.set(func(d *disk) { d.failSyncs = 1 })
		inWriter(t, db, func(w *writer) { w.log.written = tidyAfter }) // lazy: no fsync of its own
		claim(t, db, 2)
		d.set(func(d *disk) {
			if d.failSyncs != 0 {
				t.Error("there was no checkpoint to fail")
			}
		})
		checkStates(t, d.afterPowerLoss(t, survives),
			map[int][]ledger.State{1: {ledger.Logged}, 2: {ledger.InFlight}})
	})
}

// TestFullDisk fills the disk: writes fail definitely, and succeed once there is
// room again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	eachLoss(t, func(t *testing.T, d *disk, survives func() bool) {
		db := openTest(t, d.config())
		claim(t, db, 1)
		d.set(func(d *disk) { d.full = true })
		if _, err := tryClaim(t, db, 2); err == nil || errors.Is(err, store.ErrUncertain) {
			t.Fatalf("Claim on a full disk: %v, want a definite error", err)
		}
		want := map[int][]ledger.State{1: {ledger.InFlight}, 2: {""}}
		checkStates(t, db, want)
		checkStates(t, d.afterPowerLoss(t, survives), want)
		d.set(func(d *disk) { d.full = false })
		claim(t, db, 2)
		apply(t, db, 1, ledger.LogID{Epoch: 1, ID: "x", Durable: true})
		want = map[int][]ledger.State{1: {ledger.Logged}, 2: {ledger.InFlight}}
		checkStates(t, d.afterPowerLoss(t, survives), want)
	})
}
