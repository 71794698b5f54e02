package sdk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/render"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// Adapter is an adapter for a CRM with one kind of contact. Its whole main
// function is serve.Adapter(&Adapter{crm: client}), with client from
// crmhttp.New(crmhttp.FromEnv("ACME")).
type Adapter struct{ crm *crmhttp.Client }

type activity struct {
	Person     int64  `json:"personId"`
	Deal       string `json:"dealId,omitempty"`
	Note       string `json:"note"`
	ExternalID string `json:"externalId"`
}

func (a *Adapter) AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	person, err := req.ContactInfo.ID.Int64()
	if err != nil {
		return nil, fault.Rejected("contact id must be a number")
	}
	var out struct {
		ID json.Number `json:"id"`
	}
	err = a.crm.For(req).PostJSON(ctx, "/activities", activity{
		Person: person, Deal: req.Field("deal").String(),
		Note: render.HTML(req), ExternalID: req.IdempotencyKey,
	}, &out)
	if err != nil {
		return nil, err // already classified
	}
	return sdk.Logged(out.ID.String()), nil
}

func Example() {
	// A CRM that stores nothing and answers every activity with the same ID.
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in activity
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, "not an activity", http.StatusBadRequest)
			return
		}
		fmt.Println("the CRM gets person", in.Person, "deal", in.Deal, "with the text:", strings.Contains(in.Note, "Flight information"))
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprint(w, `{"id": 5512}`)
	}))
	defer crm.Close()
	client, err := crmhttp.New(crmhttp.Config{BaseURL: crm.URL, AllowPrivate: []string{"127.0.0.1"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	adapter := &Adapter{crm: client}

	req := sdktest.Request() // one SMS, contact 7
	req.AdditionalSubmission = sdk.Values{"deal": sdk.RawValue([]byte("88001"))}
	resp, err := adapter.AddMessageLog(context.Background(), req)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("log ID", resp.LogID)

	req.ContactInfo.ID = sdk.StringID("0031i000009xYzA")
	_, err = adapter.AddMessageLog(context.Background(), req)
	fmt.Printf("%v (%s)\n", err, fault.ClassOf(err))
	// Output:
	// the CRM gets person 7 deal 88001 with the text: true
	// log ID 5512
	// crm_rejected: contact id must be a number (permanent)
}

func ExampleParseID() {
	number, _ := sdk.ParseID([]byte(`5578984350117917661`))
	text, _ := sdk.ParseID([]byte(`"5578984350117917661"`))
	fmt.Println(number, number.String() == text.String(), number.IsNumber(), text.IsNumber())
	// Output: 5578984350117917661 true true false
}

func ExampleSecret() {
	secret := sdk.NewSecret("Bearer abc")
	fmt.Printf("%v %q %#v %d\n", secret, secret, secret, len(secret.Reveal()))
	// Output: [redacted] [redacted] [redacted] 10
}

func ExampleAddMessageLogRequest_Location() {
	req := &sdk.AddMessageLogRequest{Zone: "America/Los_Angeles", Messages: []sdk.Message{sdktest.SeedMessage()}}
	fmt.Println(req.Messages[0].CreationTime.In(req.Location()).Format("2 Jan 2006 15:04 -07:00"))
	// Output: 18 Feb 2015 05:24 -08:00
}

func ExampleParseZone() {
	for _, raw := range []string{`"+08:00"`, `-3.5`, `"-300"`, `"Asia/Kathmandu"`, `null`} {
		zone, known, _ := sdk.ParseZone([]byte(raw))
		fmt.Printf("%s: %v %q %d\n", raw, known, zone.Name, zone.OffsetSeconds)
	}
	// Output:
	// "+08:00": true "" 28800
	// -3.5: true "" -12600
	// "-300": true "" -18000
	// "Asia/Kathmandu": true "Asia/Kathmandu" 0
	// null: false "" 0
}
