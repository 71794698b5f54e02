package crmhttp

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/internal/callstate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testAuth = "Bearer s3cr3t-token-value"

// call is a Call for tests.
type call sdk.CRMCall

func (c call) CRMCall() sdk.CRMCall { return sdk.CRMCall(c) }

// openCall returns a call with credentials, a minute of send window and a fresh
// state.
func openCall() call {
	return call{
		AuthHeader: sdk.NewSecret(testAuth), NotAfter: time.Now().Add(time.Minute).Round(0),
		State: new(callstate.State),
	}
}

// newClient returns a client that may call baseURL on loopback.
func newClient(t *testing.T, baseURL string, change ...func(*Config)) *Client {
	t.Helper()
	cfg := Config{BaseURL: baseURL, AllowPrivate: []string{"127.0.0.1"}, Timeout: 10 * time.Second}
	for _, f := range change {
		f(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// serve returns a client for a server with that handler.
func serve(t *testing.T, h http.HandlerFunc, change ...func(*Config)) *Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return newClient(t, srv.URL, change...)
}

// listen answers connections one after the other with handle, each in its own
// goroutine; number counts them from 1.
func listen(t *testing.T, handle func(c net.Conn, number int)) (baseURL string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for number := 1; ; number++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				handle(c, number)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return "http://" + l.Addr().String()
}

// reset closes c so that the other side sees a reset.
func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// want is what a fault must be.
type want struct {
	code  fault.Code
	class fault.Class
}

func check(t *testing.T, err error, w want) {
	t.Helper()
	f, ok := err.(*fault.Error)
	if !ok {
		t.Fatalf("got %v (%T), want a *fault.Error", err, err)
	}
	if f.Code != w.code || f.Class != w.class {
		t.Fatalf("got %s, class %s: %v\nwant %s, class %s", f.Code, f.Class, err, w.code, w.class)
	}
}

var (
	wantRejected     = want{fault.CRMRejected, fault.Permanent}
	wantUnauthorized = want{fault.CRMUnauthorized, fault.Permanent}
	wantLimited      = want{fault.RateLimited, fault.Retryable}
	wantUnavailable  = want{fault.CRMUnavailable, fault.Retryable}
	wantUnknown      = want{fault.Outcome, fault.Unknown}
	wantAdapterFault = want{fault.AdapterFault, fault.Permanent}
)

type created struct {
	ID json.Number `json:"id"`
}

func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	type seen struct{ method, path, query, auth, contentType, body string }
	var got seen
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = seen{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Authorization"), r.Header.Get("Content-Type"), string(body)}
		_, _ = io.WriteString(w, `{"id": 9007199254740993}`)
	})
	s, ctx := c.For(openCall()), t.Context()
	in := map[string]string{"note": "<b>&"}
	const body = `{"note":"<b>&"}`
	cases := map[string]struct {
		do   func(out any) error
		want seen
		out  bool
	}{
		"get": {
			func(out any) error { return s.GetJSON(ctx, "/a", map[string][]string{"q": {"x y"}}, out) },
			seen{"GET", "/a", "q=x+y", testAuth, "", ""},
			true,
		},
		"post":   {func(out any) error { return s.PostJSON(ctx, "/a", in, out) }, seen{"POST", "/a", "", testAuth, "application/json", body}, true},
		"put":    {func(out any) error { return s.PutJSON(ctx, "/a", in, out) }, seen{"PUT", "/a", "", testAuth, "application/json", body}, true},
		"patch":  {func(out any) error { return s.PatchJSON(ctx, "/a", in, out) }, seen{"PATCH", "/a", "", testAuth, "application/json", body}, true},
		"query":  {func(out any) error { return s.QueryJSON(ctx, "/a", in, out) }, seen{"POST", "/a", "", testAuth, "application/json", body}, true},
		"delete": {func(any) error { return s.Delete(ctx, "/a") }, seen{"DELETE", "/a", "", testAuth, "", ""}, false},
	}
	for name, tc := range cases { // one after the other: the server notes one request
		t.Run(name, func(t *testing.T) {
			var out created
			if err := tc.do(&out); err != nil {
				t.Fatal(err)
			}
			if got != tc.want {
				t.Errorf("the server saw %+v, want %+v", got, tc.want)
			}
			if tc.out && out.ID != "9007199254740993" {
				t.Errorf("got id %q", out.ID)
			}
		})
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	cases := map[int]struct{ read, write want }{
		400: {wantRejected, wantRejected}, 404: {wantRejected, wantRejected}, 409: {wantRejected, wantRejected},
		422: {wantRejected, wantRejected}, 402: {wantRejected, wantRejected}, 410: {wantRejected, wantRejected},
		413: {wantRejected, wantRejected}, 418: {wantRejected, wantRejected}, 499: {wantRejected, wantRejected},
		401: {wantUnauthorized, wantUnauthorized}, 403: {wantUnauthorized, wantUnauthorized},
		429: {wantLimited, wantLimited}, 425: {wantUnavailable, wantUnavailable}, 503: {wantUnavailable, wantUnavailable},
		408: {wantUnavailable, wantUnknown}, 500: {wantUnavailable, wantUnknown}, 501: {wantUnavailable, wantUnknown},
		502: {wantUnavailable, wantUnknown}, 504: {wantUnavailable, wantUnknown}, 507: {wantUnavailable, wantUnknown},
		599: {wantUnavailable, wantUnknown}, 304: {wantRejected, wantUnknown}, 300: {wantRejected, wantUnknown},
	}
	for status, tc := range cases {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
			err := c.For(openCall()).GetJSON(t.Context(), "/a", nil, new(created))
			check(t, err, tc.read)
			if StatusOf(err) != status {
				t.Errorf("StatusOf: got %d, want %d", StatusOf(err), status)
			}
			check(t, c.For(openCall()).QueryJSON(t.Context(), "/a", "q", new(created)), tc.read)
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				call := openCall()
				resp, err := c.For(call).Do(t.Context(), Request{Method: method, Path: "/a", JSON: 1})
				check(t, err, tc.write)
				if resp == nil || resp.Status != status {
					t.Errorf("%s: got response %+v beside the error", method, resp)
				}
				if surely := tc.write.class != fault.Unknown; call.State.SurelyNotSent() != surely {
					t.Errorf("%s: the state says surely not sent: %v, want %v", method, !surely, surely)
				}
			}
		})
	}
}

func TestUsableBody(t *testing.T) {
	t.Parallel()
	cases := map[string]func(http.ResponseWriter){
		"empty":      func(w http.ResponseWriter) { w.WriteHeader(http.StatusCreated) },
		"no content": func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) },
		"spaces":     func(w http.ResponseWriter) { _, _ = io.WriteString(w, " \n ") },
		"null":       func(w http.ResponseWriter) { _, _ = io.WriteString(w, "null") },
		"html":       func(w http.ResponseWriter) { _, _ = io.WriteString(w, "<html>ok</html>") },
		"half":       func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"id": 1`) },
		"two values": func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"id": 1}{"id": 2}`) },
		"other form": func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"id": {}}`) },
		"truncated": func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"id": 1}`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		},
		"too large": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, `{"id": 1, "pad": "`+strings.Repeat("x", 2000)+`"}`)
		},
	}
	for name, answer := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w) }, func(cfg *Config) { cfg.MaxResponse = 1000 })
			check(t, c.For(openCall()).GetJSON(t.Context(), "/a", nil, new(created)), wantUnavailable)
			check(t, c.For(openCall()).QueryJSON(t.Context(), "/a", "q", new(created)), wantUnavailable)
			call := openCall()
			check(t, c.For(call).PostJSON(t.Context(), "/a", "x", new(created)), wantUnknown)
			if call.State.SurelyNotSent() {
				t.Error("the state says that nothing was sent")
			}
			if err := c.For(openCall()).PostJSON(t.Context(), "/a", "x", nil); err != nil {
				t.Errorf("nobody wants the body, yet: %v", err)
			}
		})
	}
}

func TestDoReturnsHeadersAndBody(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Location", "/record/v1/phonecall/77")
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(append([]byte(r.Header.Get("Content-Type")+":"), body...))
	})
	resp, err := c.For(openCall()).Do(t.Context(), Request{
		Method: "POST", Path: "/record", Body: []byte("a=b"), ContentType: "application/x-www-form-urlencoded",
	})
	if err != nil {
		t.Fatal(err)
	}
	if resp.Status != 201 || resp.Header.Get("Location") != "/record/v1/phonecall/77" ||
		string(resp.Body) != "application/x-www-form-urlencoded:a=b" {
		t.Errorf("got %+v", resp)
	}
}

func TestClosedClientRefuses(t *testing.T) {
	t.Parallel()
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came through") })
	s := c.For(openCall())
	c.Close()
	check(t, s.PostJSON(t.Context(), "/a", 1, nil), wantUnavailable)
}

func TestCancelledBeforeSending(t *testing.T) {
	t.Parallel()
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came through") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check(t, c.For(openCall()).PostJSON(ctx, "/a", 1, nil), wantUnavailable)
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
