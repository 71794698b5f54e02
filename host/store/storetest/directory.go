package storetest

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/store"
)

var directoryCases = map[string]func(*testing.T, *fixture){
	"tenants":              directoryTenants,
	"enablements":          directoryEnablements,
	"no old revision":      directoryNoABA,
	"tokens":               directoryTokens,
	"one writer wins":      directoryRace,
	"values come back":     directoryValues,
	"nothing but the rows": directorySharesNothing,
}

func (f *fixture) directory(t *testing.T) *store.DirectoryRows {
	t.Helper()
	rows, err := f.Store.LoadDirectory(f.ctx)
	if err != nil {
		t.Fatalf("LoadDirectory: %v", err)
	}
	return rows
}

// moment is a time that every store can keep exactly.
var moment = time.Date(2026, 2, 3, 4, 5, 6, 789012000, time.UTC)

func directoryTenants(t *testing.T, f *fixture) {
	acme := store.Tenant{ID: "acme", DisplayName: "Acme", Timezone: "Europe/Berlin", CreatedAt: moment}
	acme.Revision = f.saveTenant(t, acme)
	if acme.Revision <= 0 {
		t.Fatalf("first revision = %d, want above 0", acme.Revision)
	}
	wantEqual(t, "rows", f.directory(t).Tenants, []store.Tenant{acme})

	again := acme
	again.Revision = 0
	_, err := f.Store.SaveTenant(f.ctx, again)
	wantErr(t, "save as new", err, store.ErrConflict)
	stale := acme
	acme.DisplayName = "Acme Ltd"
	acme.Revision = f.saveTenant(t, acme)
	_, err = f.Store.SaveTenant(f.ctx, stale)
	wantErr(t, "save with a stale revision", err, store.ErrConflict)
	_, err = f.Store.SaveTenant(f.ctx, store.Tenant{ID: "b", Revision: acme.Revision})
	wantErr(t, "save a new one with a revision", err, store.ErrConflict)

	acme.DeletedAt = moment.Add(time.Hour)
	acme.Revision = f.saveTenant(t, acme)
	wantEqual(t, "deleted ones included", f.directory(t).Tenants, []store.Tenant{acme})
}

func (f *fixture) saveTenant(t *testing.T, tenant store.Tenant) int64 {
	t.Helper()
	revision, err := f.Store.SaveTenant(f.ctx, tenant)
	if err != nil {
		t.Fatalf("SaveTenant(%s): %v", tenant.ID, err)
	}
	if revision == tenant.Revision {
		t.Errorf("SaveTenant(%s) kept revision %d", tenant.ID, revision)
	}
	return revision
}

func (f *fixture) saveEnablement(t *testing.T, e store.Enablement) int64 {
	t.Helper()
	revision, err := f.Store.SaveEnablement(f.ctx, e)
	if err != nil {
		t.Fatalf("SaveEnablement(%s, %s): %v", e.Tenant, e.Adapter, err)
	}
	return revision
}

func directoryEnablements(t *testing.T, f *fixture) {
	f.saveTenant(t, store.Tenant{ID: "acme"})
	f.saveTenant(t, store.Tenant{ID: "b"})
	e := store.Enablement{
		Tenant: "acme", Adapter: "examplecrm", Enabled: true, Version: "1.0.0", Isolation: "shared",
		OnUnavailable: "fail", Settings: []byte{0, 1, 0xff}, CreatedAt: moment, UpdatedAt: moment,
	}
	e.Revision = f.saveEnablement(t, e)
	other := store.Enablement{Tenant: "b", Adapter: "examplecrm", CreatedAt: moment, UpdatedAt: moment}
	other.Revision = f.saveEnablement(t, other)
	wantEqual(t, "rows", f.directory(t).Enablements, []store.Enablement{e, other})

	for name, change := range map[string]func(*store.Enablement){
		"as new": func(e *store.Enablement) { e.Revision = 0 },
		"stale":  func(e *store.Enablement) { e.Revision += 1000 },
		"remove stale": func(e *store.Enablement) {
			e.Revision += 1000
			e.Removed = true
		},
		"other tenant": func(e *store.Enablement) { e.Tenant = "b" },
	} {
		changed := e
		change(&changed)
		_, err := f.Store.SaveEnablement(f.ctx, changed)
		wantErr(t, name, err, store.ErrConflict)
	}
	wantEqual(t, "rows", f.directory(t).Enablements, []store.Enablement{e, other})

	e.Enabled, e.Settings, e.UpdatedAt = false, []byte("{}"), moment.Add(time.Hour)
	e.Revision = f.saveEnablement(t, e)
	wantEqual(t, "rows", f.directory(t).Enablements, []store.Enablement{e, other})
	e.Removed = true
	f.saveEnablement(t, e)
	wantEqual(t, "rows", f.directory(t).Enablements, []store.Enablement{other})
}

// directoryNoABA removes an enablement and makes it again: who still holds the
// first one cannot write over the second.
func directoryNoABA(t *testing.T, f *fixture) {
	f.saveTenant(t, store.Tenant{ID: "acme"})
	e := store.Enablement{Tenant: "acme", Adapter: "examplecrm", Version: "1.0.0"}
	first := e
	first.Revision = f.saveEnablement(t, e)
	removed := first
	removed.Removed = true
	f.saveEnablement(t, removed)
	second := e
	second.Version = "2.0.0"
	f.saveEnablement(t, second)
	_, err := f.Store.SaveEnablement(f.ctx, first)
	wantErr(t, "save the first again", err, store.ErrConflict)
	wantEqual(t, "version", f.directory(t).Enablements[0].Version, "2.0.0")
}

func directoryTokens(t *testing.T, f *fixture) {
	f.saveTenant(t, store.Tenant{ID: "acme"})
	one := store.Token{ID: "t1", Tenant: "acme", Name: "ci", Hash: bytes.Repeat([]byte{1}, 32), CreatedAt: moment}
	two := store.Token{
		ID: "t2", Tenant: "acme", Name: "ci", Hash: bytes.Repeat([]byte{2}, 32),
		CreatedAt: moment, ExpiresAt: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	for _, token := range []store.Token{one, two} {
		wantErr(t, "SaveToken", f.Store.SaveToken(f.ctx, token), nil)
	}
	wantEqual(t, "rows", f.directory(t).Tokens, []store.Token{one, two})
	changed := one
	changed.Hash = bytes.Repeat([]byte{3}, 32)
	wantErr(t, "an ID that exists", f.Store.SaveToken(f.ctx, changed), store.ErrConflict)
	changed.ID, changed.Hash = "t3", one.Hash
	wantErr(t, "a hash that exists", f.Store.SaveToken(f.ctx, changed), store.ErrConflict)
	wantErr(t, "revoke", f.Store.SaveToken(f.ctx, store.Token{ID: "t1", Revoked: true}), nil)
	wantEqual(t, "rows", f.directory(t).Tokens, []store.Token{two})
	wantErr(t, "revoke again", f.Store.SaveToken(f.ctx, store.Token{ID: "t1", Revoked: true}), store.ErrNotFound)
}

// directoryRace saves one row from many callers who read the same revision.
func directoryRace(t *testing.T, f *fixture) {
	tenant := store.Tenant{ID: "acme", CreatedAt: moment}
	tenant.Revision = f.saveTenant(t, tenant)
	var wg sync.WaitGroup
	var won atomic.Int64
	for range 16 {
		wg.Go(func() {
			revision, err := f.Store.SaveTenant(f.ctx, tenant)
			wantErr(t, "SaveTenant", err, nil, store.ErrConflict)
			if err == nil {
				won.Add(revision)
			}
		})
	}
	wg.Wait()
	wantEqual(t, "revision", f.directory(t).Tenants[0].Revision, won.Load())
}

func directoryValues(t *testing.T, f *fixture) {
	tenant := store.Tenant{
		ID: "a.b-c_d", DisplayName: "Ünïcode \u202e 'quoted' \"name\"", CreatedAt: moment.In(time.FixedZone("", 7200)),
	}
	tenant.Revision = f.saveTenant(t, tenant)
	got := f.directory(t).Tenants[0]
	if !got.CreatedAt.Equal(moment) || !got.DeletedAt.IsZero() {
		t.Errorf("times = %v, %v, want %v and zero", got.CreatedAt, got.DeletedAt, moment)
	}
	got.CreatedAt = tenant.CreatedAt
	wantEqual(t, "tenant", got, tenant)
}

func directorySharesNothing(t *testing.T, f *fixture) {
	f.saveTenant(t, store.Tenant{ID: "acme"})
	settings, hash := []byte("settings"), bytes.Repeat([]byte{7}, 32)
	f.saveEnablement(t, store.Enablement{Tenant: "acme", Adapter: "examplecrm", Settings: settings})
	wantErr(t, "SaveToken", f.Store.SaveToken(f.ctx, store.Token{ID: "t1", Tenant: "acme", Hash: hash}), nil)
	clear(settings)
	clear(hash)
	for range 2 {
		rows := f.directory(t)
		wantEqual(t, "settings", string(rows.Enablements[0].Settings), "settings")
		wantEqual(t, "hash", rows.Tokens[0].Hash, bytes.Repeat([]byte{7}, 32))
		clear(rows.Enablements[0].Settings)
		clear(rows.Tokens[0].Hash)
	}
}
