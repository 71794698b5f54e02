package render

import (
	"cmp"
	"fmt"

	"github.com/patchbay-crm/patchbay/sdk"
)

// subject returns "SMS to Ada Lovelace" or "SMS conversation with Ada Lovelace
// (3 messages)". Each piece is bounded, and so is the whole.
func subject(req *sdk.AddMessageLogRequest) string {
	messages := arrange(req.Messages)
	if len(messages) == 0 {
		return "Messages"
	}
	c := composer{req: req, m: messages[0], voicemail: messages[0].Type == "VoiceMail" || len(messages) == 1 && req.RecordingLink != ""}
	what, preposition := capital(c.kind()), "with"
	var tail string
	if len(messages) > 1 {
		what, tail = conversation(req, messages), fmt.Sprintf(" (%d messages)", len(messages))
	} else {
		switch c.m.Direction {
		case "Inbound":
			preposition = "from"
		case "Outbound":
			preposition = "to"
		}
		tail = c.detail()
	}
	who := other(req, messages[0])
	if who == "" {
		return what + tail
	}
	return what + " " + preposition + " " + isolate(who) + tail
}

// conversation returns "SMS conversation", or "Conversation" when there are
// several kinds of message.
func conversation(req *sdk.AddMessageLogRequest, messages []sdk.Message) string {
	kind := ""
	for _, m := range messages {
		k := capital(composer{req: req, m: m, voicemail: m.Type == "VoiceMail"}.kind())
		if k == "MMS" {
			k = "SMS"
		}
		if kind != "" && k != kind {
			return "Conversation"
		}
		kind = k
	}
	return kind + " conversation"
}

// other returns the name or number of the one that the user has written with.
func other(req *sdk.AddMessageLogRequest, m sdk.Message) string {
	if name := contactName(req); name != "" {
		return name
	}
	who := m.From
	if m.Direction == "Outbound" {
		who = sdk.Correspondent{}
		if len(m.To) > 0 {
			who = m.To[0]
		}
	}
	return cmp.Or(oneLine(who.Name, maxName), oneLine(who.PhoneNumber, maxWord))
}
