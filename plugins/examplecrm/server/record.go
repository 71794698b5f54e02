package server

import (
	"errors"
	"fmt"
	"time"
)

// The largest members of a record, in bytes.
const (
	maxName     = 512       // names, keys, ids, addresses
	maxSubject  = 2 << 10   // subjects
	maxNote     = 512 << 10 // notes
	maxMessages = 500       // message ids of one activity
)

// Draft is what a client sends to create an activity.
type Draft struct {
	// ContactID and ContactType name the contact. The id is required, always as
	// a string.
	ContactID   string `json:"contactId"`
	ContactType string `json:"contactType,omitempty"`
	// Subject is the activity's headline: required.
	Subject string `json:"subject"`
	// Note is HTML.
	Note string `json:"note,omitempty"`
	// MessageIDs are the messages that this activity logs.
	MessageIDs []string `json:"messageIds,omitempty"`
	// ExternalID is the client's own key. The CRM stores it, searches by it, and
	// does not care whether it is unique.
	ExternalID     string `json:"externalId,omitempty"`
	AssociatedDeal string `json:"associatedDeal,omitempty"`
	Address        string `json:"address,omitempty"`
	// Channel is how the conversation reached the contact, as "sms".
	Channel string `json:"channel,omitempty"`
	// Owner is the user to whom the activity belongs.
	Owner string `json:"owner,omitempty"`
	// OccurredAt is when it happened, RFC 3339.
	OccurredAt time.Time `json:"occurredAt,omitzero"`
}

// Activity is one stored record. It does not change once stored.
type Activity struct {
	// ID counts up from 1.
	ID int64 `json:"id"`
	Draft
	// CreatedAt is when the CRM stored it.
	CreatedAt time.Time `json:"createdAt"`

	visible time.Time // from when on searches see it, without their lag; monotonic
}

// Contact is a person or company in the CRM, named by its type and id together.
type Contact struct {
	ID          string `json:"id"`
	Type        string `json:"type,omitempty"`
	Name        string `json:"name,omitempty"`
	PhoneNumber string `json:"phoneNumber,omitempty"`
}

// contactKey names a contact.
type contactKey struct{ kind, id string }

func (c Contact) key() contactKey { return contactKey{c.Type, c.ID} }
func (d Draft) key() contactKey   { return contactKey{d.ContactType, d.ContactID} }

func (d Draft) validate() error {
	faults := []error{
		required("contactId", d.ContactID), required("subject", d.Subject),
		short("contactId", d.ContactID, maxName), short("contactType", d.ContactType, maxName),
		short("subject", d.Subject, maxSubject), short("note", d.Note, maxNote),
		short("externalId", d.ExternalID, maxName), short("associatedDeal", d.AssociatedDeal, maxName),
		short("address", d.Address, maxName), short("owner", d.Owner, maxName),
		short("channel", d.Channel, maxName),
	}
	if len(d.MessageIDs) > maxMessages {
		faults = append(faults, fmt.Errorf("messageIds holds more than %d", maxMessages))
	}
	for i, id := range d.MessageIDs[:min(len(d.MessageIDs), maxMessages)] {
		name := fmt.Sprintf("messageIds[%d]", i)
		faults = append(faults, required(name, id), short(name, id, maxName))
	}
	return errors.Join(faults...)
}

func (c Contact) validate() error {
	return errors.Join(required("id", c.ID), short("id", c.ID, maxName), short("type", c.Type, maxName),
		short("name", c.Name, maxName), short("phoneNumber", c.PhoneNumber, maxName))
}

func required(name, value string) error {
	if value == "" {
		return fmt.Errorf("%s is required", name)
	}
	return nil
}

func short(name, value string, most int) error {
	if len(value) > most {
		return fmt.Errorf("%s is longer than %d bytes", name, most)
	}
	return nil
}

// size is roughly how much memory the activity takes.
func (d Draft) size() int64 {
	const fixed = 512 // structs, index entries
	n := fixed + len(d.ContactID) + len(d.ContactType) + len(d.Subject) + len(d.Note) + len(d.ExternalID) +
		len(d.AssociatedDeal) + len(d.Address) + len(d.Owner) + len(d.Channel)
	for _, id := range d.MessageIDs {
		n += 16 + len(id)
	}
	return int64(n)
}
