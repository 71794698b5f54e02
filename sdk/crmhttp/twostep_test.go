package crmhttp

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// scripted serves paths such as "/409" with that status, and "/reset" not at all.
func scripted(t *testing.T) *Client {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"id":1}`)
	})
}

// Once a write of the call stands, no later failure of the call is definite;
// before, and after a refused one, each failure is what it is.
func TestLaterFailuresOfACall(t *testing.T) {
	t.Parallel()
	type step struct{ method, path string }
	cases := map[string]struct {
		first []step
		last  step
		want  want
	}{
		"refused after a create":           {[]step{{"POST", "/201"}}, step{"PUT", "/422"}, wantUnknown},
		"unauthorized after a create":      {[]step{{"POST", "/201"}}, step{"PUT", "/401"}, wantUnknown},
		"limited after a create":           {[]step{{"POST", "/201"}}, step{"POST", "/429"}, wantUnknown},
		"read refused after a create":      {[]step{{"POST", "/201"}}, step{"GET", "/404"}, wantUnknown},
		"refused after a lost create":      {[]step{{"POST", "/reset"}}, step{"POST", "/422"}, wantUnknown},
		"refused after a 502":              {[]step{{"POST", "/502"}}, step{"POST", "/400"}, wantUnknown},
		"refused after an odd redirect":    {[]step{{"POST", "/302"}}, step{"POST", "/400"}, wantUnknown},
		"unsendable after a create":        {[]step{{"POST", "/201"}}, step{"POST", "no slash"}, wantUnknown},
		"refused after refused and done":   {[]step{{"POST", "/409"}, {"POST", "/201"}}, step{"PUT", "/422"}, wantUnknown},
		"refused twice":                    {[]step{{"POST", "/409"}}, step{"POST", "/422"}, wantRejected},
		"limited, then refused":            {[]step{{"POST", "/429"}, {"POST", "/503"}, {"POST", "/425"}}, step{"POST", "/422"}, wantRejected},
		"moved, then refused":              {[]step{{"POST", "/308"}}, step{"POST", "/422"}, wantRejected},
		"refused after a read":             {[]step{{"GET", "/200"}, {"GET", "/500"}}, step{"POST", "/422"}, wantRejected},
		"read refused":                     {nil, step{"GET", "/404"}, wantRejected},
		"limited after a refused write":    {[]step{{"POST", "/401"}}, step{"POST", "/429"}, wantLimited},
		"unsendable after a refused write": {[]step{{"POST", "/401"}}, step{"POST", "no slash"}, wantAdapterFault},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, call := scripted(t), openCall()
			for _, st := range tc.first { // each in a session of its own: the call counts
				_, _ = c.For(call).Do(t.Context(), Request{Method: st.method, Path: st.path})
			}
			_, err := c.For(call).Do(t.Context(), Request{Method: tc.last.method, Path: tc.last.path})
			check(t, err, tc.want)
			status, convErr := strconv.Atoi(strings.TrimPrefix(tc.last.path, "/"))
			if convErr == nil && StatusOf(err) != status {
				t.Errorf("StatusOf: got %d, want %d", StatusOf(err), status)
			}
			if surely := tc.want.class != fault.Unknown; call.State.SurelyNotSent() != surely {
				t.Errorf("surely not sent is %v, want %v", !surely, surely)
			}
		})
	}
}

// A search by POST changes nothing, so it leaves the call as it was.
func TestReadOnlyPostLeavesNoTrace(t *testing.T) {
	t.Parallel()
	c, call := scripted(t), openCall()
	if err := c.For(call).QueryJSON(t.Context(), "/200", 1, new(created)); err != nil {
		t.Fatal(err)
	}
	check(t, c.For(call).QueryJSON(t.Context(), "/reset", 1, new(created)), wantUnavailable)
	if !call.State.SurelyNotSent() {
		t.Error("a search counts as sent")
	}
	check(t, c.For(call).PostJSON(t.Context(), "/422", 1, nil), wantRejected)
}

// The second step of a create that comes too late was not sent, but the first
// was.
func TestSecondStepAfterTheWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := newPipes(t, 0, answerAll(0))
		defer p.end()
		s := p.client.For(callUntil(time.Second))
		if err := s.PostJSON(t.Context(), "/events", 1, new(created)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		err := s.PostJSON(t.Context(), "/events/links", 1, nil)
		check(t, err, wantUnknown)
		if !strings.Contains(err.Error(), errWindowClosed.Error()) || strings.Contains(p.received(), "links") {
			t.Errorf("got %v", err)
		}
	})
}

// While one write is under way, the refusal of another says nothing about it.
func TestConcurrentWritesOfOneCall(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	c := newClient(t, listen(t, func(c net.Conn, _ int) {
		in := bufio.NewReader(c)
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if req.URL.Path == "/slow" {
			close(arrived)
			<-release
		}
		_, _ = io.WriteString(c, "HTTP/1.1 409 Conflict\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	}))
	call, slow := openCall(), make(chan error)
	go func() { slow <- c.For(call).Delete(t.Context(), "/slow") }()
	<-arrived
	check(t, c.For(call).Delete(t.Context(), "/quick"), wantUnknown)
	close(release)
	check(t, <-slow, wantRejected)
	if !call.State.SurelyNotSent() {
		t.Error("both were refused, yet a write stands")
	}
}

func TestCausesStayFindable(t *testing.T) {
	t.Parallel()
	c := scripted(t)
	err := c.For(openCall()).PostJSON(t.Context(), "/reset", 1, nil)
	check(t, err, wantUnknown)
	if !errors.Is(err, io.EOF) {
		t.Errorf("the cause is lost: %v", err)
	}
	if got := StatusOf(err); got != 0 {
		t.Errorf("StatusOf: got %d without an answer", got)
	}
}
