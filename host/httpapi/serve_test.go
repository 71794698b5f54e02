package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/httpapi"
	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// served is an API behind a real listener.
type served struct {
	*fixture
	addr string
	stop context.CancelFunc
	done chan error
}

func serve(t *testing.T, f *fixture) *served {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &served{fixture: f, addr: listener.Addr().String(), stop: cancel, done: make(chan error, 1)}
	go func() { s.done <- f.Serve(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-s.done:
		case <-time.After(20 * time.Second):
			t.Error("Serve does not return")
		}
	})
	return s
}

// dial opens a connection on which requests are written by hand.
func (s *served) dial() net.Conn {
	s.t.Helper()
	conn, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func (s *served) request(body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		addPath, s.acme, len(body), body)
}

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
}

// receive reads one answer.
func receive(t *testing.T, from *bufio.Reader) answered {
	t.Helper()
	r, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{r, string(body)}
}

func TestServeDrains(t *testing.T) {
	t.Parallel()
	f := setup(t)
	began, finish := make(chan struct{}), make(chan struct{})
	f.relay.add = func(ctx context.Context, _ relay.Call) (*relay.Result, error) {
		close(began)
		select {
		case <-finish:
			return result(true), nil
		case <-ctx.Done():
			return nil, fault.OutcomeUnknown(ctx.Err())
		}
	}
	s := serve(t, f)
	busy, idle := s.dial(), s.dial()
	send(t, busy, s.request(`{}`))
	<-began
	// A connection on which a request has begun is not idle: its request arrives
	// while the host stops.
	text := s.request(`{}`)
	send(t, idle, text[:len(text)/2])
	s.stop()
	f.logs.waitFor("HTTP edge draining")
	f.do("GET", "/readyz", "", "").want(t, http.StatusServiceUnavailable)
	send(t, idle, text[len(text)/2:])
	r := receive(t, bufio.NewReader(idle))
	p := r.refused(t, fault.ShuttingDown)
	if p.Class != "retryable" || r.Header.Get("Retry-After") == "" {
		t.Errorf("got %s, Retry-After %q", r.body, r.Header.Get("Retry-After"))
	}
	f.do("GET", "/healthz", "", "").want(t, 200)
	close(finish)
	receive(t, bufio.NewReader(busy)).want(t, http.StatusCreated)
	err := <-s.done
	s.done <- err
	if err != nil {
		t.Errorf("Serve: %v", err)
	}
	if conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr); err == nil {
		_ = conn.Close()
		t.Error("the listener is still open")
	}
}

func TestServeCutsOffWhatDoesNotEnd(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *httpapi.Config) { c.DrainTimeout = 50 * time.Millisecond })
	began := make(chan struct{})
	f.relay.add = func(ctx context.Context, _ relay.Call) (*relay.Result, error) {
		close(began)
		<-ctx.Done() // only the end of the connection ends it
		return nil, fault.OutcomeUnknown(ctx.Err())
	}
	s := serve(t, f)
	conn := s.dial()
	send(t, conn, s.request(`{}`))
	<-began
	s.stop()
	err := <-s.done
	s.done <- err
	if err == nil || !strings.Contains(err.Error(), "1 requests were cut off") {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeFailsWithItsListener(t *testing.T) {
	t.Parallel()
	f := setup(t)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Serve(t.Context(), listener); err == nil {
		t.Error("no error")
	}
}

// A body that is too large is refused before it was sent, and the connection is
// not used for what follows.
func TestTooLargeBodies(t *testing.T) {
	t.Parallel()
	s := serve(t, setup(t, func(c *httpapi.Config) { c.MaxBody = 1000 }))
	head := "POST " + addPath + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + s.acme + "\r\nContent-Type: application/json\r\n"
	for name, text := range map[string]string{
		"announced": head + "Content-Length: 1001\r\n\r\n",
		"chunked":   head + "Transfer-Encoding: chunked\r\n\r\n7d0\r\n" + strings.Repeat("x", 2000) + "\r\n",
	} {
		conn := s.dial()
		send(t, conn, text)
		r := receive(t, bufio.NewReader(conn))
		r.refused(t, fault.RequestTooLarge)
		if !r.Close {
			t.Errorf("%s: the connection stays open", name)
		}
	}
	conn := s.dial()
	send(t, conn, head+"Content-Length: 1000\r\n\r\n"+strings.Repeat("x", 1000))
	receive(t, bufio.NewReader(conn)).want(t, http.StatusCreated)
	if len(s.relay.calls) != 1 || len(s.relay.calls[0].Body) != 1000 {
		t.Errorf("%d calls reached the relay", len(s.relay.calls))
	}
}

func TestSlowBodiesAreGivenUp(t *testing.T) {
	t.Parallel()
	s := serve(t, setup(t, func(c *httpapi.Config) { c.BodyTimeout = 50 * time.Millisecond }))
	conn := s.dial()
	text := s.request(`{"a":1}`)
	send(t, conn, text[:len(text)-3])
	receive(t, bufio.NewReader(conn)).refused(t, fault.MalformedRequest)
}

// A call that lasts longer than the body's deadline keeps its context.
func TestBodyDeadlineDoesNotEndTheCall(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *httpapi.Config) { c.BodyTimeout = 20 * time.Millisecond })
	f.relay.add = func(ctx context.Context, _ relay.Call) (*relay.Result, error) {
		select {
		case <-ctx.Done():
			return nil, fault.OutcomeUnknown(ctx.Err())
		case <-time.After(200 * time.Millisecond): // ten times the deadline
			return result(true), nil
		}
	}
	s := serve(t, f)
	conn := s.dial()
	send(t, conn, s.request(`{}`))
	receive(t, bufio.NewReader(conn)).want(t, http.StatusCreated)
}

// The relay sees that its caller has gone.
func TestCallersMayLeave(t *testing.T) {
	t.Parallel()
	f := setup(t)
	began, left := make(chan struct{}), make(chan struct{})
	f.relay.add = func(ctx context.Context, _ relay.Call) (*relay.Result, error) {
		close(began)
		<-ctx.Done()
		close(left)
		return nil, fault.OutcomeUnknown(ctx.Err())
	}
	s := serve(t, f)
	conn := s.dial()
	send(t, conn, s.request(`{}`))
	<-began
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	<-left
}

func TestOverload(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *httpapi.Config) { c.MaxInFlight = 1 })
	began, finish := make(chan struct{}), make(chan struct{})
	f.relay.add = func(context.Context, relay.Call) (*relay.Result, error) {
		close(began)
		<-finish
		return result(true), nil
	}
	first := make(chan answered, 1)
	go func() { first <- f.do("POST", addPath, f.acme, `{}`) }()
	<-began
	for range 2 { // a refused request gives its place back
		r := f.do("GET", "/v1/tenants/acme", f.acme, "")
		r.refused(t, fault.Overloaded)
		if r.Header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
		}
	}
	f.do("GET", "/healthz", "", "").want(t, 200)
	close(finish)
	(<-first).want(t, http.StatusCreated)
	f.do("GET", "/v1/tenants/acme", f.acme, "").want(t, 200)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := httpapi.New(httpapi.Config{MaxBody: -1, MaxWait: -1}, httpapi.Deps{})
	for _, part := range []string{"MaxBody", "MaxWait", "Relay", "Directory", "Catalog", "Ledger", "Processes"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not name %s", err, part)
		}
	}
}
