package relay

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

const secretMark = "zz-SECRET-zz"

// fullBody is a good request that uses every member.
const fullBody = `{
	"user":{"id":"42","name":"Ada","hostname":"x.acme.example","timezone":"UTC","userSettings":{"prefix":{"value":"p"}}},
	"contactInfo":{"id":7,"type":"person","phoneNumber":"+16505553204","name":"Bob"},
	"authHeader":"Bearer good",
	"message":[{"id":"A","creationTime":"2026-01-02T03:04:05Z","conversationId":1,"from":{"name":"x"}},{"id":"B","creationTime":1767323045000}],
	"additionalSubmission":{"deal":1,"note":"n"},"recordingLink":"https://media.example/1","timezoneOffset":"+08:00"}`

// nodes returns every value of a document.
func nodes(n *strictjson.Node) []*strictjson.Node {
	all := []*strictjson.Node{n}
	for _, m := range n.Members() {
		all = append(all, nodes(m.Value)...)
	}
	for _, item := range n.Items() {
		all = append(all, nodes(item)...)
	}
	return all
}

// shows reports whether anything of the error, causes included, has the mark.
func shows(err error) bool {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if strings.Contains(fmt.Sprintf("%v %+v %#v", e, e, e), secretMark) {
			return true
		}
	}
	return false
}

// TestNoValueInErrors puts a marked secret into every place of a request in turn,
// in the shape of every type.
func TestNoValueInErrors(t *testing.T) {
	t.Parallel()
	route := testRoute(t)
	if _, err := decode([]byte(fullBody), route); err != nil {
		t.Fatal(err)
	}
	root, err := strictjson.Parse([]byte(fullBody))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, n := range nodes(root) {
		for _, value := range []string{
			`"` + secretMark + `"`, `["` + secretMark + `"]`, `{"a":"` + secretMark + `"}`,
			`"` + secretMark + `\u0000"`, `"` + secretMark + `\n"`, `"` + secretMark + `.acme.example:1"`,
			`"https:// ` + secretMark + `"`, `"` + strings.Repeat(secretMark, 1000) + `"`,
		} {
			body := replaceAt(t, []byte(fullBody), n, value)
			_, err := decode(body, route)
			if err != nil {
				refused++
			}
			if shows(err) {
				t.Errorf("%s = %.40s: the error shows the value: %v", n.Pointer(), value, err)
			}
			if _, err = decode(body[:len(body)-2], route); err == nil || shows(err) {
				t.Errorf("%s = %.40s, cut short: %v", n.Pointer(), value, err)
			}
		}
	}
	if refused < 150 {
		t.Errorf("only %d of the bodies were refused", refused)
	}
}

// replaceAt returns the document with another value in the place of n.
func replaceAt(t *testing.T, doc []byte, n *strictjson.Node, value string) []byte {
	t.Helper()
	var edit func(raw []byte, tokens []string) []byte
	edit = func(raw []byte, tokens []string) []byte {
		if len(tokens) == 0 {
			return []byte(value)
		}
		here, err := strictjson.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, m := range here.Members() {
			child := m.Value.Raw()
			if m.Name == tokens[0] {
				child = edit(child, tokens[1:])
			}
			parts = append(parts, fmt.Sprintf("%q:%s", m.Name, child))
		}
		for i, item := range here.Items() {
			child := item.Raw()
			if fmt.Sprint(i) == tokens[0] {
				child = edit(child, tokens[1:])
			}
			parts = append(parts, string(child))
		}
		if here.Is(strictjson.Array) {
			return []byte("[" + strings.Join(parts, ",") + "]")
		}
		return []byte("{" + strings.Join(parts, ",") + "}")
	}
	tokens := strings.Split(n.Pointer(), "/")[1:]
	return edit(doc, tokens)
}

func TestPersonsInputIsNotShownEither(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]ResolveCall{
		"auth":          {LogID: "R1", AuthHeader: sdk.NewSecret(secretMark + "\n")},
		"log ID":        {LogID: secretMark + "\n"},
		"log ID, long":  {LogID: strings.Repeat(secretMark, 100)},
		"both":          {LogID: secretMark, NotLogged: true},
		"neither":       {},
		"auth too long": {NotLogged: true, AuthHeader: sdk.NewSecret(strings.Repeat(secretMark, 1000))},
	} {
		err := checkResolution(call)
		if fault.CodeOf(err) != fault.InvalidFields || shows(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, call := range map[string]ResolveCall{
		"log ID": {LogID: "R1", AuthHeader: sdk.NewSecret("Bearer x")}, "not logged": {NotLogged: true},
	} {
		if err := checkResolution(call); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzDecode demands of any body: a fault that shows no value, or a request that
// keeps the bounds.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(fullBody))
	f.Add(body("Bearer "+secretMark, "A", "B"))
	f.Add([]byte(`{"contactInfo":{"id":"` + secretMark + `"},"messages":[],"timezoneOffset":"` + secretMark + `"}`))
	f.Add([]byte(`{"user":{"hostname":"` + secretMark + `"},"message":{"id":1e5,"creationTime":"` + secretMark + `"}}`))
	f.Add([]byte(`[]`))
	f.Add([]byte(`{"message":[{},[],null,1,"x"],"additionalSubmission":{"deal":{}},"authHeader":null}`))
	route := testRoute(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		kept := bytes.Clone(raw)
		req, err := decode(raw, route)
		if !bytes.Equal(raw, kept) {
			t.Fatal("the body was changed")
		}
		if err != nil {
			if code := fault.CodeOf(err); (code != fault.InvalidFields && code != fault.MalformedRequest) || fault.ClassOf(err) != fault.Permanent {
				t.Fatalf("fault %v", err)
			}
			if shows(err) && !nameShows(raw, err) {
				t.Fatalf("the error shows a value: %v", err)
			}
			return
		}
		checkRequest(t, req)
	})
}

// nameShows reports whether it is the name of a member in which the mark stands:
// names may be shown.
func nameShows(raw []byte, err error) bool {
	root, syntax := strictjson.Parse(raw)
	if syntax != nil {
		text, _, named := strings.Cut(fault.MessageOf(err), `, in "`)
		return named && !strings.Contains(text, secretMark)
	}
	return slices.ContainsFunc(nodes(root), func(n *strictjson.Node) bool {
		return slices.ContainsFunc(n.Members(), func(m strictjson.Member) bool { return strings.Contains(m.Name, "SECRET") })
	})
}

func checkRequest(t *testing.T, req *request) {
	t.Helper()
	if len(req.Messages) == 0 || len(req.Messages) > maxMessages || len(req.order) != len(req.Messages) {
		t.Fatalf("%d messages, %d ids", len(req.Messages), len(req.order))
	}
	seen := map[string]bool{}
	for i, m := range req.Messages {
		id := m.ID.String()
		if seen[id] || id == "" || len(id) > sdk.MaxIDBytes || !slices.Contains(req.order, id) || !json.Valid(m.Raw) {
			t.Fatalf("message %d: id %q", i, id)
		}
		seen[id] = true
		if i > 0 {
			before := req.Messages[i-1]
			if cmp.Or(before.CreationTime.Compare(m.CreationTime), compareIDs(before.ID.String(), id)) >= 0 {
				t.Fatalf("message %d stands before an older one", i-1)
			}
		}
	}
	if req.ContactInfo.ID.IsZero() || req.AuthHeader.IsZero() || req.account == "" {
		t.Fatalf("a required member is missing: %+v", req)
	}
	if req.OffsetSeconds < -15*3600 || req.OffsetSeconds > 15*3600 {
		t.Fatalf("offset %d s", req.OffsetSeconds)
	}
}
