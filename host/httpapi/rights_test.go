package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// What a tenant's own token opens; everything else below /v1 is the admin's.
var tenantRoutes = map[string]bool{
	"get /v1/tenants/{tenant}":                                  true,
	"get /v1/tenants/{tenant}/adapters":                         true,
	"get /v1/tenants/{tenant}/adapters/{adapter}":               true,
	"post /v1/tenants/{tenant}/adapters/{adapter}/message-logs": true,
	"get /v1/tenants/{tenant}/message-logs":                     true,
	"get /v1/tenants/{tenant}/message-logs/{id}":                true,
	"post /v1/tenants/{tenant}/message-logs/{id}/retry":         true,
	"post /v1/tenants/{tenant}/message-logs/{id}/resolve":       true,
	"post /v1/tenants/{tenant}/message-logs/{id}/forget":        true,
	"get /v1/adapters":                                          true,
	"get /v1/adapters/{adapter}":                                true,
	"get /v1/adapters/{adapter}/versions/{version}/manifest":    true,
}

// fill puts values into a documented path.
func fill(path, tenant string) string {
	return strings.NewReplacer("{tenant}", tenant, "{adapter}", "crm", "{version}", "1.0.0", "{id}", entryID,
		"{code}", "conflict").Replace(path)
}

func TestRightsOfEveryRoute(t *testing.T) {
	t.Parallel()
	for _, route := range wantRoutes {
		t.Run(route, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.ledger.entries = append(f.ledger.entries, entry(entryID))
			method, path, _ := strings.Cut(route, " ")
			method = strings.ToUpper(method)
			send := func(tenant, token string) answered {
				t.Helper()
				return f.do(method, fill(path, tenant), token, `{}`)
			}
			if !strings.HasPrefix(path, "/v1/") {
				send("", "").want(t, http.StatusOK)
				return
			}
			for _, token := range []string{"", "nonsense", f.acme + "x"} {
				r := send("acme", token)
				r.refused(t, fault.Unauthenticated)
				want := `Bearer realm="patchbay"`
				if token != "" {
					want += `, error="invalid_token"`
				}
				if got := r.Header.Get("WWW-Authenticate"); got != want {
					t.Errorf("WWW-Authenticate %q, want %q", got, want)
				}
			}
			perTenant := strings.Contains(path, "{tenant}")
			if perTenant || !tenantRoutes[route] {
				existing, missing := send("other", f.acme), send("nobody", f.acme)
				p := existing.refused(t, fault.Forbidden)
				q := missing.refused(t, fault.Forbidden)
				if p.Detail != q.Detail || p.Title != q.Title {
					t.Error("a tenant can tell which others exist")
				}
			}
			own := send("acme", f.acme)
			if tenantRoutes[route] {
				if own.StatusCode == http.StatusForbidden || own.StatusCode == http.StatusUnauthorized {
					t.Errorf("a tenant's token does not open its own route: %d %s", own.StatusCode, own.body)
				}
			} else {
				own.refused(t, fault.Forbidden)
			}
			if r := send("acme", adminToken); r.StatusCode == http.StatusForbidden || r.StatusCode == http.StatusUnauthorized {
				t.Errorf("the admin token does not open the route: %d %s", r.StatusCode, r.body)
			}
		})
	}
}

func TestAuthorizationHeader(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for name, c := range map[string]struct {
		values []string
		ok     bool
	}{
		"plain":         {[]string{"Bearer " + f.acme}, true},
		"lower case":    {[]string{"bearer " + f.acme}, true},
		"more blanks":   {[]string{"Bearer   " + f.acme}, true},
		"other scheme":  {[]string{"Basic " + f.acme}, false},
		"no scheme":     {[]string{f.acme}, false},
		"two headers":   {[]string{"Bearer " + f.acme, "Bearer " + f.acme}, false},
		"scheme alone":  {[]string{"Bearer"}, false},
		"other's token": {[]string{"Bearer " + f.other}, false},
	} {
		r := f.do("GET", "/v1/tenants/acme", "", "", func(r *http.Request) { r.Header["Authorization"] = c.values })
		if ok := r.StatusCode == http.StatusOK; ok != c.ok {
			t.Errorf("%s: status %d", name, r.StatusCode)
		}
	}
}

// Tenants see what is installed, and nothing of how it runs.
func TestTenantsSeeNoProcessData(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.processes.statuses = append(f.processes.statuses, processStatus("crm", "1.0.0", "ready"))
	f.catalog.problems = brokenPackages()
	const secretPath, pid, digest = "/srv/secret/path", "4711", "abababab"
	for _, path := range []string{"/v1/adapters", "/v1/adapters/crm", "/v1/adapters/crm/versions/9.9.9/manifest", "/v1/adapters/broken"} {
		r := f.do("GET", path, f.acme, "")
		for _, word := range []string{secretPath, pid, digest, `"processes"`, `"problems"`, "notEnforced", "crash"} {
			if strings.Contains(r.body, word) {
				t.Errorf("%s shows %q to a tenant: %s", path, word, r.body)
			}
		}
	}
	f.do("GET", "/v1/adapters/broken", f.acme, "").refused(t, fault.AdapterNotFound)
	admin := f.do("GET", "/v1/adapters/crm", adminToken, "").want(t, http.StatusOK).body
	for _, word := range []string{secretPath, pid, digest, `"processes"`, `"problems"`, "notEnforced"} {
		if !strings.Contains(admin, word) {
			t.Errorf("the admin does not see %q: %s", word, admin)
		}
	}
	f.do("GET", "/v1/adapters/broken", adminToken, "").want(t, http.StatusOK)
}

func TestRevokedTokenIsRefused(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var made struct{ ID, Token string }
	f.do("POST", "/v1/tenants/acme/tokens", adminToken, `{"name":"short"}`).want(t, http.StatusCreated).into(t, &made)
	f.do("GET", "/v1/tenants/acme", made.Token, "").want(t, http.StatusOK)
	f.do("DELETE", "/v1/tenants/acme/tokens/"+made.ID, adminToken, "").want(t, http.StatusNoContent)
	f.do("GET", "/v1/tenants/acme", made.Token, "").refused(t, fault.Unauthenticated)
}
