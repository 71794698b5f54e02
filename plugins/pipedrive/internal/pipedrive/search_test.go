package pipedrive

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// item returns an activity of a list, with that note.
func item(id int, note string) string {
	text, _ := json.Marshal(note)
	return fmt.Sprintf(`{"id":%d,"note":%s,"is_deleted":false}`, id, text)
}

// page returns a page with these items and the cursor of the next one, "" for none.
func page(cursor string, items ...string) string {
	next := "null"
	if cursor != "" {
		next = `"` + cursor + `"`
	}
	return `{"success":true,"data":[` + strings.Join(items, ",") + `],"additional_data":{"next_cursor":` + next + `}}`
}

// find runs FindMessageLog, which never returns an error.
func find(t *testing.T, a *Adapter, req *sdk.AddMessageLogRequest) *sdk.FindMessageLogResponse {
	t.Helper()
	found, err := a.FindMessageLog(t.Context(), sdktest.FindRequest(req))
	if err != nil || found == nil {
		t.Fatalf("got %+v, %v", found, err)
	}
	return found
}

func TestFind(t *testing.T) {
	t.Parallel()
	req := request()
	own := func(id int) string { return item(id, noteOf(req)) }
	foreign := item(90, "<p>Spoke about the engine.</p>")
	key := req.IdempotencyKey
	for name, test := range map[string]struct {
		pages    []string
		found    []string
		complete bool
		verdict  sdk.Verdict
	}{
		"nothing at all":      {[]string{emptyPage}, nil, false, sdk.VerdictNotFound},
		"others only":         {[]string{page("", foreign, `{"id":91,"note":null}`, item(92, ""))}, nil, false, sdk.VerdictNotFound},
		"one":                 {[]string{page("", foreign, own(12))}, []string{"12"}, true, sdk.VerdictFound},
		"two, oldest first":   {[]string{page("", own(112), own(12))}, []string{"12", "112"}, true, sdk.VerdictFound},
		"on the second page":  {[]string{page("c1", foreign), page("", own(12))}, []string{"12"}, true, sdk.VerdictFound},
		"on both pages":       {[]string{page("c1", own(12)), page("", own(12), own(13))}, []string{"12", "13"}, true, sdk.VerdictFound},
		"in the bin":          {[]string{page("", strings.Replace(own(12), "false", "true", 1))}, nil, false, sdk.VerdictNotFound},
		"sanitised":           {[]string{page("", item(12, "Hello<br />Reference: <span>"+key+"</span>\n<br>&nbsp;"))}, []string{"12"}, true, sdk.VerdictFound},
		"key of another":      {[]string{page("", item(12, "<p>Reference: "+key+"0</p>"))}, nil, false, sdk.VerdictNotFound},
		"key within another":  {[]string{page("", item(12, "<p>Reference: x-"+key+"</p>"))}, nil, false, sdk.VerdictNotFound},
		"quoted in a text":    {[]string{page("", item(12, "<p>see "+key+" please</p><p>Reference: pb-0</p>"))}, nil, false, sdk.VerdictCannotTell},
		"written below":       {[]string{page("", item(12, noteOf(req)+"<p>called back</p>"))}, nil, false, sdk.VerdictCannotTell},
		"found and quoted":    {[]string{page("", own(12), item(13, noteOf(req)+"<p>copied</p>"))}, []string{"12"}, true, sdk.VerdictFound},
		"pages without end":   {[]string{page("c1", foreign)}, nil, false, sdk.VerdictCannotTell},
		"found without end":   {[]string{page("c1", own(12))}, []string{"12"}, false, sdk.VerdictFound},
		"found, then broken":  {[]string{page("c1", own(12)), `{}`}, []string{"12"}, false, sdk.VerdictFound},
		"broken second page":  {[]string{page("c1", foreign), `{}`}, nil, false, sdk.VerdictCannotTell},
		"empty object":        {[]string{`{}`}, nil, false, sdk.VerdictCannotTell},
		"no data":             {[]string{`{"success":true,"additional_data":{"next_cursor":null}}`}, nil, false, sdk.VerdictCannotTell},
		"data null":           {[]string{`{"success":true,"data":null,"additional_data":{"next_cursor":null}}`}, nil, false, sdk.VerdictCannotTell},
		"data as object":      {[]string{`{"success":true,"data":{},"additional_data":{"next_cursor":null}}`}, nil, false, sdk.VerdictCannotTell},
		"not successful":      {[]string{`{"success":false,"data":[],"additional_data":{"next_cursor":null}}`}, nil, false, sdk.VerdictCannotTell},
		"no word of success":  {[]string{`{"data":[],"additional_data":{"next_cursor":null}}`}, nil, false, sdk.VerdictCannotTell},
		"no additional data":  {[]string{`{"success":true,"data":[]}`}, nil, false, sdk.VerdictCannotTell},
		"additional null":     {[]string{`{"success":true,"data":[],"additional_data":null}`}, nil, false, sdk.VerdictCannotTell},
		"no cursor":           {[]string{`{"success":true,"data":[],"additional_data":{}}`}, nil, false, sdk.VerdictCannotTell},
		"cursor as number":    {[]string{`{"success":true,"data":[],"additional_data":{"next_cursor":7}}`}, nil, false, sdk.VerdictCannotTell},
		"item without id":     {[]string{page("", `{"note":null}`)}, nil, false, sdk.VerdictCannotTell},
		"item id as text":     {[]string{page("", `{"id":"12","note":null}`)}, nil, false, sdk.VerdictCannotTell},
		"item without note":   {[]string{page("", `{"id":12}`)}, nil, false, sdk.VerdictCannotTell},
		"note as object":      {[]string{page("", `{"id":12,"note":{}}`)}, nil, false, sdk.VerdictCannotTell},
		"item null":           {[]string{page("", `null`)}, nil, false, sdk.VerdictCannotTell},
		"found, then no item": {[]string{page("", own(12), `{"id":13}`)}, []string{"12"}, false, sdk.VerdictFound},
		"then found":          {[]string{page("", `{"id":11}`, own(12))}, nil, false, sdk.VerdictCannotTell},
		"web page":            {[]string{`<html>`}, nil, false, sdk.VerdictCannotTell},
		"cut off":             {[]string{page("", own(12))[:60]}, nil, false, sdk.VerdictCannotTell},
		"nothing":             {[]string{``}, nil, false, sdk.VerdictCannotTell},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm := newSite(t, map[string][]answer{routeList: ok(test.pages...)})
			began := time.Now()
			got := find(t, newAdapter(t, crm.url), req)
			if got.Verdict != test.verdict || !slices.Equal(got.LogIDs, test.found) ||
				got.Verdict == sdk.VerdictFound && got.Complete != test.complete {
				t.Errorf("got %+v", got)
			}
			if got.Verdict == sdk.VerdictNotFound && (got.AsOf.Before(began) || got.AsOf.After(time.Now())) {
				t.Errorf("as of %s", got.AsOf)
			}
			if n := crm.times(routeList); n > maxRequests {
				t.Errorf("asked for %d pages", n)
			}
			if crm.times(routeCreate) != 0 {
				t.Error("a search wrote")
			}
		})
	}
}

// TestNotFoundNeedsMoreThanAnEmptyList: of a person who is gone, and for eyes from
// which something may be hidden, an empty list says nothing.
func TestNotFoundNeedsMoreThanAnEmptyList(t *testing.T) {
	t.Parallel()
	me := func(id int, app string, admin bool) []answer {
		return ok(fmt.Sprintf(`{"success":true,"data":{"id":%d,"access":[{"app":"global","admin":false},{"app":%q,"admin":%t}]}}`, id, app, admin))
	}
	const no, tell = sdk.VerdictNotFound, sdk.VerdictCannotTell
	for name, test := range map[string]struct {
		answers map[string][]answer
		user    string
		want    sdk.Verdict
	}{
		"the owner":             {nil, "42", no},
		"App Connect's owner":   {nil, "42-pipedrive", no},
		"another user":          {map[string][]answer{routeMe: me(43, "sales", false)}, "42", tell},
		"an admin":              {map[string][]answer{routeMe: me(43, "sales", true)}, "42", no},
		"an admin of something": {map[string][]answer{routeMe: me(43, "projects", true)}, "42", tell},
		"owner not known":       {map[string][]answer{routeMe: me(43, "sales", false)}, "62288329004", no},
		"user unknown":          {map[string][]answer{routeMe: {{500, ``, nil}}}, "42", tell},
		"person not found":      {map[string][]answer{routePerson: {{404, personGone, nil}}}, "42", tell},
		"person deleted":        {map[string][]answer{routePerson: ok(`{"success":true,"data":{"id":7,"is_deleted":true}}`)}, "42", tell},
		"person merged":         {map[string][]answer{routePerson: ok(`{"success":true,"data":{"id":8}}`)}, "42", tell},
		"person hidden":         {map[string][]answer{routePerson: {{403, ``, nil}}}, "42", tell},
		"person garbled":        {map[string][]answer{routePerson: ok(`{"success":true,"data":[]}`)}, "42", tell},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm := newSite(t, test.answers)
			req := request()
			asUser(`{"id":"` + test.user + `","hostname":"acme.pipedrive.com"}`)(req)
			if got := find(t, newAdapter(t, crm.url), req); got.Verdict != test.want {
				t.Errorf("got %+v, want %s", got, test.want)
			}
			// The person last: a merge must not come between.
			if asked := crm.routes(); asked[0] != routeList || test.want == no && asked[len(asked)-1] != routePerson {
				t.Errorf("asked %v", asked)
			}
		})
	}
}

// TestFoundNeedsNoMore: what is found is found, whoever looks.
func TestFoundNeedsNoMore(t *testing.T) {
	t.Parallel()
	req := request()
	crm := newSite(t, map[string][]answer{routeList: ok(page("", item(12, noteOf(req))))})
	if got := find(t, newAdapter(t, crm.url), req); got.Verdict != sdk.VerdictFound {
		t.Errorf("got %+v", got)
	}
	if asked := crm.routes(); !slices.Equal(asked, []string{routeList}) {
		t.Errorf("asked %v", asked)
	}
}

func TestFindCannotTell(t *testing.T) {
	t.Parallel()
	reset := http.Header{"X-Ratelimit-Reset": {"9"}}
	for name, test := range map[string]struct {
		answer
		wait time.Duration
	}{
		"400":           {answer{400, `{"success":false,"error":"Validation failed"}`, nil}, 0},
		"401":           {answer{401, ``, nil}, 0},
		"403":           {answer{403, `<html>`, nil}, 0},
		"404":           {answer{404, ``, nil}, 0},
		"429 by header": {answer{429, ``, http.Header{"Retry-After": {"11"}}}, 11 * time.Second},
		"429 by reset":  {answer{429, ``, reset}, 9 * time.Second},
		"day used up":   {answer{429, `{"error":"daily token budget"}`, reset}, time.Hour},
		"500":           {answer{500, ``, nil}, 0},
		"503":           {answer{503, ``, http.Header{"Retry-After": {"3"}}}, 3 * time.Second},
	} {
		for when, before := range map[string][]answer{"first page": nil, "second page": ok(page("c1"))} {
			t.Run(name+" on the "+when, func(t *testing.T) {
				t.Parallel()
				crm := newSite(t, map[string][]answer{routeList: append(before, test.answer)})
				got := find(t, newAdapter(t, crm.url), request())
				if got.Verdict != sdk.VerdictCannotTell || got.RetryAfter != test.wait {
					t.Errorf("got %+v, want a wait of %s", got, test.wait)
				}
				req := request()
				crm.set(routeList, []answer{ok(page("c1", item(12, noteOf(req))))[0], test.answer})
				if got := find(t, newAdapter(t, crm.url), req); !slices.Equal(got.LogIDs, []string{"12"}) || got.Complete {
					t.Errorf("with a record seen before it: %+v", got)
				}
			})
		}
	}
}

// TestFindQuery: the person's activities that changed since the first attempt and
// a day before, without an upper bound, by id.
func TestFindQuery(t *testing.T) {
	t.Parallel()
	crm := newSite(t, map[string][]answer{routeList: ok(page("a b&c=d"), emptyPage)})
	a := newAdapter(t, crm.url)
	req := sdktest.FindRequest(request())
	req.SentAfter = time.Date(2026, 3, 4, 5, 6, 7, 987654321, time.FixedZone("", 8*3600))
	if _, err := a.FindMessageLog(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	want := url.Values{
		"person_id": {"7"}, "updated_since": {"2026-03-02T21:06:07Z"},
		"sort_by": {"id"}, "sort_direction": {"asc"}, "limit": {"500"},
	}
	for i, query := range crm.queries {
		if got, _ := url.ParseQuery(query); got.Encode() != want.Encode() {
			t.Errorf("page %d: asked %s, want %s", i+1, got.Encode(), want.Encode())
		}
		want.Set("cursor", "a b&c=d")
	}
	crm.set(routeList, ok(emptyPage))
	req.SentAfter = time.Time{}
	if _, err := a.FindMessageLog(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if last := crm.queries[len(crm.queries)-1]; strings.Contains(last, "updated_since") {
		t.Errorf("without a time it asked %s", last)
	}
}

// TestFindAmongLongNotes: pages that do not fit into an answer are asked for
// smaller, and none is left out.
func TestFindAmongLongNotes(t *testing.T) {
	t.Parallel()
	req := request()
	huge := page("", item(1, strings.Repeat("x", 5<<20)))
	crm := newSite(t, map[string][]answer{routeList: ok(page("c1"), huge, huge, huge, page("c2", item(12, noteOf(req))), page("", item(13, noteOf(req))))})
	got := find(t, newAdapter(t, crm.url), req)
	if got.Verdict != sdk.VerdictFound || !slices.Equal(got.LogIDs, []string{"12", "13"}) || !got.Complete {
		t.Errorf("got %+v", got)
	}
	var asked []string
	for _, query := range crm.queries {
		q, _ := url.ParseQuery(query)
		asked = append(asked, q.Get("limit")+q.Get("cursor"))
	}
	if want := []string{"500", "500c1", "100c1", "20c1", "4c1", "4c2"}; !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
	always := newSite(t, map[string][]answer{routeList: ok(huge)})
	if got := find(t, newAdapter(t, always.url), req); got.Verdict != sdk.VerdictCannotTell {
		t.Errorf("got %+v", got)
	}
	if n := always.times(routeList); n != 4 {
		t.Errorf("asked %d times for a page that never fits", n)
	}
}

// TestFindWithoutWhatItNeeds: nothing is asked, and nothing concluded.
func TestFindWithoutWhatItNeeds(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*sdk.AddMessageLogRequest){
		"no key":          func(req *sdk.AddMessageLogRequest) { req.IdempotencyKey = "" },
		"no person":       toContact(`{"id":"createNewContact","type":"person"}`),
		"an organisation": toContact(`{"id":7,"type":"organization"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm := newSite(t, nil)
			req := request()
			change(req)
			if got := find(t, newAdapter(t, crm.url), req); got.Verdict != sdk.VerdictCannotTell || len(crm.routes()) != 0 {
				t.Errorf("got %+v after %v", got, crm.routes())
			}
		})
	}
}

// TestFindCancelled: a search whose host has gone ends.
func TestFindCancelled(t *testing.T) {
	t.Parallel()
	crm := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	got, err := newAdapter(t, crm.url).FindMessageLog(ctx, sdktest.FindRequest(request()))
	if err != nil || got.Verdict != sdk.VerdictCannotTell {
		t.Errorf("got %+v, %v", got, err)
	}
}

func FuzzMarked(f *testing.F) {
	const key = "pb-0123456789abcdef"
	for _, note := range []string{"", "<", ">", "<p>Reference: " + key + "</p>", "&lt;" + key, key + "<p", "<b" + key + ">", "&#0;" + key} {
		f.Add(note)
	}
	f.Fuzz(func(t *testing.T, note string) {
		ends, holds := marked(note, key)
		if ends && !holds {
			t.Errorf("%q ends with the key and does not hold it", note)
		}
		if ends, _ := marked(note+"<p>Reference: "+key+"</p>", key); !ends {
			t.Errorf("the last line below %q is not found", note)
		}
	})
}
