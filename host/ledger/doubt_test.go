package ledger_test

import (
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// TestNotFoundIsAsOldAsItsSearch: however long the write waits for its turn, a
// search that began before settling proves nothing.
func TestNotFoundIsAsOldAsItsSearch(t *testing.T) {
	t.Parallel()
	e := unknownEntry(t)
	answered := ledger.NotFound{Epoch: e.Epoch, Dead: true} // of a search that began a second before settling
	late := t0.Add(tableSettles + 5*time.Second)
	if r := ledger.Apply(e, ledger.Aged(answered, 6*time.Second), late, ledger.RowsFree); r.Entry.State != ledger.Unknown {
		t.Errorf("an old search is believed: %s", r.Entry.State)
	}
	if r := ledger.Apply(e, ledger.Aged(answered, 5*time.Second), late, ledger.RowsFree); r.Entry.State != ledger.Failed {
		t.Errorf("a search begun at settling is not believed: %s", r.Entry.State)
	}
	if r := ledger.Apply(e, ledger.Aged(answered, -time.Hour), t0, ledger.RowsFree); r.Entry.State != ledger.Unknown {
		t.Errorf("a negative wait makes a search younger: %s", r.Entry.State)
	}
}

// TestLentSearchDoesNotPutOffTheHostsOwn: a caller who asks again and again must
// not keep the host from asking.
func TestLentSearchDoesNotPutOffTheHostsOwn(t *testing.T) {
	t.Parallel()
	for name, ev := range map[string]func(int64) ledger.Event{
		"cannot tell": func(epoch int64) ledger.Event {
			return ledger.CannotTell{Epoch: epoch, RetryAfter: time.Minute, Lent: true}
		},
		"not found": func(epoch int64) ledger.Event { return ledger.NotFound{Epoch: epoch, Lent: true} },
	} {
		e := unknownEntry(t)
		due, finds := e.NextAt, e.Finds
		for range 5 {
			e = must(t, e, ev(e.Epoch), t0)
		}
		if !e.NextAt.Equal(due) || e.Finds != finds {
			t.Errorf("%s: due at %s after %d searches, was %s after %d", name, e.NextAt, e.Finds, due, finds)
		}
	}
}

// TestSearchWithoutStoredRequestEnds: nothing is left to search with.
func TestSearchWithoutStoredRequestEnds(t *testing.T) {
	t.Parallel()
	e := unknownEntry(t)
	e = must(t, e, ledger.CannotTell{Epoch: e.Epoch, Never: true}, t0)
	if !e.NextAt.IsZero() || e.State != ledger.Unknown {
		t.Errorf("%s, due at %s", e.State, e.NextAt)
	}
}

// TestRetryMayMoveToAnotherVersion: what the next attempt's adapter can do is what
// counts.
func TestRetryMayMoveToAnotherVersion(t *testing.T) {
	t.Parallel()
	failed := must(t, newEntry(), ledger.Failure{Epoch: 1, Problem: &ledger.Problem{Code: fault.CRMRejected, Class: fault.Permanent}}, t0)
	moved := must(t, failed, ledger.Retry{Timing: tableTiming, Version: "2.0.0", CanFind: false}, t0)
	if moved.Version != "2.0.0" || moved.CanFind {
		t.Errorf("version %s, can find %v", moved.Version, moved.CanFind)
	}
}

// TestSentTwiceInOneWindowIsAudited: the first try was said to have sent nothing;
// the audit sees whether that was true.
func TestSentTwiceInOneWindowIsAudited(t *testing.T) {
	t.Parallel()
	e := must(t, newEntry(), ledger.LogID{Epoch: 1, ID: "R2", Again: true}, t0)
	if e.Audits == 0 || e.NextAt.Before(t0.Add(tableSettles)) {
		t.Errorf("%d audits, due at %s", e.Audits, e.NextAt)
	}
}

// TestFailureWithAKnownStrayIsLogged: releasing the messages would log them twice.
func TestFailureWithAKnownStrayIsLogged(t *testing.T) {
	t.Parallel()
	e := newEntry()
	e.StrayIDs = []string{"R1"}
	r := ledger.Apply(e, ledger.Failure{Epoch: 1, Problem: &ledger.Problem{Code: fault.CRMRejected, Class: fault.Permanent}}, t0, ledger.RowsFree)
	if r.Entry.State != ledger.Logged || r.Entry.LogID != "R1" || r.Rows != ledger.KeepRows {
		t.Errorf("%s %q, rows %d", r.Entry.State, r.Entry.LogID, r.Rows)
	}
}
