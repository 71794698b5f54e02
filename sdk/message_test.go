package sdk_test

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
)

func sample(t testing.TB) []byte {
	t.Helper()
	raw, err := os.ReadFile("sdktest/testdata/message.json")
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestParseSample(t *testing.T) {
	t.Parallel()
	raw := sample(t)
	m, err := sdk.ParseMessage(raw)
	if err != nil {
		t.Fatal(err)
	}
	if m.ID.String() != "60279564004" || m.ConversationID.String() != "5578984350117917661" || !m.ConversationID.IsNumber() {
		t.Errorf("ids %s, %s", m.ID, m.ConversationID)
	}
	if !m.CreationTime.Equal(time.Date(2015, 2, 18, 13, 24, 50, 0, time.UTC)) || m.LastModifiedTime.Sub(m.CreationTime) != 300*time.Millisecond {
		t.Errorf("times %s, %s", m.CreationTime, m.LastModifiedTime)
	}
	if m.Type != "SMS" || m.Direction != "Outbound" || m.Subject != "Flight information" || m.ReadStatus != "Read" || m.Priority != "Normal" ||
		m.Availability != "Alive" || m.MessageStatus != "Sent" || m.SMSSendingAttemptsCount != 1 || !strings.HasSuffix(m.URI, "/60279564004") {
		t.Errorf("%+v", m)
	}
	if m.From.PhoneNumber != "+18885550052" || len(m.To) != 1 || m.To[0].PhoneNumber != "+16505553204" || m.To[0].Location != "San Mateo, CA" {
		t.Errorf("parties %+v, %+v", m.From, m.To)
	}
	if len(m.Attachments) != 1 || m.Attachments[0].ID.String() != "60279564004" || m.Attachments[0].Type != "Text" || m.Attachments[0].ContentType != "text/plain" {
		t.Errorf("attachments %+v", m.Attachments)
	}
	if !bytes.Equal(m.Raw, raw) {
		t.Error("Raw is not the record as it came")
	}
	out, err := json.Marshal(m)
	var compact bytes.Buffer
	if err2 := json.Compact(&compact, raw); err != nil || err2 != nil || !bytes.Equal(out, compact.Bytes()) {
		t.Errorf("as JSON %s", out)
	}
}

func TestParseMessageForms(t *testing.T) {
	t.Parallel()
	m, err := sdk.ParseMessage([]byte(`{"id":"abc","creationTime":1424265890000,"lastModifiedTime":"1424265890300",
		"conversationId":"5578984350117917661","type":"VoiceMail","vmTranscriptionStatus":"Completed","faxPageCount":3,
		"from":{"extensionNumber":"101","name":"Ada"},"to":[{"name":"Bob"},7,{"name":"Eve"}],
		"attachments":[{"id":"1","type":"AudioRecording","vmDuration":14,"size":9000000000,"fileName":"v.mp3"},null]}`))
	if err != nil {
		t.Fatal(err)
	}
	if !m.CreationTime.Equal(time.UnixMilli(1424265890000)) || !m.LastModifiedTime.Equal(time.UnixMilli(1424265890300)) {
		t.Errorf("times %s, %s", m.CreationTime, m.LastModifiedTime)
	}
	if m.From.ExtensionNumber != "101" || len(m.To) != 2 || m.To[1].Name != "Eve" || m.FaxPageCount != 3 || m.VMTranscriptionStatus != "Completed" {
		t.Errorf("%+v", m)
	}
	if a := m.Attachments; len(a) != 1 || a[0].Duration != 14*time.Second || a[0].Size != 9_000_000_000 || a[0].FileName != "v.mp3" {
		t.Errorf("attachments %+v", m.Attachments)
	}
	odd, err := sdk.ParseMessage([]byte(`{"id":1,"creationTime":"2015-02-18T13:24:50+08:00","subject":7,"to":"x","from":[],"faxPageCount":-1,
		"smsSendingAttemptsCount":1e3,"conversationId":1.5,"lastModifiedTime":"soon","attachments":{}}`))
	if err != nil || odd.Subject != "" || odd.To != nil || odd.FaxPageCount != 0 || odd.SMSSendingAttemptsCount != 0 || !odd.ConversationID.IsZero() || !odd.LastModifiedTime.IsZero() {
		t.Errorf("%+v, %v", odd, err)
	}
	var viaJSON sdk.Message
	if err := json.Unmarshal([]byte(`{"id":1,"creationTime":1}`), &viaJSON); err != nil || viaJSON.ID.String() != "1" {
		t.Errorf("%+v, %v", viaJSON, err)
	}
	if out, err := json.Marshal(sdk.Message{}); err != nil || string(out) != "null" {
		t.Errorf("%s, %v", out, err)
	}
}

func TestParseMessageRefuses(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		``, `null`, `[]`, `"x"`, `{`, `{}`, `{"id":1}`, `{"creationTime":1}`, `{"id":"","creationTime":1}`,
		`{"id":1.5,"creationTime":1}`, `{"id":1,"creationTime":"soon"}`, `{"id":1,"creationTime":null}`, `{"id":1,"creationTime":true}`,
	} {
		if m, err := sdk.ParseMessage([]byte(raw)); err == nil {
			t.Errorf("%s is taken as %+v", raw, m)
		}
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`"2015-02-18T13:24:50.000Z"`:    "2015-02-18T13:24:50Z",
		`"2015-02-18T13:24:50.3+08:00"`: "2015-02-18T05:24:50.3Z",
		`1424265890300`:                 "2015-02-18T13:24:50.3Z",
		`"1424265890300"`:               "2015-02-18T13:24:50.3Z",
		`0`:                             "1970-01-01T00:00:00Z",
		`-1000`:                         "1969-12-31T23:59:59Z",
		`253402300799999`:               "9999-12-31T23:59:59.999Z",
	} {
		got, err := sdk.ParseTime([]byte(raw))
		if err != nil || got.UTC().Format(time.RFC3339Nano) != want {
			t.Errorf("%s: %s, %v", raw, got.UTC().Format(time.RFC3339Nano), err)
		}
	}
	for _, raw := range []string{``, `null`, `""`, `"soon"`, `1.5`, `1e12`, `true`, `{}`, `253402300800000`, `-253402300800000`, `"2015-02-18"`, `99999999999999999999`} {
		if got, err := sdk.ParseTime([]byte(raw)); err == nil {
			t.Errorf("%s is taken as %s", raw, got)
		}
	}
}

func TestParseUserAndContact(t *testing.T) {
	t.Parallel()
	u, err := sdk.ParseUser([]byte(`{"name":"Grace","hostname":"crm.example.com","timezone":"UTC"}`))
	if err != nil || !u.ID.IsZero() || u.Name != "Grace" || u.Hostname != "crm.example.com" || !bytes.Contains(u.Raw, []byte("timezone")) {
		t.Errorf("%+v, %v", u, err)
	}
	c, err := sdk.ParseContact([]byte(`{"id":7,"type":"person","phoneNumber":"+16505553204","name":"Ada"}`))
	if err != nil || c.ID != sdk.IntID(7) || c.Type != "person" || c.PhoneNumber != "+16505553204" || c.Name != "Ada" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, raw := range []string{``, `null`, `[]`, `{"id":{}}`, `{"id":1.5}`, `{"id":""}`} {
		if _, err := sdk.ParseUser([]byte(raw)); err == nil {
			t.Errorf("user %s is taken", raw)
		}
	}
	for _, raw := range []string{`{}`, `{"id":null}`, `null`, `{"id":true}`} {
		if _, err := sdk.ParseContact([]byte(raw)); err == nil {
			t.Errorf("contact %s is taken", raw)
		}
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add(sample(f))
	f.Add([]byte(`{"id":1,"creationTime":1,"to":[null],"attachments":[{"vmDuration":9e9}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := sdk.ParseMessage(raw)
		if err == nil && (m.ID.IsZero() || !bytes.Equal(m.Raw, raw)) {
			t.Errorf("%+v", m)
		}
	})
}
