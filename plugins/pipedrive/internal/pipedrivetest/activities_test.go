package pipedrivetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// parsed returns JSON as the values that a client reads.
func parsed(t *testing.T, text string) record {
	t.Helper()
	return decode[record](t, answer{body: text})
}

func TestCreateAndRead(t *testing.T) {
	t.Parallel()
	clock := NewManualClock(time.Date(2026, 1, 2, 3, 4, 5, 999, time.UTC))
	c := setup(t, Config{Now: clock.Now})
	made := c.do("POST", "/api/v2/activities", sms).want(t, 200)
	want := parsed(t, `{"id":1,"subject":"SMS with Ada","type":"sms","owner_id":1001,"creator_user_id":1001,"is_deleted":false,
		"add_time":"2026-01-02T03:04:05Z","update_time":"2026-01-02T03:04:05Z","deal_id":500,"lead_id":null,"person_id":7,"org_id":70,
		"project_id":null,"due_date":"2026-01-02","due_time":"03:04:00","duration":null,"busy":false,"done":true,
		"marked_as_done_time":"2026-01-02T03:04:05Z","location":null,"participants":[{"person_id":7,"primary":true}],
		"public_description":"","priority":null,"note":"<p>Hello</p><p>Reference: m-1</p>"}`)
	if got := made.record(t); !reflect.DeepEqual(got, want) {
		t.Errorf("created %v\nwant    %v", got, want)
	}
	if got := c.do("GET", "/api/v2/activities/1", "").want(t, 200).record(t); !reflect.DeepEqual(got, want) {
		t.Errorf("read %v", got)
	}
	if got := c.list("").Data[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("listed %v", got)
	}
	want["attendees"] = []any{}
	if got := c.do("GET", "/api/v2/activities/1?include_fields=attendees", "").want(t, 200).record(t); !reflect.DeepEqual(got, want) {
		t.Errorf("read with attendees %v", got)
	}
}

func TestDefaultsOfACreate(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{CreatedStatus: 201, Now: NewManualClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)).Now})
	got := c.do("POST", "/api/v2/activities", `{}`).want(t, 201).record(t)
	for name, want := range map[string]any{
		"subject": "Call", "type": "call", "owner_id": 1001.0, "due_date": "2026-01-02", "due_time": nil, "done": false,
		"marked_as_done_time": nil, "person_id": nil, "participants": []any{}, "note": "",
	} {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}

func TestEverythingThatCanBeWritten(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	body := `{"subject":"a","type":"meeting","owner_id":1002,"lead_id":"3D2F1C60-77aa-4f0e-9d6b-2d9f3b1c5a11","org_id":71,
		"due_date":"2024-02-29","due_time":"23:59:58","duration":"01:30","busy":true,"done":false,"priority":263,
		"location":{"value":"Tallinn","country":"Estonia","admin_area_level_1":"a","admin_area_level_2":"b","locality":"c",
		"sublocality":"d","route":"e","street_number":"1","subpremise":"2","postal_code":"3"},
		"participants":[{"person_id":8,"primary":false},{"person_id":7,"primary":true}],
		"attendees":[{"email":"a@b.c","name":"Ada","status":"accepted","is_organizer":true,"person_id":7,"user_id":1001},{"email":"b@b.c"}],
		"public_description":"public","note":"note"}`
	a := c.do("POST", "/api/v2/activities", strings.Replace(body, "3D2F1C60", "3d2f1c60", 1)).want(t, 200).record(t)
	got := c.do("GET", "/api/v2/activities/1?include_fields=attendees", "").want(t, 200).record(t)
	sent := parsed(t, strings.Replace(body, "3D2F1C60", "3d2f1c60", 1))
	sent["duration"] = "01:30:00"
	sent["attendees"].([]any)[1] = map[string]any{
		"email": "b@b.c", "is_organizer": false, "name": nil, "status": nil, "person_id": nil, "user_id": nil,
	}
	for name, want := range sent {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if _, has := a["attendees"]; has || a["person_id"] != 7.0 {
		t.Errorf("created %v", a)
	}
}

func TestNothingIsTakenForADuplicate(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	for range 3 {
		c.do("POST", "/api/v2/activities", sms, "Idempotency-Key", "one").want(t, 200)
	}
	if got := c.Counts(); got.Activities != 3 || got.Applied != 3 || got.Markers != 1 || got.Doubled != 1 || got.DoubledMarkers[0] != "m-1" {
		t.Errorf("the counts are %+v", got)
	}
}

func TestChange(t *testing.T) {
	t.Parallel()
	clock := NewManualClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	c := setup(t, Config{Now: clock.Now})
	before := c.do("POST", "/api/v2/activities", sms).want(t, 200).record(t)
	clock.Advance(time.Hour)
	got := c.do("PATCH", "/api/v2/activities/1", `{"note":"new","done":false,"participants":[{"person_id":8,"primary":true}],"due_time":null}`).
		want(t, 200).record(t)
	want := maps.Clone(before)
	maps.Copy(want, parsed(t, `{"note":"new","done":false,"participants":[{"person_id":8,"primary":true}],"person_id":8,"due_time":null,
		"marked_as_done_time":null,"update_time":"2026-01-02T04:04:05Z"}`))
	if !reflect.DeepEqual(got, want) {
		t.Errorf("changed to %v\nwant       %v", got, want)
	}
	if len(c.list("?person_id=7").Data) != 0 || len(c.list("?person_id=8").Data) != 1 {
		t.Error("the activity did not change its person")
	}
	c.do("PATCH", "/api/v2/activities/1", `{"participants":[{"person_id":7,"primary":true}]}`).want(t, 200)
	if len(c.list("?person_id=7").Data) != 1 || len(c.list("?person_id=8").Data) != 0 {
		t.Error("the activity did not change back to its first person")
	}
	all := `{"subject":"b","type":"call","owner_id":1002,"deal_id":null,"lead_id":"adf21080-0e10-11eb-879b-05d71fb426ec","org_id":71,
		"due_date":"2026-03-04","duration":"00:10:00","busy":true,"location":{"value":"Tallinn"},"attendees":[{"email":"a@b.c"}],
		"public_description":"p","priority":1,"done":true}`
	after := c.do("PATCH", "/api/v2/activities/1", all).want(t, 200).record(t)
	for name, value := range parsed(t, all) {
		if name != "attendees" && name != "location" && !reflect.DeepEqual(after[name], value) {
			t.Errorf("%s is %v, want %v", name, after[name], value)
		}
	}
	if a := c.Activities()[0]; len(a.Attendees) != 1 || a.Location.Value != "Tallinn" || a.DoneTime != clock.Now() {
		t.Errorf("stored %+v", a)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{})
	c.do("POST", "/api/v2/activities", sms).want(t, 200)
	if got := c.do("DELETE", "/api/v2/activities/1", "").want(t, 200).record(t); got["id"] != 1.0 {
		t.Errorf("deleted %v", got)
	}
	if got := c.do("GET", "/api/v2/activities/1", "").want(t, 200).record(t); got["is_deleted"] != true {
		t.Errorf("read %v", got)
	}
	if n := len(c.list("").Data) + len(c.list("?person_id=7").Data) + c.Counts().Activities; n != 0 {
		t.Error("the deleted activity is still listed")
	}
	c.do("DELETE", "/api/v2/activities/1", "").want(t, 404)
	c.do("PATCH", "/api/v2/activities/1", `{"subject":"a"}`).want(t, 404)
	if got := c.do("POST", "/api/v2/activities", sms).want(t, 200).record(t); got["id"] != 2.0 {
		t.Errorf("the next id is %v", got["id"])
	}
}

func TestNotesLoseWhatActs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`<p>a &lt;b&gt; $& 😀 שלום</p>`:                         `<p>a &lt;b&gt; $& 😀 שלום</p>`,
		`a<!-- Reference: x -->b<script>1</script>c`:           `abc`,
		"a<STYLE>\np{}</style >b<iframe src=x></iframe>c":      `abc`,
		`<a href="https://a.b/?onclick=1" onclick="x()">a</a>`: `<a href="https://a.b/?onclick=1">a</a>`,
		`<b ONLOAD=x title='t'>a</b> on=1`:                     `<b title='t'>a</b> on=1`,
	} {
		if got := sanitize(in); got != want {
			t.Errorf("%s became %s", in, got)
		}
	}
	c := setup(t, Config{})
	body, _ := json.Marshal(map[string]string{"note": "<!--Reference: a--><p>Reference: b</p>"})
	c.do("POST", "/api/v2/activities", string(body)).want(t, 200)
	if a := c.Activities()[0]; a.Note != "<p>Reference: b</p>" || !reflect.DeepEqual(a.Markers, []string{"b"}) {
		t.Errorf("stored %q with %v", a.Note, a.Markers)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{MaxBytes: 4000})
	for range 3 {
		c.do("POST", "/api/v2/activities", sms).want(t, 200)
	}
	for range 3 {
		c.do("POST", "/api/v2/activities", sms)
	}
	c.do("POST", "/api/v2/activities", sms).want(t, 507)
	if got := c.Counts(); int64(got.Activities) != got.Applied || got.Applied > 5 {
		t.Errorf("the counts are %+v", got)
	}
}

func TestLookups(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{CompanyDomain: "engines"})
	ada := c.do("GET", "/api/v2/persons/7", "").want(t, 200).record(t)
	if ada["name"] != "Ada Lovelace" || ada["org_id"] != 70.0 || ada["owner_id"] != 1001.0 {
		t.Errorf("person 7 is %v", ada)
	}
	if charles := c.do("GET", "/api/v2/persons/8", "").want(t, 200).record(t); charles["org_id"] != nil {
		t.Errorf("person 8 is %v", charles)
	}
	me := c.do("GET", "/v1/users/me", "").want(t, 200).record(t)
	if me["id"] != 1001.0 || me["timezone_offset"] != "+08:00" || me["company_domain"] != "engines" {
		t.Errorf("the user is %v", me)
	}
	types := decode[struct{ Data []record }](t, c.do("GET", "/api/v1/activityTypes", "").want(t, 200)).Data
	if len(types) != 4 || types[2]["active_flag"] != false || types[3]["key_string"] != "sms" || types[3]["active_flag"] != true {
		t.Errorf("the types are %v", types)
	}
}

func TestWhatUsersSee(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{
		Users:  []User{{ID: 1001, Admin: true}, {ID: 1002, OwnOnly: true}},
		Tokens: []Token{{Text: "narrow", UserID: 1002}},
	})
	narrow := []string{"Authorization", "Bearer narrow"}
	c.do("POST", "/api/v2/activities", `{"owner_id":1001}`).want(t, 200)
	c.do("POST", "/api/v2/activities", `{"owner_id":1002}`).want(t, 200)
	own := decode[listed](t, c.do("GET", "/api/v2/activities", "", narrow...).want(t, 200))
	if got := fmt.Sprint(own.ids(), c.list("").ids()); got != "[2] [1 2]" {
		t.Errorf("the lists show %s", got)
	}
	for _, method := range []string{"GET", "PATCH", "DELETE"} {
		c.do(method, "/api/v2/activities/1", `{"subject":"a"}`, narrow...).want(t, 404)
		c.do(method, "/api/v2/activities/2", `{"subject":"a"}`, narrow...).want(t, 200)
		c.do(method, "/api/v2/activities/1", `{"subject":"a"}`).want(t, 200)
	}
	for token, want := range map[string]bool{secret: true, "narrow": false} {
		me := c.do("GET", "/v1/users/me", "", "Authorization", "Bearer "+token).want(t, 200).record(t)
		if access := me["access"].([]any)[0].(record); access["app"] != "sales" || access["admin"] != want {
			t.Errorf("%v has the access %v", me["id"], access)
		}
	}
}

func TestConfigThatCannotBe(t *testing.T) {
	t.Parallel()
	ok := []Token{{Text: "a"}}
	for name, c := range map[string]Config{
		"no tokens":       {},
		"empty token":     {Tokens: []Token{{}}},
		"token of nobody": {Tokens: []Token{{Text: "a", UserID: 5}}},
		"no users":        {Tokens: ok, Users: []User{}},
		"no types":        {Tokens: ok, ActivityTypes: []ActivityType{}},
		"negative burst":  {Tokens: ok, Burst: -1},
		"negative cost":   {Tokens: ok, Costs: Costs{Get: -1}},
		"status":          {Tokens: ok, CreatedStatus: 204},
		"switches":        {Tokens: ok, Switches: Switches{Slow: -1}},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	c := setup(t, Config{Burst: 100_000, Budget: 10_000_000})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 20 {
				made := c.do("POST", "/api/v2/activities", sms).want(t, 200).record(t)
				path := "/api/v2/activities/" + string(mustJSON(made["id"]))
				c.do("PATCH", path, `{"participants":[{"person_id":8,"primary":true}]}`).want(t, 200)
				c.list("?person_id=8&sort_by=update_time&sort_direction=desc&limit=5")
				c.Counts()
				c.Requests()
				if i%2 == 0 {
					c.do("DELETE", path, "").want(t, 200)
					c.set(`{"listLag":"1ms"}`)
				}
			}
		})
	}
	all.Wait()
	if got := c.Counts(); got.Applied != 160 || got.Activities != 80 || got.Doubled != 1 {
		t.Errorf("the counts are %+v", got)
	}
}

func mustJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
