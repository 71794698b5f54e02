package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// problem is the host's answer to a request that it did not fulfil.
type problem struct {
	Title       string         `json:"title"`
	Status      int            `json:"status"`
	Detail      string         `json:"detail"`
	Code        string         `json:"code"`
	Class       string         `json:"class"`
	Source      string         `json:"source"`
	RequestID   string         `json:"requestId"`
	Errors      []fieldFault   `json:"errors"`
	MessageLogs []string       `json:"messageLogs"`
	Messages    []messageState `json:"messages"`

	retryAfter string          // the header, in seconds
	sent       string          // which token the request carried, in words
	raw        json.RawMessage // the answer itself
}

type fieldFault struct {
	Pointer string `json:"pointer"`
	Code    string `json:"code"`
	Detail  string `json:"detail"`
}

// messageState says where one message of a request stands.
type messageState struct {
	ID           string `json:"id"`
	State        string `json:"state"`
	Duplicate    bool   `json:"duplicate"`
	LogID        string `json:"logId"`
	MessageLogID string `json:"messageLogId"`
}

// Error says it in one line.
func (p *problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	return printable(p.Code+": "+text, false)
}

// print tells a person everything that the answer says.
func (p *problem) print(w io.Writer) {
	fmt.Fprintf(w, "Error: %s\n", p.Error())
	for _, f := range p.Errors {
		fmt.Fprintf(w, "  %s: %s\n", printable(f.Pointer, false), printable(f.Detail, false))
	}
	for _, m := range p.Messages {
		fmt.Fprintf(w, "  message %s: %s", printable(m.ID, false), printable(m.State, false))
		if m.LogID != "" {
			fmt.Fprintf(w, ", log ID %s", printable(m.LogID, false))
		}
		if m.MessageLogID != "" {
			fmt.Fprintf(w, ", message log %s", printable(m.MessageLogID, false))
		}
		fmt.Fprintln(w)
	}
	if len(p.Messages) == 0 && len(p.MessageLogs) > 0 {
		fmt.Fprintf(w, "  message logs: %s\n", printable(strings.Join(p.MessageLogs, ", "), false))
	}
	if p.retryAfter != "" {
		fmt.Fprintf(w, "  retry after: %s s\n", printable(p.retryAfter, false))
	}
	if p.Code == string(fault.Unauthenticated) {
		fmt.Fprintf(w, "  the request carried %s\n", printable(p.sent, false))
	}
	if remedy := remedies[fault.Code(p.Code)]; remedy != "" {
		fmt.Fprintf(w, "  remedy: %s\n", remedy)
	}
	if p.RequestID != "" {
		fmt.Fprintf(w, "  request id: %s\n", printable(p.RequestID, false))
	}
}

// remedies say what a person at the command line does about a code.
var remedies = map[fault.Code]string{
	fault.MalformedRequest:     "check that the file is one well-formed JSON document",
	fault.UnsupportedMediaType: "the server is no Patchbay host of this version: check --server and PATCHBAY_SERVER",
	fault.RequestTooLarge:      "send fewer messages at once, or raise maxBody in the host's configuration",
	fault.InvalidFields:        "correct the fields named above",
	fault.Unauthenticated:      nameToken,
	fault.Forbidden:            "use the admin token, or a token of this tenant",
	fault.AdapterDisabled:      "enable it: patchbay adapter enable NAME --tenant TENANT",
	fault.TenantNotFound:       "list the tenants with: patchbay tenant list",
	fault.AdapterNotFound:      "see what is installed, and why a package is refused: patchbay adapter list, patchbay adapter show NAME",
	fault.MessageLogNotFound:   "list them with: patchbay message list --tenant TENANT",
	fault.RouteNotFound:        "the server is no Patchbay host of this version: check --server and PATCHBAY_SERVER",
	fault.MethodNotAllowed:     "the server is no Patchbay host of this version: check --server and PATCHBAY_SERVER",
	fault.OutcomeUnsettled:     "look with: patchbay message show ID; the host settles it by itself, or you do with: patchbay message resolve",
	fault.InProgress:           "wait a moment and ask again: the answer will carry the same log ID",
	fault.AlreadyLogged:        "nothing is to be done: the messages have their log ID",
	fault.Conflict:             "look at its present state first: patchbay message show ID, patchbay tenant show ID, or patchbay adapter show NAME",
	fault.CRMRejected:          "correct what the CRM objects to",
	fault.CRMUnauthorized:      "bring a valid authorization header for the CRM (--auth-header @FILE)",
	fault.RateLimited:          "wait and try again",
	fault.AdapterFault:         "see: patchbay adapter crashes NAME, and the host's log under the request id",
	fault.NotSupported:         "use another adapter or version for this",
	fault.AdapterUnavailable:   "see why with: patchbay adapter show NAME",
	fault.CRMUnavailable:       "wait until the CRM answers and try again",
	fault.Overloaded:           "wait and try again",
	fault.ShuttingDown:         "wait until the host is back and try again",
	fault.Outcome:              "do not send it under another id: the host finds out by itself; see: patchbay message show ID",
	fault.PoisonMessage:        "see: patchbay adapter crashes NAME; then: patchbay message retry ID",
	fault.Internal:             "see the host's log under the request id",
}

// nameToken is the remedy for a token that is missing or wrong.
const nameToken = "name a valid token with --token @FILE or PATCHBAY_TOKEN; " +
	"the host's configuration (--config FILE, PATCHBAY_DATA_DIR, PATCHBAY_ADMIN_TOKEN_FILE) says where its admin token lies"

// printable returns text from elsewhere fit for a terminal: control characters
// are shown as escapes, so that nobody's message can move the cursor. Newlines
// stay when lines is set.
func printable(text string, lines bool) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' && lines:
			b.WriteRune(r)
		case r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control):
			fmt.Fprintf(&b, "\\u%04x", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
