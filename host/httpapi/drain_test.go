package httpapi_test

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/host/httpapi"
	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// A body that is still arriving does not hold the drain, and its caller is told;
// a call that has begun goes on.
func TestDrainCutsSlowBodies(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{
		"announced": "Content-Length: 100\r\n\r\n{\"a\":",
		"none yet":  "Content-Length: 100\r\n\r\n",
		"chunked":   "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t, func(c *httpapi.Config) { c.BodyTimeout, c.DrainTimeout = time.Hour, time.Hour })
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
			busy, slow := s.dial(), s.dial()
			send(t, busy, s.request(`{}`))
			<-began
			send(t, slow, "POST "+addPath+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+s.acme+
				"\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"+rest)
			answers := bufio.NewReader(slow)
			if r, err := http.ReadResponse(answers, nil); err != nil || r.StatusCode != http.StatusContinue {
				t.Fatalf("the body is not being read: %v", err) // it is, once the host says to go on
			}
			s.stop()
			r := receive(t, answers) // while the other call is in flight
			p := r.refused(t, fault.ShuttingDown)
			if p.Class != "retryable" || r.Header.Get("Retry-After") == "" || !r.Close {
				t.Errorf("got %s, Retry-After %q, close %t", r.body, r.Header.Get("Retry-After"), r.Close)
			}
			close(finish)
			receive(t, bufio.NewReader(busy)).want(t, http.StatusCreated)
			s.drained(t)
			if len(f.relay.calls) != 1 {
				t.Errorf("%d calls reached the relay", len(f.relay.calls))
			}
		})
	}
}

// drained fails unless Serve ends without an error, well before its own limits.
func (s *served) drained(t *testing.T) {
	t.Helper()
	select {
	case err := <-s.done:
		s.done <- err
		if err != nil {
			t.Errorf("Serve: %v", err)
		}
	case <-time.After(15 * time.Second):
		t.Error("the drain is held up")
	}
}

// Nor do connections hold it on which no request is in flight: one that waits for
// the rest of its header, and one whose body was refused unread.
func TestDrainDoesNotWaitForStragglers(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"half a header":    "POST " + addPath + " HTTP/1.1\r\nHost:",
		"refused, no body": "POST " + addPath + " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// net/http by itself would wait for five seconds. On a busy machine a
			// connection may be accepted after the moment in which all are told.
			var took time.Duration
			for range 3 {
				if took = drainWith(t, text, strings.HasPrefix(name, "refused")); took < 4*time.Second {
					return
				}
			}
			t.Errorf("took %s", took)
		})
	}
}

// drainWith returns how long a drain takes while a connection has sent text.
func drainWith(t *testing.T, text string, refused bool) time.Duration {
	t.Helper()
	f := setup(t, func(c *httpapi.Config) { c.BodyTimeout, c.DrainTimeout = time.Hour, time.Hour })
	s := serve(t, f)
	conn := s.dial()
	send(t, conn, text)
	if refused {
		f.logs.waitFor("request refused")
	}
	began := time.Now()
	s.stop()
	s.drained(t)
	return time.Since(began)
}

// A body that no route reads is waited for no longer than one that is read.
func TestUnreadBodiesAreGivenUp(t *testing.T) {
	t.Parallel()
	s := serve(t, setup(t, func(c *httpapi.Config) { c.BodyTimeout = 50 * time.Millisecond }))
	conn := s.dial()
	send(t, conn, "POST "+addPath+" HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
	r := receive(t, bufio.NewReader(conn))
	r.refused(t, fault.Unauthenticated)
	if !r.Close {
		t.Error("the connection stays open")
	}
}

// A query that cannot be read is not called a body.
func TestMalformedQueriesAreNamed(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for query, part := range map[string]string{"a;b": "%3B", "user=1;limit=2": "%3B", "user=%zz": "%25", "%": "%25"} {
		p := f.do("GET", "/v1/tenants/acme/message-logs?"+query, f.acme, "").refused(t, fault.MalformedRequest)
		if p.Status != http.StatusBadRequest || !strings.Contains(p.Title, "query") || strings.Contains(p.Title+p.Detail, "body") ||
			!strings.Contains(p.Detail, "query") || !strings.Contains(p.Detail, part) {
			t.Errorf("%s: %+v", query, p)
		}
	}
	p := f.do("POST", addPath+"?a;b", f.acme, `{}`).refused(t, fault.MalformedRequest)
	if !strings.Contains(p.Title, "query") || len(f.relay.calls) > 0 {
		t.Errorf("with a body: %+v", p)
	}
}

// What fails every request, as a full disk does, does not flood the log.
func TestTroubleIsLoggedAtABoundedRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := setup(t)
		full := &fault.Error{Code: fault.Internal, Class: fault.Unknown, Err: errors.New("disk full")}
		f.relay.add = func(context.Context, relay.Call) (*relay.Result, error) { return nil, full }
		f.relay.retry = func(context.Context, relay.RetryCall) (*relay.Result, error) { panic("always") }
		const retryPath = "/v1/tenants/acme/message-logs/" + entryID + "/retry"
		level := func(message string, level slog.Level) int {
			return strings.Count(f.logs.String(), "level="+level.String()+" msg=\""+message+"\"")
		}
		for range 300 {
			f.do("POST", addPath, f.acme, `{}`).refused(t, fault.Internal)
			f.do("POST", retryPath, f.acme, `{}`).refused(t, fault.Internal)
		}
		for _, message := range []string{"request failed", "request handler panicked"} {
			if loud, quiet := level(message, slog.LevelError), level(message, slog.LevelDebug); loud != 5 || quiet != 295 {
				t.Errorf("%s: %d errors, %d at DEBUG", message, loud, quiet)
			}
		}
		time.Sleep(10 * time.Second)
		f.logs.reset()
		f.do("POST", addPath, f.acme, `{}`).refused(t, fault.Internal)
		if got := f.logs.String(); level("request failed", slog.LevelError) != 1 || !strings.Contains(got, "omitted=295") || !strings.Contains(got, "disk full") {
			t.Errorf("after the window: %s", got)
		}
	})
}
