package tenant_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/store/memory"
	"github.com/patchbay-crm/patchbay/host/tenant"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestNewNamesEveryMissingPart(t *testing.T) {
	t.Parallel()
	_, err := tenant.New(tenant.Config{})
	for _, part := range []string{"Store", "Ledger", "Catalog", "Sealer", "AdminToken"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not name %s", err, part)
		}
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"a": true, "acme": true, "a-b_c.d": true, "0": true, strings.Repeat("a", 64): true,
		"": false, "A": false, "a.": false, ".a": false, "a..b": false, "-a": false, "a-": false,
		strings.Repeat("a", 65): false, "a/b": false, "a b": false, "ä": false, "a\n": false,
	} {
		if got := tenant.ValidID(id); got != want {
			t.Errorf("ValidID(%q) = %v, want %v", id, got, want)
		}
	}
}

func TestPutTenantReplacesAndPatchMerges(t *testing.T) {
	t.Parallel()
	f := setup(t)
	made, created, err := f.PutTenant(t.Context(), "acme", body(t, `{"displayName":"Acme","timezone":"Europe/Rome"}`))
	if err != nil || !created || made.DisplayName != "Acme" || made.Timezone != "Europe/Rome" || made.CreatedAt.IsZero() {
		t.Fatalf("put: %+v, created %v, %v", made, created, err)
	}
	patched, err := f.PatchTenant(t.Context(), "acme", body(t, `{"displayName":null}`))
	if err != nil || patched.DisplayName != "" || patched.Timezone != "Europe/Rome" {
		t.Fatalf("patch: %+v, %v", patched, err)
	}
	replaced, created, err := f.PutTenant(t.Context(), "acme", body(t, `{"displayName":"Acme Ltd"}`))
	if err != nil || created || replaced.Timezone != "" || !replaced.CreatedAt.Equal(made.CreatedAt) {
		t.Fatalf("replace: %+v, created %v, %v", replaced, created, err)
	}
	if got, err := f.another().Tenant("acme"); err != nil || got != replaced {
		t.Errorf("another host sees %+v, %v", got, err)
	}
}

func TestTenantBodiesAreRefusedWithEveryFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, want string }{
		"unknown member": {`{"displayname":"x"}`, "/displayname unknown_member"},
		"wrong types":    {`{"displayName":7,"timezone":false}`, "/displayName wrong_type, /timezone wrong_type"},
		"no such zone":   {`{"timezone":"Mars/Olympus"}`, "/timezone invalid_value"},
		"empty zone":     {`{"timezone":""}`, "/timezone invalid_value"},
		"machine's zone": {`{"timezone":"Local"}`, "/timezone invalid_value"},
		"long name":      {`{"displayName":"` + strings.Repeat("x", 201) + `"}`, "/displayName invalid_value"},
		"control":        {`{"displayName":"a\u0007"}`, "/displayName invalid_value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.tenant("known")
			_, _, err := f.PutTenant(t.Context(), "acme", body(t, c.body))
			wantCode(t, err, fault.InvalidFields)
			if got := pointers(err); got != c.want {
				t.Errorf("put: faults %q, want %q", got, c.want)
			}
			_, err = f.PatchTenant(t.Context(), "known", body(t, c.body))
			if got := pointers(err); got != c.want {
				t.Errorf("patch: faults %q, want %q", got, c.want)
			}
			if _, err := f.Tenant("acme"); fault.CodeOf(err) != fault.TenantNotFound {
				t.Errorf("a refused tenant exists: %v", err)
			}
		})
	}
}

func TestTenantZonesReachRoutes(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("acme")
	f.enable("acme", `{"enabled":true}`)
	if _, err := f.PatchTenant(t.Context(), "acme", body(t, `{"timezone":"Asia/Kolkata"}`)); err != nil {
		t.Fatal(err)
	}
	route, err := f.Route("acme", "acme")
	if err != nil || route.Timezone.Name != "Asia/Kolkata" {
		t.Errorf("route %+v, %v", route, err)
	}
}

func TestPagesHoldEveryTenantOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for i := range 7 {
		f.tenant(fmt.Sprintf("t%d", i))
	}
	for _, limit := range []int{1, 2, 3, 7, 50} {
		var got []string
		after := ""
		for {
			page, next := f.Tenants(after, limit)
			for _, one := range page {
				got = append(got, one.ID)
			}
			if len(page) > limit {
				t.Fatalf("limit %d: a page of %d", limit, len(page))
			}
			if after = next; after == "" {
				break
			}
		}
		if want := "t0 t1 t2 t3 t4 t5 t6"; strings.Join(got, " ") != want {
			t.Errorf("limit %d: got %v", limit, got)
		}
	}
}

func TestDeletedTenantIsGoneAndItsIDStays(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("acme")
	f.enable("acme", `{"enabled":true,"settings":{"webhookKey":"s3cret"}}`)
	_, token, err := f.CreateToken(t.Context(), "acme", body(t, `{"name":"ci"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.DeleteTenant(t.Context(), "acme", false); err != nil {
		t.Fatal(err)
	}
	_, err = f.Tenant("acme")
	wantCode(t, err, fault.TenantNotFound)
	_, err = f.Route("acme", "acme")
	wantCode(t, err, fault.TenantNotFound)
	_, err = f.Authenticate(token.Reveal())
	wantCode(t, err, fault.Unauthenticated)
	if len(f.Wanted()) != 0 {
		t.Errorf("still wanted: %v", f.Wanted())
	}
	wantCode(t, f.DeleteTenant(t.Context(), "acme", false), fault.TenantNotFound)
	_, _, err = f.PutTenant(t.Context(), "acme", body(t, `{}`))
	wantCode(t, err, fault.Conflict)
	_, _, err = f.another().PutTenant(t.Context(), "acme", body(t, `{}`))
	wantCode(t, err, fault.Conflict)
	rows, err := f.store.LoadDirectory(t.Context())
	if err != nil || len(rows.Enablements) != 0 || len(rows.Tokens) != 0 {
		t.Errorf("rows of the tenant are left: %+v, %v", rows, err)
	}
}

func TestDeleteTenantWaitsForUnsettledEntries(t *testing.T) {
	t.Parallel()
	for _, state := range ledger.States() {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.tenant("acme")
			f.ledger[state] = 1
			err := f.DeleteTenant(t.Context(), "acme", false)
			if state.Settled() {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			wantCode(t, err, fault.Conflict)
			if err := f.DeleteTenant(t.Context(), "acme", true); err != nil {
				t.Errorf("forced: %v", err)
			}
		})
	}
}

// A change that another host made meanwhile must survive ours, and ours must not
// be refused for it.
func TestChangeIsMadeAnewOnFreshRows(t *testing.T) {
	t.Parallel()
	f := setup(t)
	other := f.another()
	if _, _, err := other.PutTenant(t.Context(), "acme", body(t, `{"displayName":"Acme"}`)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.PutTenant(t.Context(), "acme", body(t, `{"displayName":"Acme 2"}`)); err != nil {
		t.Fatalf("put over another host's row: %v", err)
	}
	if _, err := other.PatchTenant(t.Context(), "acme", body(t, `{"timezone":"Z"}`)); err != nil {
		t.Fatalf("patch of a stale row: %v", err)
	}
	got, err := other.Tenant("acme")
	if err != nil || got.DisplayName != "Acme 2" || got.Timezone != "Z" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestChangeGivesUpWhenRowsKeepChanging(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for range 10 {
		f.store.fail = append(f.store.fail, store.ErrConflict)
	}
	_, _, err := f.PutTenant(t.Context(), "acme", body(t, `{}`))
	wantCode(t, err, fault.Conflict)
}

// When nobody knows whether the write took place, memory must follow the store.
func TestUncertainWriteIsReadBack(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]bool{"written": true, "not written": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.store.fail, f.store.after = []error{store.ErrUncertain}, after
			_, _, err := f.PutTenant(t.Context(), "acme", body(t, `{}`))
			wantCode(t, err, fault.Outcome)
			if fault.ClassOf(err) != fault.Unknown || !errors.Is(err, store.ErrUncertain) {
				t.Errorf("got %v, class %s", err, fault.ClassOf(err))
			}
			if _, err := f.Tenant("acme"); (err == nil) != after {
				t.Errorf("written %v, but the directory says %v", after, err)
			}
		})
	}
}

// A disk that is full is no fault of the host's: the same change may be made later.
func TestWritesThatFailMayBeRepeated(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(f *fixture, token string) error{
		"put tenant": func(f *fixture, _ string) error {
			_, _, err := f.PutTenant(f.t.Context(), "b", body(f.t, `{}`))
			return err
		},
		"patch tenant": func(f *fixture, _ string) error {
			_, err := f.PatchTenant(f.t.Context(), "a", body(f.t, `{"timezone":"Z"}`))
			return err
		},
		"delete tenant": func(f *fixture, _ string) error { return f.DeleteTenant(f.t.Context(), "a", false) },
		"put enablement": func(f *fixture, _ string) error {
			_, _, err := f.PutEnablement(f.t.Context(), "a", "acme", body(f.t, `{"enabled":false}`))
			return err
		},
		"patch enablement": func(f *fixture, _ string) error {
			_, err := f.PatchEnablement(f.t.Context(), "a", "acme", body(f.t, `{"enabled":false}`))
			return err
		},
		"delete enablement": func(f *fixture, _ string) error {
			return f.DeleteEnablement(f.t.Context(), "a", "acme")
		},
		"create token": func(f *fixture, _ string) error {
			_, _, err := f.CreateToken(f.t.Context(), "a", body(f.t, `{"name":"x"}`))
			return err
		},
		"revoke token": func(f *fixture, token string) error { return f.RevokeToken(f.t.Context(), "a", token) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.tenant("a")
			f.enable("a", `{"enabled":true}`)
			made, _, err := f.CreateToken(t.Context(), "a", body(t, `{"name":"x"}`))
			if err != nil {
				t.Fatal(err)
			}
			full := errors.New("s3cret path: no space left on device")
			f.store.fail = []error{full}
			err = change(f, made.ID)
			wantCode(t, err, fault.Overloaded)
			if fault.ClassOf(err) != fault.Retryable || fault.RetryAfterOf(err) != time.Second ||
				fault.MessageOf(err) != "the ledger cannot be written" || !errors.Is(err, full) {
				t.Errorf("got %v, class %s", err, fault.ClassOf(err))
			}
			if err := change(f, made.ID); err != nil {
				t.Errorf("once there is space: %v", err)
			}
		})
	}
}

func TestChangesAreAnnounced(t *testing.T) {
	t.Parallel()
	f := setup(t)
	<-f.Changed() // the load
	f.tenant("a")
	f.tenant("b")
	<-f.Changed()
	select {
	case <-f.Changed():
		t.Error("two changes gave two values: nobody reads that fast")
	default:
	}
}

func TestChangesAtOnceAreAllKept(t *testing.T) {
	t.Parallel()
	f := setup(t)
	hosts := []*tenant.Directory{f.Directory, f.another()}
	var wait sync.WaitGroup
	for i := range 20 {
		wait.Go(func() {
			id := fmt.Sprintf("t%02d", i)
			if _, _, err := hosts[i%2].PutTenant(t.Context(), id, body(t, `{}`)); err != nil {
				t.Errorf("put %s: %v", id, err)
			}
		})
	}
	wait.Wait()
	page, _ := f.another().Tenants("", 100)
	if len(page) != 20 {
		t.Errorf("%d tenants, want 20", len(page))
	}
}

func TestLoadFailsWithTheStore(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.store.Store = memory.New(nil)
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Load(t.Context()); !errors.Is(err, store.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
