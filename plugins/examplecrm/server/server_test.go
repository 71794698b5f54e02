package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testToken = "key-of-the-test"

// crm is a CRM that runs behind a real listener.
type crm struct {
	*Server
	t      *testing.T
	url    string
	client *http.Client
}

func setup(t *testing.T, c Config) *crm {
	t.Helper()
	c.Tokens = append(c.Tokens, testToken)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(s.Handler())
	client := &http.Client{Transport: &http.Transport{}, Timeout: 20 * time.Second}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		web.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return &crm{Server: s, t: t, url: web.URL, client: client}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (c *crm) try(ctx context.Context, method, path, body string, header ...string) (answer, error) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.GetBody = nil // no replay: each request counts
	req.Header.Set("Authorization", "Bearer "+testToken)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
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

func draft(key string) string {
	return fmt.Sprintf(`{"contactId":"7","contactType":"person","subject":"SMS","messageIds":["m-%s"],"externalId":%q}`, key, key)
}

func (c *crm) find(key string) []Activity {
	c.t.Helper()
	return decode[list[Activity]](c.t, c.do("GET", "/activities?externalId="+key, "").want(c.t, 200)).Items
}

func TestCreateAndRead(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	sent := Draft{
		ContactID: "7", ContactType: "person", Subject: "SMS with Ada", Note: "<p>Flight information</p>",
		MessageIDs: []string{"60279564004", "2"}, ExternalID: "pb-1", AssociatedDeal: "88001", Address: "1 Main St",
		Channel: "sms", Owner: "42", OccurredAt: time.Date(2015, 2, 18, 13, 24, 50, 0, time.UTC),
	}
	body, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	made := c.do("POST", "/activities", string(body)).want(t, 201)
	id := decode[created](t, made).ID
	if got := made.header.Get("Location"); got != fmt.Sprintf("/activities/%d", id) {
		t.Errorf("got Location %q", got)
	}
	got := decode[Activity](t, c.do("GET", fmt.Sprintf("/activities/%d", id), "").want(t, 200))
	if fmt.Sprint(got.Draft) != fmt.Sprint(sent) || got.ID != id || got.CreatedAt.IsZero() {
		t.Errorf("got %+v, sent %+v", got, sent)
	}
	if found := c.find("pb-1"); len(found) != 1 || found[0].ID != id {
		t.Errorf("search found %+v", found)
	}
	if all := c.Activities(); len(all) != 1 || all[0].Note != sent.Note {
		t.Errorf("the judge sees %+v", all)
	}
}

func TestNeverRemovesDuplicates(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for range 3 {
		c.do("POST", "/activities", draft("same")).want(t, 201)
	}
	if found := c.find("same"); len(found) != 3 || found[0].ID >= found[1].ID {
		t.Errorf("found %+v, want three, oldest first", found)
	}
	counts := decode[Counts](t, c.do("GET", "/_control/counts", "").want(t, 200))
	want := Counts{Activities: 3, Contacts: 1, Messages: 1, DoubledKeys: 1, DoubledMessages: 1, Creates: 3, Searches: 1}
	if counts != want {
		t.Errorf("counts %+v, want %+v", counts, want)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	const marked = "value-that-must-not-come-back"
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"no JSON":          {marked, 400},
		"empty":            {``, 400},
		"two values":       {draft("a") + draft("b"), 400},
		"array":            {`[]`, 400},
		"unknown member":   {`{"contactId":"7","subject":"s","color":"` + marked + `"}`, 400},
		"other case":       {`{"ContactId":"7","subject":"s"}`, 400},
		"repeated member":  {`{"contactId":"7","contactId":"` + marked + `","subject":"s"}`, 400},
		"number for text":  {`{"contactId":7,"subject":"s"}`, 400},
		"text for list":    {`{"contactId":"7","subject":"s","messageIds":"` + marked + `"}`, 400},
		"number in list":   {`{"contactId":"7","subject":"s","messageIds":[1]}`, 400},
		"malformed time":   {`{"contactId":"7","subject":"s","occurredAt":"` + marked + `"}`, 400},
		"contact missing":  {`{"subject":"s"}`, 422},
		"subject empty":    {`{"contactId":"7","subject":""}`, 422},
		"empty message id": {`{"contactId":"7","subject":"s","messageIds":[""]}`, 422},
		"too many":         {`{"contactId":"7","subject":"s","messageIds":["1"` + strings.Repeat(`,"1"`, maxMessages) + `]}`, 422},
		"long subject":     {`{"contactId":"7","subject":"` + strings.Repeat("x", maxSubject+1) + `"}`, 422},
		"too large":        {`{"note":"` + strings.Repeat("x", defaultMaxBody) + `"}`, 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setup(t, Config{})
			a := c.do("POST", "/activities", test.body).want(t, test.status)
			if strings.Contains(a.body, marked) || !strings.Contains(a.body, `"error"`) {
				t.Errorf("answered %s", a.body)
			}
			if n := len(c.Activities()); n != 0 {
				t.Errorf("%d activities were stored", n)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{Tokens: []string{"second"}})
	basic := func(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }
	for header, status := range map[string]int{
		"Bearer second": 200, "bearer second": 200, "Bearer " + testToken: 200, basic("second:"): 200,
		"": 401, "Bearer": 401, "Bearer wrong": 401, "second": 401, "Bearer second ": 200, // net/http trims the value
		basic("second"): 401, basic("second:x"): 401, basic("wrong:"): 401, "Basic !!": 401, "Digest second": 401,
	} {
		for _, path := range []string{"/activities", "/contacts"} {
			c.do("GET", path, "", "Authorization", header).want(t, status)
		}
	}
	c.do("POST", "/activities", draft("a"), "Authorization", "Bearer wrong").want(t, 401)
	if n := c.Counts(); n.Activities != 0 || n.Creates != 0 || n.Unauthorized != 2*9+1 {
		t.Errorf("counted %+v", n)
	}
}

func TestPagesOfASearchAreComplete(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for i := range 7 {
		c.do("POST", "/activities", draft([]string{"a", "b"}[i%2])).want(t, 201)
	}
	for _, search := range []string{"?externalId=a", "?contactId=7&contactType=person&externalId=a", "?contactId=7", "?contactId=7&contactType=person"} {
		var ids []int64
		for cursor := ""; ; {
			page := decode[list[Activity]](t, c.do("GET", "/activities"+search+"&limit=2"+cursor, "").want(t, 200))
			if len(page.Items) > 2 {
				t.Fatalf("page of %d", len(page.Items))
			}
			for _, a := range page.Items {
				ids = append(ids, a.ID)
			}
			if page.NextCursor == "" {
				break
			}
			cursor = "&cursor=" + page.NextCursor
		}
		want := "[1 2 3 4 5 6 7]"
		if strings.Contains(search, "externalId") {
			want = "[1 3 5 7]"
		}
		if fmt.Sprint(ids) != want {
			t.Errorf("%s gave %v, want %s", search, ids, want)
		}
	}
	for _, search := range []string{"?externalId=c", "?contactId=8", "?contactId=7&contactType="} {
		if page := decode[list[Activity]](t, c.do("GET", "/activities"+search, "").want(t, 200)); len(page.Items) != 0 {
			t.Errorf("%s found %v", search, page.Items)
		}
	}
	c.do("GET", "/activities?limit=0", "").want(t, 400)
	c.do("GET", "/activities?cursor=x", "").want(t, 400)
}

func TestDelete(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for range 3 {
		c.do("POST", "/activities", draft("a")).want(t, 201)
	}
	c.do("DELETE", "/activities/2", "").want(t, 204)
	c.do("DELETE", "/activities/2", "").want(t, 404)
	c.do("GET", "/activities/2", "").want(t, 404)
	if found := c.find("a"); len(found) != 2 || found[0].ID != 1 || found[1].ID != 3 {
		t.Errorf("found %+v", found)
	}
	if n := c.Counts(); n.Activities != 2 || n.DoubledKeys != 1 {
		t.Errorf("counted %+v", n)
	}
}

func TestContacts(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{RequireContacts: true})
	c.do("POST", "/activities", draft("a")).want(t, 404)
	c.do("PUT", "/contacts/7?type=person", `{"name":"Ada Lovelace","phoneNumber":"+16505553204"}`).want(t, 200)
	c.do("POST", "/activities", draft("a")).want(t, 201)
	made := decode[Contact](t, c.do("POST", "/contacts", `{"type":"company","name":"Analytical Engines"}`).want(t, 201))
	if made.ID == "" {
		t.Error("a contact without an id")
	}
	got := decode[Contact](t, c.do("GET", "/contacts/"+made.ID+"?type=company", "").want(t, 200))
	if got != made {
		t.Errorf("got %+v, made %+v", got, made)
	}
	c.do("GET", "/contacts/7", "").want(t, 404) // another type is another contact
	found := decode[list[Contact]](t, c.do("GET", "/contacts?phoneNumber=%2B16505553204", "").want(t, 200))
	if len(found.Items) != 1 || found.Items[0].Name != "Ada Lovelace" {
		t.Errorf("found %+v", found.Items)
	}
	c.do("POST", "/contacts", `{"id":"9"}`).want(t, 422)
	c.do("PUT", "/contacts/9", `{"id":"8"}`).want(t, 422)
	c.do("PUT", "/contacts/9", `{"name":7}`).want(t, 400)
}

func TestDatabaseSurvivesRestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "crm.db")
	first := setup(t, Config{Database: file})
	first.do("PUT", "/contacts/7?type=person", `{"name":"Ada Lovelace"}`).want(t, 200)
	for _, key := range []string{"a", "b", "c"} {
		first.do("POST", "/activities", draft(key)).want(t, 201)
	}
	first.do("DELETE", "/activities/3", "").want(t, 204)
	before := first.Activities()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := setup(t, Config{Database: file})
	after := second.Activities()
	for i := range before {
		before[i].visible, after[i].visible = time.Time{}, time.Time{}
	}
	if len(after) != 2 || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("after the restart %+v, before %+v", after, before)
	}
	if id := decode[created](t, second.do("POST", "/activities", draft("d")).want(t, 201)).ID; id != 4 {
		t.Errorf("id %d was given out again", id)
	}
	got := decode[Contact](t, second.do("GET", "/contacts/7?type=person", "").want(t, 200))
	if got.Name != "Ada Lovelace" {
		t.Errorf("got %+v", got)
	}
}

func TestConcurrentCreatesShareCommits(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "crm.db")
	c := setup(t, Config{Database: file})
	const callers, each = 16, 25
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for i := range each {
				if a, err := c.try(t.Context(), "POST", "/activities", draft(fmt.Sprint(caller, "-", i))); err != nil || a.status != 201 {
					t.Errorf("got %v, %v", a, err)
				}
			}
		})
	}
	group.Wait()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	again := setup(t, Config{Database: file})
	n := again.Counts()
	if n.Activities != callers*each || n.Messages != callers*each || n.DoubledKeys != 0 {
		t.Errorf("the database holds %+v", n)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{MaxBytes: 1500})
	c.do("POST", "/activities", draft("a")).want(t, 201)
	c.do("POST", "/activities", draft("b")).want(t, 201)
	c.do("POST", "/activities", draft("c")).want(t, 507)
	c.do("DELETE", "/activities/1", "").want(t, 204)
	c.do("POST", "/activities", draft("c")).want(t, 201)

	busy := setup(t, Config{MaxConcurrent: 1, Switches: Switches{Faults: []Fault{{Do: Late, Status: 504, Delay: time.Minute, Next: 1}}}})
	busy.do("POST", "/activities", draft("a")).want(t, 503) // the late write needs a slot of its own
}

func TestConfigNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Tokens: []string{"a:b"}, MaxBody: -1, Switches: Switches{SearchLag: time.Hour}})
	for _, want := range []string{"tokens", "maxBody", "searchLag"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no token was accepted")
	}
	if _, err := New(Config{Tokens: []string{"x"}, Database: t.TempDir()}); err == nil {
		t.Error("a directory was accepted as a database")
	}
}

func TestRunEndsGracefully(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Tokens: []string{testToken}, Switches: Switches{AnswerDelay: 100 * time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, ln) }()
	c := &crm{Server: s, t: t, url: "http://" + ln.Addr().String(), client: &http.Client{Transport: &http.Transport{}}}
	answered := make(chan answer, 1)
	go func() {
		a, err := c.try(context.WithoutCancel(ctx), "POST", "/activities", draft("a"))
		if err != nil {
			t.Error(err)
		}
		answered <- a
	}()
	await(t, func() bool { return len(s.Activities()) == 1 })
	stop()
	(<-answered).want(t, 201)
	if err := <-ended; err != nil {
		t.Errorf("Run returned %v", err)
	}
	c.client.CloseIdleConnections()
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
}

// await polls for something that another process or goroutine brings about.
func await(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(10 * time.Second); !done(); {
		select {
		case <-limit:
			t.Fatal("waited in vain")
		case <-tick.C:
		}
	}
}

func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }
