package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
)

// maxMessageFile is the largest message file, in bytes; the host has a limit of
// its own.
const maxMessageFile = 64 << 20

// result is the host's answer to addMessageLog.
type result struct {
	MessageLogID  string `json:"messageLogId"`
	LogID         string `json:"logId"`
	State         string `json:"state"`
	Duplicate     bool   `json:"duplicate"`
	LogURL        string `json:"logUrl"`
	ReturnMessage *struct {
		Message     string `json:"message"`
		MessageType string `json:"messageType"`
	} `json:"returnMessage"`
	Messages []messageState `json:"messages"`
}

// addFlags are what message add puts into the request beside the messages.
type addFlags struct {
	tenant, adapter                           string
	contactID, contactType, contactName       string
	contactPhone, userID, userName, userHost  string
	authHeader, recordingLink, timezoneOffset string
	fields                                    []string
	wait                                      time.Duration
}

func (a *app) messageAdd() *cobra.Command {
	var f addFlags
	cmd := &cobra.Command{
		Use:   "add FILE",
		Short: "Log a message, or a group, and print the log ID",
		Long: `Reads FILE ("-" for standard input), sends its messages to the CRM through an
adapter, and prints the log ID on standard output.

FILE holds one message of the RingCentral Message Store, an array of messages of
one conversation, or a whole request body as the HTTP API takes it. Flags override
members of a request body. Sending the same messages again is harmless: the answer
is the same log ID.

--field name=text submits a custom field as text; name:=json submits any JSON
value.`,
		Example: `  patchbay message add message.json --tenant acme --adapter examplecrm --contact-id 7 --auth-header @header.txt
  PATCHBAY_AUTH_HEADER="Bearer $TOKEN" patchbay message add group.json --tenant acme --adapter pipedrive \
      --contact-id 7 --contact-type person --user-hostname acme.pipedrive.com --field deals:=88001
  patchbay message add request.json --tenant acme --adapter examplecrm --wait 10s --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.add(cmd, &f, args[0]) },
	}
	tenantFlag(cmd, &f.tenant)
	flags := cmd.Flags()
	flags.StringVar(&f.adapter, "adapter", "", "the adapter's name")
	flags.StringVar(&f.contactID, "contact-id", "", "contactInfo.id, a number or text")
	flags.StringVar(&f.contactType, "contact-type", "", "contactInfo.type")
	flags.StringVar(&f.contactName, "contact-name", "", "contactInfo.name")
	flags.StringVar(&f.contactPhone, "contact-phone", "", "contactInfo.phoneNumber, as +16505553204")
	flags.StringVar(&f.userID, "user-id", "", "user.id")
	flags.StringVar(&f.userName, "user-name", "", "user.name")
	flags.StringVar(&f.userHost, "user-hostname", "", "user.hostname, the CRM's host name")
	flags.StringVar(&f.authHeader, "auth-header", "", "file of the Authorization header for the CRM as @FILE (default $PATCHBAY_AUTH_HEADER)")
	flags.StringArrayVar(&f.fields, "field", nil, "custom field as name=text or name:=json; may be repeated")
	flags.StringVar(&f.recordingLink, "recording-link", "", "link to the recording of a voicemail")
	flags.StringVar(&f.timezoneOffset, "timezone-offset", "", "time zone of the texts, as +08:00 or an IANA name")
	waitFlag(cmd, &f.wait)
	return cmd
}

func waitFlag(cmd *cobra.Command, wait *time.Duration) {
	cmd.Flags().DurationVar(wait, "wait", 0, "how long to wait for the outcome (default the adapter's call timeout)")
}

// preferWait returns the header that tells the host how long the caller waits.
func preferWait(wait time.Duration) (http.Header, error) {
	if wait < 0 {
		return nil, usagef("--wait must not be negative")
	}
	if wait == 0 {
		return nil, nil
	}
	seconds := max(1, (wait+time.Second-1)/time.Second)
	return http.Header{"Prefer": {"wait=" + strconv.Itoa(int(seconds))}}, nil
}

func (a *app) add(cmd *cobra.Command, f *addFlags, file string) error {
	tenant, err := a.tenantOf(f.tenant)
	if err != nil {
		return err
	}
	if f.adapter == "" {
		return usagef("name the adapter with --adapter")
	}
	data, err := a.input(file, maxMessageFile)
	if err != nil {
		return fmt.Errorf("read the messages: %w", err)
	}
	body, err := requestBody(data)
	if err != nil {
		return fmt.Errorf("read the messages of %s: %w", file, err)
	}
	auth, err := a.secret("--auth-header", f.authHeader, "PATCHBAY_AUTH_HEADER")
	if err != nil {
		return err
	}
	if err := f.apply(body, auth); err != nil {
		return err
	}
	header, err := preferWait(f.wait)
	if err != nil {
		return err
	}
	return a.call(cmd, request{
		method: http.MethodPost, path: pathOf("v1", "tenants", tenant, "adapters", f.adapter, "message-logs"),
		body: json.RawMessage(body.bytes()), header: header,
	})
}

// call sends a request that answers as addMessageLog does, and prints the log ID.
func (a *app) call(cmd *cobra.Command, r request) error { return exchange(a, cmd, r, a.printResult) }

func (a *app) printResult(out result) error {
	what := "logged now"
	if out.Duplicate {
		what = "was logged before"
	}
	fmt.Fprintf(a.env.Err, "%s; message log %s\n", what, printable(out.MessageLogID, false))
	for _, m := range out.Messages {
		if m.LogID != out.LogID {
			fmt.Fprintf(a.env.Err, "message %s: %s, log ID %s\n", printable(m.ID, false), printable(m.State, false), printable(m.LogID, false))
		}
	}
	if out.LogURL != "" {
		fmt.Fprintf(a.env.Err, "page: %s\n", printable(out.LogURL, false))
	}
	if out.ReturnMessage != nil {
		fmt.Fprintf(a.env.Err, "%s: %s\n", printable(out.ReturnMessage.MessageType, false), printable(out.ReturnMessage.Message, false))
	}
	_, err := fmt.Fprintln(a.env.Out, printable(out.LogID, false))
	return err
}

// object is a JSON object whose members keep their bytes and their order.
type object struct {
	names  []string
	values map[string]json.RawMessage
}

func newObject(n *strictjson.Node) *object {
	o := &object{values: map[string]json.RawMessage{}}
	for _, m := range n.Members() {
		o.set(m.Name, m.Value.Raw())
	}
	return o
}

func (o *object) set(name string, raw json.RawMessage) {
	if _, ok := o.values[name]; !ok {
		o.names = append(o.names, name)
	}
	o.values[name] = raw
}

// setText sets a member to a text unless that is empty.
func (o *object) setText(name, text string) {
	if text != "" {
		o.set(name, quote(text))
	}
}

func (o *object) bytes() []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, name := range o.names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(name))
		b.WriteByte(':')
		b.Write(o.values[name])
	}
	b.WriteByte('}')
	return b.Bytes()
}

// quote returns the text as a JSON string.
func quote(text string) json.RawMessage {
	raw, err := json.Marshal(text)
	if err != nil { // a string can always be written
		panic(err)
	}
	return raw
}

// requestBody makes a request body of a message, a group, or a request body.
func requestBody(data []byte) (*object, error) {
	root, err := strictjson.Parse(bytes.TrimSpace(data))
	if err != nil {
		return nil, err
	}
	switch {
	case root.Is(strictjson.Object) && (root.Get("message") != nil || root.Get("messages") != nil):
		return newObject(root), nil
	case root.Is(strictjson.Object), root.Is(strictjson.Array):
		body := &object{values: map[string]json.RawMessage{}}
		body.set("message", root.Raw())
		return body, nil
	}
	return nil, fmt.Errorf("it holds %s where a message, an array of messages or a request body is wanted", root.Kind())
}

// apply puts what the flags say into the body.
func (f *addFlags) apply(body *object, auth sdk.Secret) error {
	if err := within(body, "contactInfo", func(o *object) {
		if _, err := sdk.ParseID([]byte(f.contactID)); err == nil && f.contactID[0] != '"' {
			o.set("id", json.RawMessage(f.contactID))
		} else {
			o.setText("id", f.contactID)
		}
		o.setText("type", f.contactType)
		o.setText("name", f.contactName)
		o.setText("phoneNumber", f.contactPhone)
	}); err != nil {
		return err
	}
	if err := within(body, "user", func(o *object) {
		o.setText("id", f.userID)
		o.setText("name", f.userName)
		o.setText("hostname", f.userHost)
	}); err != nil {
		return err
	}
	fields, err := f.submission()
	if err != nil {
		return err
	}
	if err := within(body, "additionalSubmission", func(o *object) {
		for _, name := range fields.names {
			o.set(name, fields.values[name])
		}
	}); err != nil {
		return err
	}
	body.setText("recordingLink", f.recordingLink)
	body.setText("timezoneOffset", f.timezoneOffset)
	body.setText("authHeader", auth.Reveal())
	return nil
}

// submission reads the --field flags.
func (f *addFlags) submission() (*object, error) {
	fields := &object{values: map[string]json.RawMessage{}}
	for _, field := range f.fields {
		name, value, ok := strings.Cut(field, "=")
		if !ok || name == "" || name == ":" {
			return nil, usagef("--field must be name=text or name:=json")
		}
		plain, isJSON := strings.CutSuffix(name, ":")
		if !isJSON {
			fields.set(name, quote(value))
			continue
		}
		if _, err := strictjson.Parse([]byte(value)); err != nil {
			return nil, usagef("--field %s: the value is no JSON: %w", plain, err)
		}
		fields.set(plain, json.RawMessage(value))
	}
	return fields, nil
}

// within changes a member of body that is an object, and leaves it out when
// nothing is in it.
func within(body *object, name string, change func(*object)) error {
	inner := &object{values: map[string]json.RawMessage{}}
	if raw, ok := body.values[name]; ok {
		n, err := strictjson.Parse(raw)
		if err != nil {
			return err
		}
		if !n.Is(strictjson.Object) {
			return nil // the host says what is wrong with it
		}
		inner = newObject(n)
	}
	before := len(inner.names)
	change(inner)
	if len(inner.names) > 0 || before > 0 {
		body.set(name, inner.bytes())
	}
	return nil
}
