package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

type fieldFault = strictjson.Fault

// bodyRoute is a route that takes a body, with one that it accepts.
type bodyRoute struct {
	method, path, body string
	relay              bool // package relay reads the body
	optional           bool // it may be left out
}

var bodyRoutes = []bodyRoute{
	{method: "POST", path: "/v1/tenants/acme/adapters/crm/message-logs", relay: true, body: `{
		"user":{"id":"42","name":"Ada","hostname":"acme.crm.example","extra":{"a":[1,"x"]}},
		"contactInfo":{"id":7,"type":"person","phoneNumber":"+16505553204","name":"Grace"},
		"authHeader":"Bearer abc","message":{"id":60279564004,"creationTime":"2026-05-04T10:00:00Z","subject":"Hi"},
		"additionalSubmission":{"deals":88001},"recordingLink":"https://x.example/y","timezoneOffset":"+08:00"}`},
	{method: "POST", path: "/v1/tenants/acme/message-logs/" + entryID + "/retry", body: `{"authHeader":"Bearer abc"}`, optional: true},
	{method: "POST", path: "/v1/tenants/acme/message-logs/" + entryID + "/resolve", body: `{"logId":"5512","authHeader":"Bearer abc"}`},
	{method: "PUT", path: "/v1/tenants/acme", body: `{"displayName":"Acme","timezone":"Europe/Rome"}`},
	{method: "PATCH", path: "/v1/tenants/acme", body: `{"displayName":"Acme","timezone":null}`},
	{method: "PUT", path: "/v1/tenants/acme/adapters/crm", body: `{"enabled":true,"version":"1.0.0","isolation":"shared",
		"onUnavailable":"fail","settings":{"prefix":"Hi","webhookKey":"hush","shared":true,"team":"a"}}`},
	{method: "PATCH", path: "/v1/tenants/acme/adapters/crm", body: `{"enabled":false,"version":"1.0.0","isolation":"shared",
		"onUnavailable":"fail","settings":{"prefix":"Hi","webhookKey":"hush","shared":true,"team":"a"}}`},
	{method: "POST", path: "/v1/tenants/acme/tokens", body: `{"name":"ci","expiresAt":"2099-01-01T00:00:00Z"}`},
	{method: "POST", path: "/v1/adapters/crm/install", body: `{"version":"1.0.0"}`, optional: true},
	{method: "POST", path: "/v1/adapters/crm/restart", body: `{"version":"1.0.0","tenant":"acme"}`, optional: true},
	{method: "POST", path: "/v1/adapters/crm/unquarantine", body: `{"version":"1.0.0","tenant":"acme"}`, optional: true},
}

// strictRelay has the fake relay refuse a body that is no JSON object, as package
// relay does, and answer everything else.
func strictRelay(f *fixture) {
	f.relay.add = func(_ context.Context, call relay.Call) (*relay.Result, error) {
		root, err := strictjson.Parse(call.Body)
		if err != nil {
			return nil, fault.New(fault.MalformedRequest, err.Error())
		}
		if !root.Is(strictjson.Object) {
			return nil, fault.New(fault.MalformedRequest, "the body must be a JSON object")
		}
		return result(true), nil
	}
}

func TestGoodBodiesAreTaken(t *testing.T) {
	t.Parallel()
	for _, route := range bodyRoutes {
		t.Run(route.method+" "+route.path, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			if r := f.do(route.method, route.path, adminToken, route.body); r.StatusCode >= 300 {
				t.Errorf("status %d, body %s", r.StatusCode, r.body)
			}
			withCharset := f.do(route.method, route.path, adminToken, route.body, contentType("application/json; charset=UTF-8"))
			if withCharset.StatusCode >= 300 {
				t.Errorf("with a charset: status %d, body %s", withCharset.StatusCode, withCharset.body)
			}
			r := f.do(route.method, route.path, adminToken, "")
			if route.optional && r.StatusCode >= 300 {
				t.Errorf("without a body: status %d, body %s", r.StatusCode, r.body)
			}
			if !route.optional {
				r.refused(t, fault.UnsupportedMediaType)
			}
		})
	}
}

func contentType(value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Content-Type", value) }
}

func TestBrokenBodiesAreRefused(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty":        " ",
		"cut off":      `{"a":`,
		"text after":   `{} {}`,
		"no JSON":      `hello`,
		"duplicate":    `{"a":1,"a":2}`,
		"an array":     `[]`,
		"a string":     `"x"`,
		"null":         `null`,
		"bad UTF-8":    "{\"a\":\"\xff\"}",
		"too deep":     strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70),
		"a comment":    `{/* x */}`,
		"lone control": "{\"a\":\"\x01\"}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			strictRelay(f)
			for _, route := range bodyRoutes {
				p := f.do(route.method, route.path, adminToken, body).refused(t, fault.MalformedRequest)
				if p.Detail == "" || p.Class != "permanent" {
					t.Errorf("%s %s: %+v", route.method, route.path, p)
				}
			}
		})
	}
}

func TestOtherMediaTypesAreRefused(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, route := range bodyRoutes {
		for name, edit := range map[string]func(*http.Request){
			"none":        func(r *http.Request) { r.Header.Del("Content-Type") },
			"text":        contentType("text/plain"),
			"form":        contentType("application/x-www-form-urlencoded"),
			"Latin-1":     contentType("application/json; charset=iso-8859-1"),
			"nonsense":    contentType("application/json;;;"),
			"compressed":  func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") },
			"patch's own": contentType("application/merge-patch+json"),
		} {
			r := f.do(route.method, route.path, adminToken, route.body, edit)
			if name == "patch's own" && route.method == "PATCH" {
				r.want(t, http.StatusOK)
				continue
			}
			r.refused(t, fault.UnsupportedMediaType)
		}
	}
	if len(f.relay.calls) > 0 {
		t.Error("a refused body reached the relay")
	}
}

// stub stands for a value in a mutated body.
const marker = "MARKED-SECRET-5e1f"

// mutations returns broken variants of a body: each has the marked secret in one
// value position, in every kind of value that can hold it, and in one the text
// breaks off behind it.
func mutations(t testing.TB, body string) []string {
	t.Helper()
	var root any
	dec := json.NewDecoder(strings.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&root); err != nil {
		t.Fatal(err)
	}
	var out []string
	var at func(v any, put func(any))
	encode := func() string {
		raw, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	at = func(v any, put func(any)) {
		long := strings.Repeat(marker, 500)
		for _, bad := range []any{
			marker, long, marker + "\x00", "\u0007" + marker,
			[]any{marker},
			map[string]any{"x": marker},
			map[string]any{"id": []any{marker}},
			[]any{[]any{map[string]any{"y": marker}}},
		} {
			put(bad)
			text := encode()
			out = append(out, text)
			if i := strings.Index(text, marker); i > 0 && bad == any(marker) {
				out = append(out, text[:i+len(marker)], text[:i+len(marker)]+`" "`, text[:i+len(marker)]+"\n\"}",
					strings.Replace(text, `"`+marker+`"`, marker, 1), text+marker, text+`,"`+marker+`"`)
			}
		}
		put(v)
		switch v := v.(type) {
		case map[string]any:
			for _, name := range sorted(v) {
				at(v[name], func(x any) { v[name] = x })
			}
			v["unknownMember"] = marker
			out = append(out, encode())
			delete(v, "unknownMember")
		case []any:
			for i := range v {
				at(v[i], func(x any) { v[i] = x })
			}
		}
	}
	at(root, func(x any) { root = x })
	return out
}

func sorted(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// No refusal, and no log record, repeats a value of the request.
func TestRefusalsRepeatNoValue(t *testing.T) {
	t.Parallel()
	for _, route := range bodyRoutes {
		t.Run(route.method+" "+route.path, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			strictRelay(f)
			refusals := 0
			for _, body := range mutations(t, route.body) {
				r := f.do(route.method, route.path, adminToken, body)
				if r.StatusCode < 300 {
					continue // the value is a good one, and shown to its owner
				}
				refusals++
				if where := fmt.Sprint(r.Header) + r.body; strings.Contains(where, marker) {
					t.Fatalf("body %.200s\nis answered %s", body, where)
				}
			}
			if refusals < 10 {
				t.Errorf("only %d of the bodies were refused: the test tests nothing", refusals)
			}
			if strings.Contains(f.logs.String(), marker) {
				t.Error("the log repeats a value")
			}
		})
	}
}

// The same for what stands beside the body.
func TestQueriesAndHeadersAreNotRepeated(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const list = "/v1/tenants/acme/message-logs"
	for name, query := range map[string]string{
		"limit": "limit=" + marker, "cursor": "cursor=" + marker, "state": "state=" + marker,
		"since": "since=" + marker, "until": "until=" + marker, "twice": "user=" + marker + "&user=" + marker,
		"long": "contact=" + strings.Repeat(marker, 20), "unknown": "color=" + marker, "malformed": "user=%zz" + marker,
	} {
		r := f.do("GET", list+"?"+query, f.acme, "")
		if r.StatusCode < 400 || strings.Contains(r.body, marker) {
			t.Errorf("%s: status %d, body %s", name, r.StatusCode, r.body)
		}
	}
	for name, edit := range map[string]func(*http.Request){
		"token":        func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+marker) },
		"basic":        func(r *http.Request) { r.Header.Set("Authorization", "Basic "+marker) },
		"content type": contentType("text/" + marker),
	} {
		r := f.do("PUT", "/v1/tenants/acme", adminToken, `{}`, edit)
		if r.StatusCode < 400 || strings.Contains(r.body+fmt.Sprint(r.Header), marker) {
			t.Errorf("%s: status %d, body %s", name, r.StatusCode, r.body)
		}
	}
	for _, path := range []string{"/v1/tenants/" + marker, "/" + marker, "/problems/" + marker, "/v1/adapters/" + marker} {
		if r := f.do("GET", path, adminToken, ""); r.StatusCode != 404 || strings.Contains(r.body, marker) {
			t.Errorf("%s: status %d, body %s", path, r.StatusCode, r.body)
		}
	}
	if strings.Contains(f.logs.String(), marker) {
		t.Error("the log repeats a value")
	}
}
