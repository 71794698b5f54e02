package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// request is an HTTP request to a host. Method defaults to POST with a body and
// to GET without, Token to the admin's.
type request struct {
	Method, Path string
	Token        string
	Body         string
	Chunked      bool        // send the body without its length
	Header       http.Header // nil for JSON
}

// reply is an answer.
type reply struct {
	status int
	header http.Header
	body   []byte
	err    error // of the transport
}

// send makes a request. It may be called by any goroutine.
func (h *host) send(r request) reply {
	if r.Method == "" && r.Body != "" {
		r.Method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(context.Background(), r.Method, h.url+r.Path, strings.NewReader(r.Body))
	if err != nil {
		return reply{err: err}
	}
	switch {
	case r.Header != nil:
		req.Header = r.Header.Clone()
	case r.Body != "":
		req.Header.Set("Content-Type", "application/json")
	}
	switch r.Token {
	case "":
		req.Header.Set("Authorization", "Bearer "+h.admin)
	case noToken:
	default:
		req.Header.Set("Authorization", "Bearer "+r.Token)
	}
	if r.Chunked {
		req.ContentLength = -1
	}
	return h.read(h.client.Do(req))
}

// read reads an answer and notes it among the host's answers.
func (h *host) read(resp *http.Response, err error) reply {
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	_, _ = fmt.Fprintf(&h.answers, "%d %v\n%s\n", resp.StatusCode, resp.Header, body) // never fails
	return reply{resp.StatusCode, resp.Header, body, err}
}

// noToken is the Token of a request that carries none.
const noToken = "none"

// path returns the route of addMessageLog.
func path(tenant, adapter string) string {
	return "/v1/tenants/" + tenant + "/adapters/" + adapter + "/message-logs"
}

// add calls addMessageLog. Preferences are header lines such as "wait=1".
func (h *host) add(tenant, adapter, body string, prefer ...string) reply {
	header := http.Header{"Content-Type": {"application/json"}}
	for _, p := range prefer {
		header.Add("Prefer", p)
	}
	return h.send(request{Method: http.MethodPost, Path: path(tenant, adapter), Body: body, Header: header})
}

// went is a call that goes on while the test does something else.
type went chan reply

func (w went) wait(t testing.TB) reply {
	t.Helper()
	select {
	case r := <-w:
		return r
	case <-time.After(waitLimit):
		t.Fatal("the call was not answered")
		return reply{}
	}
}

// goAdd calls addMessageLog in a goroutine.
func (h *host) goAdd(tenant, adapter, body string, prefer ...string) went {
	w := make(went, 1)
	go func() { w <- h.add(tenant, adapter, body, prefer...) }()
	return w
}

// into reads a reply with that status.
func (r reply) into(t testing.TB, status int, v any) {
	t.Helper()
	if r.err != nil {
		t.Fatalf("no answer: %v", r.err)
	}
	if r.status != status {
		t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	if v == nil {
		return
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		t.Fatalf("the answer cannot be read: %v: %s", err, r.body)
	}
}

// messageLog is the answer to addMessageLog.
type messageLog struct {
	MessageLogID, LogID, State string
	Duplicate                  bool
	LogURL                     string
	Adapter                    struct{ Name, Version string }
	Messages                   []standing
}

// standing is where one message stands.
type standing struct {
	ID, State    string
	Duplicate    bool
	LogID        string
	MessageLogID string
}

// logged reads the answer to a call that made a CRM record (201) or not (200).
func (r reply) logged(t testing.TB, status int) messageLog {
	t.Helper()
	var out messageLog
	r.into(t, status, &out)
	if out.State != "logged" || out.LogID == "" || out.MessageLogID == "" || out.Duplicate != (status == http.StatusOK) {
		t.Errorf("status %d with %s", r.status, r.body)
	}
	for _, m := range out.Messages {
		if m.State != "logged" || m.LogID == "" || m.MessageLogID == "" {
			t.Errorf("a message of a logged call reads %+v", m)
		}
	}
	if location := r.header.Get("Location"); (status == http.StatusCreated) != strings.HasSuffix(location, "/message-logs/"+out.MessageLogID) {
		t.Errorf("status %d with Location %q", status, location)
	}
	return out
}

// problem is a refusal.
type problem struct {
	Type, Title, Detail, Instance string
	Status                        int
	Code, Class, Source           string
	RequestID                     string
	Errors                        []struct{ Pointer, Code, Detail string }
	MessageLogs                   []string
	Messages                      []standing
}

// refused reads a refusal with that code.
func (r reply) refused(t testing.TB, status int, code string) problem {
	t.Helper()
	var p problem
	r.into(t, status, &p)
	if p.Code != code {
		t.Errorf("code %q, want %q: %s", p.Code, code, r.body)
	}
	return p
}

// retryAfter returns the header Retry-After in seconds, -1 when there is none.
func (r reply) retryAfter(t testing.TB) int {
	t.Helper()
	text := r.header.Get("Retry-After")
	if text == "" {
		return -1
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Errorf("Retry-After is %q", text)
	}
	return n
}

// entry is a ledger entry.
type entry struct {
	ID, State string
	Adapter   struct{ Name, Version string }
	User      struct{ ID string }
	Contact   struct{ ID, Type, Account string }
	LogID     string
	Messages  []struct{ ID string }
	Attempts  int
	StrayIDs  []string
	SettlesAt time.Time
	CreatedAt time.Time
	Problem   *struct{ Code, Class, Source, Detail string }
	Reconcile *struct{ Verdict string }
}

func (e entry) messageIDs() []string {
	var out []string
	for _, m := range e.Messages {
		out = append(out, m.ID)
	}
	return out
}

// entries returns the entries of a tenant's ledger, newest first, that the query
// selects.
func (h *host) entries(t testing.TB, tenant, query string) []entry {
	t.Helper()
	var out []entry
	for cursor := ""; ; {
		values, err := url.ParseQuery(query)
		must(t, err)
		values.Set("limit", "500")
		if cursor != "" {
			values.Set("cursor", cursor)
		}
		var page struct {
			Items      []entry
			NextCursor string
		}
		h.send(request{Path: "/v1/tenants/" + tenant + "/message-logs?" + values.Encode()}).into(t, http.StatusOK, &page)
		out = append(out, page.Items...)
		if cursor = page.NextCursor; cursor == "" {
			return out
		}
	}
}

// entry returns one entry.
func (h *host) entry(t testing.TB, tenant, id string) entry {
	t.Helper()
	var out entry
	h.send(request{Path: "/v1/tenants/" + tenant + "/message-logs/" + id}).into(t, http.StatusOK, &out)
	return out
}

// becomes waits until the entry is in that state, and returns it.
func (h *host) becomes(t testing.TB, tenant, id, state string) entry {
	t.Helper()
	var e entry
	eventually(t, "entry "+id+" is "+state, func() bool {
		e = h.entry(t, tenant, id)
		return e.State == state
	})
	return e
}

// settle posts to one of an entry's routes: retry, resolve or forget.
func (h *host) settle(tenant, id, verb, body string) reply {
	return h.send(request{Method: http.MethodPost, Path: "/v1/tenants/" + tenant + "/message-logs/" + id + "/" + verb, Body: body})
}

// tenant makes a tenant and enables adapters for it.
func (h *host) tenant(t testing.TB, id string, adapters ...string) {
	t.Helper()
	h.send(request{Method: http.MethodPut, Path: "/v1/tenants/" + id, Body: `{"displayName":"` + id + `"}`}).into(t, http.StatusCreated, nil)
	for _, name := range adapters {
		h.send(request{Method: http.MethodPut, Path: "/v1/tenants/" + id + "/adapters/" + name, Body: `{"enabled":true}`}).into(t, http.StatusCreated, nil)
	}
}

// token makes a token of the tenant.
func (h *host) token(t testing.TB, tenant string) string {
	t.Helper()
	var made struct{ Token string }
	h.send(request{Path: "/v1/tenants/" + tenant + "/tokens", Body: `{"name":"test"}`}).into(t, http.StatusCreated, &made)
	return made.Token
}

// process is an adapter process.
type process struct {
	Version, State, Cause, Health string
	PID, Restarts, InFlight       int
	NextStart                     *time.Time
}

// processes returns the processes of an adapter.
func (h *host) processes(t testing.TB, adapter string) []process {
	t.Helper()
	var out struct{ Processes []process }
	h.send(request{Path: "/v1/adapters/" + adapter}).into(t, http.StatusOK, &out)
	return out.Processes
}

// crash is the report of a process that ended unasked.
type crash struct {
	PID, ExitCode           int
	Cause, Signal, Decision string
	Stderr, RequestIDs      []string
}

// crashes returns the crash reports of an adapter, newest first.
func (h *host) crashes(t testing.TB, adapter string) []crash {
	t.Helper()
	var out struct{ Items []crash }
	h.send(request{Path: "/v1/adapters/" + adapter + "/crashes"}).into(t, http.StatusOK, &out)
	return out.Items
}

// pid waits until the adapter's one process is ready, and returns its pid.
func (h *host) pid(t testing.TB, adapter string) int {
	t.Helper()
	pid := 0
	eventually(t, adapter+" has one ready process", func() bool {
		all := h.processes(t, adapter)
		if len(all) == 1 && all[0].State == "ready" {
			pid = all[0].PID
		}
		return pid != 0
	})
	return pid
}
