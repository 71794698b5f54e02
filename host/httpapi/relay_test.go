package httpapi_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/host/store/memory"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// oneRoute is the route to the test adapter, whoever asks.
type oneRoute struct{ to relay.Route }

func (r *oneRoute) Route(string, string) (*relay.Route, error) { return &r.to, nil }

// noAdapters has no process: no call of these tests gets that far.
type noAdapters struct{}

func (noAdapters) Acquire(context.Context, relay.Target) (relay.Process, error) {
	return nil, fault.New(fault.AdapterUnavailable, "")
}

// The body of addMessageLog is read by package relay; the document must describe
// what that reads.
func TestDocumentedMembersAreThoseOfTheRelay(t *testing.T) {
	t.Parallel()
	f := setup(t)
	whole, err := relay.New(relay.Config{}, relay.Deps{
		Store: memory.New(nil), Adapters: noAdapters{}, Sealer: fakeSealer{}, Log: slog.New(slog.DiscardHandler),
		Routes: &oneRoute{relay.Route{
			Tenant: "acme", Adapter: "crm", Version: "1.0.0", Enabled: true, Manifest: f.catalog.packages[0].Manifest,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.relay.add = whole.AddMessageLog
	f.do(http.MethodGet, "/healthz", "", "")
	unknown := func(pointer, body string) bool {
		p := f.do(http.MethodPost, addPath, f.acme, body).refused(t, fault.InvalidFields)
		return slices.ContainsFunc(p.Errors, func(e fieldFault) bool {
			return e.Pointer == pointer && e.Code == "unknown_member"
		})
	}
	schemas := theSpec.spec.object("components", "schemas")
	if schemas["AddBody"] == nil {
		t.Fatal("no schema of the body")
	}
	for member := range theSpec.spec.object("components", "schemas", "AddBody", "properties") {
		if unknown("/"+member, `{"`+member+`":[[]]}`) {
			t.Errorf("the documented member %s is not taken", member)
		}
	}
	if !unknown("/strange", `{"strange":1}`) {
		t.Error("a strange member is taken")
	}
	// And each is read: a value of the wrong type is a fault of that member.
	for _, member := range []string{"user", "contactInfo", "authHeader", "message", "messages", "additionalSubmission", "recordingLink", "timezoneOffset"} {
		p := f.do(http.MethodPost, addPath, f.acme, `{"`+member+`":true}`).refused(t, fault.InvalidFields)
		if !slices.ContainsFunc(p.Errors, func(e fieldFault) bool { return e.Pointer == "/"+member }) {
			t.Errorf("%s is not read: %v", member, p.Errors)
		}
		if theSpec.spec.object("components", "schemas", "AddBody", "properties", member) == nil {
			t.Errorf("%s is not documented", member)
		}
	}
	// The relay's own refusals repeat no value either.
	for _, body := range mutations(t, bodyRoutes[0].body) {
		r := f.do(http.MethodPost, addPath, f.acme, body)
		if r.StatusCode < 300 {
			t.Fatalf("taken without an adapter: %.200s", body)
		}
		p, err := r.problem()
		if err != nil {
			t.Fatal(err)
		}
		p.Messages = nil // the ids of messages are shown
		if strings.Contains(fmt.Sprintf("%+v", p), marker) {
			t.Fatalf("body %.200s\nis answered %s", body, r.body)
		}
	}
	if strings.Contains(f.logs.String(), marker) {
		t.Error("the log repeats a value")
	}
}
