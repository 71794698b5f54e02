package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

var lifecycleCases = map[string]func(*testing.T, *fixture){
	"cancelled before":        lifecycleCancelled,
	"cancelled meanwhile":     lifecycleCancelMeanwhile,
	"closed":                  lifecycleClosed,
	"closed while they write": lifecycleCloseUnderWrites,
}

// everything calls each method once and returns what each answered.
func everything(ctx context.Context, f *fixture) map[string]error {
	errs := map[string]error{}
	s := f.Store
	_, errs["Claim"] = s.Claim(ctx, store.Claim{Draft: f.draft("x"), Timing: timing})
	_, errs["Apply"] = s.Apply(ctx, f.ids.next(), ledger.Forget{})
	_, errs["Holders"] = s.Holders(ctx, scope, []string{"x"})
	_, errs["Entry"] = s.Entry(ctx, scope.Tenant, f.ids.next())
	_, errs["Entries"] = s.Entries(ctx, store.Query{})
	_, _, errs["Due"] = s.Due(ctx, 1, nil)
	_, errs["Payload"] = s.Payload(ctx, f.ids.next())
	_, errs["ErasePayloads"] = s.ErasePayloads(ctx, 0, 1)
	_, errs["CountStates"] = s.CountStates(ctx, "")
	_, errs["LoadDirectory"] = s.LoadDirectory(ctx)
	_, errs["SaveTenant"] = s.SaveTenant(ctx, store.Tenant{ID: "x"})
	_, errs["SaveEnablement"] = s.SaveEnablement(ctx, store.Enablement{Tenant: "x", Adapter: "x"})
	errs["SaveToken"] = s.SaveToken(ctx, store.Token{ID: "x", Hash: []byte("x")})
	_, errs["PinPackage"] = s.PinPackage(ctx, "x", "1", "x")
	errs["RepinPackage"] = s.RepinPackage(ctx, "x", "1", "x")
	_, errs["Identity"] = s.Identity(ctx)
	_, errs["Fact"] = s.Fact(ctx, "x", "x")
	return errs
}

// lifecycleCancelled calls everything with a context that is over: nothing is
// written.
func lifecycleCancelled(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	for name, err := range everything(ctx, f) {
		wantErr(t, name, err, context.Canceled)
	}
	wantEqual(t, "Holders", f.holders(t, scope, "x"), map[string]string{})
	wantEqual(t, "tenants", len(f.directory(t).Tenants), 0)
	value, err := f.Store.Fact(f.ctx, "x", "y")
	wantErr(t, "Fact", err, nil)
	wantEqual(t, "fact", value, "y")
}

// lifecycleCancelMeanwhile ends the callers' contexts while they claim. Whoever
// got an error may be sure that nothing was written; who got an answer, that it
// was.
func lifecycleCancelMeanwhile(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx)
	messages := numbered("m", 300)
	errs := make([]error, len(messages))
	var wg sync.WaitGroup
	for i, m := range messages {
		draft := f.draft(m)
		wg.Go(func() {
			if i == len(messages)/2 {
				cancel()
			}
			_, errs[i] = f.Store.Claim(ctx, store.Claim{Draft: draft, Timing: timing})
		})
	}
	wg.Wait()
	cancel()
	held := f.holders(t, scope, messages...)
	for i, m := range messages {
		wantErr(t, "Claim", errs[i], nil, context.Canceled)
		wantEqual(t, m+" is held", held[m] != "", errs[i] == nil)
	}
}

func lifecycleClosed(t *testing.T, f *fixture) {
	wantErr(t, "Close", f.Store.Close(), nil)
	for name, err := range everything(f.ctx, f) {
		wantErr(t, name, err, store.ErrClosed)
	}
	wantErr(t, "Close again", f.Store.Close(), nil)
}

// lifecycleCloseUnderWrites closes the store while callers write: each is
// answered, with an outcome or ErrClosed.
func lifecycleCloseUnderWrites(t *testing.T, f *fixture) {
	var wg sync.WaitGroup
	started := make(chan struct{}, 16)
	for range cap(started) {
		wg.Go(func() {
			for first := true; ; first = false {
				draft := f.draft(f.ids.next())
				_, err := f.Store.Claim(f.ctx, store.Claim{Draft: draft, Timing: timing})
				if errors.Is(err, store.ErrClosed) {
					return
				}
				wantErr(t, "Claim", err, nil)
				if err != nil {
					return
				}
				if first {
					started <- struct{}{}
				}
			}
		})
	}
	for range cap(started) {
		<-started
	}
	wantErr(t, "Close", f.Store.Close(), nil)
	wg.Wait()
}

var durableCases = map[string]func(*testing.T, *fixture){
	"everything survives a restart": durableRestart,
	"a restart under writes":        durableUnderWrites,
}

func durableRestart(t *testing.T, f *fixture) {
	all := f.populate(t)
	f.saveTenant(t, store.Tenant{ID: "acme", CreatedAt: moment})
	f.saveEnablement(t, store.Enablement{Tenant: "acme", Adapter: "examplecrm"})
	_, err := f.Store.PinPackage(f.ctx, "examplecrm", "1.0.0", "aa")
	wantErr(t, "PinPackage", err, nil)
	identity, err := f.Store.Identity(f.ctx)
	wantErr(t, "Identity", err, nil)
	rows := f.directory(t)
	dueBefore, _ := f.due(t, 100)
	countBefore, err := f.Store.CountStates(f.ctx, "")
	wantErr(t, "CountStates", err, nil)

	f.Store = f.Reopen(t)
	for _, e := range all {
		got, err := f.Store.Entry(f.ctx, e.Tenant, e.ID)
		wantErr(t, "Entry", err, nil)
		wantEqual(t, "entry", got, e)
		_, holds := f.holders(t, e.Scope, e.Messages[1])[e.Messages[1]]
		wantEqual(t, string(e.State)+" holds its messages", holds, e.State != ledger.Failed)
		wantEqual(t, string(e.State)+" has its payload", f.hasPayload(t, e.ID), e.State != ledger.Logged)
	}
	again, err := f.Store.Identity(f.ctx)
	wantErr(t, "Identity", err, nil)
	wantEqual(t, "identity", again, identity)
	wantEqual(t, "directory", f.directory(t), rows)
	pinned, err := f.Store.PinPackage(f.ctx, "examplecrm", "1.0.0", "bb")
	wantErr(t, "PinPackage", err, nil)
	wantEqual(t, "pin", pinned, "aa")
	dueAfter, _ := f.due(t, 100)
	wantEqual(t, "due", dueAfter, dueBefore)
	countAfter, err := f.Store.CountStates(f.ctx, "")
	wantErr(t, "CountStates", err, nil)
	wantEqual(t, "counts", countAfter, countBefore)
	for _, e := range all {
		f.applyOneAs(t, e, ledger.LogID{Epoch: e.Epoch, ID: "late"})
	}
	f.saveTenant(t, store.Tenant{ID: "acme", Revision: rows.Tenants[0].Revision})
}

// applyOneAs is applyOne for an entry of any tenant.
func (f *fixture) applyOneAs(t *testing.T, before ledger.Entry, ev ledger.Event) {
	t.Helper()
	got, err := f.Store.Apply(f.ctx, before.ID, ev)
	wantErr(t, "Apply", err, nil)
	if got.Changed() {
		want := ledger.Apply(before, ev, got.Entry.UpdatedAt, ledger.RowsFree)
		wantEqual(t, "entry", got.Entry, micros(want.Entry))
	}
}

// durableUnderWrites closes the store under load: what was answered is there.
func durableUnderWrites(t *testing.T, f *fixture) {
	var mu sync.Mutex
	var claimed []string
	var wg sync.WaitGroup
	enough := make(chan struct{}, 1)
	for range 8 {
		wg.Go(func() {
			for {
				draft := f.draft(f.ids.next())
				if _, err := f.Store.Claim(f.ctx, store.Claim{Draft: draft, Timing: timing}); err != nil {
					wantErr(t, "Claim", err, store.ErrClosed)
					return
				}
				mu.Lock()
				if claimed = append(claimed, draft.ID); len(claimed) == 100 {
					enough <- struct{}{}
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	reopened := f.Reopen(t)
	wg.Wait()
	f.Store = reopened
	f.Advance(time.Hour)
	for _, id := range claimed {
		f.apply(t, id, ledger.Expire{Epoch: 1}, ledger.Applied)
	}
}
