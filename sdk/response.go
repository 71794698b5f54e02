package sdk

import (
	"time"
	"unicode/utf8"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// MaxLogIDBytes is the largest log ID that a host accepts, in bytes.
const MaxLogIDBytes = 512

// AddMessageLogResponse is the answer to AddMessageLog. Make one with Logged.
type AddMessageLogResponse struct {
	// LogID is the ID of the entry created within the CRM: 1 to MaxLogIDBytes
	// bytes of text.
	LogID string
	// LogURL is a page on which a person sees the entry. Optional: without it
	// the host makes one from the manifest's logPageUrl.
	LogURL string
	// ReturnMessage is shown to the user. Optional.
	ReturnMessage *ReturnMessage
}

// MessageType says how a ReturnMessage is to be shown.
type MessageType string

// The message types.
const (
	Success MessageType = "success"
	Warning MessageType = "warning"
	Danger  MessageType = "danger"
)

// ReturnMessage is a text for the user whose message was logged.
type ReturnMessage struct {
	Message     string
	MessageType MessageType
	// TTL is how long to show it; 0 leaves that to the client. It travels in
	// milliseconds.
	TTL time.Duration
}

// Logged answers that the CRM created the entry with that ID.
func Logged(logID string) *AddMessageLogResponse { return &AddMessageLogResponse{LogID: logID} }

// CheckLogID reports why id cannot be a log ID, nil when it can. The fault is of
// class Unknown, for the CRM record may exist all the same.
func CheckLogID(id string) error {
	bad := func(why string) error {
		return &fault.Error{Code: fault.AdapterFault, Class: fault.Unknown, Msg: "the adapter answered with " + why}
	}
	switch {
	case id == "":
		return bad("an empty log ID")
	case len(id) > MaxLogIDBytes:
		return bad("a log ID longer than 512 bytes")
	case !utf8.ValidString(id):
		return bad("a log ID that is not UTF-8 text")
	}
	for i := range len(id) {
		if id[i] < 0x20 || id[i] == 0x7f {
			return bad("a log ID that contains control characters")
		}
	}
	return nil
}
