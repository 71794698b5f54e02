package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/plugins/examplecrm/server"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// bench is what refusals are provoked on: a host with the tenants acme and beta,
// of which beta may use nothing, and a CRM.
type bench struct {
	*host
	crm *crm
	id  int // the newest message
}

// next returns a marked body with a message that was not sent before.
func (b *bench) next(with fields) string {
	b.id++
	return marked(b.id, with)
}

// faulty sends a script.
func (b *bench) faulty(script string, prefer ...string) reply {
	b.id++
	return b.add("acme", "faulty", markedScript(b.id, script), prefer...)
}

// failing calls examplecrm once while the CRM fails like that every time.
func (b *bench) failing(f server.Fault, prefer ...string) reply {
	f.Probability = 1
	b.crm.set(server.Switches{Faults: []server.Fault{f}})
	return b.add("acme", "examplecrm", b.next(nil), prefer...)
}

// refusal is one way to be refused.
type refusal struct {
	status        int
	class, source string
	// wait are the bounds of Retry-After in seconds; none means no header.
	wait [2]int
	// written is how many CRM records it leaves.
	written int
	do      func(t *testing.T, b *bench) reply
}

// refusals are the cases by their code and, after a slash, what makes them.
type refusals map[string]refusal

// TestRefusals provokes every refusal that a synchronous caller can meet. No
// refusal writes to the CRM unless it says that it may have, none tells a value of
// the request.
func TestRefusals(t *testing.T) {
	t.Parallel()
	c := startCRM(t, markedToken)
	b := &bench{crm: c, host: startHost(t, setup{
		crm: c, maxBody: "64KiB", adapters: map[string]object{"faulty": {"limits": object{"concurrency": 1}}},
	})}
	b.tenant(t, "acme", "examplecrm", "faulty")
	b.tenant(t, "beta")
	all := refusals{}
	for _, cases := range []refusals{callerRefusals, entryRefusals, crmRefusals, adapterRefusals} {
		maps.Copy(all, cases)
	}
	seen := map[fault.Code]bool{fault.PoisonMessage: true} // of queued entries alone
	for name := range hostRefusals {
		seen[codeOf(name)] = true // TestHostRefusals
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		seen[codeOf(name)] = true
		t.Run(name, func(t *testing.T) {
			defer c.set(server.Switches{})
			before := len(c.Activities())
			all[name].check(t, codeOf(name), all[name].do(t, b))
			if written := len(c.Activities()) - before; written != all[name].written {
				t.Errorf("%d CRM records were written, want %d", written, all[name].written)
			}
		})
	}
	for _, code := range fault.Codes() {
		if !seen[code] {
			t.Errorf("nothing provokes %s", code)
		}
	}
	if !strings.Contains(c.Activities()[0].Note, marker) {
		t.Error("the marker did not even reach the CRM")
	}
	b.tellsNothing(t, "acme", "beta")
}

// TestHostRefusals provokes those that need a host of their own.
func TestHostRefusals(t *testing.T) {
	t.Parallel()
	for name, r := range hostRefusals {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startCRM(t, markedToken)
			b := &bench{crm: c}
			got := r.do(t, b)
			r.check(t, codeOf(name), got)
			if n := len(c.Activities()); n != r.written {
				t.Errorf("%d CRM records were written, want %d", n, r.written)
			}
			b.keepsNothing(t)
		})
	}
}

func codeOf(name string) fault.Code {
	code, _, _ := strings.Cut(name, "/")
	return fault.Code(code)
}

func (r refusal) check(t *testing.T, code fault.Code, got reply) {
	t.Helper()
	p := got.refused(t, r.status, string(code))
	if p.Class != r.class || p.Source != r.source {
		t.Errorf("class %s, source %s; want %s, %s: %s", p.Class, p.Source, r.class, r.source, got.body)
	}
	if got.header.Get("Content-Type") != "application/problem+json" || p.Type != "/problems/"+string(code) ||
		p.Status != r.status || p.Title == "" || p.RequestID == "" || p.RequestID != got.header.Get("X-Request-Id") ||
		!strings.Contains(p.Instance, p.RequestID) {
		t.Errorf("not a whole problem: %v %s", got.header, got.body)
	}
	wait, most := got.retryAfter(t), r.wait[1]
	switch {
	case r.status == http.StatusServiceUnavailable && most == 0:
		most = 60 // surely not sent: every such answer says when to come back
		fallthrough
	case most > 0:
		if wait < max(1, r.wait[0]) || wait > most {
			t.Errorf("Retry-After %d, want %d to %d", wait, max(1, r.wait[0]), most)
		}
	case wait >= 0:
		t.Errorf("Retry-After %d where waiting does not help", wait)
	}
}

// callerRefusals are the caller's own fault.
var callerRefusals = refusals{
	"malformed_request/cut off":   caller(400, func(b *bench) reply { return b.add("acme", "examplecrm", strings.TrimSuffix(b.next(nil), "}")) }),
	"malformed_request/no object": caller(400, func(b *bench) reply { return b.add("acme", "examplecrm", `["`+marker+`"]`) }),
	"malformed_request/twice": caller(400, func(b *bench) reply {
		return b.add("acme", "examplecrm", `{"a":"`+marker+`",`+b.next(nil)[1:]+`,"a":1}`)
	}),
	"malformed_request/member twice": caller(400, func(b *bench) reply {
		return b.add("acme", "examplecrm", `{"authHeader":"`+marker+`",`+b.next(nil)[1:])
	}),
	"malformed_request/not UTF-8": caller(400, func(b *bench) reply {
		return b.add("acme", "examplecrm", b.next(fields{"recordingLink": "\"\xff" + marker + `"`}))
	}),
	"malformed_request/nothing":   caller(400, func(b *bench) reply { return b.add("acme", "examplecrm", "") }),
	"unsupported_media_type/none": caller(415, func(b *bench) reply { return b.typed(b.next(nil), nil) }),
	"unsupported_media_type/text": caller(415, func(b *bench) reply { return b.typed(b.next(nil), http.Header{"Content-Type": {"text/plain"}}) }),
	"unsupported_media_type/charset": caller(415, func(b *bench) reply {
		return b.typed(b.next(nil), http.Header{"Content-Type": {"application/json; charset=latin1"}})
	}),
	"unsupported_media_type/zipped": caller(415, func(b *bench) reply {
		return b.typed(b.next(nil), http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}})
	}),
	"request_too_large/with length": caller(413, func(b *bench) reply { return b.add("acme", "examplecrm", b.large()) }),
	"request_too_large/in chunks": caller(413, func(b *bench) reply {
		return b.send(request{Path: path("acme", "examplecrm"), Body: b.large(), Chunked: true})
	}),
	"invalid_fields/all at once":      {status: 422, class: "permanent", source: "caller", do: allAtOnce},
	"invalid_fields/unknown query":    caller(422, func(b *bench) reply { return b.send(request{Path: "/v1/tenants/acme/message-logs?stat=" + marker}) }),
	"unauthenticated/no token":        {status: 401, class: "permanent", source: "caller", do: challenged(noToken)},
	"unauthenticated/unknown token":   {status: 401, class: "permanent", source: "caller", do: challenged("pbt_" + marker)},
	"unauthenticated/admin's, longer": caller(401, func(b *bench) reply { return b.as(b.admin + "x") }),
	"forbidden/another tenant":        {status: 403, class: "permanent", source: "caller", do: func(t *testing.T, b *bench) reply { return b.as(b.token(t, "beta")) }},
	"forbidden/no such tenant": {status: 403, class: "permanent", source: "caller", do: func(t *testing.T, b *bench) reply {
		return b.send(request{Path: path("nobody", "examplecrm"), Token: b.token(t, "beta"), Body: b.next(nil)})
	}},
	"adapter_disabled/never enabled": {status: 403, class: "permanent", source: "host", do: func(_ *testing.T, b *bench) reply {
		return b.add("beta", "examplecrm", b.next(nil))
	}},
	"tenant_not_found/add":   caller(404, func(b *bench) reply { return b.add("nobody", "examplecrm", b.next(nil)) }),
	"tenant_not_found/read":  caller(404, func(b *bench) reply { return b.send(request{Path: "/v1/tenants/nobody/message-logs"}) }),
	"tenant_not_found/odd":   caller(404, func(b *bench) reply { return b.add("A..b", "examplecrm", b.next(nil)) }),
	"adapter_not_found/add":  caller(404, func(b *bench) reply { return b.add("acme", "nothing", b.next(nil)) }),
	"adapter_not_found/read": caller(404, func(b *bench) reply { return b.send(request{Path: "/v1/adapters/nothing"}) }),
	"message_log_not_found/ULID": caller(404, func(b *bench) reply {
		return b.send(request{Path: "/v1/tenants/acme/message-logs/01ARZ3NDEKTSV4RRFFQ69G5FAV"})
	}),
	"message_log_not_found/odd":   caller(404, func(b *bench) reply { return b.send(request{Path: "/v1/tenants/acme/message-logs/7"}) }),
	"message_log_not_found/retry": caller(404, func(b *bench) reply { return b.settle("acme", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "retry", "") }),
	"route_not_found/unknown":     caller(404, func(b *bench) reply { return b.send(request{Path: "/v1/" + marker}) }),
	"route_not_found/slash":       caller(404, func(b *bench) reply { return b.send(request{Path: "/v1/tenants/"}) }),
	"method_not_allowed/GET": {status: 405, class: "permanent", source: "caller", do: func(t *testing.T, b *bench) reply {
		r := b.send(request{Path: path("acme", "examplecrm")})
		if r.header.Get("Allow") != http.MethodPost {
			t.Errorf("Allow %q", r.header.Get("Allow"))
		}
		return r
	}},
}

// caller is a refusal of what a caller sent.
func caller(status int, do func(b *bench) reply) refusal {
	return refusal{status: status, class: "permanent", source: "caller", do: func(_ *testing.T, b *bench) reply { return do(b) }}
}

func (b *bench) typed(body string, header http.Header) reply {
	if header == nil {
		header = http.Header{}
	}
	return b.send(request{Path: path("acme", "examplecrm"), Body: body, Header: header})
}

// as calls addMessageLog of acme with a token.
func (b *bench) as(token string) reply {
	return b.send(request{Path: path("acme", "examplecrm"), Token: token, Body: b.next(nil)})
}

func challenged(token string) func(*testing.T, *bench) reply {
	return func(t *testing.T, b *bench) reply {
		r := b.as(token)
		if challenge := r.header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Bearer ") {
			t.Errorf("WWW-Authenticate %q", challenge)
		}
		return r
	}
}

// large is a body above 64 KiB.
func (b *bench) large() string {
	return b.next(fields{"recordingLink": `"https://a.example/` + strings.Repeat(marker, 6000) + `"`})
}

// allAtOnce sends a body with many faults; each is told by its pointer.
func allAtOnce(t *testing.T, b *bench) reply {
	r := b.add("acme", "examplecrm", b.next(fields{
		"user":                 `{"id":[],"hostname":"` + marker + `.example"}`,
		"contactInfo":          `{"name":7}`,
		"authHeader":           `"` + marker + `\n"`,
		"message":              `[{"id":1.5,"creationTime":"` + marker + `"},{"id":2}]`,
		"additionalSubmission": `{"channel":"` + marker + `","channnel":"` + marker + `"}`,
		"timezoneOffset":       `"` + marker + `"`,
		"recordingLink":        `"` + marker + `"`,
		"recordinglink":        `"` + marker + `"`,
	}))
	var got []string
	for _, e := range r.refused(t, 422, "invalid_fields").Errors {
		if e.Code == "" || e.Detail == "" {
			t.Errorf("an error without words: %+v", e)
		}
		got = append(got, e.Pointer)
	}
	want := []string{
		"/additionalSubmission/channel", "/additionalSubmission/channnel", "/authHeader", "/contactInfo/id", "/contactInfo/name",
		"/message/0/creationTime", "/message/0/id", "/message/1/creationTime", "/recordingLink", "/recordinglink",
		"/timezoneOffset", "/user/hostname", "/user/id",
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("faults at\n%q\nwant\n%q", got, want)
	}
	return r
}

// entryRefusals are those for the sake of what the ledger holds.
var entryRefusals = refusals{
	"outcome_unsettled/same message": {status: 409, class: "unknown", source: "host", wait: [2]int{1, 5}, written: 1, do: func(t *testing.T, b *bench) reply {
		id, body := b.unsettled(t)
		r := b.add("acme", "examplecrm", body)
		if p := r.refused(t, 409, "outcome_unsettled"); !slices.Equal(p.MessageLogs, []string{id}) || p.Messages[0].State != "unknown" {
			t.Errorf("the entry is not named: %s", r.body)
		}
		return r
	}},
	"outcome_unsettled/resolve": {status: 409, class: "unknown", source: "host", wait: [2]int{1, 5}, written: 1, do: func(t *testing.T, b *bench) reply {
		id, _ := b.unsettled(t)
		return b.settle("acme", id, "resolve", `{"notLogged":true}`)
	}},
	"outcome_unsettled/forget": {status: 409, class: "unknown", source: "host", wait: [2]int{1, 5}, written: 1, do: func(t *testing.T, b *bench) reply {
		id, _ := b.unsettled(t)
		return b.settle("acme", id, "forget", "")
	}},
	"in_progress/same message": {status: 409, class: "retryable", source: "host", wait: [2]int{1, 1}, written: 1, do: func(t *testing.T, b *bench) reply {
		b.crm.set(server.Switches{AnswerDelay: 1500 * time.Millisecond})
		creates, body := b.crm.Counts().Creates, b.next(nil)
		first := b.goAdd("acme", "examplecrm", body)
		b.crm.arrived(creates + 1)
		r := b.add("acme", "examplecrm", body, "wait=1")
		first.wait(t).logged(t, 201)
		return r
	}},
	"already_logged/retry": {status: 409, class: "permanent", source: "host", written: 1, do: func(t *testing.T, b *bench) reply {
		id := b.add("acme", "examplecrm", b.next(nil)).logged(t, 201).MessageLogID
		return b.settle("acme", id, "retry", "")
	}},
	"already_logged/retry, logged elsewhere": {status: 409, class: "permanent", source: "host", written: 1, do: func(t *testing.T, b *bench) reply {
		b.crm.next(server.Fault{Do: server.Status, Status: 422})
		body := b.next(nil)
		p := b.add("acme", "examplecrm", body).refused(t, 424, "crm_rejected")
		b.add("acme", "examplecrm", body).logged(t, 201)
		return b.settle("acme", b.failedEntry(t, p), "retry", "")
	}},
	"conflict/forgotten": {status: 409, class: "permanent", source: "host", written: 1, do: func(t *testing.T, b *bench) reply {
		id := b.add("acme", "examplecrm", b.next(nil)).logged(t, 201).MessageLogID
		b.settle("acme", id, "forget", "").into(t, 200, nil)
		return b.settle("acme", id, "retry", "")
	}},
	"conflict/deleted tenant": {status: 409, class: "permanent", source: "host", do: func(t *testing.T, b *bench) reply {
		b.tenant(t, "gone")
		b.send(request{Method: http.MethodDelete, Path: "/v1/tenants/gone"}).into(t, 204, nil)
		return b.send(request{Method: http.MethodPut, Path: "/v1/tenants/gone", Body: `{"displayName":"` + marker + `"}`})
	}},
	"conflict/unsettled tenant": {status: 409, class: "permanent", source: "host", written: 1, do: func(t *testing.T, b *bench) reply {
		b.unsettled(t)
		return b.send(request{Method: http.MethodDelete, Path: "/v1/tenants/acme"})
	}},
}

// unsettled leaves an entry of unknown outcome, which has a CRM record that cannot
// be found for now. It returns the entry's id, and the body that made it.
func (b *bench) unsettled(t *testing.T) (id, body string) {
	t.Helper()
	b.crm.set(server.Switches{Faults: []server.Fault{
		{Do: server.Reset, When: server.After, Next: 1},
		{On: server.Search, Do: server.Status, Status: 500, Probability: 1},
	}})
	body = b.next(nil)
	p := b.add("acme", "examplecrm", body).refused(t, 504, "outcome_unknown")
	if len(p.MessageLogs) != 1 {
		t.Fatalf("no entry to ask after: %+v", p)
	}
	t.Cleanup(func() {
		b.crm.set(server.Switches{})
		b.becomes(t, "acme", p.MessageLogs[0], "logged")
	})
	return p.MessageLogs[0], body
}

// failedEntry returns the entry of a problem.
func (b *bench) failedEntry(t *testing.T, p problem) string {
	t.Helper()
	if len(p.MessageLogs) != 1 {
		t.Fatalf("no entry: %+v", p)
	}
	if e := b.entry(t, "acme", p.MessageLogs[0]); e.State != "failed" {
		t.Errorf("entry %+v", e)
	}
	return p.MessageLogs[0]
}

// crmRefusals are the CRM's.
var crmRefusals = refusals{
	"crm_rejected/400": crmStatus(400, 424), "crm_rejected/404": crmStatus(404, 424), "crm_rejected/409": crmStatus(409, 424),
	"crm_rejected/422": crmStatus(422, 424), "crm_rejected/418": crmStatus(418, 424),
	"crm_unauthorized/403": crmStatus(403, 424),
	"crm_unauthorized/401": {status: 424, class: "permanent", source: "crm", do: func(_ *testing.T, b *bench) reply {
		return b.add("acme", "examplecrm", b.next(fields{"authHeader": `"Bearer ` + marker + `-expired"`}))
	}},
	"rate_limited/seconds": {status: 429, class: "retryable", source: "crm", wait: [2]int{37, 37}, do: func(_ *testing.T, b *bench) reply {
		return b.failing(server.Fault{Do: server.Status, Status: 429, RetryAfter: "37"})
	}},
	"rate_limited/date": {status: 429, class: "retryable", source: "crm", wait: [2]int{30, 40}, do: func(_ *testing.T, b *bench) reply {
		at := time.Now().Add(40 * time.Second).UTC().Format(http.TimeFormat)
		return b.failing(server.Fault{Do: server.Status, Status: 429, RetryAfter: at})
	}},
	"crm_unavailable/503": {status: 503, class: "retryable", source: "crm", wait: [2]int{37, 37}, do: func(_ *testing.T, b *bench) reply {
		return b.failing(server.Fault{Do: server.Status, Status: 503, RetryAfter: "37"})
	}},
	"crm_unavailable/503 without a time": {status: 503, class: "retryable", source: "crm", do: func(_ *testing.T, b *bench) reply {
		return b.failing(server.Fault{Do: server.Status, Status: 503})
	}},
	"crm_unavailable/425": {status: 503, class: "retryable", source: "crm", wait: [2]int{37, 37}, do: func(_ *testing.T, b *bench) reply {
		return b.failing(server.Fault{Do: server.Status, Status: 425, RetryAfter: "37"})
	}},
	"crm_unavailable/connection refused": {status: 503, class: "retryable", source: "crm", do: func(_ *testing.T, b *bench) reply {
		b.crm.stop()
		defer b.crm.open()
		return b.add("acme", "examplecrm", b.next(nil))
	}},
	"outcome_unknown/deadline": {status: 504, class: "unknown", source: "host", written: 1, do: func(t *testing.T, b *bench) reply {
		b.crm.set(server.Switches{AnswerDelay: 1500 * time.Millisecond})
		body := b.next(nil)
		r := b.add("acme", "examplecrm", body, "wait=1")
		// The call goes on without its caller.
		e := b.becomes(t, "acme", r.refused(t, 504, "outcome_unknown").MessageLogs[0], "logged")
		if again := b.add("acme", "examplecrm", body).logged(t, 200); again.LogID != e.LogID {
			t.Errorf("logged as %s, then %s", e.LogID, again.LogID)
		}
		return r
	}},
	"outcome_unknown/500 after the write": {status: 504, class: "unknown", source: "crm", written: 1, do: func(t *testing.T, b *bench) reply {
		b.crm.set(server.Switches{Faults: []server.Fault{
			{Do: server.Status, Status: 500, When: server.After, Next: 1},
			{On: server.Search, Do: server.Status, Status: 500, Probability: 1},
		}})
		r := b.add("acme", "examplecrm", b.next(nil))
		b.crm.set(server.Switches{})
		b.becomes(t, "acme", r.refused(t, 504, "outcome_unknown").MessageLogs[0], "logged")
		return r
	}},
}

// crmStatus is a refusal of the CRM's, for good.
func crmStatus(crm, status int) refusal {
	return refusal{status: status, class: "permanent", source: "crm", do: func(t *testing.T, b *bench) reply {
		r := b.failing(server.Fault{Do: server.Status, Status: crm})
		b.failedEntry(t, r.refused(t, status, refusedBy(crm)))
		return r
	}}
}

func refusedBy(crm int) string {
	if crm == 403 {
		return "crm_unauthorized"
	}
	return "crm_rejected"
}

// adapterRefusals are those of an adapter that misbehaves.
var adapterRefusals = refusals{
	"adapter_fault/panic":       scripted(502, "unknown", "adapter", "panic"),
	"adapter_fault/permanent":   scripted(502, "permanent", "adapter", "error:adapter_fault:permanent"),
	"adapter_fault/empty id":    scripted(502, "unknown", "adapter", "empty-id"),
	"adapter_fault/huge id":     scripted(502, "unknown", "adapter", "huge-id"),
	"unsupported/raised":        scripted(501, "permanent", "adapter", "error:unsupported"),
	"crm_rejected/raised":       scripted(424, "permanent", "crm", "error:crm_rejected"),
	"crm_unauthorized/raised":   scripted(424, "permanent", "crm", "error:crm_unauthorized"),
	"outcome_unknown/raised":    scripted(504, "unknown", "adapter", "error:outcome_unknown"),
	"outcome_unknown/killed":    scripted(504, "unknown", "host", "kill"),
	"outcome_unknown/exited":    scripted(504, "unknown", "host", "exit:3"),
	"crm_rejected/as unknown":   scripted(424, "unknown", "crm", "error:crm_rejected:unknown"),
	"outcome_unknown/no answer": scripted(504, "unknown", "host", "slow:1500ms", "wait=1"),
	"rate_limited/raised": {status: 429, class: "retryable", source: "crm", wait: [2]int{1, 1}, do: func(t *testing.T, b *bench) reply {
		b.served(t)
		return b.faulty("error:rate_limited")
	}},
	"overloaded/no free place": {status: 503, class: "retryable", source: "host", do: func(t *testing.T, b *bench) reply {
		b.served(t)
		b.id++
		first := b.goAdd("acme", "faulty", markedScript(b.id, "slow:1500ms"))
		eventually(t, "the adapter is busy", func() bool { return b.processes(t, "faulty")[0].InFlight == 1 })
		r := b.faulty("ok", "wait=1")
		first.wait(t).logged(t, 201)
		return r
	}},
}

// scripted is a refusal of faulty's.
func scripted(status int, class, source, script string, prefer ...string) refusal {
	return refusal{status: status, class: class, source: source, do: func(t *testing.T, b *bench) reply {
		b.served(t)
		return b.faulty(script, prefer...)
	}}
}

// served waits until faulty serves again, after what it did last.
func (b *bench) served(t *testing.T) {
	t.Helper()
	eventually(t, "faulty serves", func() bool { return b.faulty("ok").status == http.StatusCreated })
}
