package httpapi_test

import (
	"context"
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/httpapi"
	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

var update = flag.Bool("update", false, "write the golden files anew")

const addPath = "/v1/tenants/acme/adapters/crm/message-logs"

// wantStatuses is the contract's table of codes.
var wantStatuses = map[fault.Code]int{
	fault.MalformedRequest: 400, fault.UnsupportedMediaType: 415, fault.RequestTooLarge: 413,
	fault.InvalidFields: 422, fault.Unauthenticated: 401, fault.Forbidden: 403, fault.AdapterDisabled: 403,
	fault.TenantNotFound: 404, fault.AdapterNotFound: 404, fault.MessageLogNotFound: 404,
	fault.RouteNotFound: 404, fault.MethodNotAllowed: 405,
	fault.OutcomeUnsettled: 409, fault.InProgress: 409, fault.AlreadyLogged: 409, fault.Conflict: 409,
	fault.CRMRejected: 424, fault.CRMUnauthorized: 424, fault.RateLimited: 429,
	fault.AdapterFault: 502, fault.NotSupported: 501,
	fault.AdapterUnavailable: 503, fault.CRMUnavailable: 503, fault.Overloaded: 503, fault.ShuttingDown: 503,
	fault.Outcome: 504, fault.PoisonMessage: 502, fault.Internal: 500,
}

func TestEveryCodeIsExplained(t *testing.T) {
	t.Parallel()
	docs := httpapi.ProblemDocs()
	if len(docs) != len(fault.Codes()) {
		t.Fatalf("%d codes are explained, there are %d", len(docs), len(fault.Codes()))
	}
	for i, code := range fault.Codes() {
		d := docs[i]
		if d.Code != string(code) || d.Title == "" || d.Meaning == "" || d.Remedy == "" || d.Class == "" || d.Source == "" {
			t.Errorf("%s is not explained: %+v", code, d)
		}
		if want := wantStatuses[code]; d.Status != want || want == 0 {
			t.Errorf("%s has status %d, want %d", code, d.Status, want)
		}
	}
}

func TestProblemPages(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, d := range httpapi.ProblemDocs() {
		var got httpapi.ProblemDoc
		f.do("GET", "/problems/"+d.Code, "", "").want(t, 200).into(t, &got)
		if got != d {
			t.Errorf("JSON: %+v", got)
		}
		page := f.do("GET", "/problems/"+d.Code, "", "", func(r *http.Request) {
			r.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
		}).want(t, 200)
		if !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") || !strings.Contains(page.body, "<code>"+d.Code) {
			t.Errorf("page: %s %s", page.Header.Get("Content-Type"), page.body)
		}
	}
	f.do("GET", "/problems/nonsense", "", "").refused(t, fault.RouteNotFound)
}

// Every fault that the relay may raise reaches the caller whole, and is counted.
func TestFaultsOfTheRelay(t *testing.T) {
	t.Parallel()
	for _, code := range fault.Codes() {
		if slices.Contains([]fault.Code{
			fault.Unauthenticated, fault.Forbidden, fault.RouteNotFound, fault.MethodNotAllowed,
			fault.UnsupportedMediaType, fault.RequestTooLarge, fault.PoisonMessage, fault.MessageLogNotFound,
		}, code) {
			continue // raised elsewhere, or by no route
		}
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.relay.add = func(context.Context, relay.Call) (*relay.Result, error) {
				return nil, &fault.Error{
					Op: "relay", Code: code, Class: fault.Unknown, Source: fault.Adapter, Msg: "what happened",
					RetryAfter: 1500 * time.Millisecond, Err: errors.New("cause with " + marker),
				}
			}
			r := f.do("POST", addPath, f.acme, `{}`)
			if wantStatuses[code]/100 == 4 && r.StatusCode == 429 || r.StatusCode == 503 || r.StatusCode == 409 {
				if got := r.Header.Get("Retry-After"); got != "2" {
					t.Errorf("Retry-After %q, want the seconds rounded up", got)
				}
			}
			p, err := r.problem()
			if err != nil {
				t.Fatal(err)
			}
			if p.Code != string(code) || p.Status != wantStatuses[code] || p.Class != "unknown" || p.Source != "adapter" ||
				p.Detail != "what happened" {
				t.Errorf("got %+v", p)
			}
			if strings.Contains(r.body, marker) {
				t.Error("the cause is shown")
			}
			if logged := strings.Contains(f.logs.String(), marker); logged != (code == fault.Internal || code == fault.Overloaded) {
				t.Errorf("the cause is logged: %v", logged)
			}
			want := `patchbay_calls_total{adapter="crm",class="unknown",code="` + string(code) + `",source="adapter"} 1`
			if metrics := f.do("GET", "/metrics", "", "").body; !strings.Contains(metrics, want) {
				t.Errorf("not counted: %s", want)
			}
		})
	}
}

// Who is refused because somebody has too much to do, and may come again, is told
// when, though nobody named a time.
func TestBusyAnswersSayWhenToComeBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		code  fault.Code
		class fault.Class
		wait  time.Duration
		want  string
	}{
		"rate limited":            {fault.RateLimited, fault.Retryable, 0, "1"},
		"overloaded":              {fault.Overloaded, fault.Retryable, 0, "1"},
		"the CRM is down":         {fault.CRMUnavailable, fault.Retryable, 0, "1"},
		"the adapter is down":     {fault.AdapterUnavailable, fault.Retryable, 0, "1"},
		"its own time":            {fault.AdapterUnavailable, fault.Retryable, time.Minute, "60"},
		"not to be sent blindly":  {fault.RateLimited, fault.Unknown, 0, ""},
		"coming back is no use":   {fault.CRMRejected, fault.Permanent, 0, ""},
		"nobody has too much":     {fault.AdapterFault, fault.Retryable, 0, ""},
		"a week is more than any": {fault.RateLimited, fault.Retryable, 7 * 24 * time.Hour, "86400"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.relay.add = func(context.Context, relay.Call) (*relay.Result, error) {
				return nil, &fault.Error{Code: c.code, Class: c.class, RetryAfter: c.wait}
			}
			r := f.do("POST", addPath, f.acme, `{}`)
			r.refused(t, c.code)
			if got := r.Header.Get("Retry-After"); got != c.want {
				t.Errorf("Retry-After %q, want %q", got, c.want)
			}
		})
	}
}

func TestStrangeErrorsAreInternal(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"no fault":     errors.New(marker),
		"unknown code": &fault.Error{Code: "made_up", Msg: marker},
		"nil fault":    (*fault.Error)(nil),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.relay.add = func(context.Context, relay.Call) (*relay.Result, error) { return nil, err }
			r := f.do("POST", addPath, f.acme, `{}`)
			if p := r.refused(t, fault.Internal); p.Class != "unknown" || strings.Contains(r.body, marker) {
				t.Errorf("got %s", r.body)
			}
			if metrics := f.do("GET", "/metrics", "", "").body; strings.Contains(metrics, "made_up") {
				t.Error("a made-up code is a label")
			}
		})
	}
}

// The bodies of problems are contract; testdata has one of each kind.
func TestGoldenProblems(t *testing.T) {
	t.Parallel()
	standing := &relay.MessagesError{Messages: []relay.Message{
		{ID: "1", State: ledger.Logged, Duplicate: true, LogID: "5512", EntryID: entryID},
		{ID: "2", State: ledger.Unknown, EntryID: "01JZ0000000000000000000002"},
		{ID: "3"},
	}}
	for name, err := range map[string]error{
		"unsettled": &fault.Error{
			Code: fault.OutcomeUnsettled, Class: fault.Unknown, RetryAfter: time.Minute, Err: standing,
			Msg: "an earlier attempt may have logged these messages",
		},
		"fields": &fault.Error{Code: fault.InvalidFields, Class: fault.Permanent, Err: strictjson.Faults{
			{Pointer: "/contactInfo/id", Code: "required", Detail: "is required"},
			{Pointer: "/mesage", Code: "unknown_member", Detail: `unknown member "mesage"; did you mean "message"?`},
		}},
		"unknown": fault.OutcomeUnknown(errors.Join(errors.New("reset"), standing)),
		"plain":   fault.New(fault.AdapterDisabled, ""),
		"long":    fault.Rejected(strings.Repeat("ä", 3000)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.relay.add = func(context.Context, relay.Call) (*relay.Result, error) { return nil, err }
			r := f.do("POST", addPath, f.acme, `{}`, func(r *http.Request) { r.Header.Set("X-Request-Id", "golden") })
			golden(t, name+".problem.json", r.body)
		})
	}
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestUnknownRoutesAndMethods(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, path := range []string{
		"/", "/v1", "/v1/", "/v2/tenants", "/v1/tenants/", "/v1/tenants/acme/", "/v1//tenants", "/v1/tenants/../tenants",
		"/v1/tenants/a/b/c", "/openapi.yaml", "/docs", "/schemas/Problem.json", "/v1/tenants/acme/message-logs/x/y",
	} {
		r := f.do("GET", path, adminToken, "")
		r.refused(t, fault.RouteNotFound)
		if r.Header.Get("Location") != "" {
			t.Errorf("%s is redirected to %s", path, r.Header.Get("Location"))
		}
	}
	for path, allow := range map[string]string{
		addPath: "POST", "/v1/tenants/acme": "DELETE, GET, HEAD, PATCH, PUT", "/healthz": "GET, HEAD",
	} {
		r := f.do("OPTIONS", path, adminToken, "")
		r.refused(t, fault.MethodNotAllowed)
		if got := r.Header.Get("Allow"); got != allow {
			t.Errorf("%s: Allow %q, want %q", path, got, allow)
		}
	}
	if r := f.do("HEAD", "/v1/tenants/acme", adminToken, ""); r.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %d", r.StatusCode)
	}
}

func TestPanicsBecomeProblems(t *testing.T) {
	t.Parallel()
	for name, panics := range map[string]func(){
		"a value":         func() { panic(marker) },
		"an error":        func() { panic(errors.New(marker)) },
		"a runtime error": func() { _ = []int{}[len(marker)] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.relay.add = func(context.Context, relay.Call) (*relay.Result, error) { panics(); return nil, nil }
			r := f.do("POST", addPath, f.acme, `{}`)
			if p := r.refused(t, fault.Internal); p.Class != "unknown" {
				t.Errorf("got %+v", p)
			}
			logs := f.logs.String()
			if !strings.Contains(logs, "request handler panicked") || strings.Contains(r.body+logs, marker) {
				t.Errorf("logged %s", logs)
			}
			f.relay.add = func(context.Context, relay.Call) (*relay.Result, error) { return result(true), nil }
			f.do("POST", addPath, f.acme, `{}`).want(t, http.StatusCreated)
		})
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for id, kept := range map[string]bool{
		"a": true, "A-b_c:d.9": true, strings.Repeat("x", 64): true,
		"": false, strings.Repeat("x", 65): false, "a b": false, "a\tb": false, "ä": false, "a/b": false, `"`: false,
	} {
		for _, path := range []string{"/v1/tenants/acme", "/nothing", "/healthz"} {
			r := f.do("GET", path, f.acme, "", func(r *http.Request) { r.Header["X-Request-Id"] = []string{id} })
			got := r.Header.Get("X-Request-Id")
			if got == "" || (got == id) != kept {
				t.Errorf("id %q, path %s: got %q", id, path, got)
			}
		}
	}
	f.do("POST", addPath, f.acme, `{}`, func(r *http.Request) { r.Header.Set("X-Request-Id", "mine") })
	if call := f.relay.calls[0]; call.RequestID != "mine" {
		t.Errorf("the relay got request id %q", call.RequestID)
	}
}
