package pipedrivetest

import (
	"fmt"
	"strings"
	"testing"
)

// with returns a create with one member replaced or added; without a value, left
// out.
func with(name, value string) string {
	members := map[string]string{
		"subject": `"SMS with Ada"`, "type": `"sms"`, "owner_id": `1001`, "done": `true`,
		"participants": `[{"person_id":7,"primary":true}]`,
	}
	members[name] = value
	var parts []string
	for n, v := range members {
		if v != "" {
			parts = append(parts, fmt.Sprintf("%q:%s", n, v))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// bodies are creates and changes that are refused, by what is wrong with them.
var bodies = map[string]struct {
	name, value string
	code        string
	want        string
}{
	"read-only person":            {"person_id", `7`, codeBadRequest, "'person_id' is a read-only field"},
	"read-only person, null":      {"person_id", `null`, codeBadRequest, "'person_id' is a read-only field"},
	"unknown member":              {"private", `true`, codeSchema, "Validation failed: private: Parameter 'private' is not allowed for this request"},
	"member of version 1":         {"user_id", `1001`, codeSchema, "user_id"},
	"read-only time":              {"update_time", `"2026-01-02T03:04:05Z"`, codeSchema, "update_time"},
	"read-only id":                {"id", `1`, codeSchema, "id"},
	"string for owner":            {"owner_id", `"1001"`, codeSchema, "owner_id: must be a number"},
	"fraction for owner":          {"owner_id", `1001.5`, codeSchema, "owner_id"},
	"exponent for owner":          {"owner_id", `1e3`, codeSchema, "owner_id"},
	"zero for owner":              {"owner_id", `0`, codeSchema, "owner_id"},
	"null for owner":              {"owner_id", `null`, codeSchema, "owner_id"},
	"number above 2^63":           {"owner_id", `9223372036854775808`, codeSchema, "owner_id"},
	"unknown owner":               {"owner_id", `77`, codeBadRequest, "User not found"},
	"string for deal":             {"deal_id", `"500"`, codeSchema, "deal_id: must be a number"},
	"empty deal":                  {"deal_id", `""`, codeSchema, "deal_id: must be a number"},
	"unknown deal":                {"deal_id", `599`, codeBadRequest, "Deal not found"},
	"number for lead":             {"lead_id", `5`, codeSchema, "lead_id: must be a string"},
	"empty lead":                  {"lead_id", `""`, codeSchema, "lead_id"},
	"lead that is no UUID":        {"lead_id", `"abc-def"`, codeSchema, "lead_id: must be a valid UUID"},
	"unknown lead":                {"lead_id", `"11111111-1111-1111-1111-111111111111"`, codeBadRequest, "Lead not found"},
	"string for organization":     {"org_id", `"70"`, codeSchema, "org_id"},
	"unknown organization":        {"org_id", `7`, codeBadRequest, "Organization not found"},
	"unknown project":             {"project_id", `1`, codeSchema, "project_id"},
	"number for done":             {"done", `1`, codeSchema, "done: must be a boolean"},
	"string for done":             {"done", `"true"`, codeSchema, "done: must be a boolean"},
	"null for done":               {"done", `null`, codeSchema, "done"},
	"number for busy":             {"busy", `0`, codeSchema, "busy"},
	"number for subject":          {"subject", `5`, codeSchema, "subject: must be a string"},
	"empty subject":               {"subject", `""`, codeSchema, "subject"},
	"long subject":                {"subject", `"` + strings.Repeat("é", 256) + `"`, codeSchema, "subject: must be at most 255 characters long"},
	"very long subject":           {"subject", `"` + strings.Repeat("e", 2000) + `"`, codeSchema, "subject"},
	"number for type":             {"type", `4`, codeSchema, "type: must be a string"},
	"unknown type":                {"type", `"telegram"`, codeBadRequest, "Activity type not found"},
	"type by name":                {"type", `"SMS"`, codeBadRequest, "Activity type not found"},
	"inactive type":               {"type", `"fax"`, codeBadRequest, "not active"},
	"date with time":              {"due_date", `"2026-01-02T03:04:05Z"`, codeSchema, "due_date"},
	"date in another order":       {"due_date", `"02.01.2026"`, codeSchema, "due_date"},
	"date that does not exist":    {"due_date", `"2026-02-30"`, codeSchema, "due_date"},
	"short date":                  {"due_date", `"2026-1-2"`, codeSchema, "due_date"},
	"empty date":                  {"due_date", `""`, codeSchema, "due_date"},
	"number for date":             {"due_date", `20260102`, codeSchema, "due_date"},
	"time with zone":              {"due_time", `"03:04Z"`, codeSchema, "due_time"},
	"time beyond the day":         {"due_time", `"24:00"`, codeSchema, "due_time"},
	"time of twelve hours":        {"due_time", `"3:04 PM"`, codeSchema, "due_time"},
	"time with one digit":         {"due_time", `"3:04"`, codeSchema, "due_time"},
	"number for duration":         {"duration", `30`, codeSchema, "duration"},
	"participants as object":      {"participants", `{"person_id":7,"primary":true}`, codeSchema, "participants: must be an array"},
	"participant as number":       {"participants", `[7]`, codeSchema, "participants"},
	"string for participant":      {"participants", `[{"person_id":"7","primary":true}]`, codeSchema, "participants: person_id: must be a number"},
	"participant without person":  {"participants", `[{"primary":true}]`, codeSchema, "person_id: is required"},
	"participant of version 1":    {"participants", `[{"person_id":7,"primary_flag":true}]`, codeSchema, "primary_flag"},
	"number for primary":          {"participants", `[{"person_id":7,"primary":1}]`, codeSchema, "primary: must be a boolean"},
	"no primary participant":      {"participants", `[{"person_id":7,"primary":false}]`, codeSchema, "exactly one primary"},
	"primary left out":            {"participants", `[{"person_id":7}]`, codeSchema, "exactly one primary"},
	"two primary participants":    {"participants", `[{"person_id":7,"primary":true},{"person_id":8,"primary":true}]`, codeSchema, "exactly one primary"},
	"participant twice":           {"participants", `[{"person_id":7,"primary":true},{"person_id":7,"primary":false}]`, codeSchema, "twice"},
	"unknown participant":         {"participants", `[{"person_id":9,"primary":true}]`, codeBadRequest, "Person not found"},
	"unknown further participant": {"participants", `[{"person_id":7,"primary":true},{"person_id":9,"primary":false}]`, codeBadRequest, "Person not found"},
	"too many participants":       {"participants", `[` + strings.Repeat(`{"person_id":7},`, 100) + `{"person_id":7}]`, codeSchema, "at most 100"},
	"text for location":           {"location", `"Tallinn"`, codeSchema, "location: must be an object"},
	"location without value":      {"location", `{"country":"Estonia"}`, codeSchema, "location: value: is required"},
	"unknown member of location":  {"location", `{"value":"Tallinn","zip":"1"}`, codeSchema, "zip"},
	"attendee without address":    {"attendees", `[{"name":"Ada"}]`, codeSchema, "email: is required"},
	"unknown member of attendee":  {"attendees", `[{"email":"a@b.c","x":1}]`, codeSchema, "attendees: x"},
	"attendees as text":           {"attendees", `"a@b.c"`, codeSchema, "attendees"},
	"too many attendees":          {"attendees", `[` + strings.Repeat(`{"email":"a@b.c"},`, 100) + `{"email":"a@b.c"}]`, codeSchema, "at most 100"},
	"string for priority":         {"priority", `"high"`, codeSchema, "priority"},
	"number for note":             {"note", `5`, codeSchema, "note"},
	"note above the limit":        {"note", `"` + strings.Repeat("é", 50_001) + `"`, codeSchema, "note: must be at most 100000 bytes long"},
	"description above the limit": {"public_description", `"` + strings.Repeat("e", 100_001) + `"`, codeSchema, "public_description"},
}

func TestBodiesThatAreRefused(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{Burst: 10_000})
	c.do("POST", "/api/v2/activities", sms).want(t, 200)
	for name, test := range bodies {
		t.Run(name, func(t *testing.T) {
			value := test.value
			for method, a := range map[string]answer{
				"create": c.do("POST", "/api/v2/activities", with(test.name, value)),
				"change": c.do("PATCH", "/api/v2/activities/1", fmt.Sprintf(`{%q:%s}`, test.name, value)),
			} {
				got := decode[refusal](t, a.want(t, 400))
				if got.Code != test.code || !strings.Contains(got.Error, test.want) {
					t.Errorf("%s: got %s %q, want %s about %q", method, got.Code, got.Error, test.code, test.want)
				}
				if got.Success == nil || *got.Success || got.ErrorInfo == "" {
					t.Errorf("%s: the envelope is %s", method, a.body)
				}
			}
		})
	}
	if n := len(c.Activities()); n != 1 || c.Activities()[0].Subject != "SMS with Ada" {
		t.Errorf("refused requests left %d activities", n)
	}
	if got := c.Counts(); got.Attempted != int64(len(bodies))+1 || got.Applied != 1 || got.Refused != 2*int64(len(bodies)) {
		t.Errorf("the counts are %+v", got)
	}
}

func TestDealAndLeadTogether(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	const lead = `"lead_id":"adf21080-0e10-11eb-879b-05d71fb426ec"`
	c.do("POST", "/api/v2/activities", `{"subject":"a","deal_id":500,`+lead+`}`).want(t, 400)
	c.do("POST", "/api/v2/activities", `{"subject":"a","deal_id":500}`).want(t, 200)
	c.do("PATCH", "/api/v2/activities/1", `{`+lead+`}`).want(t, 400)
	c.do("PATCH", "/api/v2/activities/1", `{"deal_id":null,`+lead+`}`).want(t, 200)
	if a := c.Activities()[0]; a.DealID != 0 || a.LeadID == "" {
		t.Errorf("the activity belongs to %d and %q", a.DealID, a.LeadID)
	}
}

func TestMalformedRequests(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for name, test := range map[string]struct {
		body   string
		kind   string
		status int
	}{
		"no content type":    {sms, "", 415},
		"form":               {"subject=a", "application/x-www-form-urlencoded", 415},
		"text":               {sms, "text/plain", 415},
		"another charset":    {sms, "application/json; charset=latin1", 415},
		"truncated":          {sms[:40], "application/json", 400},
		"no object":          {`[]`, "application/json", 400},
		"null":               {`null`, "application/json", 400},
		"nothing":            {` `, "application/json", 400},
		"repeated member":    {`{"subject":"a","subject":"b"}`, "application/json", 400},
		"repeated in nested": {`{"location":{"value":"a","value":"b"}}`, "application/json", 400},
		"invalid text":       {"{\"subject\":\"\xff\"}", "application/json", 400},
		"two objects":        {`{"subject":"a"}{}`, "application/json", 400},
		"large":              {`{"note":"` + strings.Repeat("e", maxBody) + `"}`, "application/json", 413},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decode[refusal](t, c.do("POST", "/api/v2/activities", test.body, "Content-Type", test.kind).want(t, test.status))
			if got.Success == nil || *got.Success || got.Error == "" || got.Code == "" {
				t.Errorf("the envelope is %+v", got)
			}
		})
	}
	c.do("POST", "/api/v2/activities", sms, "Content-Type", "application/json; charset=utf-8").want(t, 200)
}

func TestQueriesThatAreRefused(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for name, query := range map[string]string{
		"unknown":            "term=a",
		"parameter of v1":    "start=0",
		"token":              "api_token=x",
		"saved filter":       "filter_id=1",
		"repeated":           "limit=1&limit=1",
		"nameless":           "=1",
		"malformed":          "limit=%zz",
		"limit 0":            "limit=0",
		"limit 501":          "limit=501",
		"limit as text":      "limit=many",
		"empty limit":        "limit=",
		"person as text":     "person_id=ada",
		"person 0":           "person_id=0",
		"owner as text":      "owner_id=me",
		"deal as fraction":   "deal_id=5.5",
		"organization":       "org_id=-1",
		"lead":               "lead_id=abc",
		"empty lead":         "lead_id=",
		"done as number":     "done=1",
		"sort":               "sort_by=subject",
		"empty sort":         "sort_by=",
		"direction":          "sort_direction=down",
		"direction in v1":    "sort=id%20desc",
		"since a date":       "updated_since=2026-01-02",
		"since with ms":      "updated_since=2026-01-02T03:04:05.000Z",
		"since with comma":   "updated_since=2026-01-02T03:04:05,5Z",
		"since without zone": "updated_since=2026-01-02T03:04:05",
		"until of v1":        "updated_until=2026-01-02%2003:04:05",
		"until a number":     "updated_until=1767323045",
		"plus in zone":       "updated_since=2026-01-02T03:04:05+02:00", // a blank, once it is decoded
		"include":            "include_fields=note",
		"ids":                "ids=1,a",
		"ids 0":              "ids=0",
		"many ids":           "ids=" + strings.Repeat("1,", 100) + "1",
		"cursor":             "cursor=abc",
		"empty cursor":       "cursor=",
		"cursor of others":   "cursor=eyJhIjoxfQ",
		"cursor by position": "cursor=100",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decode[refusal](t, c.do("GET", "/api/v2/activities?"+query, "").want(t, 400))
			if got.Success == nil || *got.Success || got.Error == "" || got.Code == "" {
				t.Errorf("the envelope is %+v", got)
			}
		})
	}
	for _, path := range []string{
		"POST /api/v2/activities?x=1", "GET /api/v2/activities/1?x=1", "PATCH /api/v2/activities/1?x=1", "DELETE /api/v2/activities/1?x=1",
		"GET /api/v2/persons/7?x=1", "GET /v1/users/me?x=1", "GET /v1/activityTypes?x=1", "GET /api/v2/activities/1?include_fields=x",
		"GET /api/v2/activities/x", "GET /api/v2/activities/0", "PATCH /api/v2/activities/-1", "DELETE /api/v2/activities/x", "GET /api/v2/persons/ada",
	} {
		method, path, _ := strings.Cut(path, " ")
		c.do(method, path, "{}").want(t, 400)
	}
}

func TestMissingRecordsAndRoutes(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for _, path := range []string{
		"GET /api/v2/activities/1", "PATCH /api/v2/activities/1", "DELETE /api/v2/activities/1", "GET /api/v2/persons/9",
	} {
		method, path, _ := strings.Cut(path, " ")
		got := decode[refusal](t, c.do(method, path, `{"subject":"a"}`).want(t, 404))
		if got.Code != codeNotFound || !strings.HasSuffix(got.Error, "not found") {
			t.Errorf("%s %s: %+v", method, path, got)
		}
	}
	for _, path := range []string{
		"GET /v2/activities", "GET /api/v1/activities", "PUT /api/v2/activities/1", "GET /api/v2/users/me", "POST /v1/activityTypes", "GET /",
	} {
		method, path, _ := strings.Cut(path, " ")
		a := c.do(method, path, "").want(t, 404)
		if a.header.Get("X-Ratelimit-Limit") == "" || decode[refusal](t, a).ErrorCode != 404 {
			t.Errorf("%s %s: %+v %s", method, path, a.header, a.body)
		}
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{Tokens: []Token{{Text: "second", UserID: 1002}}})
	for name, test := range map[string]struct {
		header string
		status int
	}{
		"none":            {"", 401},
		"unknown":         {"Bearer nobody", 401},
		"longer":          {"Bearer " + secret + "x", 401},
		"basic":           {"Basic dG9rZW46", 400},
		"bare":            {secret, 400},
		"lower case":      {"bearer " + secret, 400},
		"without a token": {"Bearer ", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for path, v := range map[string]version{"/v1/users/me": v1, "/api/v2/persons/7": v2} {
				a := c.do("GET", path, "", "Authorization", test.header).want(t, test.status)
				got := decode[refusal](t, a)
				if (got.ErrorCode == test.status) != (v == v1) || (got.Code != "") != (v == v2) || got.Error == "" {
					t.Errorf("%s: the envelope is %s", path, a.body)
				}
				if strings.Contains(a.body, secret) || a.header.Get("X-Ratelimit-Remaining") != "479" {
					t.Errorf("%s: got %s, %v", path, a.body, a.header)
				}
			}
		})
	}
	if me := c.do("GET", "/api/v1/users/me", "", "Authorization", "Bearer second").want(t, 200).record(t); me["id"] != 1002.0 {
		t.Errorf("the second token's user is %v", me["id"])
	}
	c.do("POST", "/api/v2/activities", `{"subject":"a"}`, "Authorization", "Bearer second").want(t, 200)
	if a := c.Activities()[0]; a.OwnerID != 1002 || a.CreatorUserID != 1002 {
		t.Errorf("the activity belongs to %d, made by %d", a.OwnerID, a.CreatorUserID)
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{Tokens: []Token{
		{Text: "base", Scopes: []Scope{}},
		{Text: "reader", Scopes: []Scope{ReadActivities}},
		{Text: "writer", Scopes: []Scope{FullActivities}},
		{Text: "contacts", Scopes: []Scope{ReadContacts}},
	}})
	for path, allowed := range map[string]string{
		"GET /v1/users/me":             "base reader writer contacts",
		"GET /v1/activityTypes":        "reader writer",
		"GET /api/v2/persons/7":        "contacts",
		"GET /api/v2/activities":       "reader writer",
		"GET /api/v2/activities/1":     "reader writer",
		"POST /api/v2/activities":      "writer",
		"PATCH /api/v2/activities/1":   "writer",
		"DELETE /api/v2/activities/99": "writer",
	} {
		method, path, _ := strings.Cut(path, " ")
		for _, token := range []string{"base", "reader", "writer", "contacts"} {
			a := c.do(method, path, "{}", "Authorization", "Bearer "+token)
			if want := strings.Contains(allowed, token); (a.status != 403) != want {
				t.Errorf("%s %s as %s: %d %s", method, path, token, a.status, a.body)
			}
			if a.status == 403 {
				if got := decode[refusal](t, a); got.Error != "Scope and URL mismatch" || got.ErrorCode != 403 {
					t.Errorf("the refusal is %s", a.body)
				}
			}
		}
	}
}
