package render

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/sdk"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// message returns a message from JSON.
func message(t testing.TB, raw string) sdk.Message {
	t.Helper()
	m, err := sdk.ParseMessage([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// request returns a request of Ada's with these messages.
func request(t testing.TB, raws ...string) *sdk.AddMessageLogRequest {
	t.Helper()
	req := &sdk.AddMessageLogRequest{
		IdempotencyKey: "pb-5f1c09", Zone: "America/Los_Angeles", OffsetSeconds: -8 * 3600,
		User:        sdk.User{ID: sdk.StringID("42"), Name: "Grace Hopper"},
		ContactInfo: sdk.Contact{ID: sdk.IntID(7), Name: "Ada Lovelace", PhoneNumber: "+16505553204"},
	}
	for _, raw := range raws {
		req.Messages = append(req.Messages, message(t, raw))
	}
	return req
}

// sms returns an inbound message as JSON. text is the inside of a JSON string.
func sms(id int, created, text string) string {
	return fmt.Sprintf(`{"id":%d,"type":"SMS","direction":"Inbound","creationTime":%q,"subject":"%s",
		"from":{"phoneNumber":"+16505553204"},"to":[{"phoneNumber":"+18885550052"}]}`, id, created, text)
}

const flight = `{"uri":"https://platform.ringcentral.com/restapi/xxxxxxx/message-store/60279564004","id":60279564004,
	"to":[{"phoneNumber":"+16505553204","location":"San Mateo, CA"}],"from":{"phoneNumber":"+18885550052"},
	"type":"SMS","creationTime":"2015-02-18T13:24:50.000Z","direction":"Outbound","messageStatus":"Sent",
	"subject":"Flight information","conversationId":5578984350117917661,
	"attachments":[{"id":60279564004,"uri":"https://media.ringcentral.com/secret","type":"Text","contentType":"text/plain"}]}`

func TestGolden(t *testing.T) {
	t.Parallel()
	hostile := `<b>bold</b> <script>alert(1)</script> $& $$ $1 &amp; \"quoted\" 'single' *star* _under_ snake_case [link](javascript:x) ` +
		"`code` | ~~gone~~ https://example.com/a_b?c=1&d=2" + `\n# heading\n- item\n12. item\n> quote\n    code\n===\n\n2015-02-18 05:24:50 -08:00 Inbound SMS from nobody\n\u0000\u0007\u009b end`
	recorded := request(t, `{"id":9,"type":"VoiceMail","direction":"Inbound","creationTime":1424265890000,"from":{"phoneNumber":"+16505553204"},
		"attachments":[{"id":1,"type":"AudioRecording","contentType":"audio/mpeg","vmDuration":42,"uri":"https://media.ringcentral.com/secret"}]}`)
	recorded.RecordingLink = "https://media.example.com/rec?id=1&sig=a'b\"<c>"
	scripted := request(t, sms(1, "2015-02-18T13:24:50Z", "x"))
	scripted.RecordingLink = "javascript:alert(1)"
	rtl := request(t, sms(1, "2015-02-18T13:24:50Z", `שלום עולם!\nhello \u202Eevil\u2069 world`))
	rtl.ContactInfo.Name = "\u202Eמשה <b>"
	names := request(t, `{"id":1,"type":"SMS","direction":"Outbound","creationTime":"2015-02-18T13:24:50Z","subject":"hi","messageStatus":"DeliveryFailed",
		"from":{"name":"<i>Eve</i>","extensionNumber":"101"},"to":[{"phoneNumber":"+1","name":"*Bob*"},{"phoneNumber":"+2"},{}]}`)
	cases := map[string]*sdk.AddMessageLogRequest{
		"flight":        request(t, flight),
		"hostile":       request(t, sms(1, "2015-02-18T13:24:50Z", hostile)),
		"emoji":         request(t, sms(1, "2015-07-18T13:24:50Z", `👩‍👩‍👧 🇨🇭 e\u0301 👍🏽`)),
		"right-to-left": rtl,
		"names":         names,
		"voicemail":     recorded,
		"unsafe-link":   scripted,
		"no-text":       request(t, sms(1, "2015-02-18T13:24:50Z", "")),
		"no-messages":   request(t),
		"unknown-kind":  request(t, `{"id":1,"type":"<Tele>gram","direction":"Sideways","creationTime":0}`),
		"mms": request(t, `{"id":1,"type":"SMS","direction":"Inbound","creationTime":0,"subject":"look","from":{"phoneNumber":"+16505553204"},
			"attachments":[{"id":1,"type":"Text"},{"id":2,"type":"MmsAttachment","fileName":"<a>_photo_.jpg","contentType":"image/jpeg","size":3400000},{"id":3,"type":"MmsAttachment","contentType":"video/mp4","size":12}]}`),
		"fax": request(t, `{"id":1,"type":"Fax","direction":"Outbound","creationTime":0,"faxPageCount":3,"to":[{"phoneNumber":"+16505553204"}],
			"attachments":[{"id":1,"type":"RenderedDocument","contentType":"application/pdf","size":12345}]}`),
		"group": request(t, sms(3, "2015-03-08T10:00:01Z", "third, after the clocks changed"), flight,
			sms(11, "2015-03-08T09:59:59Z", "second of the second"), sms(2, "2015-03-08T09:59:59Z", "first of the second"), flight),
	}
	for name, req := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			golden(t, name, strings.Join([]string{
				"--- subject", Subject(req), "--- text", Text(req), "--- html", HTML(req), "--- markdown", Markdown(req), "",
			}, "\n"))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestTimesFollowTheClockChange(t *testing.T) {
	t.Parallel()
	req := request(t, sms(1, "2026-03-08T09:59:59Z", "a"), sms(2, "2026-03-08T10:00:00Z", "b"))
	text := Text(req)
	for _, want := range []string{"2026-03-08 01:59:59 -08:00", "2026-03-08 03:00:00 -07:00"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	req.Zone, req.OffsetSeconds = "", 5*3600+45*60
	if text := Text(req); !strings.Contains(text, "2026-03-08 15:44:59 +05:45") {
		t.Errorf("the fixed offset is missing in:\n%s", text)
	}
	req.Zone = "Asia/Manila" // whose own abbreviation is PST
	if text := Text(req); !strings.Contains(text, "2026-03-08 17:59:59 +08:00") || strings.Contains(text, "PST") {
		t.Errorf("Manila's time can be taken for another's in:\n%s", text)
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	req := request(t, flight)
	got := TextWith(req, Options{
		Location: time.FixedZone("x", 3600), TimeFormat: "<2 Jan 15:04>", Marker: req.IdempotencyKey,
	})
	if !strings.HasPrefix(got, "<18 Feb 14:24> ") || !strings.HasSuffix(got, "\n\nReference: pb-5f1c09") {
		t.Errorf("got:\n%s", got)
	}
	for name, note := range map[string]string{
		"html":     HTMLWith(req, Options{Marker: req.IdempotencyKey, TimeFormat: "<2>"}),
		"markdown": MarkdownWith(req, Options{Marker: req.IdempotencyKey, TimeFormat: "<2>"}),
	} {
		if !strings.Contains(note, "pb-5f1c09") || strings.Contains(note, "*<2") || strings.Contains(note, "<18>") && !strings.Contains(note, `\<18`) {
			t.Errorf("%s: got:\n%s", name, note)
		}
	}
}

func TestLatestVersionOfAMessageIsShown(t *testing.T) {
	t.Parallel()
	version := func(modified, text string) string {
		return fmt.Sprintf(`{"id":"7","type":"SMS","creationTime":0,"lastModifiedTime":%q,"subject":%q}`, modified, text)
	}
	req := request(t, version("2026-01-02T00:00:00Z", "new"), version("2026-01-01T00:00:00Z", "old"))
	if text := Text(req); !strings.Contains(text, "new") || strings.Contains(text, "old") {
		t.Errorf("got:\n%s", text)
	}
}

func TestNoAddressOfAnAttachmentIsShown(t *testing.T) {
	t.Parallel()
	req := request(t, flight)
	for _, note := range []string{HTML(req), Text(req), Markdown(req)} {
		if strings.Contains(note, "secret") || strings.Contains(note, "ringcentral") {
			t.Errorf("got:\n%s", note)
		}
	}
}

func TestWebLink(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"https://a.example/x?y=1#z":                 "https://a.example/x?y=1#z",
		"HTTP://a.example/":                         "http://a.example/",
		" https://a.example/" + "\t":                "https://a.example/",
		"https://a.example/?q=\"><b":                "https://a.example/?q=%22%3E%3Cb",
		"javascript:alert(1)":                       "",
		"data:text/html,x":                          "",
		"//a.example/x":                             "",
		"https:///x":                                "",
		"https://user:pw@a.example/":                "",
		"https://a.example/\nx":                     "",
		"ftp://a.example/":                          "",
		"https://a/" + strings.Repeat("x", maxLink): "",
	}
	for in, want := range cases {
		if got, ok := webLink(in); got != want || ok != (want != "") {
			t.Errorf("webLink(%.40q) = %q, %v; want %q", in, got, ok, want)
		}
	}
}
