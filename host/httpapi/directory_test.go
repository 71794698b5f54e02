package httpapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/httpapi"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func processStatus(adapter, version, state string) httpapi.ProcessStatus {
	return httpapi.ProcessStatus{
		Adapter: adapter, Version: version, Digest: strings.Repeat("cd", 32), State: state, PID: 4711, InFlight: 3, Waiting: 2, Serving: true,
		Since: time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC),
	}
}

func brokenPackages() map[string][]catalog.Problem {
	bad := catalog.Problem{
		Dir: "/srv/secret/path/3.0.0", Version: "3.0.0", Cause: catalog.CauseDigestMismatch, Detail: "changed", Remedy: "restore",
	}
	return map[string][]catalog.Problem{"crm": {bad}, "broken": {bad}}
}

func TestTenantRoutes(t *testing.T) {
	t.Parallel()
	f := setup(t)
	r := f.do("PUT", "/v1/tenants/new", adminToken, `{"displayName":"New","timezone":"+02:00"}`).want(t, http.StatusCreated)
	if r.Header.Get("Location") != "/v1/tenants/new" {
		t.Errorf("Location %q", r.Header.Get("Location"))
	}
	var got httpapi.Tenant
	f.do("PUT", "/v1/tenants/new", adminToken, `{"timezone":"Z"}`).want(t, http.StatusOK).into(t, &got)
	if got.DisplayName != "" || got.Timezone == nil || *got.Timezone != "Z" {
		t.Errorf("PUT answers %+v", got)
	}
	f.do("PATCH", "/v1/tenants/new", adminToken, `{"timezone":null,"displayName":"Newer"}`, contentType("application/merge-patch+json")).
		want(t, http.StatusOK).into(t, &got)
	if got.DisplayName != "Newer" || got.Timezone != nil {
		t.Errorf("PATCH answers %+v", got)
	}
	f.do("GET", "/v1/tenants/acme", f.acme, "").want(t, http.StatusOK)
	f.do("PATCH", "/v1/tenants/nobody", adminToken, `{}`).refused(t, fault.TenantNotFound)
	f.do("GET", "/v1/tenants/nobody", adminToken, "").refused(t, fault.TenantNotFound)
	f.do("PUT", "/v1/tenants/Not-An-ID", adminToken, `{}`).refused(t, fault.InvalidFields)
	f.do("DELETE", "/v1/tenants/new?force=yes", adminToken, "").refused(t, fault.InvalidFields)
	f.do("DELETE", "/v1/tenants/new?force=true", adminToken, "").want(t, http.StatusNoContent)
	f.do("DELETE", "/v1/tenants/new", adminToken, "").refused(t, fault.TenantNotFound)
	f.do("PUT", "/v1/tenants/new", adminToken, `{}`).refused(t, fault.Conflict)
}

func TestListsOfTheDirectory(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, path := range []string{"/v1/tenants", "/v1/tenants/acme/tokens", "/v1/tenants/acme/adapters", "/v1/adapters"} {
		var all struct {
			Items      []map[string]any
			NextCursor *string
		}
		f.do("GET", path, adminToken, "").want(t, 200).into(t, &all)
		if len(all.Items) == 0 || all.NextCursor != nil {
			t.Errorf("%s: %+v", path, all)
		}
		count, cursor := 0, ""
		for range 5 {
			got := all
			got.Items, got.NextCursor = nil, nil
			f.do("GET", path+"?limit=1&cursor="+cursor, adminToken, "").want(t, 200).into(t, &got)
			count += len(got.Items)
			if got.NextCursor == nil {
				break
			}
			cursor = *got.NextCursor
		}
		if count != len(all.Items) {
			t.Errorf("%s: %d items by pages of one, %d at once", path, count, len(all.Items))
		}
		p := f.do("GET", path+"?limit=0&cursor=x", adminToken, "").refused(t, fault.InvalidFields)
		if len(p.Errors) != 2 {
			t.Errorf("%s: %v", path, p.Errors)
		}
		f.do("GET", path+"?limit=1&limit=2", adminToken, "").refused(t, fault.InvalidFields)
		f.do("GET", path+"?limits=1", adminToken, "").refused(t, fault.InvalidFields)
	}
	for _, path := range []string{"/v1/tenants/nobody/tokens", "/v1/tenants/nobody/adapters"} {
		f.do("GET", path, adminToken, "").refused(t, fault.TenantNotFound)
	}
}

func TestEnablementRoutes(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const path = "/v1/tenants/other/adapters/crm"
	f.do("GET", path, f.other, "").refused(t, fault.AdapterNotFound)
	r := f.do("PUT", path, adminToken, `{"enabled":true,"settings":{"webhookKey":"hush","prefix":"Hi"}}`).want(t, http.StatusCreated)
	if r.Header.Get("Location") != path {
		t.Errorf("Location %q", r.Header.Get("Location"))
	}
	check := func(r answered, settings string) {
		t.Helper()
		if !strings.Contains(r.body, settings) || !strings.Contains(r.body, `"version":"1.1.0"`) || strings.Contains(r.body, "hush") {
			t.Errorf("got %s", r.body)
		}
	}
	check(r, `"settings":{"prefix":"Hi","webhookKey":"[redacted]"}`)
	check(f.do("GET", path, f.other, "").want(t, 200), `"settings":{"prefix":"Hi","webhookKey":"[redacted]"}`)
	check(f.do("PATCH", path, adminToken, `{"settings":{"prefix":null}}`).want(t, 200), `"settings":{"webhookKey":"[redacted]"}`)
	f.do("PUT", path, adminToken, `{"enabled":false}`).want(t, http.StatusOK)
	f.do("DELETE", path, adminToken, "").want(t, http.StatusNoContent)
	f.do("GET", path, f.other, "").refused(t, fault.AdapterNotFound)
	f.do("PATCH", path, adminToken, `{"enabled":true}`).want(t, http.StatusOK)
	f.do("PUT", "/v1/tenants/other/adapters/none", adminToken, `{"enabled":true}`).refused(t, fault.AdapterNotFound)
	f.do("PUT", "/v1/tenants/nobody/adapters/crm", adminToken, `{"enabled":true}`).refused(t, fault.TenantNotFound)
	p := f.do("PUT", path, adminToken, `{"enabled":true,"isolation":"dedicated","onUnavailable":"queue"}`).refused(t, fault.InvalidFields)
	if len(p.Errors) != 2 {
		t.Errorf("got %v", p.Errors)
	}
}

func TestAdapterRoutes(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.catalog.problems = brokenPackages()
	f.processes.statuses = []httpapi.ProcessStatus{processStatus("crm", "1.1.0", "ready"), processStatus("idle", "2.0.0-beta.1", "backoff")}
	golden(t, "adapters.json", f.do("GET", "/v1/adapters", adminToken, "").want(t, 200).body)
	golden(t, "adapters_tenant.json", f.do("GET", "/v1/adapters", f.acme, "").want(t, 200).body)
	raw, err := os.ReadFile("testdata/crm.json")
	if err != nil {
		t.Fatal(err)
	}
	if got := f.do("GET", "/v1/adapters/crm/versions/1.0.0/manifest", f.acme, "").want(t, 200).body; got != string(raw) {
		t.Errorf("the manifest is not served verbatim: %s", got)
	}
	for _, path := range []string{"/v1/adapters/none", "/v1/adapters/none/crashes", "/v1/adapters/crm/versions/9.0.0/manifest"} {
		f.do("GET", path, adminToken, "").refused(t, fault.AdapterNotFound)
	}
	f.processes.crashes = []httpapi.Crash{{Version: "1.0.0", Cause: "panic", ExitCode: 2, PID: 4711}}
	r := f.do("GET", "/v1/adapters/crm/crashes", adminToken, "").want(t, 200)
	golden(t, "crashes.json", r.body)
}

func TestProcessesAreControlled(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, action := range []string{"restart", "unquarantine"} {
		path := "/v1/adapters/crm/" + action
		f.processes.told = nil
		f.do("POST", path, adminToken, "").want(t, http.StatusNoContent)
		f.do("POST", path, adminToken, `{}`).want(t, http.StatusNoContent)
		f.do("POST", path, adminToken, `{"version":"1.0.0","tenant":"acme"}`).want(t, http.StatusNoContent)
		want := fmt.Sprintf("[%[1]s crm   %[1]s crm   %[1]s crm 1.0.0 acme]", action)
		if got := fmt.Sprint(f.processes.told); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		f.do("POST", "/v1/adapters/none/"+action, adminToken, "").refused(t, fault.AdapterNotFound)
		p := f.do("POST", path, adminToken, `{"version":"v1","tenant":"A"}`).refused(t, fault.InvalidFields)
		if len(p.Errors) != 2 {
			t.Errorf("got %v", p.Errors)
		}
	}
	f.processes.err = &fault.Error{Code: fault.Conflict, Class: fault.Permanent, Msg: "not quarantined"}
	f.do("POST", "/v1/adapters/crm/unquarantine", adminToken, "").refused(t, fault.Conflict)
}

func TestProbes(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.do("GET", "/readyz", "", "").want(t, 200)
	f.ready = errors.New("database at /var/secret is locked")
	if r := f.do("GET", "/readyz", "", "").want(t, 503); strings.Contains(r.body, "secret") {
		t.Errorf("shows %s", r.body)
	}
	f.ready = fault.New(fault.AdapterUnavailable, "adapters are starting")
	if r := f.do("GET", "/readyz", "", "").want(t, 503); !strings.Contains(r.body, "adapters are starting") {
		t.Errorf("shows %s", r.body)
	}
	f.do("GET", "/healthz", "", "").want(t, 200)
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.processes.statuses = []httpapi.ProcessStatus{processStatus("crm", "1.1.0", "ready")}
	scrape := func() string {
		t.Helper()
		return f.do("GET", "/metrics", "", "").want(t, 200).body
	}
	has := func(text string, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if !strings.Contains(text, line+"\n") {
				t.Errorf("no line %s", line)
			}
		}
	}
	has(scrape(),
		`patchbay_calls_total{adapter="crm",class="none",code="ok",source="none"} 0`,
		`patchbay_calls_total{adapter="idle",class="none",code="ok",source="none"} 0`,
		`patchbay_calls_total{adapter="other",class="none",code="ok",source="none"} 0`,
		`patchbay_call_duration_seconds_count{adapter="crm"} 0`,
		`patchbay_calls_in_flight 0`,
		`patchbay_adapter_processes{adapter="crm",state="ready"} 1`,
		`patchbay_adapter_processes{adapter="crm",state="quarantined"} 0`,
		`patchbay_adapter_calls_in_flight{adapter="crm"} 3`,
		`patchbay_adapter_calls_waiting{adapter="crm"} 2`)
	f.do("POST", addPath, f.acme, `{}`)
	f.catalog.packages = append(f.catalog.packages, pack(t, "late", "1.0.0"))
	for i := range 50 {
		f.do("POST", fmt.Sprintf("/v1/tenants/acme/adapters/made-up-%d/message-logs", i), f.acme, `{}`)
	}
	f.do("POST", "/v1/tenants/acme/adapters/late/message-logs", f.acme, `{}`)
	text := scrape()
	has(text,
		`patchbay_calls_total{adapter="crm",class="none",code="ok",source="none"} 1`,
		`patchbay_calls_total{adapter="other",class="none",code="ok",source="none"} 50`,
		`patchbay_calls_total{adapter="late",class="none",code="ok",source="none"} 1`,
		`patchbay_call_duration_seconds_count{adapter="crm"} 1`,
		`patchbay_http_responses_total{status="201"} 52`)
	if strings.Contains(text, "made-up") || strings.Contains(text, "acme") {
		t.Error("a caller's words are labels")
	}
}
