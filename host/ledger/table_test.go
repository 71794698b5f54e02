package ledger_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// The durations of the tables: W = 20 s and the second that the store adds, D = 30 s,
// L = 10 s.
const (
	tableWindow  = 21 * time.Second
	tableSettles = tableWindow + 40*time.Second
)

var (
	tableTiming = ledger.Timing{Window: 20 * time.Second, Apply: 30 * time.Second, Lag: 10 * time.Second}
	t0          = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

	rejected    = &ledger.Problem{Code: fault.CRMRejected, Class: fault.Permanent, Source: fault.CRM, Detail: "no such contact"}
	unavailable = &ledger.Problem{Code: fault.CRMUnavailable, Class: fault.Retryable, Source: fault.CRM, Detail: "down"}
	unclear     = &ledger.Problem{Code: fault.Outcome, Class: fault.Unknown, Source: fault.Adapter, Detail: "connection lost"}
)

func newEntry(change ...func(*ledger.Entry)) ledger.Entry {
	draft := ledger.Entry{
		ID:    "01JAAAAAAAAAAAAAAAAAAAAAAA",
		Scope: ledger.Scope{Tenant: "t1", Adapter: "acme", Account: "x.acme.example", ContactType: "person", ContactID: "7"},
		// The draft asks for more than it gets.
		Messages: []string{"A", "B", "C"}, CanFind: true, StrayIDs: []string{"of an older life"},
	}
	for _, c := range change {
		c(&draft)
	}
	return ledger.Open(draft, []string{"A", "B"}, tableTiming, t0)
}

func async(e *ledger.Entry) { e.Async = true }
func blind(e *ledger.Entry) { e.CanFind = false }

// must applies an event that has to change the entry.
func must(t *testing.T, e ledger.Entry, ev ledger.Event, now time.Time) ledger.Entry {
	t.Helper()
	res := check(t, e, ev, now, ledger.RowsFree)
	if !res.Changed() {
		t.Fatalf("%T in state %s: outcome %d", ev, e.State, res.Outcome)
	}
	return res.Entry
}

// check applies an event and demands what holds of every one: the input stays as it
// was, a change adds one to the epoch, no change is no change.
func check(t *testing.T, e ledger.Entry, ev ledger.Event, now time.Time, rows ledger.RowState) ledger.Result {
	t.Helper()
	e.StrayIDs = slices.Clip(slices.Clone(e.StrayIDs))
	before, strays := e, slices.Clone(e.StrayIDs)
	res := ledger.Apply(e, ev, now, rows)
	if !slices.Equal(before.StrayIDs, strays) {
		t.Errorf("%T changed the strays of the entry it was given: %q to %q", ev, strays, before.StrayIDs)
	}
	if res.From != before.State {
		t.Errorf("%T: from %s, want %s", ev, res.From, before.State)
	}
	if (res.Refusal != nil) != (res.Outcome == ledger.Refused) {
		t.Errorf("%T: outcome %d with refusal %v", ev, res.Outcome, res.Refusal)
	}
	if !res.Changed() {
		if !reflect.DeepEqual(res.Entry, before) || res.Rows != ledger.KeepRows || res.ErasePayload {
			t.Errorf("%T changed nothing, yet: %+v", ev, res)
		}
		return res
	}
	wantEpoch := before.Epoch + 1
	if res.Outcome == ledger.Strayed && before.State == ledger.InFlight {
		wantEpoch = before.Epoch // the attempt in flight keeps its own
	}
	if res.Entry.Epoch != wantEpoch || !res.Entry.UpdatedAt.Equal(now) {
		t.Errorf("%T: epoch %d, want %d; updated at %s, want %s", ev, res.Entry.Epoch, wantEpoch, res.Entry.UpdatedAt, now)
	}
	if want := res.Entry.State == ledger.Logged && res.Entry.Audits == 0; res.ErasePayload != want {
		t.Errorf("%T: erase payload is %v in state %s with %d audits", ev, res.ErasePayload, res.Entry.State, res.Entry.Audits)
	}
	switch e := res.Entry; e.State {
	case ledger.Unknown, ledger.Failed, ledger.Queued:
		if e.Problem == nil {
			t.Errorf("%T: no problem in state %s", ev, e.State)
		}
	case ledger.InFlight, ledger.Logged:
		if e.Problem != nil {
			t.Errorf("%T: problem %+v in state %s", ev, e.Problem, e.State)
		}
	}
	return res
}

// say puts a result into the words of the table.
func say(res ledger.Result) string {
	switch res.Outcome {
	case ledger.Ignored:
		return "ignored"
	case ledger.Strayed:
		return "stray"
	case ledger.Refused:
		return string(res.Refusal.Code)
	case ledger.Applied:
	}
	rows := map[ledger.Rows]string{ledger.KeepRows: "", ledger.ReleaseRows: " release", ledger.TakeRows: " take"}
	return string(res.Entry.State) + rows[res.Rows]
}

// standing is where an event may meet an entry: the columns of the table, some of
// them twice.
var standings = map[string]func(t *testing.T) ledger.Entry{
	"in_flight": func(*testing.T) ledger.Entry { return newEntry() },
	"in_flight again": func(t *testing.T) ledger.Entry {
		return must(t, failedEntry(t), ledger.Retry{Timing: tableTiming}, t0)
	},
	"in_flight async": func(*testing.T) ledger.Entry { return newEntry(async) },
	"queued":          queuedEntry,
	"unknown":         unknownEntry,
	"unknown settled": func(t *testing.T) ledger.Entry {
		e := unknownEntry(t)
		e.UnsettledUntil = t0
		return e
	},
	"logged": loggedEntry,
	"forgotten": func(t *testing.T) ledger.Entry {
		return must(t, loggedEntry(t), ledger.Forget{}, t0)
	},
	"failed": failedEntry,
}

func unknownEntry(t *testing.T) ledger.Entry {
	return must(t, newEntry(), ledger.Lost{Epoch: 1, Problem: unclear}, t0)
}

func loggedEntry(t *testing.T) ledger.Entry {
	return must(t, newEntry(), ledger.LogID{Epoch: 1, ID: "R1"}, t0)
}

func failedEntry(t *testing.T) ledger.Entry {
	return must(t, newEntry(), ledger.Failure{Epoch: 1, Problem: rejected}, t0)
}

func queuedEntry(t *testing.T) ledger.Entry {
	return must(t, newEntry(async), ledger.Failure{Epoch: 1, Problem: unavailable, Delay: time.Second}, t0)
}

// with returns an event for the present epoch, and one for an older.
func with(at func(epoch int64) ledger.Event) (own, stale func(ledger.Entry) ledger.Event) {
	return func(e ledger.Entry) ledger.Event { return at(e.Epoch) },
		func(e ledger.Entry) ledger.Event { return at(e.Epoch - 1) }
}

func always(ev ledger.Event) func(ledger.Entry) ledger.Event {
	return func(ledger.Entry) ledger.Event { return ev }
}

// row is one line of the table: what an event becomes in each standing. rest is for
// the standings that are not named.
type row struct {
	event func(ledger.Entry) ledger.Event
	rows  ledger.RowState
	want  string // "standing: words; standing: words; rest: words"
}

func table() map[string]row {
	logID, staleID := with(func(n int64) ledger.Event { return ledger.LogID{Epoch: n, ID: "R9"} })
	sameID, staleSameID := with(func(n int64) ledger.Event { return ledger.LogID{Epoch: n, ID: "R1"} })
	permanent, stalePermanent := with(func(n int64) ledger.Event { return ledger.Failure{Epoch: n, Problem: rejected} })
	retryable, staleRetryable := with(func(n int64) ledger.Event { return ledger.Failure{Epoch: n, Problem: unavailable} })
	unsure, staleUnsure := with(func(n int64) ledger.Event { return ledger.Failure{Epoch: n, Problem: unclear} })
	lost, staleLost := with(func(n int64) ledger.Event { return ledger.Lost{Epoch: n, Problem: unclear, Crash: true} })
	expire, staleExpire := with(func(n int64) ledger.Event { return ledger.Expire{Epoch: n} })
	take, staleTake := with(func(n int64) ledger.Event { return ledger.Take{Epoch: n, Timing: tableTiming} })
	found, staleFound := with(func(n int64) ledger.Event {
		return ledger.Found{Epoch: n, LogIDs: []string{"R9"}, Complete: true}
	})
	absent, staleAbsent := with(func(n int64) ledger.Event { return ledger.NotFound{Epoch: n, Dead: true} })
	alive, _ := with(func(n int64) ledger.Event { return ledger.NotFound{Epoch: n} })
	requeue, _ := with(func(n int64) ledger.Event { return ledger.NotFound{Epoch: n, Dead: true, Requeue: true} })
	dark, staleDark := with(func(n int64) ledger.Event { return ledger.CannotTell{Epoch: n} })
	retry := always(ledger.Retry{Timing: tableTiming})
	resolve := always(ledger.ResolveLogged{ID: "R9"})
	return map[string]row{
		"log ID, own epoch": {
			logID, ledger.RowsFree,
			"in_flight: logged; queued: logged; unknown: logged; failed: logged take; rest: stray",
		},
		"log ID, stale": {
			staleID, ledger.RowsFree,
			"in_flight: stray; queued: logged; unknown: logged; failed: logged take; rest: stray",
		},
		"log ID, stale, rows held": {
			staleID, ledger.RowsHeld,
			"in_flight: stray; queued: logged; unknown: logged; failed: stray; rest: stray",
		},
		"log ID, stale, rows logged": {
			staleID, ledger.RowsLogged,
			"in_flight: stray; queued: logged; unknown: logged; failed: stray; rest: stray",
		},
		"the same log ID again": {
			sameID, ledger.RowsFree,
			"in_flight: logged; queued: logged; unknown: logged; failed: logged take; rest: ignored",
		},
		"the same log ID, stale": {
			staleSameID, ledger.RowsFree,
			"in_flight: stray; queued: logged; unknown: logged; failed: logged take; rest: ignored",
		},
		"permanent, own epoch": {permanent, ledger.RowsFree, "in_flight: failed release; rest: ignored"},
		"permanent, stale":     {stalePermanent, ledger.RowsFree, "rest: ignored"},
		"retryable, own epoch": {
			retryable, ledger.RowsFree,
			"in_flight: failed release; in_flight async: queued; rest: ignored",
		},
		"retryable, stale":     {staleRetryable, ledger.RowsFree, "rest: ignored"},
		"class unknown":        {unsure, ledger.RowsFree, "in_flight: unknown; rest: ignored"},
		"class unknown, stale": {staleUnsure, ledger.RowsFree, "rest: ignored"},
		"crash":                {lost, ledger.RowsFree, "in_flight: unknown; rest: ignored"},
		"crash, stale":         {staleLost, ledger.RowsFree, "rest: ignored"},
		"window open":          {expire, ledger.RowsFree, "rest: ignored"},
		"window open, stale":   {staleExpire, ledger.RowsFree, "rest: ignored"},
		"next_at reached":      {take, ledger.RowsFree, "queued: in_flight; rest: ignored"},
		"taken by another":     {staleTake, ledger.RowsFree, "rest: ignored"},
		"found": {
			found, ledger.RowsFree,
			"in_flight: stray; queued: logged; unknown: logged; failed: logged take; logged: logged; forgotten: logged; rest: stray",
		},
		"found, stale": {
			staleFound, ledger.RowsFree,
			"in_flight: stray; queued: logged; unknown: logged; failed: logged take; rest: ignored",
		},
		"found, rows held": {
			found, ledger.RowsHeld,
			"in_flight: stray; queued: logged; unknown: logged; failed: stray; rest: logged",
		},
		"not found": {
			absent, ledger.RowsFree,
			"unknown: unknown; unknown settled: failed release; logged: logged; forgotten: logged; rest: ignored",
		},
		"not found, stale": {staleAbsent, ledger.RowsFree, "rest: ignored"},
		"not found, call may still send": {
			alive, ledger.RowsFree,
			"unknown: unknown; unknown settled: unknown; logged: logged; forgotten: logged; rest: ignored",
		},
		"not found, to be queued": {
			requeue, ledger.RowsFree,
			"unknown: unknown; unknown settled: queued; logged: logged; forgotten: logged; rest: ignored",
		},
		"cannot tell": {
			dark, ledger.RowsFree,
			"unknown: unknown; unknown settled: unknown; logged: logged; forgotten: logged; rest: ignored",
		},
		"cannot tell, stale": {staleDark, ledger.RowsFree, "rest: ignored"},
		"retry": {
			retry, ledger.RowsFree,
			"in_flight: in_progress; queued: queued; unknown: outcome_unsettled; logged: already_logged; forgotten: conflict; failed: in_flight take",
		},
		"retry, rows held": {
			retry, ledger.RowsHeld,
			"in_flight: in_progress; queued: queued; unknown: outcome_unsettled; logged: already_logged; forgotten: conflict; failed: in_progress",
		},
		"retry, rows logged": {
			retry, ledger.RowsLogged,
			"in_flight: in_progress; queued: queued; unknown: outcome_unsettled; logged: already_logged; forgotten: conflict; failed: already_logged",
		},
		"resolve logId": {
			resolve, ledger.RowsFree,
			"in_flight: in_progress; queued: conflict; unknown: logged; logged: already_logged; forgotten: conflict; failed: logged take",
		},
		"resolve logId, rows held": {
			resolve, ledger.RowsHeld,
			"in_flight: in_progress; queued: conflict; unknown: logged; logged: already_logged; forgotten: conflict; failed: in_progress",
		},
		"resolve logId, rows logged": {
			resolve, ledger.RowsLogged,
			"in_flight: in_progress; queued: conflict; unknown: logged; logged: already_logged; forgotten: conflict; failed: already_logged",
		},
		"resolve notLogged": {
			always(ledger.ResolveNotLogged{Dead: true}), ledger.RowsFree,
			"in_flight: in_progress; queued: conflict; unknown: outcome_unsettled; unknown settled: failed release; logged: already_logged; forgotten: conflict; failed: ignored",
		},
		"resolve notLogged, call may still send": {
			always(ledger.ResolveNotLogged{}), ledger.RowsFree,
			"in_flight: in_progress; queued: conflict; unknown: outcome_unsettled; unknown settled: outcome_unsettled; logged: already_logged; forgotten: conflict; failed: ignored",
		},
		"forget": {
			always(ledger.Forget{}), ledger.RowsFree,
			"in_flight: in_progress; queued: conflict; unknown: outcome_unsettled; logged: logged release; forgotten: ignored; failed: ignored",
		},
	}
}

// cell returns the words for a standing: its own, else those of the column it
// belongs to, else those of the rest.
func (r row) cell(t *testing.T, standing string) string {
	t.Helper()
	words := map[string]string{}
	for part := range strings.SplitSeq(r.want, "; ") {
		column, word, ok := strings.Cut(part, ": ")
		if _, known := standings[column]; !ok || (!known && column != "rest") {
			t.Fatalf("cannot read %q", part)
		}
		words[column] = word
	}
	column, _, _ := strings.Cut(standing, " ")
	for _, name := range []string{standing, column, "rest"} {
		if word, ok := words[name]; ok {
			return word
		}
	}
	t.Fatalf("no words for %s", standing)
	return ""
}

func TestEveryEventInEveryState(t *testing.T) {
	t.Parallel()
	for name, r := range table() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for standing, begin := range standings {
				e := begin(t)
				if got, want := say(check(t, e, r.event(e), t0, r.rows)), r.cell(t, standing); got != want {
					t.Errorf("%s: got %q, want %q", standing, got, want)
				}
			}
		})
	}
}

// TestTableIsComplete demands a line of the table for every type of event, and a
// column for every state: a new one without them fails here.
func TestTableIsComplete(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range table() {
		seen[reflect.TypeOf(r.event(newEntry())).Name()] = true
	}
	events := eventTypes(t)
	for _, want := range events {
		if !seen[want] {
			t.Errorf("no line for %s", want)
		}
	}
	if len(events) < 12 {
		t.Errorf("only %d events found in the source: %q", len(events), events)
	}
	met := map[ledger.State]bool{}
	for _, begin := range standings {
		met[begin(t).State] = true
	}
	for _, s := range ledger.States() {
		if !met[s] {
			t.Errorf("no standing in state %s", s)
		}
		if want := s == ledger.Logged || s == ledger.Failed; s.Settled() != want {
			t.Errorf("%s: settled is %v", s, s.Settled())
		}
	}
}

// eventTypes reads the names of all events from the source.
func eventTypes(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, source := range []string{"apply.go", "person.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "apply" {
				names = append(names, fmt.Sprint(f.Recv.List[0].Type))
			}
		}
	}
	return names
}
