package sdktest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/patchbay-crm/patchbay/sdk"
)

// anyMessage sends records of other kinds and shapes than the sample. An adapter
// may refuse some, but not all.
func anyMessage(r reporter, e *env) {
	shapes := map[string]map[string]any{
		"without text":         {"subject": nil},
		"epoch milliseconds":   {"creationTime": 1424265890000, "lastModifiedTime": 1424265890300},
		"without conversation": {"conversationId": nil, "uri": nil},
		"conversation as text": {"conversationId": "5578984350117917661"},
		"no parties":           {"from": nil, "to": nil},
		"inbound":              {"direction": "Inbound"},
		"fax": {"type": "Fax", "faxPageCount": 3, "attachments": []any{
			map[string]any{"id": 1, "type": "RenderedDocument", "contentType": "application/pdf", "fileName": "fax.pdf"},
		}},
		"picture": {"attachments": []any{
			map[string]any{"id": 2, "type": "MmsAttachment", "contentType": "image/png", "uri": "https://media.example.com/2"},
		}},
		"members of other types": {"to": "nobody", "attachments": 7, "subject": []int{1}},
		"unknown members":        {"zz": map[string]any{"deep": []any{nil, 1.5e300}}},
		"voicemail": {"type": "VoiceMail", "attachments": []any{
			map[string]any{"id": 3, "type": "AudioRecording", "contentType": "audio/mpeg", "vmDuration": 14},
		}},
	}
	refused, last := 0, error(nil)
	for i, what := range sortedKeys(shapes) {
		req := e.with(e.shaped(int64(201+i), shapes[what]))
		if what == "voicemail" {
			req.RecordingLink = "https://media.example.com/recordings/3"
		}
		if refusal := e.settles(r, what, req); refusal != nil {
			refused, last = refused+1, refusal
		}
	}
	if refused == len(shapes) {
		r.Errorf("every message was refused, so nothing was tried: %v\n%s", last, hint(e.request(), last))
	}
}

func unusualIDs(r reporter, e *env) {
	contacts := map[string]string{
		"contact id above 2^53":        `{"id":9007199254740993}`,
		"contact id of 40 digits":      `{"id":1234567890123456789012345678901234567890}`,
		"contact id that is no number": `{"id":"0031i000009xYzAAAU","type":"person"}`,
		"contact id with odd text":     `{"id":"a/b?c=d&e=%2F ü'\"<>"}`,
	}
	for i, what := range sortedKeys(contacts) {
		req := e.with(e.shaped(int64(301+i), nil))
		req.ContactInfo = Contact(contacts[what])
		e.settles(r, what, req)
	}
	digits := strconv.FormatInt(e.base+321, 10)
	e.settles(r, "message id of 256 digits", e.with(e.shaped(0, map[string]any{
		"id": json.Number(digits + strings.Repeat("8", sdk.MaxIDBytes-len(digits))),
	})))
	anonymous := e.with(e.shaped(322, nil))
	anonymous.User = sdk.User{Hostname: anonymous.User.Hostname}
	e.settles(r, "no user", anonymous)
	text := e.with(e.shaped(323, nil))
	text.ContactInfo = withTextID(text.ContactInfo)
	e.mustAdd(r, "the contact's own id as text", text)
}

// withTextID returns the contact with its id as a JSON string, as some callers send
// every id.
func withTextID(c sdk.Contact) sdk.Contact {
	members := map[string]json.RawMessage{}
	if json.Unmarshal(c.Raw, &members) != nil || c.ID.IsZero() {
		return c // made by hand; the adapter sees the same contact as in every case
	}
	members["id"], _ = json.Marshal(c.ID.String()) // a string always encodes
	raw, err := json.Marshal(members)
	if err != nil {
		return c
	}
	return Contact(string(raw))
}

// anyText sends texts as people write them, and as nobody should. They are what an
// adapter is for: each is logged, if with a mark of what was cut.
func anyText(r reporter, e *env) {
	texts := map[string]string{
		"markup":                `<b>bold</b> & "quotes" 'and' <script>alert(1)</script>`,
		"replacement patterns":  "$$ $& $1 \\1 %s %d {{.}} ${HOME}",
		"emoji and other sides": "👩‍👩‍👧‍👦 שלום مرحبا 你好 e\u0301 \u202edesrever\u202c",
		"line breaks":           "one\r\ntwo\n\nthree\ttab",
		"10,000 characters":     strings.Repeat("äöü 字🙂 ", 10_000/7),
	}
	for i, what := range sortedKeys(texts) {
		e.logs(r, what, e.with(e.message(int64(401+i), texts[what])))
	}
	e.logs(r, "no text", e.with(e.shaped(421, map[string]any{"subject": ""})))
}

func zones(r reporter, e *env) {
	for i, zone := range []sdk.Zone{
		{}, {Name: "Asia/Kathmandu"}, {Name: "America/St_Johns"}, {OffsetSeconds: 14 * 3600}, {OffsetSeconds: -9*3600 - 1800},
	} {
		req := e.with(e.message(int64(501+i), "What time is it?"))
		req.Zone, req.OffsetSeconds = zone.Name, zone.OffsetAt(req.Messages[0].CreationTime)
		e.logs(r, fmt.Sprintf("zone %+v", zone), req)
	}
}
