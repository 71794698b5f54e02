package e2e

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/plugins/examplecrm/server"
)

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
