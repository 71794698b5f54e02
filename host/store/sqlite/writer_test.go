package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

var errWrite = errors.New("the write failed")

// stall occupies the writer until the function it returns is called.
func stall(t *testing.T, db *DB) (release func()) {
	t.Helper()
	entered, leave := make(chan struct{}), make(chan struct{})
	stalled := make(chan error, 1)
	go func() {
		stalled <- db.writer.submit(context.WithoutCancel(t.Context()), true, func(*tx) error {
			close(entered)
			<-leave
			return nil
		})
	}()
	<-entered
	return sync.OnceFunc(func() {
		close(leave)
		wantErr(t, "the stalling write", <-stalled, nil)
	})
}

// enqueue submits the writes in this order, so that a stalled writer finds them
// all, and returns their outcomes once it goes on.
func enqueue(ctx context.Context, t *testing.T, db *DB, writes ...func(*tx) error) []chan error {
	t.Helper()
	var outcomes []chan error
	for _, run := range writes {
		outcome := make(chan error, 1)
		outcomes = append(outcomes, outcome)
		waiting := len(db.writer.queue)
		go func() { outcome <- db.writer.submit(ctx, false, run) }()
		for len(db.writer.queue) == waiting {
			runtime.Gosched()
		}
	}
	return outcomes
}

// note writes a fact, and then returns err.
func note(name string, err error) func(*tx) error {
	return func(t *tx) error {
		if _, bad := t.stmts.fact.run(name, "written"); bad != nil {
			return bad
		}
		return err
	}
}

// noted reports whether the fact was written.
func noted(t *testing.T, db *DB, name string) bool {
	t.Helper()
	value, err := db.Fact(t.Context(), name, "not written")
	wantErr(t, "Fact", err, nil)
	return value == "written"
}

// TestNeighbours puts good and bad writes into one batch: the bad ones leave
// nothing, the good ones do not notice.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	db := openTemp(t)
	release := stall(t, db)
	outcomes := enqueue(t.Context(), t, db,
		note("a", nil), note("b", errWrite), note("c", nil),
		func(t *tx) error { _ = note("d", nil)(t); panic("a bug") },
		note("e", refusal{store.ErrNotFound}), note("f", nil),
	)
	release()
	for i, want := range []error{nil, errWrite, nil, nil, store.ErrNotFound, nil} {
		err := <-outcomes[i]
		if i == 3 {
			if err == nil || !strings.Contains(err.Error(), "panicked: a bug") {
				t.Errorf("the write that panics: %v", err)
			}
			continue
		}
		wantErr(t, fmt.Sprint("write ", i), err, want)
	}
	// e said that it wrote nothing, which the writer believes.
	for name, want := range map[string]bool{"a": true, "b": false, "c": true, "d": false, "e": true, "f": true} {
		if got := noted(t, db, name); got != want {
			t.Errorf("%s is written: %v, want %v", name, got, want)
		}
	}
}

// TestRollbackForgets fails a batch after it changed what the writer remembers:
// entries, the last number, and the counts.
func TestRollbackForgets(t *testing.T) {
	t.Parallel()
	db := openTemp(t)
	claim(t, db, 1)
	lost := func(t *tx) error {
		if _, err := t.apply(draft(1).ID, ledger.LogID{Epoch: 1, ID: "lost"}); err != nil {
			return err
		}
		if _, err := t.claim(store.Claim{Draft: draft(2), Timing: timing}); err != nil {
			return err
		}
		return errWrite
	}
	err := db.writer.submit(t.Context(), false, lost)
	wantErr(t, "the write", err, errWrite)
	checkStates(t, db, map[int][]ledger.State{1: {ledger.InFlight}, 2: {""}})
	if e := apply(t, db, 1, ledger.LogID{Epoch: 1, ID: "kept"}); e.LogID != "kept" {
		t.Errorf("LogID = %q", e.LogID)
	}
	claim(t, db, 2)
	checkStates(t, db, map[int][]ledger.State{1: {ledger.Logged}, 2: {ledger.InFlight}})
}

// TestGroupCommit puts more writes into the queue than one batch takes.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	d := newDisk(t)
	db := openTest(t, d.config())
	claim(t, db, 0) // the log's first page is fsynced by itself
	release := stall(t, db)
	before := d.synced()
	writes := make([]func(*tx) error, maxBatch+1)
	for i := range writes {
		writes[i] = note(fmt.Sprint("fact ", i), nil)
	}
	outcomes := enqueue(t.Context(), t, db, writes...)
	release()
	for _, outcome := range outcomes {
		wantErr(t, "write", <-outcome, nil)
	}
	if got := d.synced() - before; got != 2 {
		t.Errorf("%d writes took %d fsyncs, want 2", len(writes), got)
	}
}

// TestQueueIsBounded fills the queue: who comes then waits outside it, for as long
// as his context.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	db := openTemp(t)
	release := stall(t, db)
	ctx, cancel := context.WithCancel(t.Context())
	full := make([]func(*tx) error, maxQueue)
	for i := range full {
		full[i] = func(*tx) error { return nil }
	}
	inside := enqueue(t.Context(), t, db, full...)
	outside := make(chan error, 1)
	go func() { outside <- db.writer.submit(ctx, false, note("outside", nil)) }()
	cancel()
	wantErr(t, "a write outside the queue", <-outside, context.Canceled)
	release()
	for _, outcome := range inside {
		wantErr(t, "a write inside the queue", <-outcome, nil)
	}
	if noted(t, db, "outside") {
		t.Error("a write that was given up was made")
	}
}

// TestCancel ends callers' contexts: who waits takes his write back, and who has
// been taken up is told the outcome.
func TestCancel(t *testing.T) {
	t.Parallel()
	db := openTemp(t)
	ctx, cancel := context.WithCancel(t.Context())
	entered, leave := make(chan struct{}), make(chan struct{})
	taken := make(chan error, 1)
	go func() {
		taken <- db.writer.submit(ctx, false, func(t *tx) error {
			close(entered)
			<-leave
			return note("taken", nil)(t)
		})
	}()
	<-entered
	waiting := enqueue(ctx, t, db, note("waiting", nil))
	cancel()
	wantErr(t, "the waiting write", <-waiting[0], context.Canceled)
	select {
	case err := <-taken:
		t.Errorf("the write taken up was answered before its end: %v", err)
	default:
	}
	close(leave)
	wantErr(t, "the write taken up", <-taken, nil)
	if !noted(t, db, "taken") || noted(t, db, "waiting") {
		t.Error("what was taken up is not written, or what was taken back is")
	}
}

// TestCloseAmidWrites closes the store: the batch under way is finished, what
// waits is not begun.
func TestCloseAmidWrites(t *testing.T) {
	t.Parallel()
	cfg := tempConfig(t)
	db := openTest(t, cfg)
	release := stall(t, db)
	waiting := enqueue(t.Context(), t, db, note("a", nil), note("b", nil))
	closed := make(chan error, 1)
	go func() { closed <- db.Close() }()
	<-db.writer.closing
	wantErr(t, "a late write", db.writer.submit(t.Context(), false, note("c", nil)), store.ErrClosed)
	release()
	wantErr(t, "Close", <-closed, nil)
	for _, outcome := range waiting {
		wantErr(t, "a waiting write", <-outcome, store.ErrClosed)
	}
	db = openTest(t, cfg)
	for _, name := range []string{"a", "b", "c"} {
		if noted(t, db, name) {
			t.Errorf("%s was written after Close", name)
		}
	}
}

// TestUsualPathReadsNothing takes the statements that read entries away: a claim
// of free messages and the log ID that ends it need none.
func TestUsualPathReadsNothing(t *testing.T) {
	t.Parallel()
	db := openTemp(t)
	claim(t, db, 1)
	var byID, bySeq, last *stmt
	inWriter(t, db, func(w *writer) {
		s := &w.tx.stmts
		byID, bySeq, last = s.entryByID, s.entryBySeq, s.lastSeq
		s.entryByID, s.entryBySeq, s.lastSeq = nil, nil, nil
	})
	apply(t, db, 1, ledger.LogID{Epoch: 1, ID: "x"})
	claim(t, db, 2)
	apply(t, db, 2, ledger.LogID{Epoch: 1, ID: "y"})
	inWriter(t, db, func(w *writer) {
		w.tx.stmts.entryByID, w.tx.stmts.entryBySeq, w.tx.stmts.lastSeq = byID, bySeq, last
		if len(w.tx.open) != 0 {
			t.Errorf("%d entries are remembered that are not in flight", len(w.tx.open))
		}
	})
}

// TestForgottenEntries has the writer remember as many entries as it may: the
// others are read back.
func TestForgottenEntries(t *testing.T) {
	t.Parallel()
	db := openTemp(t)
	inWriter(t, db, func(w *writer) {
		for i := range maxOpen {
			w.tx.open[fmt.Sprint(i)] = &record{entry: ledger.Entry{State: ledger.InFlight}}
		}
	})
	claim(t, db, 1)
	inWriter(t, db, func(w *writer) {
		if len(w.tx.open) != maxOpen || w.tx.open[draft(1).ID] != nil {
			t.Errorf("%d entries are remembered, want %d", len(w.tx.open), maxOpen)
		}
	})
	apply(t, db, 1, ledger.LogID{Epoch: 1, ID: "x"})
	checkStates(t, db, map[int][]ledger.State{1: {ledger.Logged}})
}
