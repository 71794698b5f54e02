package examplecrm_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/plugins/examplecrm/internal/examplecrm"
	"github.com/patchbay-crm/patchbay/plugins/examplecrm/server"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // the cases provoke many warnings
	goleak.VerifyTestMain(m)
}

// startCRM runs the example CRM and points the adapter's environment at it.
func startCRM(t *testing.T) *server.Server {
	t.Helper()
	crm, err := server.New(server.Config{Tokens: []string{"sdktest-token"}})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(crm.Handler())
	t.Setenv("EXAMPLECRM_BASE_URL", web.URL)
	t.Setenv("PATCHBAY_ALLOW_PRIVATE", "127.0.0.1")
	t.Cleanup(func() {
		web.Close()
		if err := crm.Close(); err != nil {
			t.Error(err)
		}
	})
	return crm
}

// newAdapter returns the adapter as its environment configures it.
func newAdapter(t *testing.T) *examplecrm.Adapter {
	t.Helper()
	a, ok := examplecrm.New().(*examplecrm.Adapter)
	if !ok {
		t.Fatalf("New returned a %T", examplecrm.New())
	}
	t.Cleanup(a.Close)
	return a
}

func switches(t *testing.T, crm *server.Server, faults ...server.Fault) {
	t.Helper()
	if err := crm.SetSwitches(server.Switches{Faults: faults}); err != nil {
		t.Fatal(err)
	}
}

func TestContract(t *testing.T) {
	for name, find := range map[string]string{"with FindMessageLog": "on", "without": "off"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("EXAMPLECRM_FIND", find)
			var crms []*server.Server // one for each case, for the cases use the same keys
			sdktest.Run(t, func(t *testing.T) sdk.Adapter {
				crms = append(crms, startCRM(t))
				a := examplecrm.New()
				if _, canFind := a.(sdk.MessageLogFinder); canFind != (find == "on") {
					t.Fatalf("EXAMPLECRM_FIND=%s gave a %T", find, a)
				}
				return a
			}, sdktest.WithWrites(func() (writes int) {
				for _, crm := range crms {
					writes += int(crm.Counts().Creates)
				}
				return writes
			}), sdktest.WithRecords(func() (records []string) {
				for _, crm := range crms {
					for _, activity := range crm.Activities() {
						records = append(records, fmt.Sprintf("%+v", activity))
					}
				}
				return records
			}))
			for _, crm := range crms {
				if n := crm.Counts(); n.DoubledKeys != 0 {
					t.Errorf("the CRM counted %+v", n)
				}
			}
		})
	}
}

func TestSmallestAdapter(t *testing.T) {
	startCRM(t)
	client, err := crmhttp.New(crmhttp.FromEnv("EXAMPLECRM"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	sdktest.Run(t, func(*testing.T) sdk.Adapter { return smallest{client} })
}

func TestEverythingReachesTheActivity(t *testing.T) {
	crm, a := startCRM(t), newAdapter(t)
	req := sdktest.Request(sdktest.Message(1, "Flight <b>information</b>"), sdktest.Message(2, "$& 👋"))
	req.AdditionalSubmission = sdk.Values{
		"associatedDeal": sdk.RawValue([]byte("88001")), "address": sdk.TextValue("1 Main St"), "channel": sdk.TextValue("sms"),
	}
	req.Settings = sdk.Values{"subjectPrefix": sdk.TextValue("[SMS]"), "signature": sdk.TextValue("Grace & <i>Co</i>")}
	resp, err := a.AddMessageLog(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	all := crm.Activities()
	if len(all) != 1 {
		t.Fatalf("the CRM holds %d activities", len(all))
	}
	got := all[0]
	want := server.Draft{
		ContactID: "7", ContactType: "person", Subject: got.Subject, Note: got.Note, MessageIDs: []string{"1", "2"},
		ExternalID: req.IdempotencyKey, AssociatedDeal: "88001", Address: "1 Main St", Channel: "sms", Owner: "42",
		OccurredAt: req.Messages[0].CreationTime,
	}
	if fmt.Sprint(got.Draft) != fmt.Sprint(want) || resp.LogID != fmt.Sprint(got.ID) {
		t.Errorf("got %+v, want %+v", got.Draft, want)
	}
	if !strings.HasPrefix(got.Subject, "[SMS] ") || !strings.Contains(got.Subject, "Ada Lovelace") {
		t.Errorf("subject %q", got.Subject)
	}
	for _, part := range []string{"Flight &lt;b&gt;information&lt;/b&gt;", "$&amp; 👋", "<p>Grace &amp; &lt;i&gt;Co&lt;/i&gt;</p>"} {
		if !strings.Contains(got.Note, part) {
			t.Errorf("the note lacks %q: %s", part, got.Note)
		}
	}
}

func TestFaultsOfACreate(t *testing.T) {
	status := func(code int, when server.Moment) server.Fault {
		return server.Fault{Do: server.Status, Status: code, When: when, RetryAfter: "7", Next: 1}
	}
	for name, test := range map[string]struct {
		fault server.Fault
		code  fault.Code
		class fault.Class
		wait  time.Duration
	}{
		"400":                {status(400, server.Before), fault.CRMRejected, fault.Permanent, 0},
		"404":                {status(404, server.Before), fault.CRMRejected, fault.Permanent, 0},
		"409":                {status(409, server.Before), fault.CRMRejected, fault.Permanent, 0},
		"422":                {status(422, server.Before), fault.CRMRejected, fault.Permanent, 0},
		"401":                {status(401, server.Before), fault.CRMUnauthorized, fault.Permanent, 0},
		"403":                {status(403, server.Before), fault.CRMUnauthorized, fault.Permanent, 0},
		"429":                {status(429, server.Before), fault.RateLimited, fault.Retryable, 7 * time.Second},
		"425":                {status(425, server.Before), fault.CRMUnavailable, fault.Retryable, 7 * time.Second},
		"503":                {status(503, server.Before), fault.CRMUnavailable, fault.Retryable, 7 * time.Second},
		"500 before writing": {status(500, server.Before), fault.Outcome, fault.Unknown, 0},
		"500 after writing":  {status(500, server.After), fault.Outcome, fault.Unknown, 0},
		"502":                {status(502, server.After), fault.Outcome, fault.Unknown, 0},
		"504":                {status(504, server.After), fault.Outcome, fault.Unknown, 0},
		"reset before":       {server.Fault{Do: server.Reset, When: server.Before, Next: 1}, fault.Outcome, fault.Unknown, 0},
		"reset after":        {server.Fault{Do: server.Reset, When: server.After, Next: 1}, fault.Outcome, fault.Unknown, 0},
		"garbage":            {server.Fault{Do: server.Garbage, Next: 1}, fault.Outcome, fault.Unknown, 0},
		"empty":              {server.Fault{Do: server.Empty, Next: 1}, fault.Outcome, fault.Unknown, 0},
	} {
		t.Run(name, func(t *testing.T) {
			crm, a := startCRM(t), newAdapter(t)
			switches(t, crm, test.fault)
			resp, err := a.AddMessageLog(t.Context(), sdktest.Request())
			if err == nil || resp != nil || fault.CodeOf(err) != test.code || fault.ClassOf(err) != test.class {
				t.Fatalf("got %v, %v, want %s of class %s", resp, err, test.code, test.class)
			}
			if test.wait != 0 && fault.RetryAfterOf(err) != test.wait {
				t.Errorf("wait of %s, want %s", fault.RetryAfterOf(err), test.wait)
			}
			if n := crm.Counts().Creates; n != 1 {
				t.Errorf("%d requests were sent", n)
			}
			if test.class != fault.Unknown && len(crm.Activities()) != 0 {
				t.Error("the fault says that nothing was stored, and something was")
			}
		})
	}
}

func TestWrongCredentials(t *testing.T) {
	startCRM(t)
	a := newAdapter(t)
	req := sdktest.Request()
	req.AuthHeader = sdk.NewSecret("Bearer expired-token")
	_, err := a.AddMessageLog(t.Context(), req)
	if fault.CodeOf(err) != fault.CRMUnauthorized || strings.Contains(fmt.Sprint(err), "expired-token") {
		t.Errorf("got %v", err)
	}
	found, err := a.FindMessageLog(t.Context(), sdktest.FindRequest(req))
	if err != nil || found.Verdict != sdk.VerdictCannotTell {
		t.Errorf("search answered %+v, %v", found, err)
	}
}

func TestCRMExplainsItsRefusal(t *testing.T) {
	startCRM(t)
	a := newAdapter(t)
	req := sdktest.Request()
	req.AdditionalSubmission = sdk.Values{"address": sdk.TextValue(strings.Repeat("x", 5000))}
	_, err := a.AddMessageLog(t.Context(), req)
	if fault.CodeOf(err) != fault.CRMRejected || !strings.Contains(fault.MessageOf(err), "address is longer than") {
		t.Errorf("got %v", err)
	}
}

func TestFind(t *testing.T) {
	crm, a := startCRM(t), newAdapter(t)
	req := sdktest.Request()
	began := time.Now()
	found, err := a.FindMessageLog(t.Context(), sdktest.FindRequest(req))
	if err != nil || found.Verdict != sdk.VerdictNotFound || found.AsOf.Before(began) || found.AsOf.After(time.Now()) {
		t.Fatalf("before: %+v, %v", found, err)
	}
	switches(t, crm, server.Fault{Do: server.Reset, When: server.After, Next: 1})
	if _, err = a.AddMessageLog(t.Context(), req); fault.ClassOf(err) != fault.Unknown {
		t.Fatalf("got %v", err)
	}
	found, err = a.FindMessageLog(t.Context(), sdktest.FindRequest(req))
	if err != nil || found.Verdict != sdk.VerdictFound || !slices.Equal(found.LogIDs, []string{"1"}) || !found.Complete {
		t.Fatalf("after a lost answer: %+v, %v", found, err)
	}
	const more = 430 // three pages in all
	for range more {
		if _, err := a.AddMessageLog(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	found, err = a.FindMessageLog(t.Context(), sdktest.FindRequest(req))
	if err != nil || len(found.LogIDs) != more+1 || found.LogIDs[0] != "1" || found.LogIDs[more] != fmt.Sprint(more+1) {
		t.Errorf("three pages: %d found, %v", len(found.LogIDs), err)
	}
	other := sdktest.Request(sdktest.Message(9, "Never sent"))
	if found, err = a.FindMessageLog(t.Context(), sdktest.FindRequest(other)); err != nil || found.Verdict != sdk.VerdictNotFound {
		t.Errorf("another key: %+v, %v", found, err)
	}
}

func TestFindCannotTell(t *testing.T) {
	on := func(f server.Fault) server.Fault {
		f.On, f.Next = server.Search, 1
		return f
	}
	for name, test := range map[string]struct {
		fault server.Fault
		wait  time.Duration
	}{
		"401":     {on(server.Fault{Do: server.Status, Status: 401}), 0},
		"429":     {on(server.Fault{Do: server.Status, Status: 429, RetryAfter: "11"}), 11 * time.Second},
		"500":     {on(server.Fault{Do: server.Status, Status: 500}), 0},
		"503":     {on(server.Fault{Do: server.Status, Status: 503, RetryAfter: "3"}), 3 * time.Second},
		"404":     {on(server.Fault{Do: server.Status, Status: 404}), 0},
		"reset":   {on(server.Fault{Do: server.Reset}), 0},
		"garbage": {on(server.Fault{Do: server.Garbage}), 0},
		"empty":   {on(server.Fault{Do: server.Empty}), 0},
	} {
		t.Run(name, func(t *testing.T) {
			crm, a := startCRM(t), newAdapter(t)
			switches(t, crm, test.fault)
			found, err := a.FindMessageLog(t.Context(), sdktest.FindRequest(sdktest.Request()))
			if err != nil || found.Verdict != sdk.VerdictCannotTell || found.RetryAfter != test.wait {
				t.Errorf("got %+v, %v, want a wait of %s", found, err, test.wait)
			}
		})
	}
}

// TestFindDoubtsOddAnswers: what is valid JSON, but no complete page of what was
// looked for, must not read as "there is none". What was found before it is there.
func TestFindDoubtsOddAnswers(t *testing.T) {
	req := sdktest.Request()
	own := fmt.Sprintf(`{"id":1,"externalId":%q}`, req.IdempotencyKey)
	for name, answers := range map[string][]string{
		"empty object":         {`{}`},
		"no cursor":            {`{"items":[]}`},
		"no items":             {`{"nextCursor":""}`},
		"null items":           {`{"items":null,"nextCursor":""}`},
		"an error with 200":    {`{"error":{"message":"try later"}}`},
		"ignored filter":       {`{"items":[{"id":1,"externalId":"another"}],"nextCursor":""}`},
		"record without id":    {fmt.Sprintf(`{"items":[{"externalId":%q}],"nextCursor":""}`, req.IdempotencyKey)},
		"broken second page":   {`{"items":[],"nextCursor":"1"}`, `{}`},
		"pages without an end": {`{"items":[],"nextCursor":"1"}`},
		"found, then broken":   {`{"items":[` + own + `],"nextCursor":"1"}`, `{}`},
		"found without an end": {`{"items":[` + own + `],"nextCursor":"1"}`},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				n := min(int(asked.Add(1)), len(answers))
				_, _ = w.Write([]byte(answers[n-1]))
			}))
			t.Cleanup(web.Close)
			t.Setenv("EXAMPLECRM_BASE_URL", web.URL)
			t.Setenv("PATCHBAY_ALLOW_PRIVATE", "127.0.0.1")
			found, err := newAdapter(t).FindMessageLog(t.Context(), sdktest.FindRequest(req))
			want := sdk.VerdictCannotTell
			if strings.HasPrefix(name, "found") {
				want = sdk.VerdictFound
			}
			if err != nil || found.Verdict != want || found.Complete {
				t.Errorf("got %+v, %v, want %s", found, err, want)
			}
			if n := asked.Load(); n > 20 {
				t.Errorf("asked for %d pages", n)
			}
		})
	}
}

func TestMisconfigured(t *testing.T) {
	for name, env := range map[string][2]string{
		"base URL": {"EXAMPLECRM_BASE_URL", "ftp://user:secret-password@crm.example.com"},
		"find":     {"EXAMPLECRM_FIND", "maybe"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(env[0], env[1])
			a := examplecrm.New()
			health, err := a.(sdk.HealthChecker).CheckHealth(t.Context(), &sdk.CheckHealthRequest{})
			if err != nil || health.Serving || health.Message == "" || strings.Contains(health.Message, "secret-password") {
				t.Errorf("health %+v, %v", health, err)
			}
			_, err = a.AddMessageLog(t.Context(), sdktest.Request())
			if fault.CodeOf(err) != fault.AdapterFault || fault.ClassOf(err) != fault.Permanent {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("fine", func(t *testing.T) {
		startCRM(t)
		health, err := newAdapter(t).CheckHealth(context.Background(), &sdk.CheckHealthRequest{})
		if err != nil || !health.Serving {
			t.Errorf("health %+v, %v", health, err)
		}
	})
}

// TestCancelled: a call whose host has gone ends, and says what is known.
func TestCancelled(t *testing.T) {
	crm, a := startCRM(t), newAdapter(t)
	if err := crm.SetSwitches(server.Switches{ApplyDelay: time.Second}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := a.AddMessageLog(ctx, sdktest.Request())
		ended <- err
	}()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for crm.Counts().Creates == 0 { // until the CRM has the request
		<-tick.C
	}
	cancel()
	if err := <-ended; fault.ClassOf(err) != fault.Unknown {
		t.Errorf("got %v", err)
	}
}
