package pipedrivetest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret is a token that the fixtures accept.
const secret = "token-of-the-test"

// crm is a fake behind a real listener.
type crm struct {
	*Fake
	t      *testing.T
	url    string
	client *http.Client
}

func setup(t *testing.T, c Config) *crm {
	t.Helper()
	c.Tokens = append(c.Tokens, Token{Text: secret})
	c.Control = true
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(f.Handler())
	client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
	t.Cleanup(func() {
		f.Close()
		client.CloseIdleConnections()
		web.Close()
	})
	return &crm{Fake: f, t: t, url: web.URL, client: client}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// try sends a request; header pairs replace the usual ones, and an empty value
// takes a header away.
func (c *crm) try(ctx context.Context, method, path, body string, header ...string) (answer, error) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.GetBody = nil // no replay: each request counts
	req.Header.Set("Authorization", "Bearer "+secret)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(text)}, err
}

func (c *crm) do(method, path, body string, header ...string) answer {
	c.t.Helper()
	a, err := c.try(c.t.Context(), method, path, body, header...)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// set replaces the switches over HTTP, as tests outside this process do.
func (c *crm) set(switches string) {
	c.t.Helper()
	c.do("PUT", "/_control/switches", switches).want(c.t, 200)
}

func (a answer) want(t *testing.T, status int) answer {
	t.Helper()
	if a.status != status {
		t.Fatalf("got status %d with %s, want %d", a.status, a.body, status)
	}
	return a
}

func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var out T
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatalf("decode %q: %v", a.body, err)
	}
	return out
}

// record is an activity as a client reads it.
type record = map[string]any

func (a answer) record(t *testing.T) record {
	t.Helper()
	return decode[struct{ Data record }](t, a).Data
}

// refusal is the envelope of a refusal, of either version.
type refusal struct {
	Success    *bool
	Error      string
	Code       string
	ErrorCode  int
	ErrorInfo  string `json:"error_info"`
	Data       *json.RawMessage
	Additional *json.RawMessage `json:"additional_data"`
}

// page is a page of the list.
type listed struct {
	Success    bool
	Data       []record
	Additional struct {
		Next *string `json:"next_cursor"`
	} `json:"additional_data"`
}

func (l listed) ids() (out []int) {
	for _, r := range l.Data {
		out = append(out, int(r["id"].(float64)))
	}
	return out
}

func (c *crm) list(query string) listed {
	c.t.Helper()
	return decode[listed](c.t, c.do("GET", "/api/v2/activities"+query, "").want(c.t, 200))
}

// sms is a create as the adapter sends one.
const sms = `{"subject":"SMS with Ada","type":"sms","owner_id":1001,"participants":[{"person_id":7,"primary":true}],` +
	`"org_id":70,"deal_id":500,"note":"<p>Hello</p><p>Reference: m-1</p>","done":true,"due_date":"2026-01-02","due_time":"03:04"}`

func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) }

// await waits for what another goroutine will bring about.
func await(t *testing.T, reached func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); !reached(); {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen within ten seconds")
		}
		<-tick.C
	}
}
