package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/httpapi"
	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestAddMessageLog(t *testing.T) {
	t.Parallel()
	f := setup(t)
	body := "\n" + bodyRoutes[0].body + " "
	r := f.do("POST", addPath, f.acme, body).want(t, http.StatusCreated)
	if got, want := r.Header.Get("Location"), "/v1/tenants/acme/message-logs/"+entryID; got != want {
		t.Errorf("Location %q, want %q", got, want)
	}
	golden(t, "created.json", r.body)
	call := f.relay.calls[0]
	if call.Tenant != "acme" || call.Adapter != "crm" || string(call.Body) != body || call.Wait != 0 || call.RequestID == "" {
		t.Errorf("the relay got %+v", call)
	}
	f.relay.add = func(context.Context, relay.Call) (*relay.Result, error) {
		res := result(false)
		res.Entry.LogURL = ""
		res.Entry.Return = &ledger.ReturnMessage{Message: "Well done", MessageType: "success", TTLMillis: 3000}
		return res, nil
	}
	r = f.do("POST", addPath, f.acme, body).want(t, http.StatusOK)
	if r.Header.Get("Location") != "" {
		t.Error("a duplicate has a Location")
	}
	golden(t, "duplicate.json", r.body)
}

// The body belongs to the call, which may outlive its request.
func TestBodiesAreNotReused(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for i := range 20 {
		f.do("POST", addPath, f.acme, fmt.Sprintf(`{"n":"%020d"}`, i)).want(t, http.StatusCreated)
	}
	for i, call := range f.relay.calls {
		if want := fmt.Sprintf(`{"n":"%020d"}`, i); string(call.Body) != want {
			t.Fatalf("call %d now has the body %s", i, call.Body)
		}
	}
}

func TestPreferWait(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers []string
		wait    time.Duration
		applied string
	}{
		"none":           {nil, 0, ""},
		"plain":          {[]string{"wait=5"}, 5 * time.Second, "wait=5"},
		"quoted":         {[]string{`wait="5"`}, 5 * time.Second, "wait=5"},
		"capped":         {[]string{"wait=3600"}, time.Minute, "wait=60"},
		"among others":   {[]string{`respond-async, foo="a,wait=9;b"; bar, Wait = 7; x=y`}, 7 * time.Second, "wait=7"},
		"second header":  {[]string{"respond-async", "wait=7"}, 7 * time.Second, "wait=7"},
		"first counts":   {[]string{"wait=3, wait=9"}, 3 * time.Second, "wait=3"},
		"async alone":    {[]string{"respond-async"}, 0, ""},
		"negative":       {[]string{"wait=-1"}, 0, ""},
		"fraction":       {[]string{"wait=1.5"}, 0, ""},
		"zero":           {[]string{"wait=0"}, 0, ""},
		"nothing":        {[]string{"wait="}, 0, ""},
		"huge":           {[]string{"wait=99999999999999999999"}, 0, ""},
		"unclosed quote": {[]string{`a="x, wait=5`}, 0, ""},
		"escaped quote":  {[]string{`a="x\", wait=9", wait=5`}, 5 * time.Second, "wait=5"},
		"longer name":    {[]string{"waiting=5"}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			var retried relay.RetryCall
			f.relay.retry = func(_ context.Context, call relay.RetryCall) (*relay.Result, error) {
				retried = call
				return result(true), nil
			}
			prefer := func(r *http.Request) { r.Header["Prefer"] = c.headers }
			r := f.do("POST", addPath, f.acme, `{}`, prefer).want(t, http.StatusCreated)
			if got := f.relay.calls[0].Wait; got != c.wait || r.Header.Get("Preference-Applied") != c.applied {
				t.Errorf("wait %v, applied %q", got, r.Header.Get("Preference-Applied"))
			}
			f.do("POST", "/v1/tenants/acme/message-logs/"+entryID+"/retry", f.acme, "", prefer).want(t, http.StatusCreated)
			if retried.Wait != c.wait {
				t.Errorf("retry: wait %v", retried.Wait)
			}
		})
	}
}

func TestRetryResolveForget(t *testing.T) {
	t.Parallel()
	f := setup(t)
	path := "/v1/tenants/acme/message-logs/" + entryID
	var retried relay.RetryCall
	f.relay.retry = func(_ context.Context, call relay.RetryCall) (*relay.Result, error) {
		retried = call
		return result(false), nil
	}
	f.do("POST", path+"/retry", f.acme, `{"authHeader":"Bearer new"}`).want(t, http.StatusOK)
	if retried.Tenant != "acme" || retried.ID != entryID || retried.AuthHeader.Reveal() != "Bearer new" || retried.RequestID == "" {
		t.Errorf("retry got %+v", retried)
	}
	var resolved relay.ResolveCall
	f.relay.resolve = func(_ context.Context, call relay.ResolveCall) (ledger.Entry, error) {
		resolved = call
		return entry(entryID), nil
	}
	f.do("POST", path+"/resolve", f.acme, `{"logId":"9","notLogged":null}`).want(t, http.StatusOK)
	if resolved.LogID != "9" || resolved.NotLogged || resolved.Tenant != "acme" || resolved.ID != entryID {
		t.Errorf("resolve got %+v", resolved)
	}
	f.do("POST", path+"/resolve", f.acme, `{"notLogged":true,"authHeader":"x"}`).want(t, http.StatusOK)
	if resolved.LogID != "" || !resolved.NotLogged || resolved.AuthHeader.Reveal() != "x" {
		t.Errorf("resolve got %+v", resolved)
	}
	f.do("POST", path+"/resolve", f.acme, "").refused(t, fault.UnsupportedMediaType)
	p := f.do("POST", path+"/resolve", f.acme, `{"logId":"","notLogged":"yes","authHeader":1,"x":1}`).refused(t, fault.InvalidFields)
	if len(p.Errors) != 4 {
		t.Errorf("not all faults at once: %v", p.Errors)
	}
	var forgot string
	f.relay.forget = func(_ context.Context, tenant, id string) (ledger.Entry, error) {
		forgot = tenant + " " + id
		e := entry(id)
		e.ForgottenAt = e.UpdatedAt
		return e, nil
	}
	var shown httpapi.Entry
	f.do("POST", path+"/forget", f.acme, "").want(t, http.StatusOK).into(t, &shown)
	if forgot != "acme "+entryID || shown.ForgottenAt == nil {
		t.Errorf("forget got %s, shows %+v", forgot, shown)
	}
	for _, action := range []string{"/retry", "/resolve", "/forget"} {
		refuse := fault.New(fault.AlreadyLogged, "it is")
		f.relay.retry = func(context.Context, relay.RetryCall) (*relay.Result, error) { return nil, refuse }
		f.relay.resolve = func(context.Context, relay.ResolveCall) (ledger.Entry, error) { return ledger.Entry{}, refuse }
		f.relay.forget = func(context.Context, string, string) (ledger.Entry, error) { return ledger.Entry{}, refuse }
		body := ""
		if action == "/resolve" {
			body = `{"logId":"1"}`
		}
		f.do("POST", path+action, f.acme, body).refused(t, fault.AlreadyLogged)
	}
}

func TestEntriesAreShownWhole(t *testing.T) {
	t.Parallel()
	f := setup(t)
	at := time.Date(2026, 5, 4, 12, 0, 0, 0, time.FixedZone("", 7200))
	queued, unknown, failed := entry("01JZ0000000000000000000004"), entry("01JZ0000000000000000000003"), entry("01JZ0000000000000000000002")
	queued.State, queued.NextAt, queued.LogID, queued.LogURL = ledger.Queued, at, "", ""
	unknown.State, unknown.NextAt, unknown.UnsettledUntil, unknown.LogID = ledger.Unknown, at, at.Add(time.Minute), ""
	unknown.ReconciledAt, unknown.Verdict = at, "not_found"
	unknown.Problem = &ledger.Problem{Code: fault.Outcome, Class: fault.Unknown, Source: fault.Host, Detail: "no answer"}
	failed.State, failed.Messages, failed.UserID, failed.StrayIDs = ledger.Failed, nil, "", []string{"7"}
	f.ledger.entries = []ledger.Entry{queued, unknown, failed, entry(entryID)}
	golden(t, "entries.json", f.do("GET", "/v1/tenants/acme/message-logs", f.acme, "").want(t, 200).body)
	one := f.do("GET", "/v1/tenants/acme/message-logs/"+entryID, f.acme, "").want(t, 200)
	golden(t, "entry.json", one.body)
}

func TestEntriesAreFiltered(t *testing.T) {
	t.Parallel()
	f := setup(t)
	q := url.Values{
		"adapter": {"crm"}, "state": {"unknown,failed"}, "contact": {"7"}, "contactType": {""}, "messageId": {"60"},
		"user": {"42"}, "since": {"2026-01-01T00:00:00Z"}, "until": {"2026-02-01T00:00:00+02:00"}, "limit": {"7"},
	}
	f.do("GET", "/v1/tenants/acme/message-logs?"+q.Encode(), f.acme, "").want(t, 200)
	got := f.ledger.last
	if got.Tenant != "acme" || got.Adapter != "crm" || fmt.Sprint(got.States) != "[unknown failed]" || got.ContactID != "7" ||
		got.ContactType == nil || *got.ContactType != "" || got.MessageID != "60" || got.UserID != "42" || got.Limit != 8 ||
		!got.Since.Equal(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) ||
		!got.Until.Equal(time.Date(2026, 1, 31, 22, 0, 0, 0, time.UTC)) {
		t.Errorf("the ledger was asked %+v", got)
	}
	f.do("GET", "/v1/tenants/acme/message-logs", f.acme, "").want(t, 200)
	if got := f.ledger.last; got.ContactType != nil || got.Limit != 51 || got.States != nil {
		t.Errorf("without filters the ledger was asked %+v", got)
	}
	p := f.do("GET", "/v1/tenants/acme/message-logs?limit=501&state=lost&since=x&until=y&cursor=z&contact="+strings.Repeat("x", 257), f.acme, "").
		refused(t, fault.InvalidFields)
	if len(p.Errors) != 6 {
		t.Errorf("not all faults at once: %v", p.Errors)
	}
}

func TestEveryEntryIsOnOnePage(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for i := 9; i > 0; i-- {
		f.ledger.entries = append(f.ledger.entries, entry(fmt.Sprintf("01JZ000000000000000000000%d", i)))
	}
	for _, limit := range []int{1, 2, 3, 4, 9, 10} {
		seen, cursor := "", ""
		for range 10 {
			var got struct {
				Items      []struct{ ID string }
				NextCursor *string
			}
			f.do("GET", fmt.Sprintf("/v1/tenants/acme/message-logs?limit=%d&cursor=%s", limit, cursor), f.acme, "").
				want(t, 200).into(t, &got)
			for _, e := range got.Items {
				seen += e.ID[len(e.ID)-1:]
			}
			if got.NextCursor == nil {
				break
			}
			cursor = *got.NextCursor
		}
		if seen != "987654321" {
			t.Errorf("limit %d: saw %s", limit, seen)
		}
	}
}

func TestMissingEntries(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, id := range []string{entryID, "x", "...", "%00"} {
		r := f.do("GET", "/v1/tenants/acme/message-logs/"+id, adminToken, "")
		if r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", id, r.StatusCode)
		}
	}
	f.do("GET", "/v1/tenants/acme/message-logs/"+entryID, adminToken, "").refused(t, fault.MessageLogNotFound)
	f.do("GET", "/v1/tenants/nobody/message-logs/"+entryID, adminToken, "").refused(t, fault.TenantNotFound)
	f.do("GET", "/v1/tenants/nobody/message-logs", adminToken, "").refused(t, fault.TenantNotFound)
	f.do("GET", "/v1/tenants/acme/message-logs", adminToken, "").want(t, 200)
	f.ledger.err = fmt.Errorf("disk: %s", "on fire")
	for _, path := range []string{"", "/" + entryID} {
		p := f.do("GET", "/v1/tenants/acme/message-logs"+path, adminToken, "").refused(t, fault.Overloaded)
		if p.Class != "retryable" || strings.Contains(p.Detail, "fire") {
			t.Errorf("got %+v", p)
		}
	}
	if !strings.Contains(f.logs.String(), "on fire") {
		t.Error("the cause is not logged")
	}
}
