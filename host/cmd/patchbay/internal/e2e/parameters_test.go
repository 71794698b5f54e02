package e2e

import (
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// seedMessage is the sample message of the document that names the interface.
//
//go:embed testdata/seed-message.json
var seedMessage string

// seedID is the id of the sample message.
const seedID = "60279564004"

// tape is a host whose adapter writes down what it got.
type tape struct {
	*host
	file   string
	nextID atomic.Int64
}

func startTape(t *testing.T) *tape {
	t.Helper()
	file := filepath.Join(t.TempDir(), "records.jsonl")
	h := startHost(t, setup{dirs: []string{recorders(t)}, adapters: map[string]object{"recorder": {
		"env": object{
			envScript: "ok", sdktest.EnvRecord: file,
			// With a base URL the host does not insist on user.hostname.
			"RECORDER_BASE_URL": "http://127.0.0.1:9",
		},
		"limits": object{"callTimeout": "20s"},
	}}})
	h.tenant(t, "acme", "recorder")
	return &tape{host: h, file: file}
}

// post sends a body and returns what arrived in the adapter's process.
func (tp *tape) post(t *testing.T, tenant, body string) sdktest.Record {
	t.Helper()
	id := fmt.Sprintf("request-%d", tp.nextID.Add(1))
	r := tp.send(request{Path: path(tenant, "recorder"), Body: body, Header: http.Header{
		"Content-Type": {"application/json"}, "X-Request-Id": {id},
	}})
	r.logged(t, http.StatusCreated)
	for _, record := range sdktest.ReadRecords(t, tp.file) {
		if record.RequestID == id {
			if record.PID != tp.pid(t, "recorder") {
				t.Errorf("recorded by process %d, which is not the adapter's", record.PID)
			}
			if record.Op != "AddMessageLog" || record.Attempt != 1 || !strings.HasPrefix(record.IdempotencyKey, "pb-") {
				t.Errorf("the call reads %+v", record)
			}
			return record
		}
	}
	t.Fatal("the call did not arrive")
	return sdktest.Record{}
}

// fresh returns a body that can be sent as often as wanted: its contact is a new
// one each time.
func (tp *tape) fresh(with fields, messages ...string) string {
	all := fields{"contactInfo": fmt.Sprintf(`{"id":"fresh-%d"}`, tp.nextID.Add(1))}
	maps.Copy(all, with)
	return body(all, messages...)
}

// refuses checks that the member is refused, and that nothing arrived.
func (tp *tape) refuses(t *testing.T, pointer, body string) {
	t.Helper()
	before := len(sdktest.ReadRecords(t, tp.file))
	p := tp.add("acme", "recorder", body).refused(t, http.StatusUnprocessableEntity, "invalid_fields")
	if !slices.ContainsFunc(p.Errors, func(e struct{ Pointer, Code, Detail string }) bool { return e.Pointer == pointer }) {
		t.Errorf("no error at %s: %+v", pointer, p.Errors)
	}
	if after := len(sdktest.ReadRecords(t, tp.file)); after != before {
		t.Errorf("%d calls arrived", after-before)
	}
}

// TestParameters sends each of the interface's seven parameters and looks at what
// arrived in the adapter's process.
func TestParameters(t *testing.T) {
	t.Parallel()
	tp := startTape(t)
	t.Run("user", tp.user)
	t.Run("contactInfo", tp.contactInfo)
	t.Run("authHeader", tp.authHeader)
	t.Run("message", tp.message)
	t.Run("message group", tp.messageGroup)
	t.Run("additionalSubmission", tp.additionalSubmission)
	t.Run("recordingLink", tp.recordingLink)
	t.Run("timezoneOffset", tp.timezoneOffset)
	t.Run("time zone by default", tp.defaultZone)
}

func (tp *tape) user(t *testing.T) {
	raw := `{ "id" : "42", "hostname":"acme.examplecrm.example", "name":"Gr\u00e4ce \"H\"",
		"platformAdditionalInfo": {"apiUrl":"https://x.example", "n": 1e400, "big":5578984350117917661}, "empty": null, "": [ ] }`
	r := tp.post(t, "acme", tp.fresh(fields{"user": raw}, seedMessage))
	if string(r.User) != raw {
		t.Errorf("user arrived as\n%s\nwant\n%s", r.User, raw)
	}
	if r.UserID != sdk.StringID("42") || r.Hostname != "acme.examplecrm.example" {
		t.Errorf("id %v, hostname %q", r.UserID, r.Hostname)
	}
	r = tp.post(t, "acme", tp.fresh(fields{"user": `{"id":900719925474099312345}`}, seedMessage))
	if r.UserID.String() != "900719925474099312345" || !r.UserID.IsNumber() || r.Hostname != "" {
		t.Errorf("id %v, hostname %q", r.UserID, r.Hostname)
	}
	for _, absent := range []string{"", "null"} {
		if r = tp.post(t, "acme", tp.fresh(fields{"user": absent}, seedMessage)); !r.UserID.IsZero() || len(r.User) != 0 {
			t.Errorf("an absent user arrived as %s", r.User)
		}
	}
	tp.refuses(t, "/user/hostname", tp.fresh(fields{"user": `{"hostname":"https://acme.examplecrm.example"}`}, seedMessage))
	tp.refuses(t, "/user/hostname", tp.fresh(fields{"user": `{"hostname":"examplecrm.example.org"}`}, seedMessage))
	tp.refuses(t, "/user/id", tp.fresh(fields{"user": `{"id":1.0}`}, seedMessage))
}

func (tp *tape) contactInfo(t *testing.T) {
	for name, c := range map[string]struct {
		raw  string
		id   string
		form bool // it is a number
	}{
		"number":       {`{"id":7,"type":"person","phoneNumber":"+16505553204","name":"Ada Lovelace"}`, "7", true},
		"text":         {`{"id":"8","type":"person","phoneNumber":"+16505553204","name":"Ada Lovelace"}`, "8", false},
		"large number": {`{"id":123456789012345678901234567890,"type":"person","phoneNumber":"+16505553204","name":"Ada Lovelace"}`, "123456789012345678901234567890", true},
		"negative":     {`{"id":-9,"type":"person","phoneNumber":"+16505553204","name":"Ada Lovelace"}`, "-9", true},
		"open": {"{\"more\": {\"a\":[1.10, 2E3,null,true]} ,\n \"id\" : \"x\\/y\\u00fc\",\"type\":\"person\"," +
			"\"phoneNumber\":\"+16505553204\",\"name\":\"Ada \\u004covelace\", \"ID\": 1}", "x/yü", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := tp.post(t, "acme", body(fields{"contactInfo": c.raw}, seedMessage))
			if string(r.Contact) != c.raw {
				t.Errorf("contactInfo arrived as\n%s\nwant\n%s", r.Contact, c.raw)
			}
			if r.ContactID.String() != c.id || r.ContactID.IsNumber() != c.form {
				t.Errorf("id %v of a number: %v; want %s, %v", r.ContactID, r.ContactID.IsNumber(), c.id, c.form)
			}
			if r.ContactType != "person" || r.PhoneNumber != "+16505553204" || r.ContactName != "Ada Lovelace" {
				t.Errorf("contact %q %q %q", r.ContactType, r.PhoneNumber, r.ContactName)
			}
		})
	}
	// 7 and "7" are one contact: the message is logged already.
	again := tp.add("acme", "recorder", body(fields{"contactInfo": `{"id":"7","type":"person"}`}, seedMessage))
	again.logged(t, http.StatusOK)
	if r := tp.post(t, "acme", body(fields{"contactInfo": `{"id":7}`}, seedMessage)); r.ContactType != "" {
		t.Errorf("a contact without type has the type %q", r.ContactType)
	}
	tp.refuses(t, "/contactInfo/id", body(fields{"contactInfo": `{"type":"person"}`}, seedMessage))
	tp.refuses(t, "/contactInfo/id", body(fields{"contactInfo": `{"id":7.0}`}, seedMessage))
	tp.refuses(t, "/contactInfo/id", body(fields{"contactInfo": `{"id":""}`}, seedMessage))
	tp.refuses(t, "/contactInfo", body(fields{"contactInfo": ""}, seedMessage))
}

func (tp *tape) authHeader(t *testing.T) {
	const secret = `Basic c2VjcmV0LXdpdGgtXCJxdW90ZXM6`
	request := tp.fresh(fields{"authHeader": strconv.Quote(secret)}, seedMessage)
	if r := tp.post(t, "acme", request); r.AuthHeader != secret {
		t.Errorf("authHeader arrived as %q, want %q", r.AuthHeader, secret)
	}
	// Revealed to the adapter alone. TestRefusals looks at everything else.
	if strings.Contains(tp.log.String(), secret) {
		t.Error("the log holds the secret")
	}
	tp.refuses(t, "/authHeader", tp.fresh(fields{"authHeader": ""}, seedMessage))
	tp.refuses(t, "/authHeader", tp.fresh(fields{"authHeader": `"Bearer a\r\nX-Evil: b"`}, seedMessage))
	tp.refuses(t, "/authHeader", tp.fresh(fields{"authHeader": `{"Authorization":"Bearer a"}`}, seedMessage))
}

func (tp *tape) message(t *testing.T) {
	r := tp.post(t, "acme", tp.fresh(nil, seedMessage))
	want := strings.TrimSpace(seedMessage)
	if len(r.Messages) != 1 || string(r.Messages[0]) != want {
		t.Errorf("the message arrived as\n%s\nwant\n%s", r.Messages, want)
	}
	if !slices.Equal(r.ConversationIDs, []string{"5578984350117917661"}) || !slices.Equal(r.MessageIDs, []string{seedID}) {
		t.Errorf("conversation %q, message %q", r.ConversationIDs, r.MessageIDs)
	}
	if r.LocalTime != "2015-02-18T13:24:50Z" {
		t.Errorf("created at %s", r.LocalTime)
	}
	for name, c := range map[string]struct{ raw, id, conversation, created string }{
		"id as text":           {`{"id":"60279564004","creationTime":"2015-02-18T13:24:50.000Z","conversationId":"5578984350117917661"}`, seedID, "5578984350117917661", "2015-02-18T13:24:50Z"},
		"id beyond 64 bits":    {`{"id":123456789012345678901234567890,"creationTime":"2015-02-18T13:24:50Z"}`, "123456789012345678901234567890", "", "2015-02-18T13:24:50Z"},
		"milliseconds":         {`{"id":1,"creationTime":1424265890123,"lastModifiedTime":1424265890300}`, "1", "", "2015-02-18T13:24:50Z"},
		"milliseconds as text": {`{"id":1,"creationTime":"1424265890123"}`, "1", "", "2015-02-18T13:24:50Z"},
		"time with offset":     {`{"id":1,"creationTime":"2015-02-18T14:24:50+01:00"}`, "1", "", "2015-02-18T13:24:50Z"},
		"odd but well-formed": {"{\t\"id\":1 , \"creationTime\":\"2015-02-18T13:24:50Z\",\"subject\":\"\\u00fc \\ud83d\\ude00 <b>&amp;</b> $& \\\\ \\/ ü 😀\u2028\"," +
			"\"numbers\":[1.10,1e400,-0,12345678901234567890.5],\"nested\":{\"\":{\"a\":[[[{}]]]}},\"Id\":\"other\",\"attachments\":null }", "1", "", "2015-02-18T13:24:50Z"},
	} {
		t.Run(name, func(t *testing.T) {
			r := tp.post(t, "acme", tp.fresh(nil, c.raw))
			if string(r.Messages[0]) != c.raw {
				t.Errorf("arrived as\n%s\nwant\n%s", r.Messages[0], c.raw)
			}
			if r.MessageIDs[0] != c.id || r.ConversationIDs[0] != c.conversation || r.LocalTime != c.created {
				t.Errorf("id %s, conversation %s, created %s", r.MessageIDs[0], r.ConversationIDs[0], r.LocalTime)
			}
		})
	}
	for pointer, raw := range map[string]string{
		"/message/id":             `{"creationTime":1424265890123}`,
		"/message/creationTime":   `{"id":1}`,
		"/message":                `"text"`,
		"/message/1/id":           `[{"id":1,"creationTime":1424265890123},{"id":1e3,"creationTime":1424265890123}]`,
		"/message/1/creationTime": `[{"id":1,"creationTime":1424265890123},{"id":2,"creationTime":"yesterday"}]`,
	} {
		tp.refuses(t, pointer, tp.fresh(fields{"message": raw}))
	}
	tp.refuses(t, "/messages", tp.fresh(fields{"message": message(1), "messages": "[" + message(1) + "]"}))
	tp.refuses(t, "/message", tp.fresh(fields{"message": "[]"}))
}

func (tp *tape) messageGroup(t *testing.T) {
	records := []string{
		`{"id":30,"creationTime":1424265890123, "subject":"second"}`,
		`{"id":"10","creationTime":"2015-02-18T13:24:51Z","subject":"last"}`,
		`{ "id":9,"creationTime":"2015-02-18T13:24:50Z","subject":"first","conversationId":5578984350117917661 }`,
	}
	for _, member := range []string{"message", "messages"} {
		r := tp.post(t, "acme", tp.fresh(fields{member: "[" + strings.Join(records, " ,\n") + "]"}))
		if !slices.Equal(r.MessageIDs, []string{"9", "30", "10"}) {
			t.Errorf("%s: arrived in the order %q, want the oldest first", member, r.MessageIDs)
		}
		for i, at := range []int{2, 0, 1} {
			if string(r.Messages[i]) != records[at] {
				t.Errorf("%s: message %d arrived as %s", member, i, r.Messages[i])
			}
		}
	}
}

func (tp *tape) additionalSubmission(t *testing.T) {
	defaults := map[string]string{"channel": `"sms"`, "address": `"not given"`, "urgent": "false", "amount": "1.50"}
	for name, c := range map[string]struct {
		raw  string
		want map[string]string // beside the defaults
	}{
		"absent":            {"", nil},
		"null":              {"null", nil},
		"empty":             {"{}", nil},
		"integer":           {`{"deals":88001}`, map[string]string{"deals": "88001"}},
		"text":              {`{"deals":"88001"}`, map[string]string{"deals": `"88001"`}},
		"large":             {`{"deals":5578984350117917661}`, map[string]string{"deals": "5578984350117917661"}},
		"option by text":    {`{"channel":"7"}`, map[string]string{"channel": `"7"`}},
		"option by number":  {`{"channel":7}`, map[string]string{"channel": "7"}},
		"number":            {`{"amount":12345678901234567890.10}`, map[string]string{"amount": "12345678901234567890.10"}},
		"checkbox":          {`{"urgent":true}`, map[string]string{"urgent": "true"}},
		"date":              {`{"due":"2024-02-29"}`, map[string]string{"due": `"2024-02-29"`}},
		"not submitted":     {`{"address":"","urgent":null,"note":""}`, nil},
		"all together":      {`{"deals":1,"note":"a","urgent":true,"amount":0}`, map[string]string{"deals": "1", "note": `"a"`, "urgent": "true", "amount": "0"}},
		"text with escapes": {`{"note":"caf\u00e9 \ud83d\ude00 ü"}`, map[string]string{"note": `"caf\u00e9 \ud83d\ude00 ü"`}},
	} {
		t.Run(name, func(t *testing.T) {
			r := tp.post(t, "acme", tp.fresh(fields{"additionalSubmission": c.raw}, seedMessage))
			got := map[string]string{}
			for key, value := range r.AdditionalSubmission {
				got[key] = string(value.Raw())
			}
			want := map[string]string{}
			maps.Copy(want, defaults)
			maps.Copy(want, c.want)
			if !maps.Equal(got, want) {
				t.Errorf("arrived as %v, want %v", got, want)
			}
		})
	}
	for pointer, raw := range map[string]string{
		"/additionalSubmission/dealz":   `{"dealz":1}`,
		"/additionalSubmission/hint":    `{"hint":"x"}`,
		"/additionalSubmission/channel": `{"channel":"fax"}`,
		"/additionalSubmission/urgent":  `{"urgent":"true"}`,
		"/additionalSubmission/due":     `{"due":"2023-02-29"}`,
		"/additionalSubmission/amount":  `{"amount":"1"}`,
		"/additionalSubmission/deals":   `{"deals":1.5}`,
		"/additionalSubmission":         `[]`,
	} {
		tp.refuses(t, pointer, tp.fresh(fields{"additionalSubmission": raw}, seedMessage))
	}
}

func (tp *tape) recordingLink(t *testing.T) {
	const link = "https://media.ringcentral.com/restapi/x/content/60279564004?a=b&c=%20#t=1"
	if r := tp.post(t, "acme", tp.fresh(fields{"recordingLink": strconv.Quote(link)}, seedMessage)); r.RecordingLink != link {
		t.Errorf("arrived as %q, want %q", r.RecordingLink, link)
	}
	for _, absent := range []string{"", "null"} {
		if r := tp.post(t, "acme", tp.fresh(fields{"recordingLink": absent}, seedMessage)); r.RecordingLink != "" {
			t.Errorf("an absent link arrived as %q", r.RecordingLink)
		}
	}
	tp.refuses(t, "/recordingLink", tp.fresh(fields{"recordingLink": `"javascript:alert(1)"`}, seedMessage))
	tp.refuses(t, "/recordingLink", tp.fresh(fields{"recordingLink": `7`}, seedMessage))
}

func (tp *tape) timezoneOffset(t *testing.T) {
	const winter, summer = `{"id":1,"creationTime":"2024-03-10T09:59:59Z"}`, `{"id":1,"creationTime":"2024-03-10T10:00:00Z"}`
	for name, c := range map[string]struct {
		raw, message string
		zone         string
		offset       int
		local        string
	}{
		"clock":             {`"+08:00"`, seedMessage, "", 8 * 3600, "2015-02-18T21:24:50+08:00"},
		"clock west":        {`"-03:30"`, seedMessage, "", -12600, "2015-02-18T09:54:50-03:30"},
		"Z":                 {`"Z"`, seedMessage, "", 0, "2015-02-18T13:24:50Z"},
		"null":              {`null`, seedMessage, "", 0, "2015-02-18T13:24:50Z"},
		"hours":             {`-5`, seedMessage, "", -5 * 3600, "2015-02-18T08:24:50-05:00"},
		"hours with part":   {`5.75`, seedMessage, "", 20700, "2015-02-18T19:09:50+05:45"},
		"hours as text":     {`"5.5"`, seedMessage, "", 19800, "2015-02-18T18:54:50+05:30"},
		"most hours":        {`14`, seedMessage, "", 14 * 3600, "2015-02-19T03:24:50+14:00"},
		"minutes":           {`-300`, seedMessage, "", -5 * 3600, "2015-02-18T08:24:50-05:00"},
		"minutes as text":   {`"-300"`, seedMessage, "", -5 * 3600, "2015-02-18T08:24:50-05:00"},
		"fewest minutes":    {`15`, seedMessage, "", 900, "2015-02-18T13:39:50+00:15"},
		"most minutes":      {`840`, seedMessage, "", 14 * 3600, "2015-02-19T03:24:50+14:00"},
		"IANA":              {`"Asia/Kathmandu"`, seedMessage, "Asia/Kathmandu", 20700, "2015-02-18T19:09:50+05:45"},
		"IANA before a DST": {`"America/Los_Angeles"`, winter, "America/Los_Angeles", -8 * 3600, "2024-03-10T01:59:59-08:00"},
		"IANA after a DST":  {`"America/Los_Angeles"`, summer, "America/Los_Angeles", -7 * 3600, "2024-03-10T03:00:00-07:00"},
		"user has another":  {`"+01:00"`, seedMessage, "", 3600, "2015-02-18T14:24:50+01:00"},
	} {
		t.Run(name, func(t *testing.T) {
			with := fields{"timezoneOffset": c.raw}
			if name == "user has another" {
				with["user"] = `{"timezone":"Asia/Tokyo"}`
			}
			tp.local(t, "acme", tp.fresh(with, c.message), c.zone, c.offset, c.local)
		})
	}
	for _, raw := range []string{
		`"+15:00"`, `"+8:00"`, `"08:00"`, `841`, `14.5`, `-841`, `1e1`, `true`, `{}`, `""`, `"Local"`, `"Mars/Olympus"`, `"../etc/passwd"`,
	} {
		tp.refuses(t, "/timezoneOffset", tp.fresh(fields{"timezoneOffset": raw}, seedMessage))
	}
}

// local checks the zone in which a call arrived.
func (tp *tape) local(t *testing.T, tenant, body, zone string, offset int, local string) {
	t.Helper()
	r := tp.post(t, tenant, body)
	if r.Zone != zone || r.OffsetSeconds != offset || r.LocalTime != local {
		t.Errorf("arrived as %q %d, local time %s; want %q %d, %s", r.Zone, r.OffsetSeconds, r.LocalTime, zone, offset, local)
	}
}

func (tp *tape) defaultZone(t *testing.T) {
	tp.send(request{Method: http.MethodPut, Path: "/v1/tenants/paris", Body: `{"displayName":"Paris","timezone":"Europe/Paris"}`}).
		into(t, http.StatusCreated, nil)
	tp.send(request{Method: http.MethodPut, Path: "/v1/tenants/paris/adapters/recorder", Body: `{"enabled":true}`}).
		into(t, http.StatusCreated, nil)
	tp.local(t, "paris", tp.fresh(nil, seedMessage), "Europe/Paris", 3600, "2015-02-18T14:24:50+01:00")
	user := fields{"user": `{"timezone":"Asia/Tokyo"}`, "timezoneOffset": "null"}
	tp.local(t, "paris", tp.fresh(user, seedMessage), "Asia/Tokyo", 9*3600, "2015-02-18T22:24:50+09:00")
	user["timezoneOffset"] = `"Z"`
	tp.local(t, "paris", tp.fresh(user, seedMessage), "", 0, "2015-02-18T13:24:50Z")
	tp.local(t, "acme", tp.fresh(nil, seedMessage), "", 0, "2015-02-18T13:24:50Z")
}
