package relay

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// The bounds of a request.
const (
	maxMessages   = 500
	maxAuthHeader = 8 << 10
	maxLink       = 2 << 10
	maxName       = 1 << 10
)

// bodyMembers are the members of the request body, which is closed.
var bodyMembers = []string{
	"user", "contactInfo", "authHeader", "message", "messages",
	"additionalSubmission", "recordingLink", "timezoneOffset",
}

// request is a decoded and checked request.
type request struct {
	sdk.AddMessageLogRequest
	// order are the message ids as they stood in the body, each once.
	order []string
	// account is the CRM account: the canonical hostname.
	account string
}

// decode reads and checks a request body. Its faults are malformed_request and
// invalid_fields, the latter with every fault at once.
func decode(body []byte, route *Route) (*request, error) {
	root, err := strictjson.Parse(body)
	if err != nil {
		return nil, &fault.Error{Code: fault.MalformedRequest, Class: fault.Permanent, Msg: err.Error()}
	}
	if !root.Is(strictjson.Object) {
		return nil, &fault.Error{
			Code: fault.MalformedRequest, Class: fault.Permanent,
			Msg: "the body must be a JSON object, not " + root.Kind().String(),
		}
	}
	d := decoder{root: root, route: route, out: &request{}}
	d.run()
	if err := d.faults.Err(); err != nil {
		return nil, invalid(d.faults)
	}
	return d.out, nil
}

// invalid wraps field faults as the fault that callers see.
func invalid(faults strictjson.Faults) error {
	return &fault.Error{Code: fault.InvalidFields, Class: fault.Permanent, Msg: fault.InvalidFields.Title(), Err: faults}
}

type decoder struct {
	root   *strictjson.Node
	route  *Route
	out    *request
	faults strictjson.Faults
}

func (d *decoder) run() {
	d.faults.Closed(d.root, bodyMembers...)
	if nul := d.root.FindNUL(); nul != nil {
		d.faults.Add(nul, strictjson.CodeInvalid, "must not contain the character U+0000")
	}
	d.out.Tenant = d.route.Tenant
	d.user(d.root.Get("user"))
	d.contact(d.faults.Require(d.root, "contactInfo"))
	d.auth(d.root.Get("authHeader"))
	d.messages()
	d.link(d.root.Get("recordingLink"))
	d.zone()
	values, faults := d.route.Manifest.CheckSubmission(d.root.Get("additionalSubmission"))
	d.out.AdditionalSubmission = values
	d.faults = append(d.faults, faults...)
}

// optionalText returns the text of a string member that may be absent or null.
func (d *decoder) optionalText(n *strictjson.Node, most int) string {
	if n.IsNull() || !d.faults.Want(n, strictjson.String) {
		return ""
	}
	if len(n.Text()) > most {
		d.faults.Add(n, strictjson.CodeInvalid, "must be at most %d bytes long", most)
	}
	return n.Text()
}

func (d *decoder) id(n *strictjson.Node) sdk.ID {
	id, err := sdk.ParseID(n.Raw())
	if err != nil {
		d.faults.Add(n, strictjson.CodeInvalid, "%s", err)
	}
	return id
}

func (d *decoder) user(n *strictjson.Node) {
	if n.IsNull() {
		d.hostname(nil, "")
		return
	}
	if !d.faults.Want(n, strictjson.Object) {
		return
	}
	u := sdk.User{Raw: n.Raw(), Name: d.optionalText(n.Get("name"), maxName)}
	if id := n.Get("id"); !id.IsNull() {
		u.ID = d.id(id)
	}
	host := n.Get("hostname")
	u.Hostname = d.optionalText(host, maxName)
	d.out.User = u
	d.hostname(host, u.Hostname)
	overrides, faults := userSettings(d.route.Manifest, n)
	d.faults = append(d.faults, faults...)
	d.out.Settings = d.route.Manifest.MergeSettings(d.route.Settings, overrides)
}

// hostname checks the CRM host of the user's account. It may be absent when the
// adapter needs none.
func (d *decoder) hostname(n *strictjson.Node, host string) {
	if d.out.Settings == nil {
		d.out.Settings = d.route.Manifest.MergeSettings(d.route.Settings, nil)
	}
	egress := d.route.Manifest.Run.Egress
	if host == "" {
		if len(egress) > 0 && !d.route.BaseURLSet {
			d.faults.AddAt("/user/hostname", strictjson.CodeRequired,
				"is required: it names the CRM host of the user's account")
		}
		return
	}
	if err := manifest.CheckHostname(host, egress); err != nil {
		d.faults.Add(n, strictjson.CodeInvalid, "%s", err)
	}
	d.out.account = manifest.Account(host)
}

// userSettings reads the user's own values of settings with scope "user" from
// user.userSettings.<id>.value, where App Connect keeps them. Other members are
// not ours to judge.
func userSettings(m *manifest.Manifest, user *strictjson.Node) (sdk.Values, strictjson.Faults) {
	all := user.Get("userSettings")
	if !all.Is(strictjson.Object) {
		return nil, nil
	}
	chosen := map[string]json.RawMessage{}
	for _, s := range m.Settings {
		if value := all.Get(s.ID).Get("value"); s.Scope == manifest.ScopeUser && value != nil {
			chosen[s.ID] = value.Raw()
		}
	}
	if len(chosen) == 0 {
		return nil, nil
	}
	raw, err := json.Marshal(chosen)
	if err != nil {
		return nil, strictjson.Faults{{Pointer: all.Pointer(), Code: strictjson.CodeInvalid, Detail: "cannot be read"}}
	}
	n, err := strictjson.Parse(raw)
	if err != nil {
		return nil, strictjson.Faults{{Pointer: all.Pointer(), Code: strictjson.CodeInvalid, Detail: "cannot be read"}}
	}
	values, faults := m.CheckSettings(n, manifest.ScopeUser)
	for i := range faults {
		faults[i].Pointer = all.Pointer() + faults[i].Pointer + "/value"
	}
	return values, faults
}

func (d *decoder) contact(n *strictjson.Node) {
	if n == nil || !d.faults.Want(n, strictjson.Object) {
		return
	}
	c := sdk.Contact{
		Raw: n.Raw(), Name: d.optionalText(n.Get("name"), maxName),
		Type:        d.optionalText(n.Get("type"), sdk.MaxIDBytes),
		PhoneNumber: d.optionalText(n.Get("phoneNumber"), maxName),
	}
	if id := d.faults.Require(n, "id"); id != nil {
		c.ID = d.id(id)
	}
	d.out.ContactInfo = c
}

func (d *decoder) auth(n *strictjson.Node) {
	if n.IsNull() {
		if d.route.Manifest.Auth.Type != manifest.NoAuth {
			d.faults.AddAt("/authHeader", strictjson.CodeRequired,
				"is required: the Authorization header for the CRM")
		}
		return
	}
	if !d.faults.Want(n, strictjson.String) {
		return
	}
	if reason := authFault(n.Text()); reason != "" {
		d.faults.Add(n, strictjson.CodeInvalid, "%s", reason)
		return
	}
	d.out.AuthHeader = sdk.NewSecret(n.Text())
}

// authFault says why text cannot be an Authorization header, "" when it can.
func authFault(text string) string {
	switch {
	case strings.TrimSpace(text) == "":
		return "must not be empty"
	case len(text) > maxAuthHeader:
		return "must be at most 8192 bytes long"
	case strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return "must not contain control characters"
	default:
		return ""
	}
}

func (d *decoder) messages() {
	one, many := d.root.Get("message"), d.root.Get("messages")
	switch {
	case one != nil && many != nil:
		d.faults.Add(many, strictjson.CodeInvalid, "must not be sent together with message")
		return
	case one == nil && many == nil:
		d.faults.AddAt("/message", strictjson.CodeRequired, "is required: one message record, or an array of them")
		return
	case one == nil:
		one = many
	}
	records := []*strictjson.Node{one}
	if one.Is(strictjson.Array) {
		records = one.Items()
		if len(records) == 0 || len(records) > maxMessages {
			d.faults.Add(one, strictjson.CodeInvalid, "must hold 1 to %d messages", maxMessages)
			return
		}
	}
	seen := make(map[string]bool, len(records))
	for _, record := range records {
		m, ok := d.message(record)
		if id := m.ID.String(); ok && !seen[id] {
			seen[id] = true // the same id twice in one request is one message
			d.out.order = append(d.out.order, id)
			d.out.Messages = append(d.out.Messages, m)
		}
	}
	slices.SortStableFunc(d.out.Messages, func(a, b sdk.Message) int {
		return cmp.Or(a.CreationTime.Compare(b.CreationTime), compareIDs(a.ID.String(), b.ID.String()))
	})
}

// compareIDs orders ids of messages made in the same moment: shorter numbers
// first, as they are handed out.
func compareIDs(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func (d *decoder) message(n *strictjson.Node) (sdk.Message, bool) {
	if !d.faults.Want(n, strictjson.Object) {
		return sdk.Message{}, false
	}
	before := len(d.faults)
	m := sdk.Message{Raw: n.Raw()}
	if id := d.faults.Require(n, "id"); id != nil {
		m.ID = d.id(id)
	}
	if created := d.faults.Require(n, "creationTime"); created != nil {
		at, err := sdk.ParseTime(created.Raw())
		if err != nil {
			d.faults.Add(created, strictjson.CodeInvalid, "%s", err)
		}
		m.CreationTime = at
	}
	if id, err := sdk.ParseID(n.Get("conversationId").Raw()); err == nil {
		m.ConversationID = id
	}
	return m, len(d.faults) == before
}

func (d *decoder) link(n *strictjson.Node) {
	text := d.optionalText(n, maxLink)
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		d.faults.Add(n, strictjson.CodeInvalid, "must be an absolute http or https URL")
		return
	}
	d.out.RecordingLink = text
}

// zone takes the time zone from timezoneOffset, else user.timezone, else the
// tenant.
func (d *decoder) zone() {
	zone := d.route.Timezone
	for _, n := range []*strictjson.Node{d.root.Get("user").Get("timezone"), d.root.Get("timezoneOffset")} {
		z, ok, err := sdk.ParseZone(bytes.TrimSpace(n.Raw()))
		if err != nil {
			d.faults.Add(n, strictjson.CodeInvalid, "%s", err)
		}
		if ok {
			zone = z
		}
	}
	d.out.Zone = zone.Name
	d.out.OffsetSeconds = zone.OffsetAt(d.oldest())
}

func (d *decoder) oldest() time.Time {
	if len(d.out.Messages) == 0 {
		return time.Time{}
	}
	return d.out.Messages[0].CreationTime
}
