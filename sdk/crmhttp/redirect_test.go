package crmhttp

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestWritesAreNotRedirected(t *testing.T) {
	t.Parallel()
	cases := map[int]want{
		301: wantRejected, 307: wantRejected, 308: wantRejected, // not done here
		302: wantUnknown, 303: wantUnknown, // often the answer to a write that was done
	}
	for status, expected := range cases {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			var followed atomic.Int32
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/a" {
					followed.Add(1)
					return
				}
				w.Header().Set("Location", "/b")
				w.WriteHeader(status)
			})
			for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
				_, err := c.For(openCall()).Do(t.Context(), Request{Method: method, Path: "/a", Body: []byte("x")})
				check(t, err, expected)
			}
			check(t, c.For(openCall()).QueryJSON(t.Context(), "/a", 1, nil), wantRejected)
			if n := followed.Load(); n > 0 {
				t.Errorf("%d redirects were followed", n)
			}
		})
	}
}

func TestReadsFollowFiveRedirects(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			left, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
			if r.Header.Get("Authorization") != testAuth {
				t.Error("the same host got no credentials")
			}
			if left > 0 {
				w.Header().Set("Location", fmt.Sprintf("/%d", left-1))
				w.WriteHeader(status)
				return
			}
			_, _ = io.WriteString(w, `{"id":1}`)
		})
		if err := c.For(openCall()).GetJSON(t.Context(), "/5", nil, new(created)); err != nil {
			t.Errorf("%d: %v", status, err)
		}
		check(t, c.For(openCall()).GetJSON(t.Context(), "/6", nil, new(created)), wantRejected)
	}
}

// hosts lets a client reach one TLS server under every allowed name, and notes
// which host got which Authorization header.
func hosts(t *testing.T, handle http.HandlerFunc, egress ...string) *Client {
	t.Helper()
	srv := httptest.NewUnstartedServer(handle)
	srv.Config.ErrorLog = quiet()
	srv.StartTLS()
	t.Cleanup(srv.Close)
	c, err := New(Config{Egress: egress, AllowPrivate: []string{"127.0.0.0/8"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	divert(c, srv)
	return c
}

func TestRedirectsToOtherHosts(t *testing.T) {
	t.Parallel()
	const mine, sister = "api.crm.example", "files.crm.example"
	cases := map[string]struct {
		location string
		want     want // the zero want: success
	}{
		"same host":         {"https://" + mine + "/end", want{}},
		"allowed host":      {"https://" + sister + "/end", want{}},
		"there and back":    {"https://" + sister + "/back", want{}},
		"other host":        {"https://evil.example/end", wantRejected},
		"other suffix":      {"https://evilcrm.example/end", wantRejected},
		"other port":        {"https://" + mine + ":8443/end", wantRejected},
		"down to http":      {"http://" + mine + "/end", wantRejected},
		"with a password":   {"https://u:p@" + mine + "/end", wantRejected},
		"an address":        {"https://127.0.0.1/end", wantRejected},
		"a file":            {"file:///etc/passwd", wantRejected},
		"nowhere":           {"", wantRejected},
		"not a URL":         {"https://[::1", wantRejected},
		"relative to other": {"//evil.example/end", wantRejected},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := hosts(t, func(w http.ResponseWriter, r *http.Request) {
				secret := r.Header.Get("Authorization") + r.Header.Get("X-Key")
				host, mayHave := r.Host, r.Host == mine && r.URL.Query().Get("returned") == ""
				if mayHave != (secret != "") {
					t.Errorf("%s%s got the credentials %q", host, r.URL.Path, secret)
				}
				switch r.URL.Path {
				case "/start":
					w.Header().Set("Location", tc.location)
					w.WriteHeader(http.StatusFound)
				case "/back":
					w.Header().Set("Location", "https://"+mine+"/end?returned=1")
					w.WriteHeader(http.StatusFound)
				default:
					_, _ = io.WriteString(w, `{"id":1}`)
				}
			}, "*.crm.example")
			call := openCall()
			call.Hostname = mine
			_, err := c.For(call).Do(t.Context(), Request{Path: "/start", Header: http.Header{"X-Key": {"k3y-of-the-api"}}})
			if tc.want == (want{}) {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			check(t, err, tc.want)
			if fault.ClassOf(err) == fault.Permanent && tc.location != "" && strings.Contains(err.Error(), tc.location) {
				t.Errorf("the target stands in the error: %v", err)
			}
		})
	}
}

func TestQueryIsNotCarriedAlong(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a" {
			w.Header().Set("Location", "b")
			w.WriteHeader(http.StatusFound)
			return
		}
		if r.URL.RawQuery != "" || r.Referer() != "" {
			t.Errorf("the target saw query %q, referer %q", r.URL.RawQuery, r.Referer())
		}
		_, _ = io.WriteString(w, `{"id":1}`)
	})
	if err := c.For(openCall()).GetJSON(t.Context(), "/a", url.Values{"token": {"x"}}, new(created)); err != nil {
		t.Fatal(err)
	}
}
