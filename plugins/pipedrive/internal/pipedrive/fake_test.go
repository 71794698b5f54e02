package pipedrive

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/plugins/pipedrive/internal/pipedrivetest"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// These tests run against the strict fake, which refuses what Pipedrive refuses.

// startFake runs a fake account and returns it with its address.
func startFake(t *testing.T, c pipedrivetest.Config) (*pipedrivetest.Fake, string) {
	t.Helper()
	if c.Tokens == nil {
		c.Tokens = []pipedrivetest.Token{{Text: "sdktest-token"}}
	}
	fake, err := pipedrivetest.New(c)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(fake.Handler())
	t.Cleanup(func() {
		fake.Close()
		web.Close()
	})
	return fake, web.URL
}

// graces returns a request of the fake's first user, to whom its tokens belong.
func graces(messages ...sdk.Message) *sdk.AddMessageLogRequest {
	req := request(messages...)
	asUser(`{"id":"1001","name":"Grace Hopper","hostname":"acme.pipedrive.com"}`)(req)
	return req
}

func switches(t *testing.T, fake *pipedrivetest.Fake, faults ...pipedrivetest.Fault) {
	t.Helper()
	if err := fake.SetSwitches(pipedrivetest.Switches{Faults: faults}); err != nil {
		t.Fatal(err)
	}
}

// onCreate is a fault that strikes the next create.
func onCreate(f pipedrivetest.Fault) pipedrivetest.Fault {
	f.Route, f.Method = pipedrivetest.RouteActivities, http.MethodPost
	return f
}

func TestContract(t *testing.T) {
	var fakes []*pipedrivetest.Fake // one for each case, for the cases use the same keys
	sdktest.Run(t, func(t *testing.T) sdk.Adapter {
		fake, address := startFake(t, pipedrivetest.Config{})
		fakes = append(fakes, fake)
		return newAdapter(t, address)
	}, sdktest.WithRequest(func() *sdk.AddMessageLogRequest { return graces() }), sdktest.WithWrites(func() (writes int) {
		for _, fake := range fakes {
			writes += int(fake.Counts().Attempted)
		}
		return writes
	}), sdktest.WithRecords(func() (records []string) {
		for _, fake := range fakes {
			for _, activity := range fake.Activities() {
				records = append(records, fmt.Sprintf("%+v", activity))
			}
		}
		return records
	}))
	for _, fake := range fakes {
		if n := fake.Counts(); n.Doubled != 0 {
			t.Errorf("the account counted %+v", n)
		}
	}
}

// TestStored: what the account holds in the end.
func TestStored(t *testing.T) {
	t.Parallel()
	stored := pipedrivetest.Activity{
		ID: 1, Subject: "SMS to Ada Lovelace", Type: "sms", OwnerID: 1001, PersonID: 7, OrgID: 70,
		DueDate: "2015-02-18", DueTime: "13:24:00", Done: true,
	}
	for name, test := range map[string]struct {
		change func(*sdk.AddMessageLogRequest)
		want   func(*pipedrivetest.Activity)
	}{
		"plain":           {nil, nil},
		"a deal":          {submitting("deals", `"500"`), func(a *pipedrivetest.Activity) { a.DealID = 500 }},
		"a lead":          {submitting("leads", `"`+leadOfAda+`"`), func(a *pipedrivetest.Activity) { a.LeadID = leadOfAda }},
		"a deal and lead": {submitting("deals", "501", "leads", `"`+leadOfAda+`"`), func(a *pipedrivetest.Activity) { a.DealID = 501 }},
		"no organization": {toContact(`{"id":8,"type":"person","name":"Ada Lovelace"}`), func(a *pipedrivetest.Activity) { a.PersonID, a.OrgID = 8, 0 }},
		"another owner":   {asUser(`{"id":1002,"hostname":"acme.pipedrive.com"}`), func(a *pipedrivetest.Activity) { a.OwnerID = 1002 }},
		"owner unsaid":    {asUser(`{"hostname":"acme.pipedrive.com"}`), nil},
		"another type": {
			func(req *sdk.AddMessageLogRequest) {
				req.Settings = sdk.Values{"activityType": sdk.TextValue("meeting")}
			},
			func(a *pipedrivetest.Activity) { a.Type = "meeting" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, address := startFake(t, pipedrivetest.Config{})
			req := graces()
			if test.change != nil {
				test.change(req)
			}
			resp, err := newAdapter(t, address).AddMessageLog(t.Context(), req)
			if err != nil || resp.LogID != "1" {
				t.Fatalf("got %+v, %v", resp, err)
			}
			want := stored
			if test.want != nil {
				test.want(&want)
			}
			a := fake.Activities()[0]
			got := pipedrivetest.Activity{
				ID: a.ID, Subject: a.Subject, Type: a.Type, OwnerID: a.OwnerID, PersonID: a.PersonID, OrgID: a.OrgID,
				DealID: a.DealID, LeadID: a.LeadID, DueDate: a.DueDate, DueTime: a.DueTime, Done: a.Done,
			}
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
				t.Errorf("stored %+v\nwant   %+v", got, want)
			}
		})
	}
}

// TestEveryMessageIsTaken: nothing that a message may hold makes the account refuse
// it, and what was cut is found again.
func TestEveryMessageIsTaken(t *testing.T) {
	t.Parallel()
	group := make([]sdk.Message, 500)
	for i := range group {
		group[i] = sdktest.Message(int64(i+1), strings.Repeat("字 & <b>", 60))
	}
	for name, messages := range map[string][]sdk.Message{
		"markup":         {sdktest.Message(1, `<b>$& $$</b> <script>alert(1)</script> <!-- --> onload="x"`)},
		"right to left":  {sdktest.Message(1, "שלום \u202edesrever\u202c")},
		"emoji":          {sdktest.Message(1, strings.Repeat("👩‍👩‍👧‍👦", 1000))},
		"control":        {sdktest.Message(1, "a\x01b\x7f")},
		"an open tag":    {sdktest.Message(1, "<p")},
		"one letter":     {sdktest.Message(1, strings.Repeat("🙂", 200_000))},
		"500 messages":   group,
		"long ago":       {sdktest.MessageWith(map[string]any{"id": 1, "creationTime": "1970-01-01T00:00:00Z"})},
		"milliseconds":   {sdktest.MessageWith(map[string]any{"id": 1, "creationTime": 1424265890000})},
		"unknown kind":   {sdktest.MessageWith(map[string]any{"id": 1, "type": "Telegram <b>"})},
		"a long subject": {sdktest.MessageWith(map[string]any{"id": 1, "type": strings.Repeat("字", 500)})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, address := startFake(t, pipedrivetest.Config{})
			a, req := newAdapter(t, address), graces(messages...)
			if _, err := a.AddMessageLog(t.Context(), req); err != nil {
				t.Fatal(err)
			}
			if n := fake.Counts(); n.Applied != 1 || n.Markers != 1 {
				t.Errorf("the account counted %+v", n)
			}
			if found := find(t, a, req); !slices.Equal(found.LogIDs, []string{"1"}) || !found.Complete {
				t.Errorf("found %+v", found)
			}
		})
	}
}

// TestFaultsAreSettled: after each fault of a create stands what the fault says,
// and the search tells the truth about it.
func TestFaultsAreSettled(t *testing.T) {
	t.Parallel()
	status := func(code int, when pipedrivetest.Moment) pipedrivetest.Fault {
		return pipedrivetest.Fault{Do: pipedrivetest.Status, Status: code, When: when}
	}
	garbage := func(junk pipedrivetest.Junk, when pipedrivetest.Moment) pipedrivetest.Fault {
		return pipedrivetest.Fault{Do: pipedrivetest.Garbage, Junk: junk, When: when}
	}
	const before, after = pipedrivetest.Before, pipedrivetest.After
	type expectation struct {
		fault  pipedrivetest.Fault
		code   fault.Code
		stored bool
	}
	cases := map[string]expectation{
		"400":          {status(400, before), fault.CRMRejected, false},
		"401":          {status(401, before), fault.CRMUnauthorized, false},
		"403":          {status(403, before), fault.CRMUnauthorized, false},
		"403 page":     {pipedrivetest.Fault{Do: pipedrivetest.Status, Status: 403, Junk: pipedrivetest.HTML}, fault.CRMUnauthorized, false},
		"404":          {status(404, before), fault.CRMRejected, false},
		"429":          {pipedrivetest.Fault{Do: pipedrivetest.Status, Status: 429, RetryAfter: "4"}, fault.RateLimited, false},
		"429 reset":    {pipedrivetest.Fault{Do: pipedrivetest.Status, Status: 429, RateLimitReset: 4}, fault.RateLimited, false},
		"503":          {status(503, before), fault.CRMUnavailable, false},
		"500 before":   {status(500, before), fault.Outcome, false},
		"500 after":    {status(500, after), fault.Outcome, true},
		"502 after":    {status(502, after), fault.Outcome, true},
		"504 after":    {status(504, after), fault.Outcome, true},
		"reset before": {pipedrivetest.Fault{Do: pipedrivetest.Reset, When: before}, fault.Outcome, false},
		"reset after":  {pipedrivetest.Fault{Do: pipedrivetest.Reset, When: after}, fault.Outcome, true},
		"nothing came": {garbage(pipedrivetest.Empty, before), fault.Outcome, false},
	}
	for _, junk := range []pipedrivetest.Junk{
		pipedrivetest.HTML, pipedrivetest.Truncated, pipedrivetest.Empty, pipedrivetest.NoData,
		pipedrivetest.NotSuccess, pipedrivetest.NoID, pipedrivetest.TextID,
	} {
		cases["garbage "+string(junk)] = expectation{garbage(junk, after), fault.Outcome, true}
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, address := startFake(t, pipedrivetest.Config{})
			a, req := newAdapter(t, address), graces()
			switches(t, fake, onCreate(test.fault))
			_, err := a.AddMessageLog(t.Context(), req)
			if fault.CodeOf(err) != test.code || (fault.ClassOf(err) == fault.Unknown) != (test.code == fault.Outcome) {
				t.Fatalf("got %v, want %s", err, test.code)
			}
			if test.code == fault.RateLimited && fault.RetryAfterOf(err) != 4*time.Second {
				t.Errorf("wait of %s", fault.RetryAfterOf(err))
			}
			if n := len(fake.Activities()); (n == 1) != test.stored || n > 1 {
				t.Errorf("%d activities are stored", n)
			}
			want := sdk.VerdictNotFound
			if test.stored {
				want = sdk.VerdictFound
			}
			if found := find(t, a, req); found.Verdict != want {
				t.Errorf("the search says %s, want %s", found.Verdict, want)
			}
		})
	}
}

// TestLimits of the account: bursts and the budget of the day.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config pipedrivetest.Config
		least  time.Duration
		most   time.Duration
		says   string
	}{
		"burst":              {pipedrivetest.Config{Burst: 2}, time.Second, 2 * time.Second, "429"},
		"burst, Retry-After": {pipedrivetest.Config{Burst: 2, RetryAfter: true}, time.Second, 2 * time.Second, "429"},
		"the day":            {pipedrivetest.Config{Budget: 30}, 11 * time.Hour, 13 * time.Hour, "daily budget"},
		"the whole day":      {pipedrivetest.Config{Budget: 22, RetryAfter: true}, 11 * time.Hour, 13 * time.Hour, "daily budget"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.config.Now = pipedrivetest.NewManualClock(time.Date(2026, 5, 6, 12, 0, 0, 0, time.UTC)).Now
			fake, address := startFake(t, test.config)
			_, err := newAdapter(t, address).AddMessageLog(t.Context(), graces())
			if fault.CodeOf(err) != fault.RateLimited || !strings.Contains(fault.MessageOf(err), test.says) {
				t.Fatalf("got %v", err)
			}
			if wait := fault.RetryAfterOf(err); wait < test.least || wait > test.most {
				t.Errorf("wait of %s", wait)
			}
			if n := fake.Counts(); n.Applied != 0 || n.RateLimited != 1 {
				t.Errorf("the account counted %+v", n)
			}
		})
	}
}

// TestWrongCredentials and credentials that may do less than is needed.
func TestWrongCredentials(t *testing.T) {
	t.Parallel()
	some := func(scopes ...pipedrivetest.Scope) []pipedrivetest.Token {
		return []pipedrivetest.Token{{Text: "sdktest-token", Scopes: scopes}}
	}
	for name, test := range map[string]struct {
		tokens []pipedrivetest.Token
		code   fault.Code
		says   string
	}{
		"unknown":            {[]pipedrivetest.Token{{Text: "another"}}, fault.CRMUnauthorized, "access token is invalid"},
		"no persons":         {some(pipedrivetest.FullActivities), fault.CRMUnauthorized, "the scopes activities:full and contacts:read"},
		"no activities":      {some(pipedrivetest.ReadContacts), fault.CRMUnauthorized, "the scopes activities:full and contacts:read"},
		"only reading":       {some(pipedrivetest.ReadContacts, pipedrivetest.ReadActivities), fault.CRMUnauthorized, "the scopes activities:full and contacts:read"},
		"what is documented": {some(pipedrivetest.ReadContacts, pipedrivetest.FullActivities), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, address := startFake(t, pipedrivetest.Config{Tokens: test.tokens})
			req := graces()
			_, err := newAdapter(t, address).AddMessageLog(t.Context(), req)
			if test.code == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if fault.CodeOf(err) != test.code || !strings.Contains(fault.MessageOf(err), test.says) || strings.Contains(fmt.Sprint(err), "sdktest-token") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestUnknownOwner is refused by the account, in its words.
func TestUnknownOwner(t *testing.T) {
	t.Parallel()
	_, address := startFake(t, pipedrivetest.Config{})
	_, err := newAdapter(t, address).AddMessageLog(t.Context(), request())
	if fault.CodeOf(err) != fault.CRMRejected || !strings.Contains(fault.MessageOf(err), "owner_id") {
		t.Errorf("got %v", err)
	}
}

// TestCancelled: a call whose host has gone ends, and says what is known.
func TestCancelled(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		route  pipedrivetest.Route
		method string
		class  fault.Class
	}{
		"while it reads":   {pipedrivetest.RoutePerson, http.MethodGet, fault.Retryable},
		"while it creates": {pipedrivetest.RouteActivities, http.MethodPost, fault.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, address := startFake(t, pipedrivetest.Config{})
			switches(t, fake, pipedrivetest.Fault{Route: test.route, Method: test.method, Do: pipedrivetest.Hold, When: pipedrivetest.Before})
			a := newAdapter(t, address)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				_, err := a.AddMessageLog(ctx, graces())
				ended <- err
			}()
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for len(fake.Switches().Faults) != 0 { // until the account has the request
				<-tick.C
			}
			cancel()
			if err := <-ended; fault.ClassOf(err) != test.class {
				t.Errorf("got %v", err)
			}
		})
	}
}
