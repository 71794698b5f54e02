package main

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/scaffold/template/fakecrm"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// startCRM runs a fake CRM that takes the token of sdktest.Request, and returns it
// with an adapter that is configured for it as a host would.
func startCRM(t *testing.T) (*fakecrm.CRM, *Adapter) {
	t.Helper()
	crm := fakecrm.New(sdktest.Token)
	server := httptest.NewServer(crm)
	t.Cleanup(server.Close)
	t.Setenv("ACME_BASE_URL", server.URL)
	t.Setenv("PATCHBAY_ALLOW_PRIVATE", "127.0.0.1")
	a, ok := New().(*Adapter)
	if !ok {
		t.Fatalf("New returned a %T", New())
	}
	t.Cleanup(a.crm.Close)
	return crm, a
}

// TestContract holds the adapter against what every host expects of every adapter.
func TestContract(t *testing.T) {
	var crms []*fakecrm.CRM
	notes := func() (stored []string) { // of the CRMs of all cases
		for _, crm := range crms {
			for _, note := range crm.Notes() {
				stored = append(stored, fmt.Sprintf("%+v", note))
			}
		}
		return stored
	}
	sdktest.Run(t, func(t *testing.T) sdk.Adapter {
		crm, a := startCRM(t)
		crms = append(crms, crm)
		return a
	}, sdktest.WithWrites(func() int { return len(notes()) }), sdktest.WithRecords(notes))
}

func TestNote(t *testing.T) {
	crm, a := startCRM(t)
	req := sdktest.Request(sdktest.Message(1, "Flight <b>information</b>"), sdktest.Message(2, "Thank you"))
	req.AdditionalSubmission = sdk.Values{"project": sdk.TextValue("apollo")}
	req.Settings = sdk.Values{"titlePrefix": sdk.TextValue("[SMS]")}
	resp, err := a.AddMessageLog(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	notes := crm.Notes()
	if len(notes) != 1 || resp.LogID != "1" {
		t.Fatalf("log ID %q, and the CRM holds %+v", resp.LogID, notes)
	}
	n := notes[0]
	if n.ContactID != "7" || n.Project != "apollo" || !n.OccurredAt.Equal(req.Messages[0].CreationTime) {
		t.Errorf("the note is %+v", n)
	}
	if !strings.HasPrefix(n.Title, "[SMS] ") || !strings.Contains(n.Body, "Flight &lt;b&gt;information&lt;/b&gt;") {
		t.Errorf("title %q, body %q", n.Title, n.Body)
	}
}

func TestRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		class  fault.Class
		notes  int // that the CRM holds afterwards
	}{
		"refused":            {400, fault.Permanent, 0},
		"limited":            {429, fault.Retryable, 0},
		"stored, but failed": {500, fault.Unknown, 1},
	} {
		t.Run(name, func(t *testing.T) {
			crm, a := startCRM(t)
			crm.FailNext(test.status)
			_, err := a.AddMessageLog(t.Context(), sdktest.Request())
			if err == nil || fault.ClassOf(err) != test.class || len(crm.Notes()) != test.notes {
				t.Errorf("got %v of class %s, and the CRM holds %d notes", err, fault.ClassOf(err), len(crm.Notes()))
			}
		})
	}
}

func TestFind(t *testing.T) {
	crm, a := startCRM(t)
	req := sdktest.Request()
	for _, want := range []string{"1", "1 2", "1 2 3"} { // more than one page
		if _, err := a.AddMessageLog(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		found, err := a.FindMessageLog(t.Context(), sdktest.FindRequest(req))
		if err != nil || found.Verdict != sdk.VerdictFound || strings.Join(found.LogIDs, " ") != want {
			t.Errorf("got %+v %v, want notes %s", found, err, want)
		}
	}
	crm.FailNext(429)
	found, err := a.FindMessageLog(t.Context(), sdktest.FindRequest(req))
	if err != nil || found.Verdict != sdk.VerdictCannotTell {
		t.Errorf("a search that the CRM refused: %+v %v, want cannot tell", found, err)
	}
}

func TestMisconfigured(t *testing.T) {
	t.Setenv("ACME_BASE_URL", "no URL")
	a := New()
	health, err := a.(sdk.HealthChecker).CheckHealth(t.Context(), &sdk.CheckHealthRequest{})
	if err != nil || health.Serving || health.Message == "" {
		t.Errorf("got %+v %v, want not serving and the reason", health, err)
	}
	if _, err := a.AddMessageLog(t.Context(), sdktest.Request()); fault.ClassOf(err) != fault.Permanent {
		t.Errorf("got %v, want a permanent fault", err)
	}
}
