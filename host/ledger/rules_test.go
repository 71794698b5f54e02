package ledger_test

import (
	"slices"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Each test of this file is a rule of docs/DELIVERY.md, named by its number.

func wantTime(t *testing.T, what string, got, want time.Time) {
	t.Helper()
	if !got.Equal(want) {
		t.Errorf("%s is %s after the start, want %s", what, got.Sub(t0), want.Sub(t0))
	}
}

func wantState(t *testing.T, e ledger.Entry, want ledger.State) {
	t.Helper()
	if e.State != want {
		t.Fatalf("state %s, want %s", e.State, want)
	}
}

func TestRule01And02WindowAndSettling(t *testing.T) {
	t.Parallel()
	e := newEntry()
	wantState(t, e, ledger.InFlight)
	wantTime(t, "W", e.WindowEnd, t0.Add(tableWindow))
	wantTime(t, "settlesAt", e.SettlesAt, t0.Add(tableSettles))
	wantTime(t, "next", e.NextAt, e.WindowEnd)
	wantTime(t, "first sent", e.FirstSentAt, t0)
	if e.Epoch != 1 || e.Attempts != 1 || !slices.Equal(e.Messages, []string{"A", "B"}) || len(e.StrayIDs) != 0 {
		t.Errorf("opened %+v", e)
	}
	if !e.UnsettledUntil.IsZero() {
		t.Error("nothing is in doubt yet")
	}
	if got := check(t, e, ledger.Expire{Epoch: 1}, e.WindowEnd.Add(-1), ledger.RowsFree); got.Outcome != ledger.Ignored {
		t.Error("the window ended early")
	}
	e = must(t, e, ledger.Expire{Epoch: 1}, e.WindowEnd)
	wantState(t, e, ledger.Unknown)
	wantTime(t, "unsettled until", e.UnsettledUntil, t0.Add(tableSettles))
}

// TestRule02DoubtCountsFromTheWindow: wherever the doubt begins, W + D + L is what
// counts (naive failure 3).
func TestRule02DoubtCountsFromTheWindow(t *testing.T) {
	t.Parallel()
	for name, ev := range map[string]ledger.Event{
		"crash":         ledger.Lost{Epoch: 1, Problem: unclear, Crash: true},
		"class unknown": ledger.Failure{Epoch: 1, Problem: unclear},
		"lost":          ledger.Lost{Epoch: 1, Problem: unclear},
	} {
		e := must(t, newEntry(), ev, t0.Add(time.Second))
		wantState(t, e, ledger.Unknown)
		wantTime(t, name+": unsettled until", e.UnsettledUntil, t0.Add(tableSettles))
		wantTime(t, name+": next search", e.NextAt, t0.Add(time.Second))
		if want := map[string]int{"crash": 1}[name]; e.Crashes != want {
			t.Errorf("%s: %d crashes", name, e.Crashes)
		}
	}
}

func TestRule02NotFoundIsBelievedFromSettling(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration
		age   time.Duration
		dead  bool
		want  ledger.State
	}{
		"one tick early":               {tableSettles - 1, 0, true, ledger.Unknown},
		"in time":                      {tableSettles, 0, true, ledger.Failed},
		"begun early, ended late":      {tableSettles + time.Second, time.Second + 1, true, ledger.Unknown},
		"begun in time":                {tableSettles + time.Second, time.Second, true, ledger.Failed},
		"the call may still send":      {tableSettles + time.Hour, 0, false, ledger.Unknown},
		"an index that is an hour old": {tableSettles + time.Minute, time.Hour, true, ledger.Unknown},
	} {
		e := unknownEntry(t)
		e = must(t, e, ledger.NotFound{Epoch: e.Epoch, Age: c.age, Dead: c.dead}, t0.Add(c.after))
		if e.State != c.want {
			t.Errorf("%s: %s, want %s", name, e.State, c.want)
		}
		if e.State == ledger.Failed && (e.Problem.Class != fault.Retryable || !e.NextAt.IsZero() || !e.UnsettledUntil.IsZero()) {
			t.Errorf("%s: failed as %+v", name, e)
		}
		if e.Verdict != "notFound" || e.ReconciledAt.IsZero() {
			t.Errorf("%s: verdict %q at %s", name, e.Verdict, e.ReconciledAt)
		}
	}
}

func TestSearchesBackOffAndOneFallsOnSettling(t *testing.T) {
	t.Parallel()
	e := unknownEntry(t)
	var waits []time.Duration
	for range 40 {
		now := e.NextAt
		e = must(t, e, ledger.CannotTell{Epoch: e.Epoch}, now)
		if e.Verdict != "cannotTell" {
			t.Fatalf("verdict %q", e.Verdict)
		}
		waits = append(waits, e.NextAt.Sub(now))
	}
	var at time.Duration
	met := false
	for i, w := range waits {
		if i > 0 && w > 5*time.Minute || w <= 0 {
			t.Errorf("wait %d is %s", i, w)
		}
		at += w
		met = met || at == tableSettles
	}
	if !met {
		t.Errorf("no search falls on settling: %v", waits)
	}
	if want := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second}; !slices.Equal(waits[:4], want) {
		t.Errorf("first waits %v, want %v", waits[:4], want)
	}
	if last := waits[len(waits)-1]; last != 5*time.Minute {
		t.Errorf("last wait %s", last)
	}
}

func TestCannotTellMayNameItsWait(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ ask, want time.Duration }{
		"its own":            {7 * time.Second, 7 * time.Second},
		"not past settling":  {2 * time.Minute, tableSettles},
		"a day is too long":  {24 * time.Hour, tableSettles},
		"none: by the table": {0, 500 * time.Millisecond},
	} {
		e := unknownEntry(t)
		e = must(t, e, ledger.CannotTell{Epoch: e.Epoch, RetryAfter: c.ask}, t0)
		wantTime(t, name, e.NextAt, t0.Add(c.want))
	}
	e := unknownEntry(t)
	e = must(t, e, ledger.CannotTell{Epoch: e.Epoch, RetryAfter: 24 * time.Hour}, t0.Add(time.Hour))
	wantTime(t, "after settling, bounded", e.NextAt, t0.Add(2*time.Hour))
}

func TestEntryThatCannotBeSearchedForWaitsForAPerson(t *testing.T) {
	t.Parallel()
	e := must(t, newEntry(blind), ledger.Expire{Epoch: 1}, t0.Add(tableWindow))
	for _, ev := range []ledger.Event{
		ledger.CannotTell{Epoch: e.Epoch}, ledger.CannotTell{Epoch: e.Epoch, RetryAfter: time.Minute},
	} {
		if got := check(t, e, ev, t0.Add(time.Hour), ledger.RowsFree).Entry; !got.NextAt.IsZero() || got.State != ledger.Unknown {
			t.Errorf("after %+v: due at %s in state %s", ev, got.NextAt, got.State)
		}
	}
	if !e.NextAt.IsZero() {
		t.Errorf("due at %s", e.NextAt)
	}
}

// TestRule03Strays: a stale log ID is true, and where another stands it is kept.
func TestRule03Strays(t *testing.T) {
	t.Parallel()
	again := must(t, failedEntry(t), ledger.Retry{Timing: tableTiming}, t0)
	e := must(t, again, ledger.LogID{Epoch: 1, ID: "R1"}, t0)
	if e.State != ledger.InFlight || e.LogID != "" || !slices.Equal(e.StrayIDs, []string{"R1"}) {
		t.Fatalf("after a stale ID in flight: %+v", e)
	}
	if got := check(t, e, ledger.LogID{Epoch: 1, ID: "R1"}, t0, ledger.RowsFree); got.Outcome != ledger.Ignored {
		t.Errorf("the same stray twice: outcome %d", got.Outcome)
	}
	// The attempt in flight has kept its epoch, and its own answer counts.
	other := must(t, e, ledger.LogID{Epoch: e.Epoch, ID: "R2"}, t0)
	if other.LogID != "R2" || !slices.Equal(other.StrayIDs, []string{"R1"}) || other.Audits != 2 {
		t.Errorf("after its own ID: %+v", other)
	}
	// When it is the very record noted before, it is no stray any more.
	same := must(t, e, ledger.LogID{Epoch: e.Epoch, ID: "R1"}, t0)
	if same.LogID != "R1" || len(same.StrayIDs) != 0 {
		t.Errorf("after the same ID: %+v", same)
	}
	e = must(t, loggedEntry(t), ledger.LogID{Epoch: 1, ID: "R7"}, t0.Add(time.Second))
	if e.LogID != "R1" || !slices.Equal(e.StrayIDs, []string{"R7"}) || e.Audits != 2 {
		t.Errorf("after another ID when logged: %+v", e)
	}
	wantTime(t, "audit", e.NextAt, t0.Add(tableSettles))
	e = must(t, must(t, newEntry(blind), ledger.LogID{Epoch: 1, ID: "R1"}, t0), ledger.LogID{Epoch: 1, ID: "R7"}, t0)
	if e.Audits != 0 || !e.NextAt.IsZero() || len(e.StrayIDs) != 1 {
		t.Errorf("an adapter that cannot search is asked for an audit: %+v", e)
	}
}

func TestLogIDBringsWhatTheAdapterSaid(t *testing.T) {
	t.Parallel()
	text := &ledger.ReturnMessage{Message: "ok", MessageType: "success", TTLMillis: 1000}
	for name, e := range map[string]ledger.Entry{"in flight": newEntry(), "late": unknownEntry(t)} {
		e = must(t, e, ledger.LogID{Epoch: 1, ID: "R1", URL: "https://x.acme.example/1", Return: text}, t0)
		if e.State != ledger.Logged || e.LogID != "R1" || e.LogURL != "https://x.acme.example/1" || e.Return != text || !e.NextAt.IsZero() {
			t.Errorf("%s: %+v", name, e)
		}
	}
	// A stray's page and text are not the entry's.
	e := must(t, loggedEntry(t), ledger.LogID{Epoch: 1, ID: "R7", URL: "https://x.acme.example/7", Return: text}, t0)
	if e.LogURL != "" || e.Return != nil {
		t.Errorf("a stray's page became the entry's: %+v", e)
	}
}

func TestFoundBringsWhatTheAdapterSaid(t *testing.T) {
	t.Parallel()
	text := &ledger.ReturnMessage{Message: "not filed", MessageType: "warning"}
	e := must(t, unknownEntry(t), ledger.Found{LogIDs: []string{"R1"}, Complete: true, Return: text}, t0)
	if e.State != ledger.Logged || e.Return != text {
		t.Errorf("%+v", e)
	}
	// An audit says nothing of the answer that the user has seen.
	e = must(t, failedEntry(t), ledger.Retry{Timing: tableTiming}, t0)
	e = must(t, e, ledger.LogID{Epoch: e.Epoch, ID: "R1"}, t0)
	e = must(t, e, ledger.Found{Epoch: e.Epoch, LogIDs: []string{"R1"}, Complete: true, Return: text}, e.NextAt)
	if e.Audits != 1 || e.Return != nil {
		t.Errorf("an audit's text became the answer's: %+v", e)
	}
}

func TestRule05WhatMayBeLazy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ev   ledger.Event
		want bool
	}{
		"log ID, search possible": {ledger.LogID{ID: "R1"}, true},
		"log ID, no search":       {ledger.LogID{ID: "R1", Durable: true}, false},
		"failure":                 {ledger.Failure{Problem: rejected}, false},
		"lost":                    {ledger.Lost{Problem: unclear}, true},
		"expire":                  {ledger.Expire{}, true},
		"cannot tell":             {ledger.CannotTell{}, true},
		"take":                    {ledger.Take{}, false},
		"found":                   {ledger.Found{LogIDs: []string{"R1"}}, false},
		"not found":               {ledger.NotFound{}, false},
		"retry":                   {ledger.Retry{}, false},
		"resolve logId":           {ledger.ResolveLogged{ID: "R1"}, false},
		"resolve notLogged":       {ledger.ResolveNotLogged{}, false},
		"forget":                  {ledger.Forget{}, false},
	} {
		if got := ledger.Lazy(c.ev); got != c.want {
			t.Errorf("%s: lazy is %v", name, got)
		}
	}
}

func TestRule07FailureOfALaterAttemptSaysNothingOfAnEarlierOne(t *testing.T) {
	t.Parallel()
	e := must(t, failedEntry(t), ledger.Retry{Timing: tableTiming}, t0)
	e.UnsettledUntil = t0.Add(5 * time.Second) // attempt 1 may still be on its way
	for name, p := range map[string]*ledger.Problem{"permanent": rejected, "retryable": unavailable} {
		ev := ledger.Failure{Epoch: e.Epoch, Problem: p}
		res := check(t, e, ev, t0.Add(5*time.Second-1), ledger.RowsFree)
		if res.Entry.State != ledger.Unknown || res.Rows != ledger.KeepRows || res.Entry.Problem.Class != fault.Unknown {
			t.Errorf("%s, before attempt 1 settled: %s, rows %d, %+v", name, res.Entry.State, res.Rows, res.Entry.Problem)
		}
		// Only attempt 1 is in doubt: what was rejected for good has not happened.
		wantTime(t, name+": unsettled until", res.Entry.UnsettledUntil, t0.Add(5*time.Second))
		if res = check(t, e, ev, t0.Add(5*time.Second), ledger.RowsFree); say(res) != "failed release" || res.Entry.Problem != p {
			t.Errorf("%s, after attempt 1 settled: %s", name, say(res))
		}
	}
	// A doubt about attempt 2 lasts as long as the longer of both.
	long := e
	long.UnsettledUntil = t0.Add(time.Hour)
	wantTime(t, "both in doubt", must(t, long, ledger.Lost{Epoch: e.Epoch, Problem: unclear}, t0).UnsettledUntil, t0.Add(time.Hour))
	wantTime(t, "both in doubt", must(t, e, ledger.Lost{Epoch: e.Epoch, Problem: unclear}, t0).UnsettledUntil, t0.Add(tableSettles))
}

func TestRule08RetryOpensANewWindow(t *testing.T) {
	t.Parallel()
	failed := failedEntry(t)
	later := t0.Add(time.Hour)
	res := check(t, failed, ledger.Retry{Timing: tableTiming}, later, ledger.RowsFree)
	e := res.Entry
	if e.State != ledger.InFlight || e.Attempts != 2 || e.Problem != nil || res.Rows != ledger.TakeRows {
		t.Fatalf("retried: %+v", res)
	}
	wantTime(t, "W", e.WindowEnd, later.Add(tableWindow))
	wantTime(t, "settlesAt", e.SettlesAt, later.Add(tableSettles))
	wantTime(t, "first sent", e.FirstSentAt, t0)
	wantTime(t, "next", e.NextAt, e.WindowEnd)
	queued := must(t, queuedEntry(t), ledger.Retry{Timing: tableTiming}, later)
	wantState(t, queued, ledger.Queued)
	wantTime(t, "queued again", queued.NextAt, later)
	taken := must(t, queued, ledger.Take{Epoch: queued.Epoch, Timing: tableTiming}, later)
	if taken.State != ledger.InFlight || taken.Attempts != 2 {
		t.Errorf("taken: %+v", taken)
	}
}

func TestRule14Audits(t *testing.T) {
	t.Parallel()
	e := must(t, failedEntry(t), ledger.Retry{Timing: tableTiming}, t0)
	e = must(t, e, ledger.LogID{Epoch: e.Epoch, ID: "R1"}, t0)
	if e.Audits != 2 {
		t.Fatalf("%d audits are due after two attempts", e.Audits)
	}
	wantTime(t, "first audit", e.NextAt, t0.Add(tableSettles))
	clean := must(t, e, ledger.Found{Epoch: e.Epoch, LogIDs: []string{"R1"}, Complete: true}, e.NextAt)
	if clean.Audits != 1 || clean.Vanished || len(clean.StrayIDs) != 0 {
		t.Errorf("after the first audit: %+v", clean)
	}
	wantTime(t, "second audit", clean.NextAt, e.NextAt.Add(24*time.Hour))
	done := check(t, clean, ledger.Found{Epoch: clean.Epoch, LogIDs: []string{"R1"}, Complete: true}, clean.NextAt, ledger.RowsFree)
	if done.Entry.Audits != 0 || !done.Entry.NextAt.IsZero() || !done.ErasePayload {
		t.Errorf("after the second audit: %+v", done)
	}
	for name, c := range map[string]struct {
		ev       ledger.Event
		vanished bool
		audits   int
		strays   []string
	}{
		"two records":             {ledger.Found{Epoch: e.Epoch, LogIDs: []string{"R1", "R2"}, Complete: true}, false, 1, []string{"R2"}},
		"another record only":     {ledger.Found{Epoch: e.Epoch, LogIDs: []string{"R2"}, Complete: true}, true, 1, []string{"R2"}},
		"another, list cut short": {ledger.Found{Epoch: e.Epoch, LogIDs: []string{"R2"}}, false, 1, []string{"R2"}},
		"none":                    {ledger.NotFound{Epoch: e.Epoch, Dead: true}, true, 1, nil},
		"none, not to be trusted": {ledger.NotFound{Epoch: e.Epoch}, false, 2, nil},
		"cannot tell":             {ledger.CannotTell{Epoch: e.Epoch}, false, 2, nil},
	} {
		got := must(t, e, c.ev, e.NextAt)
		if got.State != ledger.Logged || got.LogID != "R1" || got.Vanished != c.vanished || got.Audits != c.audits || !slices.Equal(got.StrayIDs, c.strays) {
			t.Errorf("%s: vanished %v, %d audits, strays %q", name, got.Vanished, got.Audits, got.StrayIDs)
		}
		if !got.NextAt.After(e.NextAt) {
			t.Errorf("%s: next audit at %s", name, got.NextAt)
		}
	}
	// A stale audit says nothing.
	if got := check(t, e, ledger.Found{Epoch: e.Epoch - 1, LogIDs: []string{"R2"}}, e.NextAt, ledger.RowsFree); got.Changed() {
		t.Errorf("a stale audit counted: %+v", got)
	}
	// What was found once is found again: a vanished record is no longer one.
	gone := must(t, e, ledger.NotFound{Epoch: e.Epoch, Dead: true}, e.NextAt)
	if back := must(t, gone, ledger.Found{Epoch: gone.Epoch, LogIDs: []string{"R1"}, Complete: true}, gone.NextAt); back.Vanished {
		t.Error("a record that is found is called vanished")
	}
	if one := loggedEntry(t); one.Audits != 0 || !one.NextAt.IsZero() {
		t.Errorf("one attempt and no stray need no audit: %+v", one)
	}
}

func TestFoundTakesTheOldestAndKeepsTheOthers(t *testing.T) {
	t.Parallel()
	e := unknownEntry(t)
	e = must(t, e, ledger.Found{Epoch: 0, LogIDs: []string{"R1", "R2", "R3"}, Complete: true}, t0.Add(time.Second))
	if e.State != ledger.Logged || e.LogID != "R1" || !slices.Equal(e.StrayIDs, []string{"R2", "R3"}) || e.Audits != 2 || e.Verdict != "found" {
		t.Errorf("found three: %+v", e)
	}
	wantTime(t, "audit", e.NextAt, t0.Add(tableSettles))
}

func TestRule15AbsentAfterSettling(t *testing.T) {
	t.Parallel()
	settled := t0.Add(tableSettles)
	for name, c := range map[string]struct {
		change  func(*ledger.Entry)
		requeue bool
		crashes int
		want    ledger.State
		code    fault.Code
	}{
		"synchronous":                     {func(*ledger.Entry) {}, false, 0, ledger.Failed, fault.CRMUnavailable},
		"synchronous, to be queued":       {func(*ledger.Entry) {}, true, 0, ledger.Queued, fault.Outcome},
		"asynchronous":                    {async, false, 0, ledger.Queued, fault.Outcome},
		"asynchronous, one crash":         {async, false, 1, ledger.Queued, fault.Outcome},
		"asynchronous, two crashes":       {async, false, 2, ledger.Failed, fault.PoisonMessage},
		"to be queued, two crashes":       {func(*ledger.Entry) {}, true, 2, ledger.Failed, fault.PoisonMessage},
		"synchronous, two crashes: as is": {func(*ledger.Entry) {}, false, 2, ledger.Failed, fault.CRMUnavailable},
	} {
		e := newEntry(c.change)
		e.Crashes = c.crashes
		e = must(t, e, ledger.Lost{Epoch: 1, Problem: unclear}, t0)
		res := check(t, e, ledger.NotFound{Epoch: e.Epoch, Dead: true, Requeue: c.requeue}, settled, ledger.RowsFree)
		if res.Entry.State != c.want || res.Entry.Problem.Code != c.code {
			t.Errorf("%s: %s, %+v", name, res.Entry.State, res.Entry.Problem)
		}
		if c.want == ledger.Queued && (!res.Entry.NextAt.Equal(settled) || res.Rows != ledger.KeepRows) {
			t.Errorf("%s: queued for %s, rows %d", name, res.Entry.NextAt, res.Rows)
		}
		again := res.Entry.Problem.Class == fault.Retryable
		if c.want == ledger.Failed && (again != (c.code == fault.CRMUnavailable) || res.Rows != ledger.ReleaseRows) {
			t.Errorf("%s: failed as %+v, rows %d", name, res.Entry.Problem, res.Rows)
		}
	}
}
