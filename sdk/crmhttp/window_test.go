package crmhttp

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/internal/callstate"
)

// pipes lets a client reach handle through in-memory connections, so that time
// can be fake. Dialling takes as long as it is told to.
type pipes struct {
	client *Client
	dials  atomic.Int32
	wg     sync.WaitGroup
	mu     sync.Mutex
	got    strings.Builder // every byte that the server received
}

func newPipes(t *testing.T, dialling time.Duration, handle func(net.Conn), change ...func(*Config)) *pipes {
	t.Helper()
	p := &pipes{client: newClient(t, "http://crm.test", change...)}
	p.client.dialer.connect = func(ctx context.Context, _ *net.Dialer, _, _ string) (net.Conn, error) {
		p.dials.Add(1)
		select {
		case <-time.After(dialling):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		near, far := net.Pipe()
		p.wg.Go(func() {
			defer far.Close()
			handle(&recorder{far, p})
		})
		return near, nil
	}
	return p
}

func (p *pipes) received() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got.String()
}

// end closes the client and waits for the servers.
func (p *pipes) end() {
	p.client.Close()
	p.wg.Wait()
}

type recorder struct {
	net.Conn
	p *pipes
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.p.mu.Lock()
	r.p.got.Write(b[:n])
	r.p.mu.Unlock()
	return n, err
}

// answerAll answers every request on c with {"id":1} after a delay.
func answerAll(delay time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		in := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			time.Sleep(delay)
			if _, err := io.WriteString(c, "HTTP/1.1 201 Created\r\nContent-Length: 8\r\n\r\n{\"id\":1}"); err != nil {
				return
			}
		}
	}
}

func callUntil(window time.Duration) call {
	return call{AuthHeader: sdk.NewSecret(testAuth), NotAfter: time.Now().Add(window).Round(0), State: new(callstate.State)}
}

// The window is checked after the connection stands, directly before the bytes
// leave: a slow dial must not carry a write past it.
func TestWindowIsCheckedAfterDialling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes(t, 2*time.Second, answerAll(0))
		defer p.end()
		call := callUntil(time.Second)
		check(t, p.client.For(call).PostJSON(t.Context(), "/a", 1, new(created)), wantUnavailable)
		synctest.Wait()
		if got := p.received(); got != "" {
			t.Errorf("%d bytes left after the window", len(got))
		}
		if !call.State.SurelyNotSent() {
			t.Error("the state says that something was sent")
		}
	})
}

// A pooled connection is checked as a fresh one is.
func TestWindowIsCheckedOnPooledConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes(t, 0, answerAll(0))
		defer p.end()
		s := p.client.For(callUntil(time.Second))
		if err := s.PostJSON(t.Context(), "/first", 1, new(created)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		late := p.client.For(callUntil(time.Second))
		x := late.begin(Request{Method: "POST", Path: "/late"})
		o, err := late.prepare(Request{Method: "POST", Path: "/late", JSON: 1})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // between the first check and the send
		if _, _, err := x.send(t.Context(), o); !errors.Is(err, errWindowClosed) {
			t.Errorf("got %v, want %v", err, errWindowClosed)
		}
		if got := p.received(); strings.Contains(got, "/late") {
			t.Errorf("the server received %q", got)
		}
	})
}

func TestWindowIsCheckedFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes(t, 0, answerAll(0))
		defer p.end()
		s := p.client.For(callUntil(time.Second))
		time.Sleep(time.Second)
		check(t, s.PostJSON(t.Context(), "/a", 1, nil), wantUnavailable)
		check(t, s.Delete(t.Context(), "/a"), wantUnavailable)
		if n := p.dials.Load(); n > 0 {
			t.Errorf("it dialled %d times", n)
		}
	})
}

// No byte leaves after the window, though the beginning left before: the outcome
// is unknown then.
func TestWindowClosesInTheMiddleOfABody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes(t, 0, func(c net.Conn) {
			buf := make([]byte, 1000)
			if _, err := io.ReadFull(c, buf); err != nil {
				t.Error(err)
			}
			time.Sleep(3 * time.Second) // a slow reader: the client's write blocks
			_, _ = io.Copy(io.Discard, c)
		})
		defer p.end()
		call := callUntil(2 * time.Second)
		began := time.Now()
		err := p.client.For(call).PostJSON(t.Context(), "/a", strings.Repeat("x", 1<<20), nil)
		check(t, err, wantUnknown)
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("it ended after %v, want at the end of the window", took)
		}
		p.end()
		if n := len(p.received()); n > 4096 {
			t.Errorf("%d bytes were received, some after the window", n)
		}
	})
}

// The first call of the window decides how long it is by the monotonic clock; a
// later session of the same call cannot lengthen it.
func TestWindowByEitherClock(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cases := map[string]struct {
		w    window
		open bool
	}{
		"both open":        {window{closes: now.Round(0).Add(time.Second), limit: now.Add(time.Second)}, true},
		"wall closed":      {window{closes: now.Round(0).Add(-time.Second), limit: now.Add(time.Second)}, false},
		"monotonic closed": {window{closes: now.Round(0).Add(time.Hour), limit: now.Add(-time.Second)}, false},
		"at the end":       {window{closes: now.Round(0), limit: now}, false},
	}
	for name, tc := range cases {
		if got := tc.w.open(now); got != tc.open {
			t.Errorf("%s: open is %v, want %v", name, got, tc.open)
		}
	}
	var st callstate.State
	first := newWindow(sdk.CRMCall{NotAfter: now.Add(time.Minute), State: &st})
	second := newWindow(sdk.CRMCall{NotAfter: now.Add(time.Hour), State: &st})
	if !second.limit.Equal(first.limit) {
		t.Errorf("the monotonic limit moved from %v to %v", first.limit, second.limit)
	}
}

func TestWritesNeedAWindow(t *testing.T) {
	t.Parallel()
	requests := make(chan string, 10)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests <- r.Method
		_, _ = io.WriteString(w, `{"id":1}`)
	})
	search := openCall()
	search.NotAfter = time.Time{}
	for name, s := range map[string]*Session{"search": c.For(search), "anonymous": c.Anonymous()} {
		check(t, s.PostJSON(t.Context(), "/a", 1, nil), wantAdapterFault)
		check(t, s.Delete(t.Context(), "/a"), wantAdapterFault)
		if len(requests) > 0 {
			t.Fatalf("%s: a write came through", name)
		}
		if err := s.GetJSON(t.Context(), "/a", nil, new(created)); err != nil {
			t.Errorf("%s: GET: %v", name, err)
		}
		if err := s.QueryJSON(t.Context(), "/a", 1, new(created)); err != nil {
			t.Errorf("%s: QueryJSON: %v", name, err)
		}
		<-requests
		<-requests
	}
}

func TestReadsAreNotBoundToTheWindow(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"id":1}`) })
	late := openCall()
	late.NotAfter = time.Now().Add(-time.Hour)
	if err := c.For(late).GetJSON(t.Context(), "/a", nil, new(created)); err != nil {
		t.Error(err)
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		ctx, request, answer, dial time.Duration
		write, read                want
		after                      time.Duration
	}{
		"the request's":    {time.Hour, 3 * time.Second, time.Minute, 0, wantUnknown, wantUnavailable, 3 * time.Second},
		"the context's":    {2 * time.Second, 3 * time.Second, time.Minute, 0, wantUnknown, wantUnavailable, 2 * time.Second},
		"while dialling":   {time.Hour, 3 * time.Second, 0, 4 * time.Second, wantUnavailable, wantUnavailable, 3 * time.Second},
		"answered in time": {time.Hour, 3 * time.Second, time.Second, 0, want{}, want{}, time.Second},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				for _, method := range []string{"POST", "GET"} {
					// A client each: a dial goes on for the next request.
					p := newPipes(t, tc.dial, answerAll(tc.answer), func(c *Config) { c.Timeout = tc.request })
					defer p.end()
					ctx, cancel := context.WithTimeout(t.Context(), tc.ctx)
					began := time.Now()
					call := callUntil(time.Hour)
					_, err := p.client.For(call).Do(ctx, Request{Method: method, Path: "/a"})
					cancel()
					if took := time.Since(began); took != tc.after {
						t.Errorf("%s took %v, want %v", method, took, tc.after)
					}
					expected := tc.read
					if method == "POST" {
						expected = tc.write
					}
					if expected == (want{}) {
						if err != nil {
							t.Errorf("%s: %v", method, err)
						}
						continue
					}
					check(t, err, expected)
					if surely := expected.class != fault.Unknown; call.State.SurelyNotSent() != surely {
						t.Errorf("%s: surely not sent is %v", method, !surely)
					}
				}
			})
		})
	}
}
