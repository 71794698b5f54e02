package ledger_test

import (
	"errors"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestRefusalsSayWhenToAskAgain(t *testing.T) {
	t.Parallel()
	unknown := unknownEntry(t)
	blindly := must(t, newEntry(blind), ledger.Lost{Epoch: 1, Problem: unclear}, t0)
	failed := failedEntry(t)
	for name, c := range map[string]struct {
		e    ledger.Entry
		ev   ledger.Event
		at   time.Duration
		rows ledger.RowState
		wait time.Duration
	}{
		"retry before settling":           {unknown, ledger.Retry{}, 10 * time.Second, 0, tableSettles - 10*time.Second},
		"resolve before settling":         {unknown, ledger.ResolveNotLogged{Dead: true}, 0, 0, tableSettles},
		"forget before settling":          {unknown, ledger.Forget{}, 0, 0, tableSettles},
		"after settling, a search helps":  {unknown, ledger.Retry{}, time.Hour, 0, time.Second},
		"after settling, only a person":   {blindly, ledger.Retry{}, time.Hour, 0, 0},
		"before settling, only a person":  {blindly, ledger.ResolveNotLogged{Dead: true}, 0, 0, tableSettles},
		"in flight":                       {newEntry(), ledger.Retry{}, 0, 0, time.Second},
		"failed, messages held":           {failed, ledger.Retry{}, 0, ledger.RowsHeld, time.Second},
		"failed, messages logged":         {failed, ledger.Retry{}, 0, ledger.RowsLogged, 0},
		"failed, resolved, messages held": {failed, ledger.ResolveLogged{ID: "R1"}, 0, ledger.RowsHeld, time.Second},
		"logged":                          {loggedEntry(t), ledger.Retry{}, 0, 0, 0},
		"queued":                          {queuedEntry(t), ledger.Forget{}, 0, 0, 0},
	} {
		res := check(t, c.e, c.ev, t0.Add(c.at), c.rows)
		if res.Refusal == nil || res.Refusal.RetryAfter != c.wait || res.Refusal.Msg == "" {
			t.Errorf("%s: refusal %+v, want Retry-After %s", name, res.Refusal, c.wait)
		}
	}
}

func TestForgottenEntryIsHistory(t *testing.T) {
	t.Parallel()
	e := must(t, failedEntry(t), ledger.Retry{Timing: tableTiming}, t0)
	e = must(t, e, ledger.LogID{Epoch: e.Epoch, ID: "R1"}, t0) // audits are due
	res := check(t, e, ledger.Forget{}, t0.Add(time.Hour), ledger.RowsFree)
	if res.Rows != ledger.ReleaseRows || !res.ErasePayload || res.Entry.Audits != 0 || !res.Entry.NextAt.IsZero() || res.Entry.LogID != "R1" {
		t.Errorf("forgotten: %+v", res)
	}
	wantTime(t, "forgotten", res.Entry.ForgottenAt, t0.Add(time.Hour))
}

func TestNeedsRowsOnlyOfFailedEntries(t *testing.T) {
	t.Parallel()
	failed := failedEntry(t)
	need := []ledger.Event{ledger.LogID{}, ledger.Found{}, ledger.Retry{}, ledger.ResolveLogged{}}
	for _, ev := range need {
		if !ledger.NeedsRows(failed, ev) || ledger.NeedsRows(newEntry(), ev) {
			t.Errorf("%T: needs rows of failed %v, in flight %v", ev, ledger.NeedsRows(failed, ev), ledger.NeedsRows(newEntry(), ev))
		}
	}
	for _, ev := range []ledger.Event{ledger.Failure{}, ledger.Lost{}, ledger.NotFound{}, ledger.Forget{}, ledger.ResolveNotLogged{}, ledger.Take{}} {
		if ledger.NeedsRows(failed, ev) {
			t.Errorf("%T needs rows", ev)
		}
	}
}

func TestProblemKeepsNoCause(t *testing.T) {
	t.Parallel()
	p := ledger.ProblemOf(&fault.Error{
		Code: fault.RateLimited, Class: fault.Retryable, Source: fault.CRM, Msg: "slow down", Err: errors.New("secret"),
	})
	if want := (ledger.Problem{Code: fault.RateLimited, Class: fault.Retryable, Source: fault.CRM, Detail: "slow down"}); *p != want {
		t.Errorf("problem %+v", p)
	}
	if err := p.Err(); fault.CodeOf(err) != fault.RateLimited || fault.ClassOf(err) != fault.Retryable || errors.Unwrap(err) != nil {
		t.Errorf("as an error: %v", err)
	}
	if err := (*ledger.Problem)(nil).Err(); err != nil {
		t.Errorf("no problem is %v", err)
	}
}
