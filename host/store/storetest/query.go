package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

var queryCases = map[string]func(*testing.T, *fixture){
	"one entry":   queryEntry,
	"filters":     queryFilters,
	"pages":       queryPages,
	"limit":       queryLimit,
	"holders":     queryHolders,
	"count":       queryCount,
	"empty store": queryEmpty,
}

func queryEntry(t *testing.T, f *fixture) {
	e := f.open(t, f.draft("a"))
	for name, key := range map[string][2]string{
		"other tenant": {"other", e.ID}, "no tenant": {"", e.ID},
		"no such ID": {scope.Tenant, f.ids.next()}, "empty ID": {scope.Tenant, ""},
	} {
		_, err := f.Store.Entry(f.ctx, key[0], key[1])
		wantErr(t, name, err, store.ErrNotFound)
	}
}

// populate makes entries that differ in everything that can be filtered by, one
// a minute, and returns them oldest first.
func (f *fixture) populate(t *testing.T) []ledger.Entry {
	t.Helper()
	var all []ledger.Entry
	for n := range 48 {
		f.Advance(time.Minute)
		draft := f.draft("m"+[]string{"1", "2", "3"}[n%3], "of "+f.ids.next())
		draft.Tenant = []string{"acme", "acme.eu", "b"}[n%3]
		draft.Adapter = []string{"examplecrm", "faulty"}[n%2]
		draft.ContactType = []string{"", "person", "lead", "a"}[n%4]
		draft.ContactID = []string{"7", "8", "70", "07", "7 "}[n%5]
		draft.UserID = []string{"", "42", "4"}[n/2%3]
		draft.Account = draft.ID // so that no claims meet
		e := f.open(t, draft)
		lost := ledger.Lost{Epoch: e.Epoch, Problem: unclear}
		switch n % 6 {
		case 1:
			e = f.apply(t, e.ID, ledger.LogID{Epoch: e.Epoch, ID: "log"}, ledger.Applied)
		case 2:
			e = f.apply(t, e.ID, lost, ledger.Applied)
		case 3:
			e = f.apply(t, e.ID, ledger.Failure{Epoch: e.Epoch, Problem: rejected}, ledger.Applied)
		case 4:
			e = f.apply(t, e.ID, lost, ledger.Applied)
			f.Advance(time.Minute)
			e = f.apply(t, e.ID, ledger.NotFound{Epoch: e.Epoch, Dead: true, Requeue: true}, ledger.Applied)
		}
		all = append(all, e)
	}
	return all
}

// queryFilters asks with every filter alone and in pairs, and compares with a
// reading of the filters entry by entry.
func queryFilters(t *testing.T, f *fixture) {
	all := f.populate(t)
	none, person := "", "person"
	filters := map[string]func(*store.Query){
		"nothing":      func(*store.Query) {},
		"tenant":       func(q *store.Query) { q.Tenant = "acme" },
		"other tenant": func(q *store.Query) { q.Tenant = "nobody" },
		"adapter":      func(q *store.Query) { q.Adapter = "faulty" },
		"state":        func(q *store.Query) { q.States = []ledger.State{ledger.Unknown} },
		"logged":       func(q *store.Query) { q.States = []ledger.State{ledger.Logged} },
		"in flight":    func(q *store.Query) { q.States = []ledger.State{ledger.InFlight} },
		"states": func(q *store.Query) {
			q.States = []ledger.State{ledger.InFlight, ledger.Queued, ledger.Logged, ledger.Queued}
		},
		"every state":     func(q *store.Query) { q.States = ledger.States() },
		"no such state":   func(q *store.Query) { q.States = []ledger.State{"lost"} },
		"contact id":      func(q *store.Query) { q.ContactID = "7" },
		"contact type":    func(q *store.Query) { q.ContactType = &person },
		"no contact type": func(q *store.Query) { q.ContactType = &none },
		"message":         func(q *store.Query) { q.MessageID = "m2" },
		"second message":  func(q *store.Query) { q.MessageID = all[7].Messages[1] },
		"no such message": func(q *store.Query) { q.MessageID = "m" },
		"user":            func(q *store.Query) { q.UserID = "42" },
		"since":           func(q *store.Query) { q.Since = all[10].CreatedAt },
		"until":           func(q *store.Query) { q.Until = all[30].CreatedAt },
		"since, in between": func(q *store.Query) {
			q.Since = all[10].CreatedAt.Add(time.Nanosecond)
		},
		"until, in between": func(q *store.Query) {
			q.Until = all[10].CreatedAt.Add(time.Nanosecond).In(time.FixedZone("", 3600))
		},
		"before": func(q *store.Query) { q.Before = all[20].ID },
	}
	for one, narrow := range filters {
		for two, narrower := range filters {
			q := store.Query{Limit: 500}
			narrow(&q)
			narrower(&q)
			got, err := f.Store.Entries(f.ctx, q)
			wantErr(t, one+" and "+two, err, nil)
			var want []ledger.Entry
			for _, e := range slices.Backward(all) {
				if selects(q, e) {
					want = append(want, e)
				}
			}
			if len(got)+len(want) > 0 {
				wantEqual(t, one+" and "+two, got, want)
			}
		}
	}
}

// selects is the suite's own reading of a query.
func selects(q store.Query, e ledger.Entry) bool {
	for _, text := range [][2]string{
		{q.Tenant, e.Tenant}, {q.Adapter, e.Adapter}, {q.ContactID, e.ContactID}, {q.UserID, e.UserID},
	} {
		if text[0] != "" && text[0] != text[1] {
			return false
		}
	}
	switch {
	case q.States != nil && !slices.Contains(q.States, e.State),
		q.ContactType != nil && *q.ContactType != e.ContactType,
		q.MessageID != "" && !slices.Contains(e.Messages, q.MessageID),
		!q.Since.IsZero() && e.CreatedAt.Before(q.Since),
		!q.Until.IsZero() && !e.CreatedAt.Before(q.Until),
		q.Before != "" && e.ID >= q.Before:
		return false
	}
	return true
}

// queryPages walks the ledger by cursor, while new entries come in.
func queryPages(t *testing.T, f *fixture) {
	var all []string
	for _, m := range numbered("m", 25) {
		all = append(all, f.open(t, f.draft(m)).ID)
	}
	for _, q := range []store.Query{
		{Tenant: scope.Tenant, Limit: 7},
		{Tenant: scope.Tenant, Limit: 7, States: []ledger.State{ledger.InFlight, ledger.Logged}},
		{Limit: 1},
	} {
		var seen []string
		for page := range 100 {
			got, err := f.Store.Entries(f.ctx, q)
			wantErr(t, "Entries", err, nil)
			if len(got) == 0 {
				break
			}
			for _, e := range got {
				seen = append(seen, e.ID)
			}
			q.Before = got[len(got)-1].ID
			if page == 1 {
				f.open(t, f.draft("late "+f.ids.next()))
			}
		}
		slices.Reverse(seen)
		wantEqual(t, "pages", seen, all)
		all = append(all, newest(t, f))
	}
}

func newest(t *testing.T, f *fixture) string {
	t.Helper()
	got, err := f.Store.Entries(f.ctx, store.Query{Limit: 1})
	wantErr(t, "Entries", err, nil)
	return got[0].ID
}

func queryLimit(t *testing.T, f *fixture) {
	for _, m := range numbered("m", 60) {
		f.open(t, f.draft(m))
	}
	for limit, want := range map[int]int{0: 50, 1: 1, 59: 59, 60: 60, 500: 60} {
		got, err := f.Store.Entries(f.ctx, store.Query{Tenant: scope.Tenant, Limit: limit})
		wantErr(t, "Entries", err, nil)
		wantEqual(t, "entries", len(got), want)
	}
}

func queryHolders(t *testing.T, f *fixture) {
	e := f.open(t, f.draft("a", "b"))
	logged := f.log(t, "log", "c")
	got, err := f.Store.Holders(f.ctx, scope, []string{"c", "x", "b", "c"})
	wantErr(t, "Holders", err, nil)
	wantEqual(t, "Holders", got, []store.Holder{{Message: "c", Entry: logged}, {Message: "b", Entry: e}})
	other := scope
	other.Account = "else.example.com"
	wantEqual(t, "other scope", f.holders(t, other, "a", "b", "c"), map[string]string{})
	wantEqual(t, "no messages", f.holders(t, scope), map[string]string{})
}

func queryCount(t *testing.T, f *fixture) {
	all := f.populate(t)
	for _, tenant := range []string{"", "acme", "acme.eu", "b", "nobody"} {
		want := map[ledger.State]int{}
		for _, e := range all {
			if tenant == "" || e.Tenant == tenant {
				want[e.State]++
			}
		}
		got, err := f.Store.CountStates(f.ctx, tenant)
		wantErr(t, "CountStates", err, nil)
		for _, s := range ledger.States() {
			wantEqual(t, tenant+" "+string(s), got[s], want[s])
		}
	}
}

func queryEmpty(t *testing.T, f *fixture) {
	entries, err := f.Store.Entries(f.ctx, store.Query{})
	wantErr(t, "Entries", err, nil)
	wantEqual(t, "Entries", len(entries), 0)
	due, wait, err := f.Store.Due(f.ctx, 10, nil)
	wantErr(t, "Due", err, nil)
	wantEqual(t, "Due", len(due), 0)
	wantEqual(t, "wait", wait, time.Duration(0))
	rows, err := f.Store.LoadDirectory(f.ctx)
	wantErr(t, "LoadDirectory", err, nil)
	wantEqual(t, "rows", len(rows.Tenants)+len(rows.Enablements)+len(rows.Tokens), 0)
	erased, err := f.Store.ErasePayloads(f.ctx, 0, 10)
	wantErr(t, "ErasePayloads", err, nil)
	wantEqual(t, "erased", erased, 0)
}
