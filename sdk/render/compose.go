package render

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
)

// The longest texts that stand on a line, in characters, and the longest lists.
const (
	maxName        = 100
	maxWord        = 40
	maxLink        = 2048
	maxMarker      = 200
	maxRecipients  = 10
	maxAttachments = 20
)

// tone says how a span is to look.
type tone uint8

const (
	words   tone = iota // our own words
	strong              // our own words, emphasised
	foreign             // one line that came from outside
	link                // an address that passed webLink
)

// span is a piece of a line.
type span struct {
	tone tone
	text string
}

// part is a line of the note, which is kept whole, or a text, which may be cut.
type part struct {
	head bool   // the first part of a message
	line []span // nil for a text
	text string // cleaned, with line breaks
}

// compose returns the note's parts, in order.
func compose(req *sdk.AddMessageLogRequest, o Options) []part {
	messages := arrange(req.Messages)
	recording := recordingAt(messages, req.RecordingLink)
	var parts []part
	if len(messages) > 1 {
		parts = append(parts, part{head: true, line: title(req, messages, o)})
	}
	for i, m := range messages {
		c := composer{req: req, o: o, m: m, voicemail: m.Type == "VoiceMail" || len(messages) == 1 && req.RecordingLink != ""}
		parts = append(parts, c.parts(i == recording)...)
	}
	return parts
}

// footer returns the line with the marker, nil when there is none.
func footer(o Options) []span {
	if o.Marker == "" {
		return nil
	}
	return []span{{words, "Reference: "}, {foreign, oneLine(o.Marker, maxMarker)}}
}

// arrange returns the messages in order of time, then id, each id once in its
// latest version.
func arrange(in []sdk.Message) []sdk.Message {
	at := map[string]int{}
	out := make([]sdk.Message, 0, len(in))
	for _, m := range in {
		i, seen := at[m.ID.String()]
		switch {
		case !seen || m.ID.IsZero():
			at[m.ID.String()] = len(out)
			out = append(out, m)
		case !m.LastModifiedTime.Before(out[i].LastModifiedTime):
			out[i] = m
		}
	}
	slices.SortStableFunc(out, func(a, b sdk.Message) int {
		return cmp.Or(a.CreationTime.Compare(b.CreationTime), compareIDs(a.ID, b.ID))
	})
	return out
}

// compareIDs compares numbers by value, for their text is canonical, and other
// ids by text, a shorter one first.
func compareIDs(a, b sdk.ID) int {
	return cmp.Or(cmp.Compare(len(a.String()), len(b.String())), cmp.Compare(a.String(), b.String()))
}

// recordingAt returns which message the recording belongs to: the first
// voicemail, else the last message; -1 without a recording.
func recordingAt(messages []sdk.Message, recording string) int {
	if recording == "" {
		return -1
	}
	if i := slices.IndexFunc(messages, func(m sdk.Message) bool { return m.Type == "VoiceMail" }); i >= 0 {
		return i
	}
	return len(messages) - 1
}

func title(req *sdk.AddMessageLogRequest, messages []sdk.Message, o Options) []span {
	line := []span{{strong, fmt.Sprintf("%d messages", len(messages))}}
	if name := contactName(req); name != "" {
		line = append(line, span{words, " with "}, span{foreign, name})
	}
	first, last := messages[0].CreationTime, messages[len(messages)-1].CreationTime
	return append(line, span{words, ", "}, span{foreign, format(first, o)}, span{words, " to "}, span{foreign, format(last, o)})
}

// contactName returns the contact's name, else number, else "".
func contactName(req *sdk.AddMessageLogRequest) string {
	return cmp.Or(oneLine(req.ContactInfo.Name, maxName), oneLine(req.ContactInfo.PhoneNumber, maxWord))
}

func format(t time.Time, o Options) string { return t.In(o.Location).Format(o.TimeFormat) }

// composer makes the parts of one message.
type composer struct {
	req       *sdk.AddMessageLogRequest
	o         Options
	m         sdk.Message
	voicemail bool
}

func (c composer) parts(recording bool) []part {
	out := []part{{head: true, line: c.heading()}}
	text := clean(c.m.Subject)
	attached := c.attachments()
	if text != "" {
		out = append(out, part{text: text})
	} else if attached == nil && (c.m.Type == "SMS" || c.m.Type == "Pager") {
		out = append(out, part{line: []span{{words, "(no text)"}}})
	}
	if attached != nil {
		out = append(out, part{line: attached})
	}
	if recording {
		out = append(out, part{line: recordingLine(c.req.RecordingLink)})
	}
	return out
}

// heading returns "2015-02-18 05:24:50 -08:00 Outbound SMS from A to B".
func (c composer) heading() []span {
	kind, detail := c.kind(), c.detail()
	line := []span{{strong, format(c.m.CreationTime, c.o)}, {words, " "}}
	switch c.m.Direction {
	case "Inbound", "Outbound":
		line = append(line, span{words, c.m.Direction + " "}, span{foreign, kind}, span{words, detail})
	default:
		line = append(line, span{foreign, capital(kind)}, span{words, detail})
	}
	if from := c.sender(); from != nil {
		line = append(append(line, span{words, " from "}), from...)
	}
	if to := c.recipients(); to != nil {
		line = append(append(line, span{words, " to "}), to...)
	}
	switch c.m.MessageStatus {
	case "", "Sent", "Delivered", "Received":
	default: // a message that did not arrive must not read as one that did
		line = append(line, span{words, ", "}, span{foreign, oneLine(c.m.MessageStatus, maxWord)})
	}
	return line
}

// kind returns what the message is, in lower case unless it is an abbreviation.
func (c composer) kind() string {
	if c.voicemail {
		return "voicemail"
	}
	switch c.m.Type {
	case "SMS":
		if slices.ContainsFunc(c.m.Attachments, func(a sdk.Attachment) bool { return a.Type == "MmsAttachment" }) {
			return "MMS"
		}
		return "SMS"
	case "Fax":
		return "fax"
	case "Pager":
		return "internal message"
	case "":
		return "message"
	}
	return oneLine(c.m.Type, maxWord) + " message"
}

// capital returns text with its first letter in upper case when that is a plain
// letter.
func capital(text string) string {
	if c := text[0]; c >= 'a' && c <= 'z' {
		return string(c-'a'+'A') + text[1:]
	}
	return text
}

// detail returns the length of a voicemail or fax, " (0:42)" or " (3 pages)".
func (c composer) detail() string {
	if c.voicemail {
		for _, a := range c.m.Attachments {
			if a.Duration > 0 {
				s := int(a.Duration / time.Second)
				return fmt.Sprintf(" (%d:%02d)", s/60, s%60)
			}
		}
		return ""
	}
	switch {
	case c.m.FaxPageCount == 1:
		return " (1 page)"
	case c.m.FaxPageCount > 1:
		return fmt.Sprintf(" (%d pages)", c.m.FaxPageCount)
	}
	return ""
}

func (c composer) sender() []span {
	own := ""
	if c.m.Direction == "Outbound" {
		own = c.req.User.Name
	}
	return c.party(c.m.From, own, c.m.Direction == "Inbound")
}

func (c composer) recipients() []span {
	own := ""
	if c.m.Direction == "Inbound" && len(c.m.To) <= 1 {
		own = c.req.User.Name
	}
	if len(c.m.To) == 0 {
		return c.party(sdk.Correspondent{}, own, c.m.Direction == "Outbound")
	}
	var out []span
	for i, to := range c.m.To {
		if i > 0 {
			out = append(out, span{words, ", "})
		}
		if i == maxRecipients {
			return append(out, span{words, fmt.Sprintf("and %d more", len(c.m.To)-i)})
		}
		who := c.party(to, own, false)
		if who == nil {
			who = []span{{words, "an unknown number"}}
		}
		out = append(out, who...)
	}
	return out
}

// party returns "Ada Lovelace (+16505553204, San Mateo, CA)", nil when nothing
// is known. A nameless party takes the contact's name when it has the contact's
// number, else own; one without anything is the contact when expected to be.
func (c composer) party(p sdk.Correspondent, own string, contact bool) []span {
	contact = p.PhoneNumber != "" && p.PhoneNumber == c.req.ContactInfo.PhoneNumber || contact && p == (sdk.Correspondent{})
	name := oneLine(p.Name, maxName)
	number := oneLine(p.PhoneNumber, maxWord)
	switch {
	case contact:
		name = cmp.Or(name, oneLine(c.req.ContactInfo.Name, maxName))
		number = cmp.Or(number, oneLine(c.req.ContactInfo.PhoneNumber, maxWord))
	default:
		name = cmp.Or(name, oneLine(own, maxName))
	}
	if number == "" && p.ExtensionNumber != "" {
		number = "ext. " + oneLine(p.ExtensionNumber, maxWord)
	}
	var details []string
	for _, d := range []string{name, number, oneLine(p.Location, maxName)} {
		if d != "" {
			details = append(details, d)
		}
	}
	return parenthesised(details)
}

// parenthesised returns the first text, and the others in parentheses.
func parenthesised(texts []string) []span {
	if len(texts) == 0 {
		return nil
	}
	out := []span{{foreign, texts[0]}}
	for i, text := range texts[1:] {
		before := ", "
		if i == 0 {
			before = " ("
		}
		out = append(out, span{words, before}, span{foreign, text})
	}
	if len(texts) > 1 {
		out = append(out, span{words, ")"})
	}
	return out
}

// attachments returns the line that lists what is attached, nil when nothing is.
// The attachment of type Text is the message's own text.
func (c composer) attachments() []span {
	files := slices.DeleteFunc(slices.Clone(c.m.Attachments), func(a sdk.Attachment) bool { return a.Type == "Text" })
	if len(files) == 0 {
		return nil
	}
	out := []span{{words, "Attachments: "}}
	if len(files) == 1 {
		out[0].text = "Attachment: "
	}
	for i, a := range files {
		if i > 0 {
			out = append(out, span{words, "; "})
		}
		if i == maxAttachments {
			return append(out, span{words, fmt.Sprintf("and %d more", len(files)-i)})
		}
		out = append(out, parenthesised(describe(a))...)
	}
	return out
}

// describe returns an attachment's name, type and size as far as they are known.
func describe(a sdk.Attachment) []string {
	kind := "file"
	switch a.Type {
	case "AudioRecording":
		kind = "recording"
	case "RenderedDocument":
		kind = "document"
	}
	out := []string{cmp.Or(oneLine(a.FileName, maxName), kind)}
	if t := oneLine(a.ContentType, maxName); t != "" {
		out = append(out, t)
	}
	if a.Size > 0 {
		out = append(out, size(a.Size))
	}
	return out
}

// size returns a number of bytes for people: "512 bytes", "12 kB", "3.4 MB".
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d bytes", n)
	case n < 1_000_000:
		return fmt.Sprintf("%d kB", (n+500)/1000)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

func recordingLine(address string) []span {
	if u, ok := webLink(address); ok {
		return []span{{words, "Recording: "}, {link, u}}
	}
	return []span{{words, "Recording: its address is not a web link"}}
}

// webLink returns address in a form that is safe to show as a link in every
// format, when it is one: http or https, with a host and without a password.
func webLink(address string) (string, bool) {
	if len(address) > maxLink {
		return "", false
	}
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return "", false
	}
	const safe = "-._~:/?#[]@!$&'()*+,;=%"
	var out strings.Builder
	text := u.String()
	for i := range len(text) {
		c := text[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(safe, c) >= 0 {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String(), true
}
