package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Message is one record of RingCentral's Message Store: an SMS, an MMS (an SMS
// with attachments), a voicemail or a fax. Known members are typed; every member,
// known or not, stands byte for byte in Raw. A known member of an unexpected JSON
// type leaves its typed field empty.
//
// Source: https://developers.ringcentral.com/api-reference/Message-Store/readMessage
type Message struct {
	// ID is the message's id: required.
	ID ID
	// CreationTime is when the message was made: required. Real traffic has it
	// as RFC 3339 text or as epoch milliseconds.
	CreationTime time.Time
	// LastModifiedTime is when it last changed; zero when not sent.
	LastModifiedTime time.Time
	// ConversationID is the id of the conversation; it may exceed 2^53.
	ConversationID ID
	URI            string
	// Type is "SMS", "VoiceMail", "Fax", "Pager" or another.
	Type string
	// Direction is "Inbound" or "Outbound".
	Direction string
	// Subject is the text of an SMS.
	Subject       string
	From          Correspondent
	To            []Correspondent
	Attachments   []Attachment
	ReadStatus    string
	Priority      string
	Availability  string
	MessageStatus string
	// SMSSendingAttemptsCount is how often sending was tried.
	SMSSendingAttemptsCount int
	// FaxPageCount is the number of pages of a fax.
	FaxPageCount int
	// VMTranscriptionStatus is the state of a voicemail's transcription.
	VMTranscriptionStatus string
	// Raw is the whole record as it came.
	Raw json.RawMessage
}

// Correspondent is one party of a message.
type Correspondent struct {
	PhoneNumber     string
	ExtensionNumber string
	Name            string
	Location        string
}

// Attachment is a file or text attached to a message.
type Attachment struct {
	ID          ID
	URI         string
	Type        string // "Text", "MmsAttachment", "AudioRecording", "RenderedDocument", ...
	ContentType string
	FileName    string
	// Size is in bytes; 0 when not sent.
	Size int64
	// Duration is the length of a voicemail; 0 when not sent.
	Duration time.Duration
}

// MarshalJSON returns the record as it came.
func (m Message) MarshalJSON() ([]byte, error) {
	if len(m.Raw) == 0 {
		return []byte("null"), nil
	}
	return m.Raw, nil
}

// UnmarshalJSON reads a record as ParseMessage does.
func (m *Message) UnmarshalJSON(raw []byte) error {
	parsed, err := ParseMessage(append([]byte(nil), raw...))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

// ParseMessage reads a message record. It fails when raw is no JSON object, or
// when id or creationTime is missing or malformed. The message keeps raw, which
// must not change afterwards.
func ParseMessage(raw []byte) (Message, error) {
	o, err := openObject(raw)
	if err != nil {
		return Message{}, err
	}
	id, err := o.id("id")
	if err != nil {
		return Message{}, err
	}
	created, err := ParseTime(o.get("creationTime"))
	if err != nil {
		return Message{}, fmt.Errorf("creationTime %w", err)
	}
	m := Message{
		ID: id, CreationTime: created, Raw: raw,
		ConversationID: o.looseID("conversationId"),
		URI:            o.text("uri"), Type: o.text("type"), Direction: o.text("direction"), Subject: o.text("subject"),
		ReadStatus: o.text("readStatus"), Priority: o.text("priority"), Availability: o.text("availability"),
		MessageStatus: o.text("messageStatus"), VMTranscriptionStatus: o.text("vmTranscriptionStatus"),
		SMSSendingAttemptsCount: int(o.number("smsSendingAttemptsCount", math.MaxInt32)),
		FaxPageCount:            int(o.number("faxPageCount", math.MaxInt32)),
	}
	m.LastModifiedTime, _ = ParseTime(o.get("lastModifiedTime")) // optional: zero when absent or odd
	if from, ok := membersOf(o.get("from")); ok {
		m.From = correspondent(from)
	}
	for _, to := range o.objects("to") {
		m.To = append(m.To, correspondent(to))
	}
	for _, a := range o.objects("attachments") {
		m.Attachments = append(m.Attachments, Attachment{
			ID: a.looseID("id"), URI: a.text("uri"), Type: a.text("type"),
			ContentType: a.text("contentType"), FileName: a.text("fileName"),
			Size:     a.number("size", math.MaxInt64),
			Duration: time.Duration(a.number("vmDuration", math.MaxInt32)) * time.Second,
		})
	}
	return m, nil
}

func correspondent(o object) Correspondent {
	return Correspondent{
		PhoneNumber: o.text("phoneNumber"), ExtensionNumber: o.text("extensionNumber"),
		Name: o.text("name"), Location: o.text("location"),
	}
}

// maxTimeMillis is the last millisecond of the year 9999, the last year that
// RFC 3339 can write.
const maxTimeMillis = 253402300799999

// ParseTime reads a time from JSON: RFC 3339 text, or epoch milliseconds as a
// number or as text.
func ParseTime(raw []byte) (time.Time, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return time.Time{}, errors.New("is missing")
	}
	text := string(raw)
	if raw[0] == '"' {
		var err error
		if text, err = textOf(raw); err != nil {
			return time.Time{}, errors.New("is not a JSON string")
		}
		if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
			return t, nil
		}
	}
	millis, err := strconv.ParseInt(text, 10, 64)
	if err != nil || millis < -maxTimeMillis || millis > maxTimeMillis {
		return time.Time{}, errors.New("must be an RFC 3339 time or epoch milliseconds")
	}
	return time.UnixMilli(millis).UTC(), nil
}
