package storetest

import (
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

var agendaCases = map[string]func(*testing.T, *fixture){
	"due":               agendaDue,
	"due order, limit":  agendaOrder,
	"due follows":       agendaFollows,
	"payload":           agendaPayload,
	"payloads grow old": agendaErase,
	"erase by portions": agendaErasePortions,
}

func (f *fixture) due(t *testing.T, limit int) ([]string, time.Duration) {
	t.Helper()
	entries, wait, err := f.Store.Due(f.ctx, limit, nil)
	wantErr(t, "Due", err, nil)
	ids := []string{}
	for _, e := range entries {
		stored, err := f.Store.Entry(f.ctx, e.Tenant, e.ID)
		wantErr(t, "Entry", err, nil)
		wantEqual(t, "due entry", e, stored)
		ids = append(ids, e.ID)
	}
	return ids, wait
}

// wantWait allows for a clock that runs on.
func wantWait(t *testing.T, got, want time.Duration) {
	t.Helper()
	if got > want || got < want-time.Second {
		t.Errorf("wait = %v, want %v", got, want)
	}
}

func agendaDue(t *testing.T, f *fixture) {
	e := f.open(t, f.draft("a"))
	ids, wait := f.due(t, 10)
	wantEqual(t, "before the window ends", ids, []string{})
	wantWait(t, wait, 11*time.Second)
	f.Advance(10 * time.Second)
	_, wait = f.due(t, 10)
	wantWait(t, wait, time.Second)
	f.Advance(time.Second)
	ids, wait = f.due(t, 10)
	wantEqual(t, "at its end", ids, []string{e.ID})
	wantEqual(t, "wait", wait, time.Duration(0))
	ids, _ = f.due(t, 0)
	wantEqual(t, "limit 0", ids, []string{})
	agendaExcept(t, f, e)
}

// agendaExcept leaves out an adapter that has enough to do, but for the ends of its
// windows.
func agendaExcept(t *testing.T, f *fixture, e ledger.Entry) {
	except := func() int {
		due, _, err := f.Store.Due(f.ctx, 10, []string{"nobody", e.Adapter})
		wantErr(t, "Due", err, nil)
		return len(due)
	}
	wantEqual(t, "in flight, although excepted", except(), 1)
	_, err := f.Store.Apply(f.ctx, e.ID, ledger.Expire{Epoch: e.Epoch})
	wantErr(t, "Expire", err, nil)
	wantEqual(t, "unknown and excepted", except(), 0)
	ids, _ := f.due(t, 10)
	wantEqual(t, "unknown", ids, []string{e.ID})
}

// agendaOrder makes entries due in another order than they were made in.
func agendaOrder(t *testing.T, f *fixture) {
	var want []string
	for _, m := range numbered("m", 5) {
		draft := f.draft(m)
		got, err := f.Store.Claim(f.ctx, store.Claim{
			Draft: draft, Timing: ledger.Timing{Window: time.Duration(50-len(want)*10) * time.Second},
		})
		wantErr(t, "Claim", err, nil)
		want = append([]string{got.Entry.ID}, want...)
	}
	f.Advance(42 * time.Second) // the ends were at 51, 41, 31, 21 and 11 s
	ids, wait := f.due(t, 10)
	wantEqual(t, "due", ids, want[:4])
	wantWait(t, wait, 9*time.Second)
	ids, wait = f.due(t, 2)
	wantEqual(t, "two", ids, want[:2])
	wantWait(t, wait, 9*time.Second)
}

// agendaFollows shows that the agenda is always that of the entries' NextAt.
func agendaFollows(t *testing.T, f *fixture) {
	e := f.open(t, f.draft("a"))
	e = f.apply(t, e.ID, ledger.Lost{Epoch: e.Epoch, Problem: unclear}, ledger.Applied)
	ids, _ := f.due(t, 10)
	wantEqual(t, "unknown: search now", ids, []string{e.ID})
	e = f.apply(t, e.ID, ledger.CannotTell{Epoch: e.Epoch, RetryAfter: 5 * time.Second}, ledger.Applied)
	ids, wait := f.due(t, 10)
	wantEqual(t, "search later", ids, []string{})
	wantWait(t, wait, 5*time.Second)
	e = f.apply(t, e.ID, ledger.Found{Epoch: e.Epoch, LogIDs: []string{"1"}}, ledger.Applied)
	f.Advance(1000 * time.Hour)
	ids, wait = f.due(t, 10)
	wantEqual(t, "logged: nothing", ids, []string{})
	wantEqual(t, "wait", wait, time.Duration(0))
	f.apply(t, e.ID, ledger.LogID{Epoch: 1, ID: "2"}, ledger.Strayed)
	ids, _ = f.due(t, 10)
	wantEqual(t, "logged with a stray: audit", ids, []string{e.ID})
}

func agendaPayload(t *testing.T, f *fixture) {
	_, err := f.Store.Payload(f.ctx, f.ids.next())
	wantErr(t, "no such entry", err, store.ErrNotFound)
	draft := f.draft("a")
	payload := make([]byte, 300_000)
	for i := range payload {
		payload[i] = byte(i * i)
	}
	_, err = f.Store.Claim(f.ctx, store.Claim{Draft: draft, Timing: timing, Payload: payload})
	wantErr(t, "Claim", err, nil)
	got, err := f.Store.Payload(f.ctx, draft.ID)
	wantErr(t, "Payload", err, nil)
	wantEqual(t, "same bytes", string(got) == string(payload), true)

	none := f.draft("b")
	_, err = f.Store.Claim(f.ctx, store.Claim{Draft: none, Timing: timing})
	wantErr(t, "Claim", err, nil)
	_, err = f.Store.Payload(f.ctx, none.ID)
	wantErr(t, "no payload", err, store.ErrNotFound)
}

func agendaErase(t *testing.T, f *fixture) {
	old := f.open(t, f.draft("a"))
	failed := f.open(t, f.draft("b"))
	f.apply(t, failed.ID, ledger.Failure{Epoch: failed.Epoch, Problem: rejected}, ledger.Applied)
	f.log(t, "log", "c")
	f.Advance(2 * time.Hour)
	young := f.open(t, f.draft("d"))
	f.Advance(time.Hour)
	for _, step := range []struct {
		age  time.Duration
		want int
	}{{3*time.Hour + time.Minute, 0}, {2 * time.Hour, 2}, {2 * time.Hour, 0}} {
		n, err := f.Store.ErasePayloads(f.ctx, step.age, 10)
		wantErr(t, "ErasePayloads", err, nil)
		wantEqual(t, "erased", n, step.want)
	}
	wantEqual(t, "old, failed, young", []bool{
		f.hasPayload(t, old.ID), f.hasPayload(t, failed.ID), f.hasPayload(t, young.ID),
	}, []bool{false, false, true})
	wantEqual(t, "entry", f.entry(t, old.ID), old)
	f.apply(t, old.ID, ledger.LogID{Epoch: old.Epoch, ID: "late"}, ledger.Applied)
}

func agendaErasePortions(t *testing.T, f *fixture) {
	for _, m := range numbered("m", 7) {
		f.open(t, f.draft(m))
	}
	f.Advance(time.Hour)
	for _, want := range []int{3, 3, 1, 0} {
		n, err := f.Store.ErasePayloads(f.ctx, time.Minute, 3)
		wantErr(t, "ErasePayloads", err, nil)
		wantEqual(t, "erased", n, want)
	}
}
