package pipedrivetest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/plugins/internal/standin"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	c.do("GET", "/_control/health", "").want(t, 204)
	c.do("POST", "/api/v2/activities", sms).want(t, 200)
	c.do("POST", "/api/v2/activities", sms).want(t, 200)
	c.do("POST", "/api/v2/activities", `{"note":"Reference: a.b-c_d:e and Reference: a.b-c_d:e"}`).want(t, 200)
	c.do("POST", "/api/v2/activities", `{"note":"nothing"}`).want(t, 200)
	c.do("GET", "/v1/users/me", "", "Authorization", "Bearer x").want(t, 401)
	want := `{"attempted":4,"applied":4,"late":0,"pending":0,"activities":4,"markers":2,"doubled":1,"doubledMarkers":["m-1"],` +
		`"unauthorized":1,"rateLimited":0,"refused":0,"faults":0}`
	if got := c.do("GET", "/_control/counts", "").want(t, 200).body; got != want {
		t.Errorf("the counts are %s", got)
	}
	c.set(`{"listLag":"1m"}`)
	type all struct {
		Items []record
		After *int
	}
	first := decode[all](t, c.do("GET", "/_control/activities?limit=3", "").want(t, 200))
	if len(first.Items) != 3 || first.After == nil || *first.After != 3 || fmt.Sprint(first.Items[2]["markers"]) != "[a.b-c_d:e]" {
		t.Fatalf("the first page is %+v", first)
	}
	rest := decode[all](t, c.do("GET", "/_control/activities?after=3", "").want(t, 200))
	if len(rest.Items) != 1 || rest.After != nil || rest.Items[0]["id"] != 4.0 {
		t.Errorf("the second page is %+v", rest)
	}
	for _, bad := range []string{"limit=0", "limit=10001", "limit=x", "after=-1"} {
		c.do("GET", "/_control/activities?"+bad, "").want(t, 400)
	}
}

func TestJournal(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{Journal: 4})
	if got := c.do("GET", "/_control/requests", "").body; got != `{"dropped":0,"items":[]}` {
		t.Errorf("an empty journal is %s", got)
	}
	for range 3 {
		c.do("GET", "/v1/users/me", "")
	}
	c.do("POST", "/api/v2/activities", sms)
	c.do("GET", "/api/v2/activities?person_id=7&limit=5&api_token=visible", "")
	c.do("GET", "/api/v2/activities/1", "", "Authorization", "Bearer visible")
	c.do("GET", "/_control/counts", "")
	body := c.do("GET", "/_control/requests", "").want(t, 200).body
	if strings.Contains(body, "visible") || strings.Contains(body, secret) || strings.Contains(body, "Hello") {
		t.Errorf("the journal tells too much: %s", body)
	}
	got := ""
	for _, r := range c.Requests() {
		got += fmt.Sprintf("%s %s?%s %d\n", r.Method, r.Path, r.Query, r.Status)
	}
	want := "GET /v1/users/me? 200\nPOST /api/v2/activities? 200\nGET /api/v2/activities?limit=5&person_id=7 400\nGET /api/v2/activities/1? 401\n"
	if got != want || !strings.Contains(body, `"dropped":2`) {
		t.Errorf("the journal is\n%s", got)
	}
}

func TestControlIsForLoopbackOnly(t *testing.T) {
	t.Parallel()
	on, err := New(Config{Tokens: []Token{{Text: secret}}, Control: true})
	if err != nil {
		t.Fatal(err)
	}
	off, err := New(Config{Tokens: []Token{{Text: secret}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(on.Close)
	t.Cleanup(off.Close)
	if err := on.Seed(Seeding{PersonID: 7, Count: 1}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		f      *Fake
		remote string
		path   string
		status int
	}{
		{on, "127.0.0.1:1", "/_control/counts", 200},
		{on, "[::1]:1", "/_control/counts", 200},
		{on, "192.0.2.1:1", "/_control/counts", 404},
		{on, "", "/_control/counts", 404},
		{off, "127.0.0.1:1", "/_control/counts", 404},
		{off, "127.0.0.1:1", "/_control/switches", 404},
		{on, "127.0.0.1:1", "/activities/1", 200},
		{on, "192.0.2.1:1", "/activities/1", 404},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", test.path, nil)
		r.RemoteAddr = test.remote
		w := httptest.NewRecorder()
		test.f.Handler().ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%s from %q: %d", test.path, test.remote, w.Code)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), "PUT", "/_control/switches", strings.NewReader(`{"slow":"1m"}`))
	r.RemoteAddr = "127.0.0.1:1"
	r.Header.Set("Origin", "https://a.example")
	w := httptest.NewRecorder()
	on.Handler().ServeHTTP(w, r)
	if w.Code != 403 || on.Switches().Slow != 0 {
		t.Errorf("a web page steered the fake: %d", w.Code)
	}
}

func TestSeed(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	c.do("POST", "/_control/seed", `{"personId":7,"count":600,"ownerId":1002,"from":"2026-01-02T03:04:05Z","step":"-1s","note":"n"}`).want(t, 200)
	got := c.list("?person_id=7&owner_id=1002&updated_since=2026-01-02T03:04:00Z&sort_by=update_time&sort_direction=desc")
	if len(got.Data) != 6 || got.Data[0]["id"] != 1.0 || got.Data[0]["note"] != "n" || got.Data[5]["update_time"] != "2026-01-02T03:04:00Z" {
		t.Errorf("got %v", got.Data)
	}
	if n := c.Counts(); n.Activities != 600 || n.Attempted != 0 || n.Applied != 0 || n.Markers != 0 {
		t.Errorf("the counts are %+v", n)
	}
	c.do("POST", "/_control/seed", `{"personId":8,"count":1}`).want(t, 200)
	if a := c.Activities()[600]; a.OwnerID != 1001 || a.OrgID != 0 || time.Since(a.AddTime) > time.Minute || len(a.Markers) != 0 {
		t.Errorf("seeded %+v", a)
	}
	for _, bad := range []string{
		`{"personId":9,"count":1}`, `{"personId":7,"count":0}`, `{"personId":7,"count":100001}`, `{"personId":7,"count":1,"ownerId":5}`,
	} {
		c.do("POST", "/_control/seed", bad).want(t, 422)
	}
	c.do("POST", "/_control/seed", `{"personID":7}`).want(t, 400)
	small := setup(t, Config{MaxBytes: 5000})
	if err := small.Seed(Seeding{PersonID: 7, Count: 100}); err == nil {
		t.Error("a full fake was seeded")
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	c.do("POST", "/api/v2/activities", `{"subject":"<b>SMS</b>","note":"<p>Hello <b>Ada</b></p>","participants":[{"person_id":7,"primary":true}],`+
		`"deal_id":500,"due_date":"2026-01-02","due_time":"03:04"}`).want(t, 200)
	a := c.do("GET", "/activities/1", "", "Authorization", "").want(t, 200)
	for _, want := range []string{
		"&lt;b&gt;SMS&lt;/b&gt;", `<div class="note"><p>Hello <b>Ada</b></p></div>`, "Ada Lovelace", "Engine No. 1", "2026-01-02 03:04:00 UTC",
	} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if policy := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %q", policy)
	}
	c.do("GET", "/activities/2", "").want(t, 404)
	c.do("GET", "/activities/x", "").want(t, 404)
}

func TestRun(t *testing.T) {
	t.Parallel()
	f, err := New(Config{Tokens: []Token{{Text: secret}}, Switches: Switches{Faults: []Fault{{Do: Hold}}}})
	if err != nil {
		t.Fatal(err)
	}
	var config net.ListenConfig
	ln, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx, ln) }()
	c := &crm{Fake: f, t: t, url: "http://" + ln.Addr().String(), client: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(c.client.CloseIdleConnections)
	held := make(chan error, 1)
	go func() {
		_, err := c.try(t.Context(), "GET", "/v1/users/me", "")
		held <- err
	}()
	await(t, func() bool { return f.Counts().Faults == 1 })
	cancel()
	began := time.Now()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-held; !isReset(err) {
		t.Errorf("the held client got %v", err)
	}
	if took := time.Since(began); took >= standin.DrainTimeout {
		t.Errorf("the end took %s", took)
	}
	if err := f.Run(t.Context(), ln); err == nil {
		t.Error("a closed listener was served")
	}
}
