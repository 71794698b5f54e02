package crmhttp

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestFromEnv(t *testing.T) {
	t.Setenv("EXAMPLECRM_BASE_URL", "http://127.0.0.1:1")
	t.Setenv("PATCHBAY_EGRESS", "a.example, *.b.example,,")
	t.Setenv("PATCHBAY_ALLOW_PRIVATE", "127.0.0.1")
	got := FromEnv("EXAMPLECRM")
	want := Config{BaseURL: "http://127.0.0.1:1", Egress: []string{"a.example", "*.b.example"}, AllowPrivate: []string{"127.0.0.1"}}
	if got.env = nil; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// An operator knows the variables, an author the fields: an error names the one
// that the faulty value came from.
func TestNewNamesWhatCanBeSet(t *testing.T) {
	t.Setenv("EXAMPLECRM_BASE_URL", "no URL")
	t.Setenv("PATCHBAY_EGRESS", "ok.example,https://x")
	t.Setenv("PATCHBAY_ALLOW_PRIVATE", "a b")
	for name, test := range map[string]struct {
		change func(*Config)
		want   []string
	}{
		"variables": {func(*Config) {}, []string{"EXAMPLECRM_BASE_URL: ", "PATCHBAY_EGRESS[1]: ", "PATCHBAY_ALLOW_PRIVATE[0]: "}},
		"fields": {func(c *Config) {
			c.BaseURL, c.Egress[0], c.AllowPrivate = "ftp://x", "*.*.x", []string{"::1", "a b"}
		}, []string{"BaseURL: ", "Egress[0]: ", "Egress[1]: ", "AllowPrivate[1]: "}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := FromEnv("EXAMPLECRM")
			test.change(&cfg)
			_, err := New(cfg)
			if err == nil {
				t.Fatal("no error")
			}
			lines := strings.Split(strings.TrimPrefix(err.Error(), "configure the CRM client: "), "\n")
			if !slices.EqualFunc(lines, test.want, strings.HasPrefix) {
				t.Errorf("got %q, want lines that begin as %q", lines, test.want)
			}
		})
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, err := New(Config{
		BaseURL: "ftp://u:s3cr3t@x", Egress: []string{"ok.example", "https://x", "*.*.x"}, AllowPrivate: []string{"::1", "a b"},
		Timeout: -1, DialTimeout: -1, MaxRequest: -1, MaxResponse: -1, MaxConns: -1, UserAgent: "a\nb",
		Header: http.Header{"Host": {"x"}, "A b": {"x"}, "X-Key": {"s3cr3t\n"}},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, field := range []string{
		"BaseURL", "Egress[1]", "Egress[2]", "AllowPrivate[1]", "Timeout", "DialTimeout", "MaxRequest", "MaxResponse",
		"MaxConns", "UserAgent", "Header", "Host", "X-Key", "name is malformed",
	} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is missing in %v", field, err)
		}
	}
	if strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("a secret stands in %v", err)
	}
	for _, base := range []string{"x", "//x", "https://", "https://x?y", "https://x#y", "https://u@x", "https://x:y", ":"} {
		if _, err := New(Config{BaseURL: base}); err == nil {
			t.Errorf("base URL %q was taken", base)
		}
	}
}

func TestTransportRepeatsAndSharesNothing(t *testing.T) {
	t.Parallel()
	c := newClient(t, "http://127.0.0.1:1")
	if c.transport.Protocols.HTTP2() || c.transport.MaxConnsPerHost != DefaultMaxConns || c.transport.IdleConnTimeout != idleTimeout {
		t.Errorf("got %+v", c.transport)
	}
	s := c.For(openCall())
	o, err := s.prepare(Request{Method: "POST", Path: "/a", JSON: 1, Header: http.Header{"idempotency-key": {"x"}, "X-IDEMPOTENCY-KEY": {"y"}}})
	if err != nil {
		t.Fatal(err)
	}
	req, err := o.request(t.Context(), &guard{})
	if err != nil {
		t.Fatal(err)
	}
	if req.GetBody != nil {
		t.Error("the body can be rewound")
	}
	if _, seeker := req.Body.(io.Seeker); seeker {
		t.Error("the body can seek")
	}
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if _, known := req.Header[name]; known {
			t.Errorf("net/http would recognise %s", name)
		}
		if _, sent := req.Header[strings.ToLower(name)]; !sent {
			t.Errorf("%s is not sent", name)
		}
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	var got http.Header
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.Header }, func(cfg *Config) {
		cfg.Header, cfg.UserAgent = http.Header{"X-One": {"config"}, "X-Two": {"config"}}, "acme/2"
	})
	_, err := c.For(openCall()).Do(t.Context(), Request{Path: "/a", Header: http.Header{"x-two": {"own"}, "Accept": {"text/xml"}, "Authorization": {"BhRest y"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"X-One": "config", "X-Two": "own", "Accept": "text/xml", "User-Agent": "acme/2", "Authorization": "BhRest y",
	} {
		if got.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.Get(name), want)
		}
	}
	if err := c.Anonymous().GetJSON(t.Context(), "/a", nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, sent := got["Authorization"]; sent {
		t.Error("an anonymous request carries credentials")
	}
}

func TestRequestsThatCannotBeSent(t *testing.T) {
	t.Parallel()
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came through") }, func(cfg *Config) { cfg.MaxRequest = 100 })
	cases := map[string]Request{
		"no slash":       {Path: "a"},
		"empty path":     {},
		"query in path":  {Path: "/a?b=c"},
		"fragment":       {Path: "/a#b"},
		"dot segments":   {Path: "/a/../b"},
		"escaped dots":   {Path: "/a/%2e%2e/b"},
		"escaped slash":  {Path: "/a/..%2Fb"},
		"bad escape":     {Path: "/a/%zz"},
		"lower case":     {Path: "/a", Method: "post"},
		"no token":       {Path: "/a", Method: "PO ST"},
		"CONNECT":        {Path: "/a", Method: "CONNECT"},
		"not encodable":  {Path: "/a", Method: "POST", JSON: func() {}},
		"too large":      {Path: "/a", Method: "POST", Body: make([]byte, 101)},
		"managed header": {Path: "/a", Header: http.Header{"host": {"x"}}},
		"broken header":  {Path: "/a", Header: http.Header{"X": {"a\nb"}}},
		"broken type":    {Path: "/a", Method: "POST", Body: []byte("x"), ContentType: "a\nb"},
	}
	for name, r := range cases {
		call := openCall()
		_, err := c.For(call).Do(t.Context(), r)
		if check(t, err, wantAdapterFault); !call.State.SurelyNotSent() {
			t.Errorf("%s: it counts as sent", name)
		}
	}
}

func TestPath(t *testing.T) {
	t.Parallel()
	cases := []struct {
		template string
		values   []any
		want     string
	}{
		{"/a", nil, "/a"},
		{"/persons/{id}", []any{7}, "/persons/7"},
		{"/persons/{id}/notes/{note}", []any{"a/b?c#d", "é%"}, "/persons/a%2Fb%3Fc%23d/notes/%C3%A9%25"},
		{"/persons/{id}", nil, ""},
		{"/persons/{id}", []any{""}, ""},
		{"/persons/{id}", []any{1, 2}, ""},
		{"/persons/{id", []any{1}, ""},
		{"/persons", []any{1}, ""},
	}
	for _, tc := range cases {
		if got := Path(tc.template, tc.values...); got != tc.want {
			t.Errorf("Path(%q, %v) = %q, want %q", tc.template, tc.values, got, tc.want)
		}
	}
	var got string
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { got = r.URL.EscapedPath() })
	if err := c.For(openCall()).GetJSON(t.Context(), Path("/p/{}", "a/b c"), nil, nil); err != nil || got != "/p/a%2Fb%20c" {
		t.Errorf("the server saw %q, error %v", got, err)
	}
	check(t, c.For(openCall()).GetJSON(t.Context(), Path("/p/{}", ".."), nil, nil), wantAdapterFault)
}

func TestPathTemplate(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"/api/v2/activities/77":              "/api/v2/activities/{}",
		"/v3.1/events/5/links":               "/v3.1/events/{}/links",
		"/api/v4/communications.json":        "/api/v4/communications.json",
		"/a?token=x":                         "/a",
		"/rest/abcdef0123456789/entity/Note": "/rest/{}/entity/Note",
		"/u/ada@example.com":                 "/u/{}",
		"/x/" + strings.Repeat("y", 33):      "/x/{}",
		"/" + strings.Repeat("a/", 200):      "/" + strings.Repeat("a/", 200)[:maxTemplate-1] + "...",
	}
	for path, want := range cases {
		if got := pathTemplate(path); got != want {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
	}
}

// A few kilobytes that unpack to a gigabyte must not be unpacked.
func TestCompressedBodiesAreBounded(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for chunk := bytes.Repeat([]byte(" "), 1<<20); bomb.Len() < 64<<10; {
		if _, err := z.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	packed := func(status int) *Client {
		return serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(status)
			_, _ = w.Write(bomb.Bytes())
		}, func(cfg *Config) { cfg.MaxResponse = 1 << 20 })
	}
	resp, err := packed(http.StatusOK).For(openCall()).Do(t.Context(), Request{Path: "/a"})
	check(t, err, wantUnavailable)
	if !strings.Contains(err.Error(), "larger than 1048576 bytes") || len(resp.Body) > 0 {
		t.Errorf("got %d bytes, %v", len(resp.Body), err)
	}
	resp, err = packed(http.StatusBadRequest).For(openCall()).Do(t.Context(), Request{Path: "/a"})
	if check(t, err, wantRejected); len(resp.Body) != maxErrorBody {
		t.Errorf("%d bytes of an error's body were read", len(resp.Body))
	}
	if err := packed(http.StatusOK).For(openCall()).PostJSON(t.Context(), "/a", 1, nil); err != nil {
		t.Error(err)
	}
	var small bytes.Buffer
	z = gzip.NewWriter(&small)
	_, _ = io.WriteString(z, `{"id":7}`)
	_ = z.Close()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(small.Bytes())
	})
	var out created
	if err := c.For(openCall()).PostJSON(t.Context(), "/a", 1, &out); err != nil || out.ID != "7" {
		t.Errorf("got %v, %v", out, err)
	}
}

func TestTLSWithOwnAuthority(t *testing.T) {
	t.Parallel()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 || r.TLS.Version < tls.VersionTLS12 {
			t.Errorf("got %s over %s", r.Proto, tls.VersionName(r.TLS.Version))
		}
		_, _ = io.WriteString(w, `{"id":1}`)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := srv.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	c := newClient(t, srv.URL, func(cfg *Config) { cfg.RootCAs = roots })
	for range 3 {
		if err := c.For(openCall()).PostJSON(t.Context(), "/a", 1, new(created)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 8, 10, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		header, date string
		want         time.Duration
		ok           bool
	}{
		"seconds":         {"120", "", 2 * time.Minute, true},
		"zero":            {"0", "", 0, true},
		"fraction":        {"1.5", "", 1500 * time.Millisecond, true},
		"date":            {"Sun, 08 Mar 2026 10:00:30 GMT", "", 30 * time.Second, true},
		"other clock":     {"Sun, 08 Mar 2026 12:00:30 GMT", "Sun, 08 Mar 2026 12:00:00 GMT", 30 * time.Second, true},
		"in the past":     {"Sun, 08 Mar 2026 09:00:00 GMT", "", 0, true},
		"negative":        {"-5", "", 0, false},
		"words":           {"soon", "", 0, false},
		"absent":          {"", "", 0, false},
		"far too long":    {strings.Repeat("9", 400), "", 0, false},
		"more than a day": {"999999999999", "", maxRetryAfter, true},
	}
	for name, tc := range cases {
		h := http.Header{"Retry-After": {tc.header}, "Date": {tc.date}}
		if got, ok := parseRetryAfter(h, now); got != tc.want || ok != tc.ok {
			t.Errorf("%s: got %v, %v; want %v, %v", name, got, ok, tc.want, tc.ok)
		}
	}
}

func TestRetryAfterReachesTheFault(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		status int
		header http.Header
		want   time.Duration
	}{
		"429":             {429, http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		"503":             {503, http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		"425":             {425, http.Header{"Retry-After": {"7"}}, 7 * time.Second},
		"own header":      {429, http.Header{"X-Ratelimit-Reset": {"3"}}, 3 * time.Second},
		"standard wins":   {429, http.Header{"X-Ratelimit-Reset": {"3"}, "Retry-After": {"7"}}, 7 * time.Second},
		"none":            {429, nil, 0},
		"not for refusal": {422, http.Header{"Retry-After": {"7"}}, 0},
		"not for unknown": {502, http.Header{"Retry-After": {"7"}}, 0},
		"endless":         {429, http.Header{"Retry-After": {"Fri, 01 Jan 9999 00:00:00 GMT"}}, maxRetryAfter},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				maps.Copy(w.Header(), tc.header)
				w.WriteHeader(tc.status)
			}, func(cfg *Config) { cfg.RetryAfter = SecondsHeader("X-RateLimit-Reset") })
			err := c.For(openCall()).PostJSON(t.Context(), "/a", 1, nil)
			if got := retryAfterOf(err); got != tc.want {
				t.Errorf("got %v, want %v (%v)", got, tc.want, err)
			}
		})
	}
}
