package bench

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// messageBytes is the size of a message record, and of a bare call's payload.
const messageBytes = 2048

// firstMessage is the lowest number of a message, so that all have as many
// digits; contacts has the same meaning for contacts.
const (
	firstMessage = 100_000_000_000
	firstContact = 1000
	contacts     = 1000
)

// The places in a request where numbers are put in.
const (
	messagePlace = "<message id>" // as long as a message's number
	contactPlace = "<id>"         // as long as a contact's
)

// request is a request body with places for the numbers of one call.
type request struct {
	text     []byte
	messages []int // where the message's number stands
	contact  int
}

// newRequest returns a request whose one message, a Message Store record, has
// messageBytes bytes.
func newRequest() *request {
	const head = `{"uri":"https://platform.example.com/restapi/v1.0/account/1/message-store/` + messagePlace + `","id":` + messagePlace +
		`,"to":[{"phoneNumber":"+16505553204","location":"San Mateo, CA"}],"from":{"phoneNumber":"+18885550052"},` +
		`"type":"SMS","creationTime":"2026-02-18T13:24:50.000Z","readStatus":"Read","priority":"Normal",` +
		`"attachments":[{"id":1,"uri":"https://media.example.com/restapi/v1.0/content/1","type":"Text","contentType":"text/plain"}],` +
		`"direction":"Outbound","availability":"Alive","messageStatus":"Sent","smsSendingAttemptsCount":1,` +
		`"conversationId":5578984350117917661,"lastModifiedTime":"2026-02-18T13:24:50.300Z","subject":"`
	const tail = `"}`
	text := strings.Repeat("Your flight leaves at ten past eight. ", messageBytes)
	message := head + text[:messageBytes-len(head)-len(tail)] + tail
	r := &request{text: fmt.Appendf(nil, `{"user":{"id":"42","name":"Grace Hopper","hostname":"acme.examplecrm.example"},`+
		`"contactInfo":{"id":%s,"type":"person","phoneNumber":"+16505553204","name":"Ada Lovelace"},`+
		`"authHeader":"Bearer %s","message":%s,"timezoneOffset":"-08:00"}`, contactPlace, crmToken, message)}
	r.contact = bytes.Index(r.text, []byte(contactPlace))
	for from := 0; ; {
		at := bytes.Index(r.text[from:], []byte(messagePlace))
		if at < 0 {
			return r
		}
		r.messages = append(r.messages, from+at)
		from += at + 1
	}
}

// body returns the request for the message with that number.
func (r *request) body(n int64) []byte {
	out := bytes.Clone(r.text)
	for _, at := range r.messages {
		strconv.AppendInt(out[at:at], n, 10)
	}
	strconv.AppendInt(out[r.contact:r.contact], firstContact+n%contacts, 10)
	return out
}
