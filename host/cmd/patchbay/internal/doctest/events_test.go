package doctest

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/httpapi"
	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// An event of the table in docs/DELIVERY.md: what it is in the ledger, for an entry
// with that epoch, in every form that the row speaks of. Rows that speak of no event
// of the ledger's are about the relay; its tests hold them.
type event struct {
	forms   func(epoch int64) []ledger.Event
	settled settling
}

// settling says in which standings of an entry the row speaks of it.
type settling int

const (
	either settling = iota
	before          // an attempt is not settled
	after           // every attempt is
)

func one(of func(epoch int64) ledger.Event) func(int64) []ledger.Event {
	return func(epoch int64) []ledger.Event { return []ledger.Event{of(epoch)} }
}

var (
	refused = &ledger.Problem{Code: fault.CRMRejected, Class: fault.Permanent, Source: fault.CRM}
	later   = &ledger.Problem{Code: fault.CRMUnavailable, Class: fault.Retryable, Source: fault.CRM}
	doubt   = &ledger.Problem{Code: fault.Outcome, Class: fault.Unknown, Source: fault.Host}
	attempt = ledger.Timing{Window: 20 * time.Second, Apply: 30 * time.Second}

	events = map[string]event{
		"new request, same message": {},
		"the caller's deadline":     {},
		"log ID, own epoch":         {forms: one(func(n int64) ledger.Event { return ledger.LogID{Epoch: n, ID: "2"} })},
		"log ID, stale": {forms: func(n int64) []ledger.Event {
			return []ledger.Event{ledger.LogID{Epoch: n - 1, ID: "1"}, ledger.LogID{Epoch: n - 1, ID: "2"}}
		}},
		"permanent, own epoch": {forms: one(func(n int64) ledger.Event { return ledger.Failure{Epoch: n, Problem: refused} })},
		"retryable, own epoch": {forms: one(func(n int64) ledger.Event { return ledger.Failure{Epoch: n, Problem: later} })},
		"any failure, stale": {forms: func(n int64) []ledger.Event {
			return []ledger.Event{
				ledger.Failure{Epoch: n - 1, Problem: refused}, ledger.Failure{Epoch: n - 1, Problem: later}, ledger.Lost{Epoch: n - 1, Problem: doubt},
			}
		}},
		"crash, W + D passed, transport status, unusable log ID, class unknown": {forms: func(n int64) []ledger.Event {
			return []ledger.Event{ledger.Lost{Epoch: n, Problem: doubt, Crash: true}, ledger.Failure{Epoch: n, Problem: doubt}}
		}},
		"W passed":      {forms: one(func(n int64) ledger.Event { return ledger.Expire{Epoch: n} })},
		"search: found": {forms: one(func(n int64) ledger.Event { return ledger.Found{Epoch: n, LogIDs: []string{"2"}, Complete: true} })},
		"search: not found before settling, cannot tell": {forms: func(n int64) []ledger.Event {
			return []ledger.Event{ledger.NotFound{Epoch: n, Dead: true}, ledger.CannotTell{Epoch: n}}
		}, settled: before},
		"search: not found after settling": {
			forms: one(func(n int64) ledger.Event { return ledger.NotFound{Epoch: n, Dead: true} }), settled: after,
		},
		"retry":                 {forms: one(func(int64) ledger.Event { return ledger.Retry{Timing: attempt} })},
		"resolve with a log ID": {forms: one(func(int64) ledger.Event { return ledger.ResolveLogged{ID: "2"} })},
		"resolve as not logged": {forms: one(func(int64) ledger.Event { return ledger.ResolveNotLogged{Dead: true} })},
		"forget":                {forms: one(func(int64) ledger.Event { return ledger.Forget{} })},
	}

	begun = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	asked = begun.Add(time.Hour) // when the events come
)

// standing returns an entry in that state, with an attempt that may still be on its
// way or without.
func standing(state ledger.State, settled bool) ledger.Entry {
	e := ledger.Open(ledger.Entry{ID: "e", CanFind: true}, []string{"a"}, attempt, begun)
	switch state {
	case ledger.Unknown:
		e = ledger.Apply(e, ledger.Lost{Epoch: e.Epoch, Problem: doubt}, begun, ledger.RowsFree).Entry
	case ledger.Logged:
		e = ledger.Apply(e, ledger.LogID{Epoch: e.Epoch, ID: "1", Again: true}, begun, ledger.RowsFree).Entry
	case ledger.Failed:
		return ledger.Apply(e, ledger.Failure{Epoch: e.Epoch, Problem: refused}, begun, ledger.RowsFree).Entry
	case ledger.InFlight, ledger.Queued:
	}
	e.UnsettledUntil = time.Time{}
	if !settled {
		e.UnsettledUntil = asked.Add(time.Hour)
	}
	return e
}

// cellWords are what a cell says of the ledger, each as the document has it.
var cellWords = map[string]*regexp.Regexp{
	"logged":   regexp.MustCompile(`\blogged\b`),
	"failed":   regexp.MustCompile(`\bfailed\b`),
	"unknown":  regexp.MustCompile(`\bunknown\b`),
	"sent":     regexp.MustCompile(`\bsent\b`),
	"released": regexp.MustCompile(`\breleased\b`),
	"claimed":  regexp.MustCompile(`\bclaimed again\b`),
	"stray":    regexp.MustCompile(`\bstray\b`),
	"nothing":  regexp.MustCompile(`\bnothing\b|\bits caller gets 504\b`),
	"stays":    regexp.MustCompile(`\bstays\b`),
	"asked":    regexp.MustCompile(`\basked again\b`),
	"audit":    regexp.MustCompile(`\baudit\b`),
	"vanished": regexp.MustCompile(`\bvanished\b`),
	"history":  regexp.MustCompile(`\bkept as history\b`),
	"409":      regexp.MustCompile(`\b409\b`),
}

// saidOf returns the words for what became of an event.
func saidOf(ev ledger.Event, res ledger.Result, status map[string]int) []string {
	switch res.Outcome {
	case ledger.Ignored:
		return []string{"nothing"}
	case ledger.Strayed:
		return []string{"stray"}
	case ledger.Refused:
		return []string{strconv.Itoa(status[string(res.Refusal.Code)]), code(string(res.Refusal.Code))}
	case ledger.Applied:
	}
	var out []string
	switch res.Rows {
	case ledger.ReleaseRows:
		out = append(out, "released")
	case ledger.TakeRows:
		out = append(out, "claimed")
	case ledger.KeepRows:
	}
	switch to := res.Entry.State; {
	case to == ledger.InFlight:
		return append(out, "sent")
	case to != res.From:
		return append(out, string(to))
	case to == ledger.Unknown:
		return append(out, "stays", "asked")
	}
	switch ev.(type) {
	case ledger.Found:
		return append(out, "audit")
	case ledger.Forget:
		return append(out, "history")
	}
	if res.Entry.Vanished {
		return append(out, "vanished")
	}
	return append(out, "asked")
}

// becomes returns everything that the ledger says to an event in a state.
func becomes(state ledger.State, ev event, status map[string]int) []string {
	var out []string
	for _, settled := range []bool{false, true} {
		if (settled && ev.settled == before) || (!settled && ev.settled == after) {
			continue
		}
		for _, rows := range []ledger.RowState{ledger.RowsFree, ledger.RowsLogged, ledger.RowsHeld} {
			e := standing(state, settled)
			for _, form := range ev.forms(e.Epoch) {
				out = append(out, saidOf(form, ledger.Apply(e, form, asked, rows), status)...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// saidIn returns what a cell says, and the codes in it.
func saidIn(cell string) (said, codes []string) {
	codes = codeSpan.FindAllString(cell, -1)
	cell = codeSpan.ReplaceAllString(cell, "")
	for word, pattern := range cellWords {
		if pattern.MatchString(cell) {
			said = append(said, word)
		}
	}
	slices.Sort(said)
	return said, codes
}

// TestEvents holds the table of events in docs/DELIVERY.md against the ledger: each
// cell says everything that can become of the event, and nothing else.
func TestEvents(t *testing.T) {
	t.Parallel()
	const name = "docs/DELIVERY.md"
	status := map[string]int{}
	for _, p := range httpapi.ProblemDocs() {
		status[p.Code] = p.Status
	}
	rows := open(t, name).table(t, "events").rows
	seen := map[string]bool{}
	for _, row := range rows[1:] {
		ev, ok := events[row[0]]
		if !ok {
			t.Errorf("%s: the row %q is not known to this test", name, row[0])
		}
		seen[row[0]] = true
		if ev.forms == nil {
			continue
		}
		for column, cell := range row[1:] {
			state := ledger.State(rows[0][column+1])
			if !slices.Contains(ledger.States(), state) {
				t.Fatalf("%s: %q is no state", name, state)
			}
			if fault := cellFault(state, ev, status, cell, strings.HasSuffix(row[0], "own epoch")); fault != "" {
				t.Errorf("%s: %q in state %s: %s", name, row[0], state, fault)
			}
		}
	}
	for row := range events {
		if !seen[row] {
			t.Errorf("%s: the row %q is missing", name, row)
		}
	}
}

// cellFault says in what a cell differs from the ledger. "-" stands for what cannot
// happen: an attempt whose own epoch it is is in flight.
func cellFault(state ledger.State, ev event, status map[string]int, cell string, ownEpoch bool) string {
	want := becomes(state, ev, status)
	if cell == "-" {
		if slices.Equal(want, []string{"nothing"}) || (ownEpoch && state != ledger.InFlight) {
			return ""
		}
		return "something happens: " + strings.Join(want, ", ")
	}
	got, codes := saidIn(cell)
	var wantCodes []string
	want = slices.DeleteFunc(want, func(word string) bool {
		if strings.HasPrefix(word, "`") {
			wantCodes = append(wantCodes, word)
			return true
		}
		return false
	})
	switch {
	case !slices.Equal(got, want):
		return "says " + strings.Join(got, ", ") + "; the ledger " + strings.Join(want, ", ")
	case len(codes) > 0 && !slices.Equal(codes, wantCodes):
		return "names " + strings.Join(codes, ", ") + "; the ledger " + strings.Join(wantCodes, ", ")
	}
	return ""
}
