package tenant_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/tenant"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestRouteOutcomes(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("a")
	_, err := f.Route("nobody", "acme")
	wantCode(t, err, fault.TenantNotFound)
	_, err = f.Route("a", "nothing")
	wantCode(t, err, fault.AdapterNotFound)
	_, err = f.Route("a", "acme")
	wantCode(t, err, fault.AdapterDisabled)
	f.enable("a", `{"enabled":true,"settings":{"prefix":"Hi","webhookKey":"s3cret"}}`)
	route, err := f.Route("a", "acme")
	if err != nil || !route.Enabled || route.Version != "1.0.0" || route.Package == nil || route.Manifest == nil ||
		route.Isolation != manifest.Shared || route.OnUnavailable != "fail" {
		t.Fatalf("got %+v, %v", route, err)
	}
	if route.Settings["prefix"].String() != "Hi" || route.Settings["webhookKey"].String() != "s3cret" {
		t.Errorf("settings %v", route.Settings)
	}
	f.tenant("b")
	if again, err := f.Route("a", "acme"); err != nil || again != route {
		t.Error("an unrelated change replaced the route")
	}
	f.enable("a", `{"enabled":false}`)
	if route, err = f.Route("a", "acme"); err != nil || route.Enabled {
		t.Errorf("a disabled adapter's route: %+v, %v", route, err)
	}
	f.catalog.uninstall()
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = f.Route("a", "acme")
	wantCode(t, err, fault.AdapterNotFound)
}

func TestVersionIsStoredNotFollowed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("a")
	if e := f.enable("a", `{"enabled":true}`); e.Version != "1.0.0" {
		t.Fatalf("got %+v", e)
	}
	f.catalog.install(t, "1.1.0", nil)
	f.catalog.install(t, "2.0.0-beta.1", nil)
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	version := func() string {
		t.Helper()
		route, err := f.Route("a", "acme")
		if err != nil {
			t.Fatal(err)
		}
		return route.Version
	}
	if got := version(); got != "1.0.0" {
		t.Errorf("an install upgraded the tenant to %s", got)
	}
	f.enable("a", `{"enabled":false}`)
	if got := version(); got != "1.0.0" {
		t.Errorf("switching off upgraded the tenant to %s", got)
	}
	patch := func(text string) {
		t.Helper()
		if _, err := f.PatchEnablement(t.Context(), "a", "acme", body(t, text)); err != nil {
			t.Fatal(err, pointers(err))
		}
	}
	patch(`{"enabled":true}`)
	if got := version(); got != "1.0.0" {
		t.Errorf("switching on upgraded the tenant to %s", got)
	}
	patch(`{"version":null}`)
	if got := version(); got != "1.1.0" {
		t.Errorf("version null gave %s, want the newest stable", got)
	}
	patch(`{"version":"2.0.0-beta.1"}`)
	if got := version(); got != "2.0.0-beta.1" {
		t.Errorf("a named prerelease gave %s", got)
	}
	f.enable("a", `{"enabled":true}`)
	if got := version(); got != "1.1.0" {
		t.Errorf("PUT without a version gave %s, want the newest stable", got)
	}
	if want := []tenant.Want{{Adapter: "acme", Version: "1.1.0", Digest: "1.1.0"}}; !slices.Equal(f.Wanted(), want) {
		t.Errorf("wanted %v", f.Wanted())
	}
}

func TestSwitchingOffIsNeverRefused(t *testing.T) {
	t.Parallel()
	for name, breakIt := range map[string]func(*testing.T, *fixture){
		"package gone":        func(_ *testing.T, f *fixture) { f.catalog.uninstall() },
		"settings unreadable": func(_ *testing.T, f *fixture) { f.sealer.broken = true },
		"settings obsolete": func(t *testing.T, f *fixture) {
			f.catalog.uninstall()
			f.catalog.install(t, "1.0.0", func(m *manifest.Manifest) { m.Settings = nil })
		},
		"other fields wrong": func(*testing.T, *fixture) {},
	} {
		for method, change := range map[string]func(*fixture) (tenant.Enablement, error){
			"put": func(f *fixture) (tenant.Enablement, error) {
				e, _, err := f.PutEnablement(t.Context(), "a", "acme", body(t, `{"enabled":false,"version":"9.9.9"}`))
				return e, err
			},
			"patch": func(f *fixture) (tenant.Enablement, error) {
				return f.PatchEnablement(t.Context(), "a", "acme", body(t, `{"enabled":false}`))
			},
		} {
			t.Run(name+"/"+method, func(t *testing.T) {
				t.Parallel()
				f := setup(t)
				f.tenant("a")
				f.enable("a", `{"enabled":true,"settings":{"prefix":"Hi"}}`)
				breakIt(t, f)
				if err := f.Load(t.Context()); err != nil {
					t.Fatal(err)
				}
				e, err := change(f)
				if err != nil || e.Enabled {
					t.Fatalf("got %+v, %v", e, err)
				}
				if route, err := f.Route("a", "acme"); err == nil && route.Enabled {
					t.Error("the adapter is still enabled")
				}
				if len(f.Wanted()) != 0 {
					t.Errorf("still wanted: %v", f.Wanted())
				}
			})
		}
	}
}

func TestEnablementBodiesAreRefusedWithEveryFault(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ body, want string }{
		"nothing":            {`{}`, "/enabled required"},
		"unknown member":     {`{"enabled":true,"versoin":"1.0.0"}`, "/versoin unknown_member"},
		"not installed":      {`{"enabled":true,"version":"3.0.0"}`, "/version invalid_value"},
		"no version":         {`{"enabled":true,"version":"v1"}`, "/version invalid_value"},
		"dedicated":          {`{"enabled":true,"isolation":"dedicated"}`, "/isolation invalid_value"},
		"queue":              {`{"enabled":true,"onUnavailable":"queue"}`, "/onUnavailable invalid_value"},
		"unknown setting":    {`{"enabled":true,"settings":{"prefx":"x"}}`, "/settings/prefx unknown_member"},
		"wrong setting":      {`{"enabled":true,"settings":{"shared":"yes","team":"c"}}`, "/settings/shared wrong_type, /settings/team invalid_value"},
		"nothing to keep":    {`{"enabled":true,"settings":{"webhookKey":"[redacted]"}}`, "/settings/webhookKey invalid_value"},
		"nested setting":     {`{"enabled":false,"settings":{"prefix":{"a":1}}}`, "/settings/prefix wrong_type"},
		"long setting name":  {`{"enabled":false,"settings":{"` + strings.Repeat("x", 129) + `":1}}`, "/settings/" + strings.Repeat("x", 64) + "... unknown_member"},
		"everything at once": {`{"enabled":1,"version":2,"isolation":3,"onUnavailable":4,"settings":5}`, "/enabled wrong_type, /onUnavailable wrong_type, /version wrong_type, /isolation wrong_type, /settings wrong_type"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.tenant("a")
			_, _, err := f.PutEnablement(t.Context(), "a", "acme", body(t, c.body))
			wantCode(t, err, fault.InvalidFields)
			if got := pointers(err); got != c.want {
				t.Errorf("faults %q, want %q", got, c.want)
			}
			_, err = f.Route("a", "acme")
			wantCode(t, err, fault.AdapterDisabled)
		})
	}
}

func TestDedicatedManifestNeedsAChoice(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.catalog.install(t, "1.1.0", func(m *manifest.Manifest) { m.Run.Isolation = manifest.Dedicated })
	f.tenant("a")
	_, _, err := f.PutEnablement(t.Context(), "a", "acme", body(t, `{"enabled":true}`))
	if got := pointers(err); got != "/isolation required" {
		t.Errorf("faults %q", got)
	}
	if e := f.enable("a", `{"enabled":true,"isolation":"shared"}`); e.Isolation != manifest.Shared {
		t.Errorf("got %+v", e)
	}
}

func TestOnlyPrereleasesNeedAVersion(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.catalog.uninstall()
	f.catalog.install(t, "1.0.0-rc.1", nil)
	f.tenant("a")
	_, _, err := f.PutEnablement(t.Context(), "a", "acme", body(t, `{"enabled":true}`))
	if got := pointers(err); got != "/version required" {
		t.Errorf("faults %q", got)
	}
	if e := f.enable("a", `{"enabled":true,"version":"1.0.0-rc.1"}`); e.Version != "1.0.0-rc.1" {
		t.Errorf("got %+v", e)
	}
}

func TestPatchEnablesWhatWasNeverEnabled(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("a")
	if _, err := f.PatchEnablement(t.Context(), "a", "acme", body(t, `{"enabled":true}`)); err != nil {
		t.Fatal(err)
	}
	if route, err := f.Route("a", "acme"); err != nil || !route.Enabled {
		t.Errorf("got %+v, %v", route, err)
	}
	_, err := f.PatchEnablement(t.Context(), "a", "nothing", body(t, `{"enabled":true}`))
	wantCode(t, err, fault.AdapterNotFound)
	_, _, err = f.PutEnablement(t.Context(), "nobody", "acme", body(t, `{"enabled":true}`))
	wantCode(t, err, fault.TenantNotFound)
}

func TestSecretSettings(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("a")
	show := func(e tenant.Enablement) string {
		t.Helper()
		text, err := json.Marshal(e.Settings)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	e := f.enable("a", `{"enabled":true,"settings":{"prefix":"Hi","webhookKey":"s3cret"}}`)
	const redacted = `{"prefix":"Hi","webhookKey":"[redacted]"}`
	if got := show(e); got != redacted {
		t.Errorf("the answer shows %s", got)
	}
	e, err := f.Enablement("a", "acme")
	if err != nil || show(e) != redacted {
		t.Errorf("GET shows %s, %v", show(e), err)
	}
	if strings.Contains(string(f.store.seen[0].Settings), "s3cret") {
		t.Error("settings are stored in the clear")
	}
	stored := func() sdk.Values {
		t.Helper()
		route, err := f.Route("a", "acme")
		if err != nil {
			t.Fatal(err)
		}
		return route.Settings
	}
	f.enable("a", `{"enabled":true,"settings":{"prefix":"Ho","webhookKey":"[redacted]"}}`)
	if got := stored(); got["webhookKey"].String() != "s3cret" || got["prefix"].String() != "Ho" {
		t.Errorf("PUT of what GET shows stored %v", got)
	}
	if _, err := f.PatchEnablement(t.Context(), "a", "acme", body(t, `{"settings":{"prefix":null}}`)); err != nil {
		t.Fatal(err)
	}
	if got := stored(); got["webhookKey"].String() != "s3cret" || len(got) != 1 {
		t.Errorf("PATCH stored %v", got)
	}
	f.catalog.uninstall()
	if e, err = f.Enablement("a", "acme"); err != nil || show(e) != `{"webhookKey":"[redacted]"}` {
		t.Errorf("without the manifest, GET shows %s, %v", show(e), err)
	}
	f.catalog.install(t, "1.0.0", nil)
	f.enable("a", `{"enabled":true}`)
	if got := stored(); len(got) != 0 {
		t.Errorf("PUT without settings left %v", got)
	}
}

func TestSettingsOfAnotherTenantCannotBeMovedHere(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("a")
	f.tenant("b")
	f.enable("a", `{"enabled":true,"settings":{"webhookKey":"s3cret"}}`)
	f.enable("b", `{"enabled":true}`)
	rows, err := f.store.LoadDirectory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows.Enablements[1].Settings = rows.Enablements[0].Settings
	if _, err := f.store.Store.SaveEnablement(t.Context(), rows.Enablements[1]); err != nil {
		t.Fatal(err)
	}
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, err = f.Route("b", "acme")
	wantCode(t, err, fault.Internal)
	if _, err := f.Route("a", "acme"); err != nil {
		t.Errorf("the other tenant: %v", err)
	}
	f.tenant("c")
	if logs := f.logs.String(); strings.Count(logs, "cannot be read") != 1 || strings.Contains(logs, "s3cret") {
		t.Errorf("logged:\n%s", logs)
	}
}

func TestDeleteEnablement(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("a")
	f.enable("a", `{"enabled":true}`)
	for range 2 {
		if err := f.DeleteEnablement(t.Context(), "a", "acme"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := f.Enablement("a", "acme")
	wantCode(t, err, fault.AdapterNotFound)
	_, err = f.Route("a", "acme")
	wantCode(t, err, fault.AdapterDisabled)
	wantCode(t, f.DeleteEnablement(t.Context(), "b", "acme"), fault.TenantNotFound)
	f.enable("a", `{"enabled":true}`)
	if page, next, err := f.Enablements("a", "", 10); err != nil || len(page) != 1 || next != "" {
		t.Errorf("listed %v, %q, %v", page, next, err)
	}
}

func TestInstalledAgainServesAgain(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.tenant("a")
	f.enable("a", `{"enabled":true}`)
	f.catalog.uninstall()
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(f.Wanted()) != 0 {
		t.Errorf("a package that is gone is wanted: %v", f.Wanted())
	}
	f.catalog.install(t, "1.0.0", nil)
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Route("a", "acme"); err != nil || len(f.Wanted()) != 1 {
		t.Errorf("route: %v, wanted %v", err, f.Wanted())
	}
}

// TestRefreshFollowsAnotherBuild has the package of a version replaced: routes that
// name the version use the new manifest from then on, and nothing else changes.
func TestRefreshFollowsAnotherBuild(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.catalog.install(t, "1.1.0", nil)
	for id, version := range map[string]string{"a": "1.0.0", "b": "1.0.0", "c": "1.1.0"} {
		f.tenant(id)
		f.enable(id, `{"enabled":true,"version":"`+version+`","settings":{"prefix":"Hi"}}`)
	}
	<-f.Changed()
	look := func() map[string]*tenant.Route {
		t.Helper()
		now := map[string]*tenant.Route{}
		for _, id := range []string{"a", "b", "c"} {
			route, err := f.Route(id, "acme")
			if err != nil {
				t.Fatal(err)
			}
			now[id] = route
		}
		return now
	}
	routes := look()
	f.catalog.replace("1.0.0", "another build", func(m *manifest.Manifest) { m.DisplayName = "Acme, built again" })
	if now := look(); now["a"] != routes["a"] {
		t.Error("a route changed before Refresh")
	}
	f.Refresh()
	now := look()
	for _, id := range []string{"a", "b"} {
		if r := now[id]; r.Package.Digest != "another build" || r.Manifest.DisplayName != "Acme, built again" || r.Settings["prefix"].String() != "Hi" {
			t.Errorf("%s has the route %+v", id, r)
		}
	}
	if now["c"] != routes["c"] {
		t.Error("the route of another version was made anew")
	}
	want := []tenant.Want{{Adapter: "acme", Version: "1.0.0", Digest: "another build"}, {Adapter: "acme", Version: "1.1.0", Digest: "1.1.0"}}
	if !slices.Equal(f.Wanted(), want) {
		t.Errorf("wanted %v, want %v", f.Wanted(), want)
	}
	select {
	case <-f.Changed():
	default:
		t.Error("nobody was told of the change")
	}
	f.catalog.uninstall()
	f.Refresh()
	if _, err := f.Route("a", "acme"); fault.CodeOf(err) != fault.AdapterNotFound || len(f.Wanted()) != 0 {
		t.Errorf("without packages: %v, wanted %v", err, f.Wanted())
	}
}
