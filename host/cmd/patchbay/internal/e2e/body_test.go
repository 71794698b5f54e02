package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// crmToken is the CRM's token in tests that do not care about it.
const crmToken = "crm-token"

// fields are members of a request body, as JSON text. An empty text leaves the
// member out.
type fields map[string]string

// message returns a message record. Its time follows from its id, so that a
// higher id is a newer message.
func message(id int) string {
	return fmt.Sprintf(`{"id":%d,"creationTime":%d,"type":"SMS","direction":"Outbound","subject":"Message %d",`+
		`"from":{"phoneNumber":"+18885550052"},"to":[{"phoneNumber":"+16505553204"}],"conversationId":5578984350117917661}`,
		id, 1_700_000_000_000+int64(id)*1000, id)
}

// body returns a request body with these messages, or with the members of with in
// place of its own.
func body(with fields, messages ...string) string {
	all := fields{
		"user":        `{"id":"u-1","hostname":"acme.examplecrm.example","name":"Grace"}`,
		"contactInfo": `{"id":7,"type":"person","phoneNumber":"+16505553204","name":"Ada Lovelace"}`,
		"authHeader":  strconv.Quote("Bearer " + crmToken),
	}
	switch len(messages) {
	case 0:
	case 1:
		all["message"] = messages[0]
	default:
		all["message"] = "[" + strings.Join(messages, ",") + "]"
	}
	maps.Copy(all, with)
	var members []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != "" {
			members = append(members, strconv.Quote(name)+": "+all[name])
		}
	}
	return "{" + strings.Join(members, ", ") + "}"
}

// one returns a body with one message.
func one(id int) string { return body(nil, message(id)) }

// group returns a body with several messages.
func group(ids ...int) string {
	var messages []string
	for _, id := range ids {
		messages = append(messages, message(id))
	}
	return body(nil, messages...)
}

// script returns a body that tells faulty or recorder what to do.
func script(id int, text string) string {
	return body(fields{"additionalSubmission": `{"script":` + strconv.Quote(text) + `}`}, message(id))
}
