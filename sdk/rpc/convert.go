package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/patchbay-crm/patchbay/sdk"
	adapterv1 "github.com/patchbay-crm/patchbay/sdk/proto/patchbay/adapter/v1"
)

// requestToProto writes a request for the wire. It fails when a text is not
// UTF-8, which protobuf could not encode: such a request surely is not sent.
func requestToProto(r *sdk.AddMessageLogRequest) (*adapterv1.AddMessageLogRequest, error) {
	out := &adapterv1.AddMessageLogRequest{
		Tenant:         r.Tenant,
		IdempotencyKey: r.IdempotencyKey,
		Attempt:        int32(min(max(r.Attempt, 0), 1<<31-1)),
		NotAfter:       timeToProto(r.NotAfter),
		Deadline:       timeToProto(r.Deadline),
		User: &adapterv1.User{
			Id: r.User.ID.String(), Name: r.User.Name, Hostname: r.User.Hostname, Raw: r.User.Raw,
		},
		ContactInfo: &adapterv1.Contact{
			Id: r.ContactInfo.ID.String(), Type: r.ContactInfo.Type,
			PhoneNumber: r.ContactInfo.PhoneNumber, Name: r.ContactInfo.Name, Raw: r.ContactInfo.Raw,
		},
		AuthHeader:           r.AuthHeader.Reveal(),
		Messages:             make([]*adapterv1.Message, len(r.Messages)),
		AdditionalSubmission: valuesToJSON(r.AdditionalSubmission),
		RecordingLink:        r.RecordingLink,
		Zone:                 r.Zone,
		OffsetSeconds:        int32(r.OffsetSeconds),
		Settings:             valuesToJSON(r.Settings),
	}
	for i, m := range r.Messages {
		out.Messages[i] = &adapterv1.Message{
			Id: m.ID.String(), ConversationId: m.ConversationID.String(),
			CreationTime: timeToProto(m.CreationTime), Raw: m.Raw,
		}
	}
	return out, checkTexts(out)
}

// checkTexts reports a text that is not UTF-8. It names the field, never the
// text.
func checkTexts(r *adapterv1.AddMessageLogRequest) error {
	u, c := r.GetUser(), r.GetContactInfo()
	for _, t := range [...]struct{ name, text string }{
		{"tenant", r.GetTenant()},
		{"idempotencyKey", r.GetIdempotencyKey()},
		{"authHeader", r.GetAuthHeader()},
		{"recordingLink", r.GetRecordingLink()},
		{"zone", r.GetZone()},
		{"user.id", u.GetId()},
		{"user.name", u.GetName()},
		{"user.hostname", u.GetHostname()},
		{"contactInfo.id", c.GetId()},
		{"contactInfo.type", c.GetType()},
		{"contactInfo.phoneNumber", c.GetPhoneNumber()},
		{"contactInfo.name", c.GetName()},
	} {
		if !utf8.ValidString(t.text) {
			return notText(t.name)
		}
	}
	for _, m := range r.GetMessages() {
		switch {
		case !utf8.ValidString(m.GetId()):
			return notText("message id")
		case !utf8.ValidString(m.GetConversationId()):
			return notText("conversationId")
		}
	}
	return nil
}

func notText(field string) error { return fmt.Errorf("%s is not UTF-8 text", field) }

// requestFromProto reads a request from the wire.
func requestFromProto(p *adapterv1.AddMessageLogRequest) (*sdk.AddMessageLogRequest, error) {
	if p == nil {
		return nil, errors.New("request is missing")
	}
	out := &sdk.AddMessageLogRequest{
		Tenant:         p.GetTenant(),
		IdempotencyKey: p.GetIdempotencyKey(),
		Attempt:        int(p.GetAttempt()),
		NotAfter:       timeFromProto(p.GetNotAfter()),
		Deadline:       timeFromProto(p.GetDeadline()),
		User:           userFromProto(p.GetUser()),
		ContactInfo:    contactFromProto(p.GetContactInfo()),
		AuthHeader:     sdk.NewSecret(p.GetAuthHeader()),
		Messages:       make([]sdk.Message, len(p.GetMessages())),
		RecordingLink:  p.GetRecordingLink(),
		Zone:           p.GetZone(),
		OffsetSeconds:  int(p.GetOffsetSeconds()),
	}
	for i, m := range p.GetMessages() {
		var err error
		if out.Messages[i], err = messageFromProto(m); err != nil {
			return nil, fmt.Errorf("read message %d: %w", i, err)
		}
	}
	var err error
	if out.AdditionalSubmission, err = valuesFromJSON(p.GetAdditionalSubmission()); err != nil {
		return nil, fmt.Errorf("read additionalSubmission: %w", err)
	}
	if out.Settings, err = valuesFromJSON(p.GetSettings()); err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	return out, nil
}

// userFromProto takes the typed fields as the host sent them, who may have
// filled them in, and from Raw the JSON form of the id.
func userFromProto(p *adapterv1.User) sdk.User {
	raw, _ := sdk.ParseUser(p.GetRaw()) // no raw, or an odd one: the id is text then
	return sdk.User{
		ID: sameID(p.GetId(), raw.ID), Name: p.GetName(), Hostname: p.GetHostname(), Raw: p.GetRaw(),
	}
}

func contactFromProto(p *adapterv1.Contact) sdk.Contact {
	raw, _ := sdk.ParseContact(p.GetRaw())
	return sdk.Contact{
		ID: sameID(p.GetId(), raw.ID), Type: p.GetType(),
		PhoneNumber: p.GetPhoneNumber(), Name: p.GetName(), Raw: p.GetRaw(),
	}
}

// messageFromProto reads the record's fields from Raw, and from the proto those
// by which the host tells messages apart.
func messageFromProto(p *adapterv1.Message) (sdk.Message, error) {
	m, err := sdk.ParseMessage(p.GetRaw())
	if err != nil {
		return sdk.Message{}, err
	}
	m.ID = sameID(p.GetId(), m.ID)
	m.ConversationID = sameID(p.GetConversationId(), m.ConversationID)
	m.CreationTime = timeFromProto(p.GetCreationTime())
	return m, nil
}

// sameID returns parsed, which remembers its JSON form, when its text is text,
// else the id that is this text.
func sameID(text string, parsed sdk.ID) sdk.ID {
	if parsed.String() == text {
		return parsed
	}
	return sdk.StringID(text)
}

// valuesToJSON writes the values as one JSON object, each byte for byte, in the
// order of their names.
func valuesToJSON(values sdk.Values) []byte {
	if len(values) == 0 {
		return nil
	}
	var out bytes.Buffer
	separator := byte('{')
	for _, name := range slices.Sorted(maps.Keys(values)) {
		key, _ := json.Marshal(name) // a string always encodes
		raw := values[name].Raw()
		if raw == nil {
			raw = json.RawMessage("null")
		}
		out.WriteByte(separator)
		out.Write(key)
		out.WriteByte(':')
		out.Write(raw)
		separator = ','
	}
	out.WriteByte('}')
	return out.Bytes()
}

// valuesFromJSON reads what valuesToJSON wrote. Its errors name no value.
func valuesFromJSON(raw []byte) (sdk.Values, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	var values sdk.Values
	if err := json.Unmarshal(raw, &values); err != nil {
		return nil, errors.New("not a JSON object")
	}
	return values, nil
}

// timeToProto leaves the zero time out.
func timeToProto(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// timeFromProto reads an absent or malformed time as the zero time.
func timeFromProto(p *timestamppb.Timestamp) time.Time {
	if p.CheckValid() != nil {
		return time.Time{}
	}
	return p.AsTime()
}
