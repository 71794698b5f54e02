package sdktest

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
)

//go:embed testdata/message.json
var seed []byte

// SeedJSON returns the sample record of RingCentral's Message Store, byte for
// byte: an SMS whose conversationId is above 2^53.
func SeedJSON() []byte { return bytes.Clone(seed) }

// SeedMessage returns the message of SeedJSON.
func SeedMessage() sdk.Message { return mustParse(SeedJSON()) }

// Message returns a message like SeedMessage with another id, text and time: one
// second after the seed's for each id, so that ids in order are oldest first.
func Message(id int64, text string) sdk.Message {
	return MessageWith(map[string]any{
		"id": id, "subject": text,
		"creationTime": SeedMessage().CreationTime.Add(time.Duration(id) * time.Second),
	})
}

// MessageWith returns a message like SeedMessage with these members instead of
// its own; a nil value takes a member out. It panics when the result is no
// message, as without an id.
func MessageWith(members map[string]any) sdk.Message {
	var record map[string]json.RawMessage
	if err := json.Unmarshal(seed, &record); err != nil {
		panic(fmt.Sprintf("read the sample message: %v", err))
	}
	for name, value := range members {
		if value == nil {
			delete(record, name)
			continue
		}
		raw, err := json.Marshal(value)
		if err != nil {
			panic(fmt.Sprintf("write member %s: %v", name, err))
		}
		record[name] = raw
	}
	raw, err := json.Marshal(record)
	if err != nil {
		panic(fmt.Sprintf("write the message: %v", err))
	}
	return mustParse(raw)
}

func mustParse(raw []byte) sdk.Message {
	m, err := sdk.ParseMessage(raw)
	if err != nil {
		panic(fmt.Sprintf("read message: %v", err))
	}
	return m
}

// The bounds of a request made by Request, from now on.
const (
	callerWaits = 20 * time.Second
	sendWindow  = callerWaits + time.Second
)

// Token is the bearer token of Request, and AuthHeader the Authorization header with
// it. The fake CRM of a test must take them, unless the test gives others.
const (
	Token      = "sdktest-token"
	AuthHeader = "Bearer " + Token
)

// Basic returns the Authorization header of basic authentication. Of many a CRM the
// user is an API key, and the password empty.
func Basic(user, password string) sdk.Secret {
	return sdk.NewSecret("Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

// Request returns a whole request for these messages, SeedMessage when there are
// none: tenant "acme", contact 7, user 42 of crm.example.com, the credentials of
// AuthHeader, a zone with daylight saving time and a send window that is open.
// Change what the test is about; other credentials are req.AuthHeader =
// Basic("user", "password").
func Request(messages ...sdk.Message) *sdk.AddMessageLogRequest {
	if len(messages) == 0 {
		messages = []sdk.Message{SeedMessage()}
	}
	now := time.Now()
	zone := sdk.Zone{Name: "America/Los_Angeles"}
	return &sdk.AddMessageLogRequest{
		Tenant:         "acme",
		IdempotencyKey: key(messages),
		Attempt:        1,
		NotAfter:       now.Add(sendWindow),
		Deadline:       now.Add(callerWaits),
		User:           User(`{"id":"42","name":"Grace Hopper","hostname":"crm.example.com","plan":"team"}`),
		ContactInfo:    Contact(`{"id":7,"type":"person","phoneNumber":"+16505553204","name":"Ada Lovelace"}`),
		AuthHeader:     sdk.NewSecret(AuthHeader),
		Messages:       messages,
		Zone:           zone.Name,
		OffsetSeconds:  zone.OffsetAt(messages[0].CreationTime),
	}
}

// User returns the user with that JSON. It panics when raw is none.
func User(raw string) sdk.User {
	u, err := sdk.ParseUser([]byte(raw))
	if err != nil {
		panic(fmt.Sprintf("read user: %v", err))
	}
	return u
}

// Contact returns the contact with that JSON. It panics when raw is none.
func Contact(raw string) sdk.Contact {
	c, err := sdk.ParseContact([]byte(raw))
	if err != nil {
		panic(fmt.Sprintf("read contact: %v", err))
	}
	return c
}

// FindRequest returns the search for the records of a request, as a host makes
// it after that request had an unknown outcome.
func FindRequest(original *sdk.AddMessageLogRequest) *sdk.FindMessageLogRequest {
	o := *original
	o.NotAfter = time.Time{}
	return &sdk.FindMessageLogRequest{
		Original: &o, IdempotencyKey: o.IdempotencyKey,
		SentAfter: original.Deadline.Add(-time.Hour), SentBefore: original.Deadline.Add(time.Hour),
	}
}

// key returns an idempotency key in the form of a host's, the same for the same
// messages.
func key(messages []sdk.Message) string {
	h := sha256.New()
	for _, m := range messages {
		_, _ = fmt.Fprintf(h, "%q", m.ID.String()) // a hash takes every write
	}
	return "pb-" + hex.EncodeToString(h.Sum(nil)[:20])
}
