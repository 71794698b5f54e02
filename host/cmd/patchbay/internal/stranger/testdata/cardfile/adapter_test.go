package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"example.com/cardfile/crm"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

const key = "cardfile-test-key"

// basic returns the Authorization header for a key.
func basic(key string) sdk.Secret {
	return sdk.NewSecret("Basic " + base64.StdEncoding.EncodeToString([]byte(key+":")))
}

// startCRM runs a cardfile with contact 7 and the folder Inbox, and returns it with
// an adapter that is configured for it as a host would.
func startCRM(t *testing.T) (*crm.CRM, *Adapter) {
	t.Helper()
	c := crm.New(key, []string{"7"}, []string{"Inbox"})
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	t.Setenv("CARDFILE_BASE_URL", server.URL)
	t.Setenv("PATCHBAY_ALLOW_PRIVATE", "127.0.0.1")
	a, ok := New().(*Adapter)
	if !ok {
		t.Fatalf("New returned a %T", New())
	}
	t.Cleanup(a.crm.Close)
	return c, a
}

// newRequest returns a request that startCRM's cardfile takes.
func newRequest() *sdk.AddMessageLogRequest {
	req := sdktest.Request()
	req.AuthHeader = basic(key)
	return req
}

// TestContract holds the adapter against what every host expects of every adapter.
func TestContract(t *testing.T) {
	var crms []*crm.CRM
	sdktest.Run(t, func(t *testing.T) sdk.Adapter {
		c, a := startCRM(t)
		crms = append(crms, c)
		return a
	}, sdktest.WithRequest(newRequest), sdktest.WithSearchLag(0), sdktest.WithWrites(func() (writes int) {
		for _, c := range crms {
			writes += c.Writes()
		}
		return writes
	}), sdktest.WithRecords(func() (records []string) {
		for _, c := range crms {
			for _, card := range c.Cards() {
				records = append(records, fmt.Sprintf("%+v", card))
			}
		}
		return records
	}))
}

func TestCard(t *testing.T) {
	c, a := startCRM(t)
	req := newRequest()
	first := sdktest.MessageWith(map[string]any{"id": 1, "subject": "Flight <b>information</b>", "creationTime": "2015-02-18T21:24:50.999+08:00"})
	req.Messages = []sdk.Message{first, sdktest.Message(2, "Thank you")}
	req.AdditionalSubmission = sdk.Values{"folder": sdk.TextValue("Inbox")}
	req.Settings = sdk.Values{"titlePrefix": sdk.TextValue(" [SMS]\n")}
	resp, err := a.AddMessageLog(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	cards := c.Cards()
	if len(cards) != 1 || resp.LogID != "1001" || resp.ReturnMessage != nil {
		t.Fatalf("got %+v, and the CRM holds %+v", resp, cards)
	}
	card := cards[0]
	if card.Contact != "7" || card.Folder != "Inbox" || card.Ref != req.IdempotencyKey {
		t.Errorf("the card is %+v", card)
	}
	if want := time.Date(2015, 2, 18, 13, 24, 50, 0, time.UTC); !card.When.Equal(want) {
		t.Errorf("the card is of %v, want %v", card.When, want)
	}
	if !strings.HasPrefix(card.Title, "[SMS] ") {
		t.Errorf("title %q", card.Title)
	}
	for _, text := range []string{"Flight <b>information</b>", "Thank you"} {
		if !strings.Contains(card.Body, text) {
			t.Errorf("%q is not in the body %q", text, card.Body)
		}
	}
}

// TestLongTexts gives cardfile as much as it takes, and no more.
func TestLongTexts(t *testing.T) {
	c, a := startCRM(t)
	req := newRequest()
	req.Messages = []sdk.Message{sdktest.Message(1, strings.Repeat("é", 20_000))}
	req.Settings = sdk.Values{"titlePrefix": sdk.TextValue(strings.Repeat("é", 300))}
	if _, err := a.AddMessageLog(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if card := c.Cards()[0]; utf8.RuneCountInString(card.Title) != crm.MaxTitle || utf8.RuneCountInString(card.Body) > crm.MaxBody {
		t.Errorf("title %q, body of %d bytes", card.Title, len(card.Body))
	}
}

// TestAnswers holds every answer of cardfile to a new card against what the host is
// to believe.
func TestAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		fault crm.Fault
		code  fault.Code
		class fault.Class
		wait  time.Duration
		cards int // that the CRM holds afterwards
	}{
		"bad request":           {crm.Fault{Status: 400, Body: "title: missing"}, fault.CRMRejected, fault.Permanent, 0, 0},
		"unknown key":           {crm.Fault{Status: 401}, fault.CRMUnauthorized, fault.Permanent, 0, 0},
		"no such contact":       {crm.Fault{Status: 409, Body: "no such contact"}, fault.CRMRejected, fault.Permanent, 0, 0},
		"limited":               {crm.Fault{Status: 429, Header: map[string]string{"X-Wait-Seconds": "9"}}, fault.RateLimited, fault.Retryable, 9 * time.Second, 0},
		"limited, no wait":      {crm.Fault{Status: 429}, fault.RateLimited, fault.Retryable, 0, 0},
		"busy":                  {crm.Fault{Status: 503}, fault.CRMUnavailable, fault.Retryable, 0, 0},
		"failed":                {crm.Fault{Status: 500}, fault.Outcome, fault.Unknown, 0, 0},
		"failed, but stored":    {crm.Fault{Status: 500, Stored: true}, fault.Outcome, fault.Unknown, 0, 1},
		"reset, but stored":     {crm.Fault{Reset: true, Stored: true}, fault.Outcome, fault.Unknown, 0, 1},
		"no address":            {crm.Fault{Header: map[string]string{"Location": ""}, Stored: true}, fault.Outcome, fault.Unknown, 0, 1},
		"address of no card":    {crm.Fault{Header: map[string]string{"Location": "/login"}, Stored: true}, fault.Outcome, fault.Unknown, 0, 1},
		"address without ID":    {crm.Fault{Header: map[string]string{"Location": "/api/cards/"}, Stored: true}, fault.Outcome, fault.Unknown, 0, 1},
		"a page, and no card":   {crm.Fault{Body: "<html>welcome</html>"}, fault.Outcome, fault.Unknown, 0, 0},
		"redirect after a POST": {crm.Fault{Status: 303, Stored: true}, fault.Outcome, fault.Unknown, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c, a := startCRM(t)
			c.Fail(test.fault)
			_, err := a.AddMessageLog(t.Context(), newRequest())
			if fault.CodeOf(err) != test.code || fault.ClassOf(err) != test.class || fault.RetryAfterOf(err) != test.wait {
				t.Errorf("got %v: %s, %s, wait %s", err, fault.CodeOf(err), fault.ClassOf(err), fault.RetryAfterOf(err))
			}
			if len(c.Cards()) != test.cards || c.Writes() != 1 {
				t.Errorf("the CRM holds %d cards after %d writes", len(c.Cards()), c.Writes())
			}
			if test.class == fault.Permanent && test.fault.Body != "" && !strings.Contains(fault.MessageOf(err), test.fault.Body) {
				t.Errorf("the message is %q, want cardfile's reason in it", fault.MessageOf(err))
			}
		})
	}
}

// TestFolderRefused: the card exists, so the call has succeeded, whatever becomes
// of the folder.
func TestFolderRefused(t *testing.T) {
	for name, f := range map[string]crm.Fault{
		"no such folder": {Method: "PUT", Status: 404},
		"unknown key":    {Method: "PUT", Status: 401},
		"limited":        {Method: "PUT", Status: 429, Header: map[string]string{"X-Wait-Seconds": "9"}},
		"failed":         {Method: "PUT", Status: 500},
		"reset":          {Method: "PUT", Reset: true},
	} {
		t.Run(name, func(t *testing.T) {
			c, a := startCRM(t)
			c.Fail(f)
			req := newRequest()
			req.AdditionalSubmission = sdk.Values{"folder": sdk.TextValue("Inbox")}
			client := sdktest.Pair(t, a) // the SDK's server must believe it, too
			resp, err := client.AddMessageLog(t.Context(), req)
			if err != nil || resp.LogID != "1001" {
				t.Fatalf("got %+v %v, want card 1001", resp, err)
			}
			if m := resp.ReturnMessage; m == nil || m.MessageType != sdk.Warning {
				t.Errorf("the user is told %+v, want a warning", m)
			}
			if cards := c.Cards(); len(cards) != 1 || cards[0].Folder != "" {
				t.Errorf("the CRM holds %+v", cards)
			}
		})
	}
}

func TestFind(t *testing.T) {
	c, a := startCRM(t)
	req := newRequest()
	search := sdktest.FindRequest(req)
	if found, err := a.FindMessageLog(t.Context(), search); err != nil || found.Verdict != sdk.VerdictNotFound || found.AsOf.IsZero() {
		t.Errorf("got %+v %v, want not found", found, err)
	}
	for _, want := range []string{"1001", "1001 1002", "1001 1002 1003"} { // more than one page
		if _, err := a.AddMessageLog(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		found, err := a.FindMessageLog(t.Context(), search)
		if err != nil || found.Verdict != sdk.VerdictFound || strings.Join(found.LogIDs, " ") != want {
			t.Errorf("got %+v %v, want cards %s", found, err, want)
		}
	}
	if c.Writes() != 3 {
		t.Errorf("%d writes, want 3: a search writes nothing", c.Writes())
	}
}

// TestFindOtherKeys: cardfile finds a key in the middle of another one.
func TestFindOtherKeys(t *testing.T) {
	_, a := startCRM(t)
	req := newRequest()
	short := req.IdempotencyKey
	for range 5 { // three pages
		req.IdempotencyKey = short + "0"
		if _, err := a.AddMessageLog(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	req.IdempotencyKey = short
	found, err := a.FindMessageLog(t.Context(), sdktest.FindRequest(req))
	if err != nil || found.Verdict != sdk.VerdictNotFound {
		t.Errorf("got %+v %v, want not found", found, err)
	}
}

func TestFindCannotTell(t *testing.T) {
	for name, test := range map[string]struct {
		faults []crm.Fault
		wait   time.Duration
	}{
		"limited":             {[]crm.Fault{{Status: 429, Header: map[string]string{"X-Wait-Seconds": "9"}}}, 9 * time.Second},
		"unknown key":         {[]crm.Fault{{Status: 401}}, 0},
		"nothing there":       {[]crm.Fault{{Status: 404}}, 0},
		"reset":               {[]crm.Fault{{Reset: true}}, 0},
		"a page":              {[]crm.Fault{{Body: "<html></html>"}}, 0},
		"other JSON":          {[]crm.Fault{{Body: "{}"}}, 0},
		"no more":             {[]crm.Fault{{Body: `{"cards":[]}`}}, 0},
		"no ref":              {[]crm.Fault{{Body: `{"cards":[{"id":1}],"more":false}`}}, 0},
		"second page refused": {[]crm.Fault{{Body: `{"cards":[],"more":true}`}, {Status: 500}}, 0},
		"no end":              {slices.Repeat([]crm.Fault{{Body: `{"cards":[],"more":true}`}}, maxPages), 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, a := startCRM(t)
			c.Fail(test.faults...)
			found, err := a.FindMessageLog(t.Context(), sdktest.FindRequest(newRequest()))
			if err != nil || found.Verdict != sdk.VerdictCannotTell || found.RetryAfter != test.wait {
				t.Errorf("got %+v %v, want cannot tell, wait %s", found, err, test.wait)
			}
		})
	}
}

// TestSecretsStayOut: neither log nor fault names the key, in either of its forms,
// nor a message's text, whatever goes wrong.
func TestSecretsStayOut(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	header := basic(key).Reveal()
	for _, f := range []crm.Fault{
		{Status: 400, Body: "unknown: " + header},
		{Status: 400, Body: "unknown: " + key},
		{Status: 500, Body: header},
		{Method: "PUT", Status: 404, Body: header},
		{Method: "GET", Status: 401, Body: header},
		{Method: "GET", Body: header},
	} {
		c, a := startCRM(t)
		c.Fail(f)
		req := newRequest()
		req.Messages = []sdk.Message{sdktest.Message(1, "for your eyes only")}
		req.AdditionalSubmission = sdk.Values{"folder": sdk.TextValue("Inbox")}
		resp, err := a.AddMessageLog(t.Context(), req)
		found, _ := a.FindMessageLog(t.Context(), sdktest.FindRequest(req))
		said := fmt.Sprintf("%+v %v %+v %s", resp, err, found, log.String())
		for _, secret := range []string{header, strings.TrimPrefix(header, "Basic "), key, "for your eyes only"} {
			if strings.Contains(said, secret) {
				t.Errorf("fault %+v: %q is in %s", f, secret, said)
			}
		}
	}
}

func TestMisconfigured(t *testing.T) {
	t.Setenv("CARDFILE_BASE_URL", "no URL")
	a := New()
	health, err := a.(sdk.HealthChecker).CheckHealth(t.Context(), &sdk.CheckHealthRequest{})
	if err != nil || health.Serving || health.Message == "" {
		t.Errorf("got %+v %v, want not serving and the reason", health, err)
	}
	if _, err := a.AddMessageLog(t.Context(), newRequest()); fault.ClassOf(err) != fault.Permanent {
		t.Errorf("got %v, want a permanent fault", err)
	}
}
