package pipedrive

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// sent logs a request and returns the note and the subject as they went out.
func sent(t *testing.T, req *sdk.AddMessageLogRequest) (note, subject string) {
	t.Helper()
	crm := newSite(t, nil)
	if _, err := newAdapter(t, crm.url).AddMessageLog(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	created := crm.created(t)
	note, _ = created["note"].(string)
	subject, _ = created["subject"].(string)
	return note, subject
}

// TestNoteOfOneMessage goes through what a message can be. Texts and names of
// strangers are data, whatever they hold.
func TestNoteOfOneMessage(t *testing.T) {
	t.Parallel()
	attachment := func(kind, contentType, name string) map[string]any {
		return map[string]any{"id": 1, "type": kind, "contentType": contentType, "fileName": name, "size": 120_000}
	}
	for name, test := range map[string]struct {
		message   map[string]any
		contact   string
		recording string
		zone      string
		subject   string
		note      []string // pieces, in this order
		not       []string
	}{
		"outbound": {
			subject: "SMS to Ada Lovelace",
			note:    []string{"2015-02-18 05:24:50 -08:00", "Outbound SMS", "from Grace Hopper (+18885550052)", "to Ada Lovelace (+16505553204, San Mateo, CA)", "Flight information"},
		},
		"inbound": {
			message: map[string]any{"direction": "Inbound", "from": map[string]any{"phoneNumber": "+16505553204"}, "to": []any{map[string]any{"phoneNumber": "+18885550052"}}},
			subject: "SMS from Ada Lovelace",
			note:    []string{"Inbound SMS", "from Ada Lovelace (+16505553204)", "to Grace Hopper (+18885550052)"},
		},
		"zone": {zone: "Asia/Singapore", note: []string{"2015-02-18 21:24:50"}, subject: "SMS to Ada Lovelace"},
		"markup and patterns": {
			message: map[string]any{"subject": "<b>bold</b> & $& $$ $1 </p><script>alert(1)</script>"},
			subject: "SMS to Ada Lovelace",
			note:    []string{"&lt;b&gt;bold&lt;/b&gt; &amp; $&amp; $$ $1 &lt;/p&gt;&lt;script&gt;alert(1)&lt;/script&gt;"},
			not:     []string{"<b>bold", "<script"},
		},
		"emoji":                {message: map[string]any{"subject": "👩‍👩‍👧‍👦 👋🏽 🇪🇪"}, note: []string{"👩‍👩‍👧‍👦 👋🏽 🇪🇪"}, subject: "SMS to Ada Lovelace"},
		"right to left":        {message: map[string]any{"subject": "שלום مرحبا"}, note: []string{`<p dir="auto">שלום مرحبا</p>`}, subject: "SMS to Ada Lovelace"},
		"name from right":      {contact: `{"id":7,"type":"person","name":"עדה","phoneNumber":"+16505553204"}`, note: []string{"<bdi>עדה</bdi> (+16505553204"}, subject: "SMS to \u2068עדה\u2069"},
		"name with markup":     {contact: `{"id":7,"type":"person","name":"<i>Ada</i>","phoneNumber":"+16505553204"}`, note: []string{"&lt;i&gt;Ada&lt;/i&gt;"}, subject: "SMS to <i>Ada</i>"},
		"lines":                {message: map[string]any{"subject": "one\r\ntwo\nthree"}, note: []string{"<p>one<br>two<br>three</p>"}, subject: "SMS to Ada Lovelace"},
		"a text that is a tag": {message: map[string]any{"subject": "<br>"}, note: []string{"<p>&lt;br&gt;</p>"}, subject: "SMS to Ada Lovelace"},
		"no text":              {message: map[string]any{"subject": nil, "attachments": nil}, note: []string{"(no text)"}, subject: "SMS to Ada Lovelace"},
		"not delivered":        {message: map[string]any{"messageStatus": "DeliveryFailed"}, note: []string{"DeliveryFailed"}, subject: "SMS to Ada Lovelace"},
		"MMS": {
			message: map[string]any{"attachments": []any{attachment("MmsAttachment", "image/png", "plan.png"), attachment("MmsAttachment", "image/jpeg", "<b>.jpg")}},
			subject: "MMS to Ada Lovelace",
			note:    []string{"Outbound MMS", "Attachments: plan.png (image/png, 120 kB); &lt;b&gt;.jpg (image/jpeg"},
		},
		"voicemail": {
			message: map[string]any{
				"type": "VoiceMail", "direction": "Inbound", "subject": nil, "from": nil, "to": nil,
				"attachments": []any{map[string]any{"id": 3, "type": "AudioRecording", "contentType": "audio/mpeg", "vmDuration": 42}},
			},
			recording: "https://media.example.com/recordings/3?a=1&b=2",
			subject:   "Voicemail from Ada Lovelace (0:42)",
			note: []string{
				"Inbound voicemail (0:42)", "from Ada Lovelace", "Attachment: recording (audio/mpeg)",
				`Recording: <a href="https://media.example.com/recordings/3?a=1&amp;b=2"`,
			},
		},
		"voicemail with an odd link": {
			message: map[string]any{"type": "VoiceMail", "subject": nil}, recording: "javascript:alert(1)",
			subject: "Voicemail to Ada Lovelace", note: []string{"its address is not a web link"}, not: []string{"javascript"},
		},
		"fax": {
			message: map[string]any{"type": "Fax", "subject": nil, "faxPageCount": 3, "attachments": []any{attachment("RenderedDocument", "application/pdf", "contract.pdf")}},
			subject: "Fax to Ada Lovelace (3 pages)",
			note:    []string{"Outbound fax (3 pages)", "Attachment: contract.pdf (application/pdf, 120 kB)"},
		},
		"10,000 characters": {
			message: map[string]any{"subject": strings.Repeat("äöü 字🙂 ", 1250) + "end"},
			subject: "SMS to Ada Lovelace", note: []string{strings.Repeat("äöü 字🙂 ", 1250) + "end"}, not: []string{"characters cut"},
		},
		"10,000 escaped characters": {
			message: map[string]any{"subject": strings.Repeat("&", 10_000)},
			subject: "SMS to Ada Lovelace", note: []string{strings.Repeat("&amp;", 10_000)}, not: []string{"characters cut"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req := request(sdktest.MessageWith(test.message))
			if test.contact != "" {
				req.ContactInfo = sdktest.Contact(test.contact)
			}
			if test.zone != "" {
				req.Zone = test.zone
			}
			req.RecordingLink = test.recording
			note, subject := sent(t, req)
			if subject != test.subject {
				t.Errorf("subject %q, want %q", subject, test.subject)
			}
			rest := note
			for _, piece := range append(test.note, "<p>Reference: "+req.IdempotencyKey+"</p>") {
				_, after, found := strings.Cut(rest, piece)
				if !found {
					t.Fatalf("no %q in what follows of the note: %s", piece, rest)
				}
				rest = after
			}
			if rest != "" {
				t.Errorf("after the last line stands %q", rest)
			}
			for _, piece := range test.not {
				if strings.Contains(note, piece) {
					t.Errorf("%q stands in the note: %s", piece, note)
				}
			}
		})
	}
}

// TestNoteOfAGroup: one note, the oldest message first, in whatever order they
// came, and the activity where the conversation began.
func TestNoteOfAGroup(t *testing.T) {
	t.Parallel()
	req := request(sdktest.Message(1, "On my way"), sdktest.Message(2, "Five <minutes>"), sdktest.Message(3, "Here"))
	note, subject := sent(t, req)
	if subject != "SMS conversation with Ada Lovelace (3 messages)" {
		t.Errorf("subject %q", subject)
	}
	first, second, third := strings.Index(note, "On my way"), strings.Index(note, "Five &lt;minutes&gt;"), strings.Index(note, "Here")
	if first < 0 || second < first || third < second || !strings.Contains(note, "3 messages") {
		t.Errorf("note: %s", note)
	}
	if n := strings.Count(note, "Reference: "); n != 1 {
		t.Errorf("%d reference lines", n)
	}
}

// TestTimeOfAnActivity: UTC, of the oldest message, whatever the user's zone.
func TestTimeOfAnActivity(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ created, date, clock string }{
		"UTC":                {"2024-02-29T23:59:59.999Z", "2024-02-29", "23:59"},
		"ahead of UTC":       {"2024-03-01T01:30:00+08:00", "2024-02-29", "17:30"},
		"behind UTC":         {"2024-12-31T20:05:00-05:00", "2025-01-01", "01:05"},
		"a day of one digit": {"2024-01-02T03:04:05Z", "2024-01-02", "03:04"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm := newSite(t, nil)
			req := request(
				sdktest.MessageWith(map[string]any{"id": 1, "creationTime": test.created}),
				sdktest.MessageWith(map[string]any{"id": 2, "creationTime": "2026-01-01T00:00:00Z"}),
			)
			req.Zone = "Asia/Singapore"
			if _, err := newAdapter(t, crm.url).AddMessageLog(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			if got := crm.created(t); got["due_date"] != test.date || got["due_time"] != test.clock {
				t.Errorf("due %v %v, want %s %s", got["due_date"], got["due_time"], test.date, test.clock)
			}
		})
	}
}

// TestLongNote: a note is never larger than Pipedrive takes, says that it was cut,
// keeps its key, and is not cut much further than it must be.
func TestLongNote(t *testing.T) {
	t.Parallel()
	for name, letter := range map[string]string{"one byte": "a", "escaped": "<", "two bytes": "ä", "three bytes": "字", "four bytes": "🙂"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var messages []sdk.Message
			for i := range int64(20) {
				messages = append(messages, sdktest.Message(i+1, strings.Repeat(letter, 10_000)))
			}
			req := request(messages...)
			note, _ := sent(t, req)
			if len(note) > 100_000 || len(note) < 70_000 || !utf8.ValidString(note) {
				t.Errorf("the note has %d bytes", len(note))
			}
			cut, key := strings.Index(note, "characters cut]"), strings.Index(note, req.IdempotencyKey)
			if cut < 0 || key < cut {
				t.Errorf("the end of the note: %s", note[len(note)-200:])
			}
			if ends, _ := marked(note, req.IdempotencyKey); !ends {
				t.Error("the key is not found at its end")
			}
		})
	}
}
