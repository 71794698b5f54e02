package crm_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"example.com/cardfile/crm"
)

// do sends a request with the key "k" to a CRM and returns status, Location and
// body. A body that begins with a brace is sent as JSON, any other as a form.
func do(t *testing.T, c *crm.CRM, method, target, body string) (status int, location, text string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.SetBasicAuth("k", "")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	answer, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, w.Header().Get("Location"), strings.TrimSpace(string(answer))
}

func newCRM() *crm.CRM { return crm.New("k", []string{"7"}, []string{"Inbox"}) }

// form returns the form of a good card, with one field changed.
func form(name, value string) string {
	v := url.Values{"contact": {"7"}, "title": {"t"}, "body": {"b"}, "ref": {"r"}, "when": {"2026-01-02T03:04:05Z"}}
	if name != "" {
		v.Set(name, value)
	}
	return v.Encode()
}

func TestCreate(t *testing.T) {
	for name, test := range map[string]struct {
		body   string
		status int
		text   string
	}{
		"good":           {form("", ""), 201, ""},
		"no contact":     {form("contact", ""), 400, "contact: missing"},
		"other contact":  {form("contact", "8"), 409, "no such contact"},
		"no title":       {form("title", " "), 400, "title: missing"},
		"long title":     {form("title", strings.Repeat("é", 201)), 400, "title: longer than 200 characters"},
		"two lines":      {form("title", "a\nb"), 400, "title: more than one line"},
		"long body":      {form("body", strings.Repeat("é", 8001)), 400, "body: longer than 8000 characters"},
		"long ref":       {form("ref", strings.Repeat("r", 101)), 400, "ref: longer than 100 bytes"},
		"offset in when": {form("when", "2026-01-02T03:04:05+01:00"), 400, "when: want 2006-01-02T15:04:05Z"},
		"unknown field":  {form("", "") + "&x=1", 400, "unknown field"},
		"twice":          {form("", "") + "&ref=1", 400, "ref: one value, please"},
		"no UTF-8":       {form("title", "\xff"), 400, "title: not UTF-8"},
		"JSON":           {`{"contact":"7"}`, 415, "a card comes as a form"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCRM()
			status, location, text := do(t, c, "POST", "/api/cards", test.body)
			if status != test.status || text != test.text {
				t.Errorf("got %d %q, want %d %q", status, text, test.status, test.text)
			}
			if made := location == "/api/cards/1001"; made != (status == 201) || len(c.Cards()) != map[bool]int{true: 1}[made] {
				t.Errorf("Location %q, cards %v", location, c.Cards())
			}
		})
	}
}

func TestKey(t *testing.T) {
	for name, authorize := range map[string]func(r *http.Request){
		"none":     func(*http.Request) {},
		"other":    func(r *http.Request) { r.SetBasicAuth("x", "") },
		"password": func(r *http.Request) { r.SetBasicAuth("k", "k") },
		"bearer":   func(r *http.Request) { r.Header.Set("Authorization", "Bearer k") },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCRM()
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/cards", strings.NewReader(form("", "")))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			authorize(r)
			w := httptest.NewRecorder()
			c.ServeHTTP(w, r)
			if w.Code != 401 || len(c.Cards()) != 0 || c.Writes() != 0 {
				t.Errorf("got %d, and %d cards", w.Code, len(c.Cards()))
			}
		})
	}
}

func TestFolder(t *testing.T) {
	c := newCRM()
	do(t, c, "POST", "/api/cards", form("", ""))
	for _, test := range []struct {
		path, body, want string
		status           int
	}{
		{"/api/cards/1001/folder", `{"folder":"Nowhere"}`, "", 404},
		{"/api/cards/1002/folder", `{"folder":"Inbox"}`, "", 404},
		{"/api/cards/1001/folder", `{"folder":1}`, "", 400},
		{"/api/cards/1001/folder", `{"folder":"Inbox"}`, "Inbox", 204},
	} {
		if status, _, _ := do(t, c, "PUT", test.path, test.body); status != test.status || c.Cards()[0].Folder != test.want {
			t.Errorf("PUT %s %s: got %d, and the folder is %q", test.path, test.body, status, c.Cards()[0].Folder)
		}
	}
}

func TestSearchTurnsPages(t *testing.T) {
	c := newCRM()
	for _, ref := range []string{"pb-1", "pb-1", "x", "PB-12"} {
		do(t, c, "POST", "/api/cards", form("ref", ref))
	}
	for target, want := range map[string]string{
		"/api/cards?ref=pb-1":        `{"cards":[{"id":1001,"ref":"pb-1"},{"id":1002,"ref":"pb-1"}],"more":true}`,
		"/api/cards?ref=pb-1&page=2": `{"cards":[{"id":1004,"ref":"PB-12"}],"more":false}`,
		"/api/cards?ref=pb-1&page=3": `{"cards":[],"more":false}`,
		"/api/cards?ref=none":        `{"cards":[],"more":false}`,
	} {
		if _, _, text := do(t, c, "GET", target, ""); text != want {
			t.Errorf("GET %s: got %s, want %s", target, text, want)
		}
	}
	if status, _, _ := do(t, c, "GET", "/api/cards?page=0", ""); status != 400 {
		t.Errorf("page 0: got %d, want 400", status)
	}
}

func TestNeverDeduplicates(t *testing.T) {
	c := newCRM()
	for range 2 {
		do(t, c, "POST", "/api/cards", form("", ""))
	}
	if len(c.Cards()) != 2 {
		t.Errorf("got %d cards, want 2", len(c.Cards()))
	}
}
