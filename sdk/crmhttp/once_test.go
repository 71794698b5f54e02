package crmhttp

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// readRequest reads one request with its body.
func readRequest(t *testing.T, c net.Conn, in *bufio.Reader) bool {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	req, err := http.ReadRequest(in)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, req.Body)
	return err == nil
}

const ok = "HTTP/1.1 201 Created\r\nContent-Length: 8\r\n\r\n{\"id\":1}"

func TestConnectionLost(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		handle      func(t *testing.T, c net.Conn)
		read, write want
	}{
		"reset after the request": {func(t *testing.T, c net.Conn) {
			readRequest(t, c, bufio.NewReader(c))
			reset(c)
		}, wantUnavailable, wantUnknown},
		"closed after the request": {func(t *testing.T, c net.Conn) {
			readRequest(t, c, bufio.NewReader(c))
		}, wantUnavailable, wantUnknown},
		"reset after one byte": {func(_ *testing.T, c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			reset(c)
		}, wantUnavailable, wantUnknown},
		"reset in the middle of the headers": {func(t *testing.T, c net.Conn) {
			readRequest(t, c, bufio.NewReader(c))
			_, _ = io.WriteString(c, "HTTP/1.1 201 Created\r\nContent-")
			reset(c)
		}, wantUnavailable, wantUnknown},
		"closed in the middle of the body": {func(t *testing.T, c net.Conn) {
			readRequest(t, c, bufio.NewReader(c))
			_, _ = io.WriteString(c, "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\":1}")
		}, wantUnavailable, wantUnknown},
		"not HTTP": {func(t *testing.T, c net.Conn) {
			readRequest(t, c, bufio.NewReader(c))
			_, _ = io.WriteString(c, "SSH-2.0-x\r\n\r\n")
		}, wantUnavailable, wantUnknown},
		"endless headers": {func(t *testing.T, c net.Conn) {
			readRequest(t, c, bufio.NewReader(c))
			_, _ = io.WriteString(c, "HTTP/1.1 201 Created\r\n")
			for range 1 << 20 {
				if _, err := io.WriteString(c, "X-Pad: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n"); err != nil {
					return
				}
			}
		}, wantUnavailable, wantUnknown},
		"switching protocols": {func(t *testing.T, c net.Conn) {
			readRequest(t, c, bufio.NewReader(c))
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
			_, _ = c.Read(make([]byte, 1)) // until the client hangs up
		}, wantUnavailable, wantUnknown},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, listen(t, func(c net.Conn, _ int) { tc.handle(t, c) }))
			check(t, c.For(openCall()).GetJSON(t.Context(), "/a", nil, new(created)), tc.read)
			call := openCall()
			check(t, c.For(call).PostJSON(t.Context(), "/a", 1, new(created)), tc.write)
			if call.State.SurelyNotSent() {
				t.Error("the state says that nothing was sent")
			}
		})
	}
}

func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	call := openCall()
	err = newClient(t, "http://"+l.Addr().String()).For(call).PostJSON(t.Context(), "/a", 1, nil)
	check(t, err, wantUnavailable)
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the cause is lost: %v", err)
	}
	if !call.State.SurelyNotSent() {
		t.Error("the state says that something was sent")
	}
}

func TestTLSFailuresSendNothing(t *testing.T) {
	t.Parallel()
	var served atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	srv.Config.ErrorLog = quiet()
	srv.StartTLS()
	t.Cleanup(srv.Close)
	plain := listen(t, func(c net.Conn, _ int) { // a server that does not speak TLS
		_, _ = c.Read(make([]byte, 1))
		_, _ = io.WriteString(c, "HTTP/1.0 400 Bad Request\r\n\r\n")
	})
	hangup := listen(t, func(c net.Conn, _ int) { reset(c) })
	for name, base := range map[string]string{
		"unknown authority": srv.URL, "no TLS": "https" + plain[len("http"):], "reset": "https" + hangup[len("http"):],
	} {
		t.Run(name, func(t *testing.T) {
			call := openCall()
			check(t, newClient(t, base).For(call).PostJSON(t.Context(), "/a", 1, nil), wantUnavailable)
			if !call.State.SurelyNotSent() || served.Load() > 0 {
				t.Error("something was sent")
			}
		})
	}
}

// A server that closes a connection of the pool while a write goes out: net/http
// would send it again when it believed the request to be repeatable, a send that
// nobody counted. The headers are those that make it believe so.
func TestWritesAreNeverReplayed(t *testing.T) {
	t.Parallel()
	headers := http.Header{"Idempotency-Key": {"k"}, "X-Idempotency-Key": {"k"}}
	for name, r := range map[string]Request{
		"with a body":    {Method: "POST", Path: "/write", JSON: 1, Header: headers},
		"without a body": {Method: "POST", Path: "/write", Header: headers},
		"put":            {Method: "PUT", Path: "/write", Body: []byte("x"), Header: headers},
		"delete":         {Method: "DELETE", Path: "/write", Header: headers},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var writes atomic.Int32
			c := newClient(t, listen(t, func(c net.Conn, _ int) {
				in := bufio.NewReader(c)
				for {
					_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
					req, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					if req.URL.Path == "/write" {
						if req.Header.Get("Idempotency-Key") != "k" || req.Header.Get("X-Idempotency-Key") != "k" {
							t.Error("the key did not arrive")
						}
						writes.Add(1)
						return // it closes the connection, as if its idle time were over
					}
					_, _ = io.WriteString(c, ok)
				}
			}))
			for range 3 { // warm the pool
				if err := c.For(openCall()).GetJSON(t.Context(), "/a", nil, new(created)); err != nil {
					t.Fatal(err)
				}
			}
			_, err := c.For(openCall()).Do(t.Context(), r)
			check(t, err, wantUnknown)
			if n := writes.Load(); n != 1 {
				t.Errorf("the write arrived %d times", n)
			}
		})
	}
}

// The guard alone must hold even if net/http did repeat a request.
func TestGuardRefusesASecondSend(t *testing.T) {
	t.Parallel()
	st := openCall()
	g := &guard{write: true, window: newWindow(st.CRMCall()), state: st.State}
	first, second := &conn{Conn: discard{}}, &conn{Conn: discard{}}
	g.carry(first, false)
	for range 2 {
		if _, err := first.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	g.carry(second, false)
	if _, err := second.Write([]byte("x")); !errors.Is(err, errSecondSend) {
		t.Errorf("got %v, want %v", err, errSecondSend)
	}
	g.end()
	if _, err := first.Write([]byte("x")); !errors.Is(err, errEnded) {
		t.Errorf("after the end: got %v, want %v", err, errEnded)
	}
	if _, err := (&conn{Conn: discard{}}).Write([]byte("x")); !errors.Is(err, errEnded) {
		t.Errorf("without a request: got %v, want %v", err, errEnded)
	}
}

// A write of which the socket took nothing was not sent, and may begin anew on
// another connection.
func TestGuardTakesBackWhatNeverLeft(t *testing.T) {
	t.Parallel()
	call := openCall()
	call.State.Watch()
	g := &guard{write: true, window: newWindow(call.CRMCall()), state: call.State}
	dead, alive := &conn{Conn: discard{err: io.ErrClosedPipe}}, &conn{Conn: discard{}}
	g.carry(dead, true)
	if _, err := dead.Write([]byte("x")); err == nil {
		t.Fatal("the dead connection took it")
	}
	if !call.State.SurelyNotSent() {
		t.Error("nothing left, yet it counts as sent")
	}
	g.carry(alive, false)
	if _, err := alive.Write([]byte("x")); err != nil || call.State.SurelyNotSent() {
		t.Errorf("err %v, surely not sent %v", err, call.State.SurelyNotSent())
	}
}

type discard struct {
	net.Conn
	err error
}

func (d discard) Write(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	return len(p), nil
}
func (discard) SetWriteDeadline(time.Time) error { return nil }

// A connection that died in the pool before anything was written is no failure:
// the request takes another one, and still arrives once.
func TestDeadPooledConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	var writes atomic.Int32
	closed := make(chan struct{})
	c := newClient(t, listen(t, func(c net.Conn, number int) {
		in := bufio.NewReader(c)
		for readRequest(t, c, in) {
			if number > 1 {
				writes.Add(1)
			}
			_, _ = io.WriteString(c, ok)
			if number == 1 {
				reset(c)
				close(closed)
				return
			}
		}
	}))
	if err := c.For(openCall()).GetJSON(t.Context(), "/a", nil, new(created)); err != nil {
		t.Fatal(err)
	}
	<-closed
	call := openCall()
	err := c.For(call).PostJSON(t.Context(), "/a", 1, new(created))
	// The reset may be seen only after the bytes were handed over; then, and only
	// then, the outcome is unknown. Either way nothing arrives twice.
	if err != nil && (fault.ClassOf(err) != fault.Unknown || call.State.SurelyNotSent()) {
		t.Fatalf("got %v", err)
	}
	if n := writes.Load(); n > 1 || err == nil && n != 1 {
		t.Errorf("the write arrived %d times, error %v", n, err)
	}
}

// A refusal that comes before the whole body was sent is a refusal all the same.
func TestEarlyRefusal(t *testing.T) {
	t.Parallel()
	c := newClient(t, listen(t, func(c net.Conn, _ int) {
		_, _ = c.Read(make([]byte, 100))
		_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
	}))
	call := openCall()
	check(t, c.For(call).PostJSON(t.Context(), "/a", make([]byte, 2<<20), nil), wantRejected)
	if !call.State.SurelyNotSent() {
		t.Error("the refused write stands")
	}
}
