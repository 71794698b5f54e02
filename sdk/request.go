package sdk

import (
	"encoding/json"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/internal/callstate"
)

// IdempotencyKeyBytes is the length of every idempotency key: 43 characters of
// ASCII, each one byte. A CRM's field that is shorter cannot hold one.
const IdempotencyKeyBytes = 43

// AddMessageLogRequest asks an adapter to log one message, or a group of
// messages of one conversation, as one CRM record. Adapters must not change it:
// it may be shared between attempts.
type AddMessageLogRequest struct {
	// Tenant is the id of the tenant the call is for.
	Tenant string
	// IdempotencyKey is "pb-" and a hash, the same across every attempt for the
	// same messages: IdempotencyKeyBytes characters of ASCII, namely the small
	// letters a to z, digits and the hyphen. Store it in the CRM record where you
	// can: FindMessageLog looks for it.
	IdempotencyKey string
	// Attempt is the number of this attempt, from 1. A repetition inside one
	// send window, after a fault that surely sent nothing, counts as the same
	// attempt.
	Attempt int
	// NotAfter is the moment after which nothing may be sent to the CRM any
	// more. crmhttp refuses later requests. Zero in FindMessageLog's Original.
	NotAfter time.Time
	// Deadline is the moment at which the caller stops waiting. An answer after
	// it still counts.
	Deadline time.Time
	// User is the user whose messages these are.
	User User
	// ContactInfo is the CRM contact with which the record is associated.
	ContactInfo Contact
	// AuthHeader is the Authorization header for the CRM.
	AuthHeader Secret
	// Messages are the messages, oldest first: 1 to 500.
	Messages []Message
	// AdditionalSubmission holds the manifest's custom fields as the user filled
	// them in, checked by the host, defaults included.
	AdditionalSubmission Values
	// RecordingLink is the link to the recording when the message is a
	// voicemail, else empty.
	RecordingLink string
	// Zone is the IANA name of the user's time zone, empty when only an offset
	// is known.
	Zone string
	// OffsetSeconds is the offset from UTC, east positive, at the time of the
	// oldest message.
	OffsetSeconds int
	// Settings is one merged view: manifest default, tenant, then user where the
	// manifest says "scope":"user".
	Settings Values

	state *callstate.State
}

// Field returns the value submitted for one of the manifest's additionalFields;
// the absent Value when nothing was.
func (r *AddMessageLogRequest) Field(name string) Value { return r.AdditionalSubmission[name] }

// Setting returns the value of one of the manifest's settings; the absent Value
// when there is none.
func (r *AddMessageLogRequest) Setting(id string) Value { return r.Settings[id] }

// Location returns the user's time zone, right across changes to and from
// daylight saving time when Zone is known, else the fixed offset.
func (r *AddMessageLogRequest) Location() *time.Location {
	return Zone{Name: r.Zone, OffsetSeconds: r.OffsetSeconds}.Location()
}

// CRMCall returns what a CRM client needs to know of the call.
func (r *AddMessageLogRequest) CRMCall() CRMCall {
	return CRMCall{
		Hostname: r.User.Hostname, AuthHeader: r.AuthHeader,
		NotAfter: r.NotAfter, State: r.state,
	}
}

// WithCallState returns a copy of the request whose CRM clients report to s. It
// is for the SDK's own server; adapters have no use for it.
func (r *AddMessageLogRequest) WithCallState(s *callstate.State) *AddMessageLogRequest {
	c := *r
	c.state = s
	return &c
}

// CRMCall is what a CRM client such as crmhttp's needs to know of one call.
type CRMCall struct {
	// Hostname is the CRM host of the user's account, empty when the adapter
	// knows its host by itself.
	Hostname string
	// AuthHeader is the Authorization header to send.
	AuthHeader Secret
	// NotAfter is the end of the send window; zero means that nothing but reads
	// may be sent.
	NotAfter time.Time
	// State notes what was sent. It may be nil.
	State *callstate.State
}

// CRMCall returns what a CRM client needs to know of the search. Its NotAfter is
// zero: a search writes nothing.
func (r *FindMessageLogRequest) CRMCall() CRMCall {
	c := r.Original.CRMCall()
	c.NotAfter = time.Time{}
	return c
}

// User is the user to whom the messages belong.
type User struct {
	// ID is the user's id in the messaging product; absent when not sent.
	ID ID
	// Name is the user's name.
	Name string
	// Hostname is the CRM host of the user's account, as "acme.pipedrive.com".
	Hostname string
	// Raw is the whole object as it came, other members included.
	Raw json.RawMessage
}

// Contact is the CRM contact to whom the record belongs.
type Contact struct {
	// ID is the contact's id in the CRM, in the JSON form in which it came.
	ID ID
	// Type is the CRM's kind of contact, as "person"; empty when there is one
	// kind only.
	Type string
	// PhoneNumber is in E.164 form.
	PhoneNumber string
	// Name is the contact's name.
	Name string
	// Raw is the whole object as it came, other members included.
	Raw json.RawMessage
}

// ParseUser reads a user object. Members of another type than expected are left
// empty; Raw holds them all the same. It fails when raw is no JSON object or its
// id is malformed.
func ParseUser(raw []byte) (User, error) {
	o, err := openObject(raw)
	if err != nil {
		return User{}, err
	}
	u := User{Name: o.text("name"), Hostname: o.text("hostname"), Raw: raw}
	u.ID, err = o.optionalID("id")
	return u, err
}

// ParseContact reads a contact object as ParseUser reads a user. The id is
// required.
func ParseContact(raw []byte) (Contact, error) {
	o, err := openObject(raw)
	if err != nil {
		return Contact{}, err
	}
	c := Contact{Type: o.text("type"), PhoneNumber: o.text("phoneNumber"), Name: o.text("name"), Raw: raw}
	c.ID, err = o.id("id")
	return c, err
}
