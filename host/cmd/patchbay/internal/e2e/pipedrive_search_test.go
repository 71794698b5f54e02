package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// listPath is where searches look.
const listPath = "/api/v2/activities"

// failedSearches are answers to a search after which nobody can tell, whether or
// not there is an activity.
var failedSearches = map[string]object{
	"400":                    answers(400),
	"401":                    answers(401),
	"403 from the network":   merged(answers(403), object{"junk": "html"}),
	"429, Retry-After":       merged(answers(429), object{"retryAfter": "1"}),
	"429, reset":             merged(answers(429), object{"rateLimitReset": 2}),
	"429, day":               merged(answers(429), object{"message": dailyBudget}),
	"500":                    answers(500),
	"503":                    answers(503),
	"reset":                  {"do": "reset"},
	"html":                   junk("html"),
	"truncated":              junk("truncated"),
	"empty":                  junk("empty"),
	"no data":                junk("noData"),
	"not success":            junk("notSuccess"),
	"no ids":                 junk("noId"),
	"texts for ids":          junk("textId"),
	"second page 429":        merged(answers(429), object{"skip": 1}),
	"second page 500":        merged(answers(500), object{"skip": 1}),
	"second page truncated":  merged(junk("truncated"), object{"skip": 1}),
	"second page without id": merged(junk("noId"), object{"skip": 1}),
}

// failedAbsences are answers to what is asked when a search has found nothing.
var failedAbsences = map[string]object{
	"user 401":       merged(answers(401), object{"route": "me"}),
	"user 429":       merged(answers(429), object{"route": "me"}),
	"user html":      merged(junk("html"), object{"route": "me"}),
	"user no id":     merged(junk("noId"), object{"route": "me"}),
	"person gone":    merged(answers(404), object{"route": "person"}),
	"person 500":     merged(answers(500), object{"route": "person"}),
	"person text id": merged(junk("textId"), object{"route": "person"}),
}

// unknowns are messages whose outcome is unknown.
type unknowns struct {
	b *pipedriveBench
	// own are the members of the request for each.
	own     map[int]fields
	entries map[int]string
	settled time.Time // when the last one has settled
}

// doubts sends a message that this fault strikes, while no search works.
func (u *unknowns) doubts(t *testing.T, message int, own fields, f object) {
	t.Helper()
	u.b.crm.faults(t, onCreate(f), always(onSearch(answers(503))))
	id := u.b.relay(own, message).refused(t, 504, "outcome_unknown").MessageLogs[0]
	u.own[message], u.entries[message] = own, id
	u.settled = u.b.entry(t, "acme", id).SettlesAt
}

// stay checks that a search with this fault leaves the messages unknown, and their
// callers refused.
func (u *unknowns) stay(t *testing.T, f object, messages ...int) {
	t.Helper()
	struck := u.b.crm.counts(t).Faults
	u.b.crm.faults(t, always(f))
	for _, message := range messages {
		r := u.b.relay(u.own[message], message)
		p := r.refused(t, 409, "outcome_unsettled")
		if wait := r.retryAfter(t); p.Class != "unknown" || wait < 1 || wait > 5 || !slices.Equal(p.MessageLogs, []string{u.entries[message]}) {
			t.Errorf("Retry-After %d, problem %s", wait, r.body)
		}
		e := u.b.entry(t, "acme", u.entries[message])
		if e.State != "unknown" || e.Reconcile == nil || e.Reconcile.Verdict != "cannotTell" {
			t.Errorf("entry %+v with %+v", e, e.Reconcile)
		}
	}
	if n := u.b.crm.counts(t).Faults - struck; n < len(messages) {
		t.Errorf("the fault struck %d requests, want %d at least", n, len(messages))
	}
}

// TestPipedriveSearchThatFails has searches fail in every way after the entries
// have settled, when "not found" would be believed. The entries stay unknown, and
// settle to the truth by the first search that succeeds.
func TestPipedriveSearchThatFails(t *testing.T) {
	t.Parallel()
	b := startPipedriveBench(t, nil)
	b.crm.seed(t, 7, 600, "") // two pages
	u := &unknowns{b: b, own: map[int]fields{}, entries: map[int]string{}}
	const written, lost, another = 1, 2, 3
	u.doubts(t, written, nil, after(object{"do": "reset"}))
	u.doubts(t, lost, nil, before(object{"do": "reset"}))
	// The activity would be another user's, from whom alone nothing is hidden.
	u.doubts(t, another, fields{"user": pipedriveUser("1002-pipedrive", "acme.pipedrive.com")}, before(object{"do": "reset"}))
	pass(t, time.Until(u.settled)+100*time.Millisecond)
	for name, f := range failedSearches {
		t.Run(name, func(t *testing.T) { u.stay(t, onSearch(f), written, lost) })
	}
	for name, f := range failedAbsences {
		t.Run(name, func(t *testing.T) { u.stay(t, merged(f, object{"method": "GET"}), lost) })
	}

	b.crm.faults(t)
	if out := b.logsOnce(t, nil, http.StatusOK, written); out.MessageLogID != u.entries[written] {
		t.Errorf("answer %+v, entry %s", out, u.entries[written])
	}
	b.logsOnce(t, nil, http.StatusCreated, lost)
	if e := b.entry(t, "acme", u.entries[lost]); e.State != "failed" || e.Reconcile.Verdict != "notFound" {
		t.Errorf("entry %+v with %+v", e, e.Reconcile)
	}
	// The account works, and yet these credentials cannot tell: a person does.
	u.b.relay(u.own[another], another).refused(t, 409, "outcome_unsettled")
	b.settle("acme", u.entries[another], "resolve", `{"notLogged":true}`).into(t, 200, nil)
	b.logsOnce(t, u.own[another], http.StatusCreated, another)
	if a := b.crm.one(t, another); a.OwnerID != 1002 {
		t.Errorf("activity %+v", a)
	}
	b.ends(t)
}

// TestPipedriveSearchIsRepeated leaves an unknown entry to the host alone, which
// asks again, and no sooner than Pipedrive wants to be asked.
func TestPipedriveSearchIsRepeated(t *testing.T) {
	t.Parallel()
	b := startPipedriveBench(t, nil)
	limited := merged(answers(429), object{"retryAfter": "1"})
	b.crm.faults(t, onCreate(after(answers(500))), onSearch(limited), onSearch(junk("html")), onSearch(object{"do": "reset"}))
	id := b.relay(nil, 1).refused(t, 504, "outcome_unknown").MessageLogs[0]
	b.becomes(t, "acme", id, "logged")
	if out := b.logsOnce(t, nil, http.StatusOK, 1); out.MessageLogID != id {
		t.Errorf("answer %+v, entry %s", out, id)
	}
	lists := b.crm.requests(t, http.MethodGet, listPath)
	if len(lists) < 4 || lists[0].Status != 429 || lists[len(lists)-1].Status != 200 {
		t.Fatalf("the account was asked %+v", lists)
	}
	if wait := lists[1].At.Sub(lists[0].At); wait < 900*time.Millisecond {
		t.Errorf("asked again after %s", wait)
	}
	b.ends(t)
}

// TestPipedriveSearchesThroughPages looks for an activity among 1,200 others of
// the person.
func TestPipedriveSearchesThroughPages(t *testing.T) {
	t.Parallel()
	b := startPipedriveBench(t, nil)
	const oldest, newest, lost, large = 1, 2, 3, 4

	// The oldest of all, once the search works.
	b.crm.faults(t, onCreate(after(object{"do": "reset"})), always(onSearch(answers(503))))
	id := b.relay(nil, oldest).refused(t, 504, "outcome_unknown").MessageLogs[0]
	b.crm.seed(t, 7, 1200, "")
	b.crm.faults(t)
	b.becomes(t, "acme", id, "logged")
	if out := b.logsOnce(t, nil, http.StatusOK, oldest); out.LogID != "1" || out.MessageLogID != id {
		t.Errorf("the oldest: %+v", out)
	}
	// The newest, at once: it is on the third page.
	b.crm.faults(t, onCreate(after(object{"do": "reset"})))
	if out := b.logsOnce(t, nil, http.StatusCreated, newest); out.LogID != "1202" {
		t.Errorf("the newest: %+v", out)
	}
	b.searched(t, 7, "500", "500", "500")
	// None, and all three pages are read before that is believed.
	b.crm.faults(t, onCreate(before(object{"do": "reset"})))
	id = b.relay(nil, lost).refused(t, 504, "outcome_unknown").MessageLogs[0]
	b.searched(t, 7, "500", "500", "500")

	// Another person has long notes: they do not fit into one answer, and smaller
	// pages do.
	b.crm.seed(t, 8, 450, "<p>"+strings.Repeat("x", 10_000)+"</p>")
	charles := fields{"contactInfo": `{"id":8,"type":"person"}`}
	b.crm.faults(t, onCreate(after(junk("truncated"))))
	b.logsOnce(t, charles, http.StatusCreated, large)
	b.searched(t, 8, "500", "100", "100", "100", "100", "100")

	b.becomes(t, "acme", id, "failed")
	b.logsOnce(t, nil, http.StatusCreated, lost)
	b.ends(t)
}

// searched checks that one search of a person's activities asked for pages of
// these sizes, one after the other.
func (b *pipedriveBench) searched(t *testing.T, person int, sizes ...string) {
	t.Helper()
	var searches [][]string
	for _, r := range b.crm.requests(t, http.MethodGet, listPath) {
		q, err := url.ParseQuery(r.Query)
		must(t, err)
		if q.Get("person_id") != strconv.Itoa(person) || r.Status != 200 {
			continue
		}
		if q.Get("cursor") == "" && (len(searches) == 0 || q.Get("limit") == "500") {
			searches = append(searches, nil)
		}
		last := &searches[len(searches)-1]
		*last = append(*last, q.Get("limit"))
	}
	if !slices.ContainsFunc(searches, func(s []string) bool { return slices.Equal(s, sizes) }) {
		t.Errorf("searches of person %d asked for pages of %v, want %v among them", person, searches, sizes)
	}
}
