package e2e

import (
	"net/http"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/plugins/examplecrm/server"
)

// lab starts a CRM and a host whose tenant acme may use examplecrm, of which the
// configuration says own.
func lab(t *testing.T, own object) (*crm, *host) {
	t.Helper()
	c := startCRM(t, crmToken)
	h := startHost(t, setup{crm: c, adapters: map[string]object{"examplecrm": own}})
	h.tenant(t, "acme", "examplecrm")
	return c, h
}

// TestMishaps has the CRM fail in the middle of a call. Whatever the caller is
// told first, the entry settles to the truth, and sending the message again is
// safe.
func TestMishaps(t *testing.T) {
	t.Parallel()
	once := func(f server.Fault) server.Switches {
		f.Next = 1
		return server.Switches{Faults: []server.Fault{f}}
	}
	lagging := once(server.Fault{Do: server.Reset, When: server.After})
	lagging.SearchLag = 400 * time.Millisecond
	for name, m := range map[string]struct {
		switches server.Switches
		prefer   string
		// status is the first answer's: 201, or 504 when the host cannot tell.
		status int
		// state is how the entry ends.
		state string
		// creates is how many creates the CRM gets for the first call.
		creates int64
	}{
		"reset after the write":            {once(server.Fault{Do: server.Reset, When: server.After}), "", 201, "logged", 1},
		"reset after the write, lag":       {lagging, "", 504, "logged", 1},
		"reset before the write":           {once(server.Fault{Do: server.Reset}), "", 504, "failed", 1},
		"garbage for an answer":            {once(server.Fault{Do: server.Garbage}), "", 201, "logged", 1},
		"empty answer":                     {once(server.Fault{Do: server.Empty}), "", 201, "logged", 1},
		"500 after the write":              {once(server.Fault{Do: server.Status, Status: 500, When: server.After}), "", 201, "logged", 1},
		"500 before the write":             {once(server.Fault{Do: server.Status, Status: 500}), "", 504, "failed", 1},
		"reset, written later":             {once(server.Fault{Do: server.Late, Delay: 700 * time.Millisecond}), "", 504, "logged", 1},
		"502, written later":               {once(server.Fault{Do: server.Late, Status: 502, Delay: 700 * time.Millisecond}), "", 504, "logged", 1},
		"429, then well":                   {once(server.Fault{Do: server.Status, Status: 429, RetryAfter: "1"}), "", 201, "logged", 2},
		"503, then well":                   {once(server.Fault{Do: server.Status, Status: 503}), "", 201, "logged", 2},
		"answered after the caller left":   {server.Switches{AnswerDelay: 1300 * time.Millisecond}, "wait=1", 504, "logged", 1},
		"written after the caller left":    {server.Switches{ApplyDelay: 1300 * time.Millisecond}, "wait=1", 504, "logged", 1},
		"answered in the last moment of D": {server.Switches{ApplyDelay: 2200 * time.Millisecond}, "", 504, "logged", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, h := lab(t, nil)
			c.set(m.switches)
			var prefer []string
			if m.prefer != "" {
				prefer = []string{m.prefer}
			}
			r := h.add("acme", "examplecrm", group(1, 2), prefer...)
			var id string
			if m.status == http.StatusCreated {
				id = r.logged(t, 201).MessageLogID
			} else {
				p := r.refused(t, 504, "outcome_unknown")
				if p.Class != "unknown" || len(p.MessageLogs) != 1 || len(p.Messages) != 2 {
					t.Fatalf("problem %s", r.body)
				}
				id = p.MessageLogs[0]
			}
			e := h.becomes(t, "acme", id, m.state)
			if n := c.Counts().Creates; n != m.creates || e.Attempts != 1 {
				t.Errorf("%d creates in %d attempts, want %d in 1", n, e.Attempts, m.creates)
			}
			c.set(server.Switches{})
			if m.state == "logged" {
				if again := h.add("acme", "examplecrm", group(2, 1)).logged(t, 200); again.LogID != e.LogID {
					t.Errorf("logged as %s, then as %s", e.LogID, again.LogID)
				}
			} else {
				if e.Problem == nil || e.Problem.Class != "retryable" || e.Reconcile == nil || e.Reconcile.Verdict != "notFound" {
					t.Errorf("entry %+v", e)
				}
				h.add("acme", "examplecrm", group(2, 1)).logged(t, 201)
			}
			c.want(t, "1,2")
			c.agree(t, h, "acme")
		})
	}
}

// TestUnsettledMessagesDoNotBlockOthers sends a group of which one message has an
// unknown outcome: the others are logged, and the answer says where each stands.
func TestUnsettledMessagesDoNotBlockOthers(t *testing.T) {
	t.Parallel()
	c, h := lab(t, nil)
	c.set(server.Switches{Faults: []server.Fault{
		{Do: server.Reset, When: server.After, Next: 1},
		{On: server.Search, Do: server.Status, Status: 503, Probability: 1},
	}})
	id := h.add("acme", "examplecrm", one(1)).refused(t, 504, "outcome_unknown").MessageLogs[0]
	p := h.add("acme", "examplecrm", group(1, 2)).refused(t, 409, "outcome_unsettled")
	c.want(t, "1", "2")
	states := map[string]string{}
	for _, m := range p.Messages {
		states[m.ID] = m.State
	}
	if states["1"] != "unknown" || states["2"] != "logged" {
		t.Errorf("the messages stand at %v", states)
	}
	c.set(server.Switches{})
	h.becomes(t, "acme", id, "logged")
	h.add("acme", "examplecrm", group(1, 2)).logged(t, 200)
	c.want(t, "1", "2")
	c.agree(t, h, "acme")
}

// TestRetryAndForget sends a refused entry again with other credentials, and logs
// a message anew whose record was forgotten.
func TestRetryAndForget(t *testing.T) {
	t.Parallel()
	c, h := lab(t, nil)
	c.next(server.Fault{Do: server.Status, Status: 422})
	id := h.add("acme", "examplecrm", one(1)).refused(t, 424, "crm_rejected").MessageLogs[0]
	h.settle("acme", id, "retry", `{"authHeader":"Bearer expired"}`).refused(t, 424, "crm_unauthorized")
	c.want(t)
	out := h.settle("acme", id, "retry", `{"authHeader":"Bearer `+crmToken+`"}`).logged(t, 201)
	if e := h.entry(t, "acme", id); out.MessageLogID != id || e.Attempts != 3 || e.State != "logged" {
		t.Errorf("answer %+v, entry %+v", out, e)
	}
	// Forgotten, the message can be logged again.
	h.settle("acme", id, "forget", "").into(t, 200, nil)
	if again := h.add("acme", "examplecrm", one(1)).logged(t, 201); again.LogID == out.LogID {
		t.Errorf("a forgotten message was answered with its old record %s", again.LogID)
	}
	c.want(t, "1", "1")
}

// TestWithoutSearch is an adapter that cannot search: a person decides, and no
// sooner than the CRM must have acted.
func TestWithoutSearch(t *testing.T) {
	t.Parallel()
	c := startCRM(t, crmToken)
	h := startHost(t, setup{crm: c, adapters: map[string]object{"examplecrm": {
		"env": object{"EXAMPLECRM_FIND": "off"}, "limits": object{"callTimeout": "1s"},
	}}})
	h.tenant(t, "acme", "examplecrm")

	c.next(server.Fault{Do: server.Reset, When: server.After})
	written := h.add("acme", "examplecrm", one(1)).refused(t, 504, "outcome_unknown").MessageLogs[0]
	c.next(server.Fault{Do: server.Reset})
	lost := h.add("acme", "examplecrm", one(2)).refused(t, 504, "outcome_unknown").MessageLogs[0]
	h.add("acme", "examplecrm", group(1, 2)).refused(t, 409, "outcome_unsettled")
	early := h.settle("acme", lost, "resolve", `{"notLogged":true}`)
	early.refused(t, 409, "outcome_unsettled")
	if wait := early.retryAfter(t); wait < 1 || wait > 4 {
		t.Errorf("Retry-After %d before the entry settles", wait)
	}

	pass(t, time.Until(h.entry(t, "acme", lost).SettlesAt)+100*time.Millisecond)
	for _, id := range []string{written, lost} {
		if e := h.entry(t, "acme", id); e.State != "unknown" {
			t.Errorf("an entry that nobody can search for became %s", e.State)
		}
	}
	h.add("acme", "examplecrm", one(1)).refused(t, 409, "outcome_unsettled")

	h.settle("acme", written, "resolve", `{"logId":"1"}`).into(t, 200, nil)
	if out := h.add("acme", "examplecrm", one(1)).logged(t, 200); out.LogID != "1" || out.MessageLogID != written {
		t.Errorf("after the word of a person: %+v", out)
	}
	h.settle("acme", lost, "resolve", `{"notLogged":true}`).into(t, 200, nil)
	if e := h.entry(t, "acme", lost); e.State != "failed" {
		t.Errorf("entry %+v", e)
	}
	h.add("acme", "examplecrm", one(2)).logged(t, 201)
	h.settle("acme", written, "resolve", `{"logId":"2"}`).refused(t, 409, "already_logged")
	c.want(t, "1", "2")
	c.agree(t, h, "acme")
}
