package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
)

// FuzzBodies sends any bytes to every route that takes a body. Whatever comes,
// the answer is one that the OpenAPI document describes, and not the host's own
// fault.
func FuzzBodies(f *testing.F) {
	for i, route := range bodyRoutes {
		f.Add(i, []byte(route.body))
	}
	f.Add(0, []byte(`{"a":1,"a":2}`))
	f.Add(3, []byte(`{"displayName":"\u0000"}`))
	f.Add(5, []byte(`{"enabled":true,"settings":{"webhookKey":"[redacted]"}}`))
	shared := setup(f)
	strictRelay(shared)
	f.Fuzz(func(t *testing.T, which int, body []byte) {
		route := bodyRoutes[uint(which)%uint(len(bodyRoutes))]
		api := shared.lend(t)
		r := api.do(route.method, route.path, adminToken, string(body))
		if r.StatusCode == http.StatusInternalServerError {
			t.Errorf("%s %s: %s", route.method, route.path, r.body)
		}
	})
}

// FuzzRequests sends any path, query and headers.
func FuzzRequests(f *testing.F) {
	f.Add("/v1/tenants/acme/message-logs", "limit=5&state=failed", "wait=5", "a")
	f.Add("/v1/adapters/crm/versions/1.0.0/manifest", "", `a="x\", wait=9"`, "")
	f.Add("/problems/conflict", "cursor=MTo", "wait=,", "\x7f")
	shared := setup(f)
	f.Fuzz(func(t *testing.T, path, query, prefer, id string) {
		api := shared.lend(t)
		r := api.do(http.MethodGet, "/", adminToken, "", func(r *http.Request) {
			r.URL.Path, r.URL.RawPath, r.URL.RawQuery = "/"+strings.TrimPrefix(path, "/"), "", query
			r.Header["Prefer"], r.Header["X-Request-Id"] = []string{prefer}, []string{id}
		})
		if r.StatusCode == http.StatusInternalServerError {
			t.Errorf("%q: %s", path, r.body)
		}
	})
}

// lend returns the fixture for one run of a fuzz target: making a new one for
// each would leave no time for the target. What the runs before have changed is a
// part of the fuzzing.
func (f *fixture) lend(t *testing.T) *fixture {
	own := *f
	own.t = t
	own.relay.calls = nil
	own.logs.reset()
	return &own
}
