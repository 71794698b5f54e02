package doctest

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// caller is an adapter whose call does what the test says.
type caller struct {
	crm *crmhttp.Client
	do  func(context.Context, *crmhttp.Session) error
}

func (c caller) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	if err := c.do(ctx, c.crm.For(req)); err != nil {
		return nil, err
	}
	return sdk.Logged("1"), nil
}

// reads and writes are the calls whose faults the table tells.
func reads(ctx context.Context, s *crmhttp.Session) error {
	return s.GetJSON(ctx, "/a", nil, new(made))
}

func writes(ctx context.Context, s *crmhttp.Session) error {
	return s.PostJSON(ctx, "/a", "x", new(made))
}

type made struct {
	ID json.Number `json:"id"`
}

// crm is one way in which a CRM can answer, or not.
type crm struct {
	url    string
	change func(*crmhttp.Config)
	first  bool // an earlier write of the call has succeeded
}

// told returns what a host is told of a call to the CRM: code and class, or "ok".
func (c crm) told(t *testing.T, do func(context.Context, *crmhttp.Session) error) string {
	t.Helper()
	cfg := crmhttp.Config{BaseURL: c.url, AllowPrivate: []string{"127.0.0.1"}}
	if c.change != nil {
		c.change(&cfg)
	}
	client, err := crmhttp.New(cfg)
	must(t, err)
	defer client.Close()
	host := sdktest.PairService(t, rpc.NewServer(caller{client, func(ctx context.Context, s *crmhttp.Session) error {
		if c.first {
			if err := s.PostJSON(ctx, "/first", "x", nil); err != nil {
				return fault.Rejected("the first write failed")
			}
		}
		return do(ctx, s)
	}}, slog.New(slog.DiscardHandler)))
	_, err = host.AddMessageLog(t.Context(), sdktest.Request())
	if err == nil {
		return "ok"
	}
	return code(string(fault.CodeOf(err))) + ", " + fault.ClassOf(err).String()
}

// answers returns a CRM that answers every request with that status, and leads
// redirects to a page that is there.
func answers(t *testing.T, status int) crm {
	t.Helper()
	return serves(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a" {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		}
		_, _ = io.WriteString(w, `{"id":1}`)
	})
}

func serves(t *testing.T, handle http.HandlerFunc) crm {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return crm{url: server.URL}
}

// body returns a CRM that answers 200 with that body.
func body(t *testing.T, text string) crm {
	t.Helper()
	return serves(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

// raw returns a CRM that answers each request that it has read with these bytes,
// and then resets the connection, or closes it.
func raw(t *testing.T, scheme, answer string, reset bool) crm {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() {
				defer func() { _ = c.Close() }()
				_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
				if scheme == "http" {
					req, err := http.ReadRequest(bufio.NewReader(c))
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
				}
				_, _ = io.WriteString(c, answer)
				if reset {
					_ = c.(*net.TCPConn).SetLinger(0)
				}
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); connections.Wait() })
	return crm{url: scheme + "://" + listener.Addr().String()}
}

func refuses(t *testing.T) crm {
	t.Helper()
	c := raw(t, "http", "", false)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c.url = "http://" + listener.Addr().String()
	must(t, listener.Close())
	return c
}

func untrusted(t *testing.T) crm {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return crm{url: server.URL}
}

// silent reads the request and does not answer in time.
func silent(t *testing.T) crm {
	t.Helper()
	c := serves(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	c.change = func(cfg *crmhttp.Config) { cfg.Timeout = 100 * time.Millisecond }
	return c
}

func notAllowed(t *testing.T) crm {
	t.Helper()
	c := answers(t, http.StatusOK)
	c.change = func(cfg *crmhttp.Config) { cfg.AllowPrivate = nil }
	return c
}

func afterWrite(t *testing.T, status int) crm {
	t.Helper()
	c := answers(t, status)
	c.first = true
	return c
}

// tooLarge answers with more than the client takes.
func tooLarge(t *testing.T) crm {
	t.Helper()
	c := body(t, `{"id":1}                `)
	c.change = func(cfg *crmhttp.Config) { cfg.MaxResponse = 10 }
	return c
}

// statuses are the rows of statuses. A row without numbers is of all others of
// its hundred.
var statuses = []struct {
	what    string
	numbers []int
	hundred int
}{
	{"301, 307, 308", []int{301, 307, 308}, 3},
	{"302, 303", []int{302, 303}, 3},
	{"other 3xx", nil, 3},
	{"400, 404, 409, 422, other 4xx", nil, 4},
	{"401, 403", []int{401, 403}, 4},
	{"408", []int{408}, 4},
	{"425, 503", []int{425, 503}, 5},
	{"429", []int{429}, 4},
	{"500, 502, 504, other 5xx", nil, 5},
}

// withStatus returns every status of that row of statuses.
func withStatus(row int) []int {
	if numbers := statuses[row].numbers; numbers != nil {
		return numbers
	}
	var out []int
	for status := statuses[row].hundred * 100; status < (statuses[row].hundred+1)*100; status++ {
		elsewhere := false
		for _, other := range statuses {
			elsewhere = elsewhere || slices.Contains(other.numbers, status)
		}
		if !elsewhere {
			out = append(out, status)
		}
	}
	return out
}

func answerRows(t *testing.T) [][]string {
	t.Helper()
	rows := [][]string{{"the CRM", "after a read", "after a write"}}
	add := func(what string, each ...crm) {
		var row []string
		for _, c := range each {
			now := []string{what, c.told(t, reads), c.told(t, writes)}
			if row != nil && !slices.Equal(row, now) {
				t.Errorf("%s: %q, but also %q", what, row, now)
			}
			row = now
		}
		rows = append(rows, row)
	}
	for n, row := range statuses {
		var each []crm
		for _, status := range withStatus(n) {
			each = append(each, answers(t, status))
		}
		add("answers "+row.what, each...)
	}
	add("answers 101", raw(t, "http", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", false))
	add("answers 2xx with a body that is empty, cut short, too large or no JSON", body(t, ""), body(t, "<html>"), body(t, "null"), body(t, "[]"),
		tooLarge(t), raw(t, "http", "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\":1}", false))
	add("answers in something else than HTTP", raw(t, "http", "SSH-2.0-x\r\n\r\n", false))
	add("refuses the connection", refuses(t))
	add("cannot be trusted, or breaks off during the TLS handshake", untrusted(t), raw(t, "https", "", true), raw(t, "https", "no TLS\r\n", false))
	add("resets or closes the connection once it has the request", raw(t, "http", "", true), raw(t, "http", "", false))
	add("does not answer in time", silent(t))
	add("is at a host or address that is not allowed", notAllowed(t))
	later := []crm{}
	for _, status := range []int{400, 401, 404, 409, 422, 429, 500, 503} {
		later = append(later, afterWrite(t, status))
	}
	add("fails in any of these ways after an earlier write of the same call", later...)
	return rows
}

var retryAfterOf = regexp.MustCompile("`Retry-After` is taken over from ([0-9, and]+)\\.")

// TestStatusesWithRetryAfter holds the list of statuses whose Retry-After a caller
// gets, below the table, against every refusal.
func TestStatusesWithRetryAfter(t *testing.T) {
	t.Parallel()
	m := retryAfterOf.FindStringSubmatch(read(t, "docs/ERRORS.md"))
	if m == nil {
		t.Fatal("docs/ERRORS.md does not say whose Retry-After is taken over")
	}
	var want []string
	var asked atomic.Int64
	c := serves(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(int(asked.Load()))
	})
	client, err := crmhttp.New(crmhttp.Config{BaseURL: c.url, AllowPrivate: []string{"127.0.0.1"}})
	must(t, err)
	defer client.Close()
	for status := 400; status < 600; status++ {
		asked.Store(int64(status))
		if fault.RetryAfterOf(writes(t.Context(), client.For(sdktest.Request()))) > 0 {
			want = append(want, strconv.Itoa(status))
		}
	}
	if got := number.FindAllString(m[1], -1); !slices.Equal(got, want) {
		t.Errorf("Retry-After is taken over from %q; docs/ERRORS.md says %q", want, got)
	}
}

// The window is measured inside the adapter's process, so its rows stand beside
// the table in words.
func TestWordsOfTheWindow(t *testing.T) {
	t.Parallel()
	c := answers(t, http.StatusCreated)
	client, err := crmhttp.New(crmhttp.Config{BaseURL: c.url, AllowPrivate: []string{"127.0.0.1"}})
	must(t, err)
	defer client.Close()
	for name, tc := range map[string]struct {
		notAfter time.Time
		want     fault.Code
	}{
		"closed": {time.Now().Add(-time.Second), fault.CRMUnavailable},
		"none":   {time.Time{}, fault.AdapterFault},
	} {
		t.Run(name, func(t *testing.T) {
			req := sdktest.Request()
			req.NotAfter = tc.notAfter
			if err := writes(t.Context(), client.For(req)); fault.CodeOf(err) != tc.want || fault.ClassOf(err) == fault.Unknown {
				t.Errorf("got %v, class %s; docs/ERRORS.md says %s", err, fault.ClassOf(err), tc.want)
			}
			if err := reads(t.Context(), client.For(req)); err != nil {
				t.Errorf("a read is bound to the window: %v", err)
			}
		})
	}
	if !slices.Contains(withStatus(3), http.StatusTeapot) || slices.Contains(withStatus(3), http.StatusTooEarly) {
		t.Error("other 4xx are " + strconv.Itoa(len(withStatus(3))))
	}
}
