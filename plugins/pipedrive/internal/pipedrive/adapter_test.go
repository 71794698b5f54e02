package pipedrive

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

func TestActivity(t *testing.T) {
	t.Parallel()
	number := func(text string) any { return json.Number(text) }
	whole := map[string]any{
		"subject": "SMS to Ada Lovelace", "type": "sms", "owner_id": number("42"), "org_id": number("70"), "done": true,
		"participants": []any{map[string]any{"person_id": number("7"), "primary": true}},
		"due_date":     "2015-02-18", "due_time": "13:24",
	}
	for name, test := range map[string]struct {
		change func(*sdk.AddMessageLogRequest)
		person string
		want   map[string]any // nil: absent
		me     int
	}{
		"plain":               {},
		"no organisation":     {person: `{"success":true,"data":{"id":7,"org_id":null}}`, want: map[string]any{"org_id": nil}},
		"deal as a number":    {change: submitting("deals", "500"), want: map[string]any{"deal_id": number("500")}},
		"deal as text":        {change: submitting("deals", `"500"`), want: map[string]any{"deal_id": number("500")}},
		"deal above 2^53":     {change: submitting("deals", "9007199254740993"), want: map[string]any{"deal_id": number("9007199254740993")}},
		"lead":                {change: submitting("leads", `"`+leadOfAda+`"`), want: map[string]any{"lead_id": leadOfAda}},
		"deal and lead":       {change: submitting("deals", "500", "leads", `"`+leadOfAda+`"`), want: map[string]any{"deal_id": number("500")}},
		"deal and odd lead":   {change: submitting("deals", "500", "leads", `"none"`), want: map[string]any{"deal_id": number("500")}},
		"empty deal and lead": {change: submitting("deals", `""`, "leads", `""`)},
		"owner of App Connect": {
			change: asUser(`{"id":"1234-pipedrive","hostname":"acme.pipedrive.com"}`), want: map[string]any{"owner_id": number("1234")},
		},
		"owner of another product": {change: asUser(`{"id":"62288329004","hostname":"acme.pipedrive.com"}`), me: 1},
		"owner without an id":      {change: asUser(`{"hostname":"acme.pipedrive.com"}`), me: 1},
		"owner with a name":        {change: asUser(`{"id":"grace"}`), me: 1},
		"contact id as text":       {change: toContact(`{"id":"7","type":"person","name":"Ada Lovelace"}`)},
		"a type that is set": {
			change: func(req *sdk.AddMessageLogRequest) {
				req.Settings = sdk.Values{"activityType": sdk.TextValue(" call ")}
			},
			want: map[string]any{"type": "call"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm := newSite(t, nil)
			if test.person != "" {
				crm.set(routePerson, ok(test.person))
			}
			req := request()
			if test.change != nil {
				test.change(req)
			}
			resp, err := newAdapter(t, crm.url).AddMessageLog(t.Context(), req)
			if err != nil || resp.LogID != "12" {
				t.Fatalf("got %+v, %v", resp, err)
			}
			got := crm.created(t)
			note, _ := got["note"].(string)
			delete(got, "note")
			want := maps.Clone(whole)
			for name, value := range test.want {
				if want[name] = value; value == nil {
					delete(want, name)
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("sent %v, want %v", got, want)
			}
			if !strings.HasSuffix(note, req.IdempotencyKey+"</p>") {
				t.Errorf("the note does not end with the key: %s", note)
			}
			if n := crm.times(routeMe); n != test.me {
				t.Errorf("asked for the user %d times", n)
			}
		})
	}
}

func submitting(pairs ...string) func(*sdk.AddMessageLogRequest) {
	return func(req *sdk.AddMessageLogRequest) {
		req.AdditionalSubmission = sdk.Values{}
		for i := 0; i < len(pairs); i += 2 {
			req.AdditionalSubmission[pairs[i]] = sdk.RawValue([]byte(pairs[i+1]))
		}
	}
}

func asUser(raw string) func(*sdk.AddMessageLogRequest) {
	return func(req *sdk.AddMessageLogRequest) { req.User = sdktest.User(raw) }
}

func toContact(raw string) func(*sdk.AddMessageLogRequest) {
	return func(req *sdk.AddMessageLogRequest) { req.ContactInfo = sdktest.Contact(raw) }
}

// TestRefusedAtOnce: what the request itself shows to be wrong is refused before
// anything is asked.
func TestRefusedAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*sdk.AddMessageLogRequest)
		says   string
	}{
		"contact of another kind":  {toContact(`{"id":7,"type":"organization"}`), "contactInfo.type"},
		"another word for it":      {toContact(`{"id":7,"type":"contact"}`), "contactInfo.type"},
		"in other letters":         {toContact(`{"id":7,"type":"Person"}`), "contactInfo.type"},
		"contact without a type":   {toContact(`{"id":7}`), "contactInfo.type"},
		"id with leading zeros":    {toContact(`{"id":"07","type":"person"}`), "contactInfo.id"},
		"id with a sign":           {toContact(`{"id":"+7","type":"person"}`), "contactInfo.id"},
		"contact to be created":    {toContact(`{"id":"createNewContact","type":"person"}`), "contactInfo.id"},
		"contact of 40 digits":     {toContact(`{"id":1234567890123456789012345678901234567890,"type":"person"}`), "contactInfo.id"},
		"contact 0":                {toContact(`{"id":0,"type":"person"}`), "contactInfo.id"},
		"negative contact":         {toContact(`{"id":-7,"type":"person"}`), "contactInfo.id"},
		"deal with a name":         {submitting("deals", `"Engine"`), "additionalSubmission.deals"},
		"deal with a fraction":     {submitting("deals", "1.5"), "additionalSubmission.deals"},
		"deal with an exponent":    {submitting("deals", "5e2"), "additionalSubmission.deals"},
		"deal 0":                   {submitting("deals", "0"), "additionalSubmission.deals"},
		"negative deal":            {submitting("deals", `"-500"`), "additionalSubmission.deals"},
		"deal beyond 64 bits":      {submitting("deals", "99999999999999999999"), "additionalSubmission.deals"},
		"several deals":            {submitting("deals", "[500]"), "additionalSubmission.deals"},
		"lead with a number":       {submitting("leads", "12"), "additionalSubmission.leads"},
		"lead with a name":         {submitting("leads", `"none"`), "additionalSubmission.leads"},
		"lead with a digit more":   {submitting("leads", `"`+leadOfAda+`0"`), "additionalSubmission.leads"},
		"lead with an odd letter":  {submitting("leads", `"gdf21080-0e10-11eb-879b-05d71fb426ec"`), "additionalSubmission.leads"},
		"lead without its hyphens": {submitting("leads", `"adf210800e10a11eba879ba05d71fb426ec0"`), "additionalSubmission.leads"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm := newSite(t, nil)
			req := request()
			test.change(req)
			_, err := newAdapter(t, crm.url).AddMessageLog(t.Context(), req)
			if fault.CodeOf(err) != fault.CRMRejected || fault.ClassOf(err) != fault.Permanent ||
				!strings.Contains(fault.MessageOf(err), test.says) || !strings.Contains(fault.MessageOf(err), "choose") {
				t.Errorf("got %v", err)
			}
			if asked := crm.routes(); len(asked) != 0 {
				t.Errorf("asked %v", asked)
			}
		})
	}
}

// TestAnswersToReads: what goes wrong before the activity is sent is definite, and
// nothing is sent.
func TestAnswersToReads(t *testing.T) {
	t.Parallel()
	down := fault.CRMUnavailable
	for name, test := range map[string]struct {
		route string
		answer
		code fault.Code
		says string
	}{
		"person not found":         {routePerson, answer{404, personGone, nil}, fault.CRMRejected, "Person not found"},
		"person deleted":           {routePerson, ok(`{"success":true,"data":{"id":7,"is_deleted":true}}`)[0], fault.CRMRejected, "deleted"},
		"person merged":            {routePerson, ok(`{"success":true,"data":{"id":8,"org_id":70}}`)[0], fault.CRMRejected, "merged"},
		"person without id":        {routePerson, ok(`{"success":true,"data":{"name":"Ada"}}`)[0], down, "without an id"},
		"person with id as text":   {routePerson, ok(`{"success":true,"data":{"id":"7"}}`)[0], down, "another form"},
		"organisation as object":   {routePerson, ok(`{"success":true,"data":{"id":7,"org_id":{"value":70}}}`)[0], down, "another form"},
		"person null":              {routePerson, ok(`{"success":true,"data":null}`)[0], down, "no data"},
		"person not successful":    {routePerson, ok(`{"success":false,"data":{"id":7}}`)[0], down, "failure"},
		"person as a web page":     {routePerson, ok(`<html>try later</html>`)[0], down, "usual JSON"},
		"person forbidden":         {routePerson, answer{403, `{"success":false,"error":"Scope and URL mismatch"}`, nil}, fault.CRMUnauthorized, "Scope and URL"},
		"person unauthorized":      {routePerson, answer{401, `{"success":false,"error":"unauthorized access","errorCode":401}`, nil}, fault.CRMUnauthorized, "unauthorized access"},
		"person limited":           {routePerson, answer{429, `{}`, nil}, fault.RateLimited, ""},
		"person 500":               {routePerson, answer{500, ``, nil}, down, ""},
		"types not successful":     {routeTypes, ok(`{"success":false,"error":"no"}`)[0], down, "failure"},
		"types null":               {routeTypes, ok(`{"success":true,"data":null}`)[0], down, "no data"},
		"types as object":          {routeTypes, ok(`{"success":true,"data":{}}`)[0], down, "another form"},
		"type active as a number":  {routeTypes, ok(`{"success":true,"data":[{"key_string":"sms","active_flag":1}]}`)[0], down, "another form"},
		"types 502":                {routeTypes, answer{502, `<html>`, nil}, down, ""},
		"user without id":          {routeMe, ok(`{"success":true,"data":{"name":"Grace"}}`)[0], down, "without an id"},
		"user with a negative id":  {routeMe, ok(`{"success":true,"data":{"id":-1}}`)[0], down, "without an id"},
		"user 401":                 {routeMe, answer{401, `{"success":false,"error":"Invalid token: access token is invalid"}`, nil}, fault.CRMUnauthorized, "Invalid token"},
		"user account not paid":    {routeMe, answer{402, `{"success":false,"error":"company account is not open"}`, nil}, fault.CRMRejected, "not open"},
		"user blocked by the edge": {routeMe, answer{403, `<!DOCTYPE html><p>Access denied</p>`, nil}, fault.CRMUnauthorized, "403"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm := newSite(t, map[string][]answer{test.route: {test.answer}})
			req := request()
			asUser(`{"hostname":"acme.pipedrive.com"}`)(req)
			_, err := newAdapter(t, crm.url).AddMessageLog(t.Context(), req)
			if fault.CodeOf(err) != test.code || fault.ClassOf(err) == fault.Unknown || !strings.Contains(fault.MessageOf(err), test.says) {
				t.Errorf("got %v, want %s", err, test.code)
			}
			if n := crm.times(routeCreate); n != 0 {
				t.Errorf("%d activities were sent", n)
			}
		})
	}
}

func TestFaultsOfACreate(t *testing.T) {
	t.Parallel()
	daily := `{"success":false,"error":"Request over limit","error_info":"API daily token budget exceeded"}`
	head := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	for name, test := range map[string]struct {
		answer
		code fault.Code
		wait time.Duration
		says string
	}{
		"400": {answer{400, `{"success":false,"error":"Validation failed: type: unknown","code":"ERR_BAD_REQUEST","data":null}`, nil}, fault.CRMRejected, 0, "Validation failed: type: unknown"},
		"400 with more": {
			answer{400, `{"success":false,"error":"Bad request","error_info":"deal_id: there is no such deal"}`, nil},
			fault.CRMRejected, 0, "Bad request (deal_id: there is no such deal)",
		},
		"401":            {answer{401, `{"success":false,"error":"unauthorized access","errorCode":401,"error_info":"Please check developers.pipedrive.com"}`, nil}, fault.CRMUnauthorized, 0, ": unauthorized access"},
		"402":            {answer{402, `{"error":"not paid"}`, nil}, fault.CRMRejected, 0, "not paid"},
		"403":            {answer{403, `{"message":"Scope and URL mismatch"}`, nil}, fault.CRMUnauthorized, 0, "Scope and URL mismatch"},
		"404":            {answer{404, ``, nil}, fault.CRMRejected, 0, "404"},
		"410":            {answer{410, `{"error_description":"gone for good"}`, nil}, fault.CRMRejected, 0, "gone for good"},
		"422":            {answer{422, `[]`, nil}, fault.CRMRejected, 0, ""},
		"429 by header":  {answer{429, `{"success":false,"error":"rate limit exceeded"}`, head("Retry-After", "7", "X-Ratelimit-Reset", "1")}, fault.RateLimited, 7 * time.Second, "rate limit exceeded"},
		"429 by reset":   {answer{429, `{}`, head("X-Ratelimit-Reset", "9", "X-Ratelimit-Remaining", "0")}, fault.RateLimited, 9 * time.Second, "429"},
		"429 bare":       {answer{429, ``, nil}, fault.RateLimited, 2 * time.Second, "429"},
		"429 reset now":  {answer{429, ``, head("X-Ratelimit-Reset", "0")}, fault.RateLimited, 2 * time.Second, ""},
		"429 odd reset":  {answer{429, ``, head("X-Ratelimit-Reset", "soon")}, fault.RateLimited, 2 * time.Second, ""},
		"day used up":    {answer{429, daily, head("X-Ratelimit-Reset", "30000")}, fault.RateLimited, 30000 * time.Second, "daily budget of API requests is used up"},
		"day, no reset":  {answer{429, daily, nil}, fault.RateLimited, time.Hour, "daily budget"},
		"day, the wrong": {answer{429, daily, head("Retry-After", "3", "X-Ratelimit-Reset", "2")}, fault.RateLimited, time.Hour, "daily budget"},
		"day, two waits": {answer{429, daily, head("Retry-After", "3", "X-Ratelimit-Reset", "30000")}, fault.RateLimited, 30000 * time.Second, "daily budget"},
		"day in words":   {answer{429, `{"error":"You have reached your daily request limit"}`, nil}, fault.RateLimited, time.Hour, "daily budget"},
		"day by budget":  {answer{429, `{"error":"Token budget exceeded"}`, nil}, fault.RateLimited, time.Hour, "daily budget"},
		"day in others":  {answer{429, `{"error":"Limit of 10000 requests per day"}`, nil}, fault.RateLimited, time.Hour, "daily budget"},
		"day by header":  {answer{429, ``, head("X-Daily-Ratelimit-Token-Remaining", "0")}, fault.RateLimited, time.Hour, "daily budget"},
		"day not over":   {answer{429, ``, head("X-Daily-Ratelimit-Token-Remaining", "100")}, fault.RateLimited, 2 * time.Second, "429"},
		"503":            {answer{503, ``, head("Retry-After", "5")}, fault.CRMUnavailable, 5 * time.Second, ""},
		"503 with reset": {answer{503, ``, head("X-Ratelimit-Reset", "2")}, fault.CRMUnavailable, 0, ""},
		"500":            {answer{500, `{"success":false,"error":"oops"}`, nil}, fault.Outcome, 0, "oops"},
		"502":            {answer{502, ``, nil}, fault.Outcome, 0, ""},
		"504":            {answer{504, ``, nil}, fault.Outcome, 0, ""},
		"no success":     {ok(`{"success":false,"error":"no","data":{"id":12}}`)[0], fault.Outcome, 0, "failure"},
		"no word":        {ok(`{"data":{"id":12}}`)[0], fault.Outcome, 0, "failure"},
		"no data":        {ok(`{"success":true}`)[0], fault.Outcome, 0, "no data"},
		"data null":      {ok(`{"success":true,"data":null}`)[0], fault.Outcome, 0, "no data"},
		"no id":          {ok(`{"success":true,"data":{}}`)[0], fault.Outcome, 0, "without an id"},
		"id 0":           {ok(`{"success":true,"data":{"id":0}}`)[0], fault.Outcome, 0, "without an id"},
		"id as text":     {ok(`{"success":true,"data":{"id":"12"}}`)[0], fault.Outcome, 0, "another form"},
		"id as fraction": {ok(`{"success":true,"data":{"id":12.5}}`)[0], fault.Outcome, 0, "another form"},
		"data as list":   {ok(`{"success":true,"data":[12]}`)[0], fault.Outcome, 0, "another form"},
		"web page":       {ok(`<html></html>`)[0], fault.Outcome, 0, "usual JSON"},
		"cut off":        {ok(`{"success":true,"data":{"id":12`)[0], fault.Outcome, 0, "usual JSON"},
		"empty":          {ok(``)[0], fault.Outcome, 0, "usual JSON"},
		"no content":     {answer{204, ``, nil}, fault.Outcome, 0, "usual JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm := newSite(t, map[string][]answer{routeCreate: {test.answer}})
			resp, err := newAdapter(t, crm.url).AddMessageLog(t.Context(), request())
			unknown := fault.ClassOf(err) == fault.Unknown
			if err == nil || resp != nil || fault.CodeOf(err) != test.code || unknown != (test.code == fault.Outcome) {
				t.Fatalf("got %+v, %v, want %s", resp, err, test.code)
			}
			if wait := fault.RetryAfterOf(err); wait != test.wait {
				t.Errorf("wait of %s, want %s", wait, test.wait)
			}
			if !strings.Contains(fault.MessageOf(err), test.says) || strings.Contains(fault.MessageOf(err), "developers.pipedrive.com") {
				t.Errorf("it says %q, want %q in it", fault.MessageOf(err), test.says)
			}
			if n := crm.times(routeCreate); n != 1 {
				t.Errorf("%d activities were sent", n)
			}
		})
	}
}

// TestNoSecretInAFault: a CRM that repeats the credentials does not get them into
// an error.
func TestNoSecretInAFault(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"rejected": 400, "limited": 429, "unknown": 500} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			echo := answer{status, `{"success":false,"error":"daily: not allowed for ` + sdktestToken + `"}`, nil}
			crm := newSite(t, map[string][]answer{routeCreate: {echo}})
			_, err := newAdapter(t, crm.url).AddMessageLog(t.Context(), request())
			if err == nil || !strings.Contains(fault.MessageOf(err), "not allowed for") {
				t.Fatalf("got %v", err)
			}
			if text := fmt.Sprintf("%v %+v %s", err, err, fault.MessageOf(err)); strings.Contains(text, "sdktest-token") {
				t.Errorf("the fault holds the credentials: %s", text)
			}
		})
	}
}

func TestCreatedWith201(t *testing.T) {
	t.Parallel()
	crm := newSite(t, map[string][]answer{routeCreate: {{201, `{"success":true,"data":{"id":9007199254740993}}`, nil}}})
	resp, err := newAdapter(t, crm.url).AddMessageLog(t.Context(), request())
	if err != nil || resp.LogID != "9007199254740993" {
		t.Errorf("got %+v, %v", resp, err)
	}
}

func TestOrderOfRequests(t *testing.T) {
	t.Parallel()
	crm := newSite(t, nil)
	req := request()
	asUser(`{"hostname":"acme.pipedrive.com"}`)(req)
	if _, err := newAdapter(t, crm.url).AddMessageLog(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if asked, want := crm.routes(), []string{routeTypes, routeMe, routePerson, routeCreate}; !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
}

func TestMisconfigured(t *testing.T) {
	t.Setenv("PIPEDRIVE_BASE_URL", "ftp://user:secret-password@pipedrive.example.com")
	a := New()
	health, err := a.(sdk.HealthChecker).CheckHealth(t.Context(), &sdk.CheckHealthRequest{})
	if err != nil || health.Serving || health.Message == "" || strings.Contains(health.Message, "secret-password") {
		t.Errorf("health %+v, %v", health, err)
	}
	_, err = a.AddMessageLog(t.Context(), request())
	if fault.CodeOf(err) != fault.AdapterFault || fault.ClassOf(err) != fault.Permanent {
		t.Errorf("got %v", err)
	}
	found, err := a.(sdk.MessageLogFinder).FindMessageLog(t.Context(), sdktest.FindRequest(request()))
	if err != nil || found.Verdict != sdk.VerdictCannotTell {
		t.Errorf("a search: %+v, %v", found, err)
	}
}

// TestConfigured: the adapter reads its environment, is healthy without asking
// anybody, and calls no other host.
func TestConfigured(t *testing.T) {
	crm := newSite(t, nil)
	t.Setenv("PIPEDRIVE_BASE_URL", crm.url)
	t.Setenv("PATCHBAY_ALLOW_PRIVATE", "127.0.0.1")
	a, isAdapter := New().(*Adapter)
	if !isAdapter {
		t.Fatalf("New returned a %T", New())
	}
	t.Cleanup(a.Close)
	health, err := a.CheckHealth(t.Context(), &sdk.CheckHealthRequest{})
	if err != nil || !health.Serving || len(crm.routes()) != 0 {
		t.Errorf("health %+v, %v after %v", health, err, crm.routes())
	}
	if resp, err := a.AddMessageLog(t.Context(), request()); err != nil || resp.LogID != "12" {
		t.Errorf("got %+v, %v", resp, err)
	}
	t.Setenv("PIPEDRIVE_BASE_URL", "")
	t.Setenv("PATCHBAY_EGRESS", "*.pipedrive.com")
	strict := New().(*Adapter)
	t.Cleanup(strict.Close)
	req := request()
	asUser(`{"id":42,"hostname":"acme.example.com"}`)(req)
	if _, err := strict.AddMessageLog(t.Context(), req); fault.CodeOf(err) != fault.CRMRejected || !strings.Contains(fault.MessageOf(err), "host") {
		t.Errorf("a host of somebody else: %v", err)
	}
}
