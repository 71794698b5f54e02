package e2e

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

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
