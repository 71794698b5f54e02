package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// patient is the setup of tests that make many calls at once: on a busy machine
// none of them may run out of time.
func patient(c *crm) setup {
	return setup{crm: c, adapters: map[string]object{"examplecrm": {"limits": object{"callTimeout": "30s"}}}}
}

func TestGroupIsOneRecordOldestFirst(t *testing.T) {
	t.Parallel()
	c := startCRM(t, crmToken)
	h := startHost(t, setup{crm: c})
	h.tenant(t, "acme", "examplecrm")

	first := h.add("acme", "examplecrm", group(3, 1, 2)).logged(t, http.StatusCreated)
	c.want(t, "1,2,3")
	if first.LogID != "1" || len(first.Messages) != 3 {
		t.Fatalf("answer %+v", first)
	}
	for i, id := range []string{"3", "1", "2"} { // the request's order
		if m := first.Messages[i]; m.ID != id || m.Duplicate || m.LogID != "1" || m.MessageLogID != first.MessageLogID {
			t.Errorf("message %d reads %+v", i, m)
		}
	}
	if e := h.entry(t, "acme", first.MessageLogID); !slices.Equal(e.messageIDs(), []string{"1", "2", "3"}) || e.Attempts != 1 {
		t.Errorf("the entry reads %+v", e)
	}

	again := h.add("acme", "examplecrm", group(2, 3)).logged(t, http.StatusOK)
	if again.LogID != "1" || again.MessageLogID != first.MessageLogID {
		t.Errorf("logged again: %+v", again)
	}
	// Of a group that was logged in part, only the rest is sent.
	rest := h.add("acme", "examplecrm", group(2, 4, 1, 5)).logged(t, http.StatusCreated)
	c.want(t, "1,2,3", "4,5")
	for _, m := range rest.Messages {
		old := m.ID == "1" || m.ID == "2"
		if m.Duplicate != old || (m.LogID == "1") != old || (m.LogID == "2") == old {
			t.Errorf("message %+v of a group logged in part", m)
		}
	}
	// The same id twice in one request is one message.
	h.add("acme", "examplecrm", group(6, 6)).logged(t, http.StatusCreated)
	c.want(t, "1,2,3", "4,5", "6")
	c.agree(t, h, "acme")
}

func TestIdenticalRequestsMakeOneRecord(t *testing.T) {
	t.Parallel()
	const callers = 100
	c := startCRM(t, crmToken)
	h := startHost(t, patient(c))
	h.tenant(t, "acme", "examplecrm")

	replies := make([]reply, callers)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range replies {
		all.Go(func() {
			<-start
			replies[i] = h.add("acme", "examplecrm", group(1, 2))
		})
	}
	close(start)
	all.Wait()
	created := 0
	for _, r := range replies {
		if r.status == http.StatusCreated {
			created++
		}
		if out := r.logged(t, max(r.status, http.StatusOK)); out.LogID != "1" {
			t.Errorf("log ID %q, want 1", out.LogID)
		}
	}
	if created != 1 {
		t.Errorf("%d answers say 201, want 1", created)
	}
	c.want(t, "1,2")
	if n := c.Counts().Creates; n != 1 {
		t.Errorf("the CRM got %d creates, want 1", n)
	}
	c.agree(t, h, "acme")
}

func TestDistinctMessagesAreAllLogged(t *testing.T) {
	t.Parallel()
	const messages, workers = 1000, 64
	c := startCRM(t, crmToken)
	h := startHost(t, patient(c))
	h.tenant(t, "acme", "examplecrm")

	ids := make(chan int)
	replies := make([]reply, messages)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for id := range ids {
				replies[id] = h.add("acme", "examplecrm", one(id+1))
			}
		})
	}
	for id := range messages {
		ids <- id
	}
	close(ids)
	all.Wait()

	records := map[string]string{} // message → record
	for _, a := range c.Activities() {
		for _, m := range a.MessageIDs {
			if records[m] != "" {
				t.Errorf("message %s stands in two records", m)
			}
			records[m] = strconv.FormatInt(a.ID, 10)
		}
	}
	if len(records) != messages {
		t.Errorf("the CRM holds %d messages, want %d", len(records), messages)
	}
	for id, r := range replies {
		if logID := r.logged(t, http.StatusCreated).LogID; records[strconv.Itoa(id+1)] != logID {
			t.Errorf("message %d was answered with %q and stands in %q", id+1, logID, records[strconv.Itoa(id+1)])
		}
	}
	c.agree(t, h, "acme")
}

func TestOverlappingGroups(t *testing.T) {
	t.Parallel()
	const rounds = 20
	c := startCRM(t, crmToken)
	h := startHost(t, patient(c))
	h.tenant(t, "acme", "examplecrm")

	for round := range rounds {
		a, b, d := 10*round+1, 10*round+2, 10*round+3
		start := make(chan struct{})
		replies := make(chan reply)
		for _, ids := range [][]int{{a, b}, {b, d}, {d, a}} {
			go func() {
				<-start
				replies <- h.add("acme", "examplecrm", group(ids...))
			}()
		}
		close(start)
		for range 3 {
			if r := <-replies; r.err != nil || (r.status != http.StatusCreated && r.status != http.StatusOK) {
				t.Fatalf("round %d: status %d, %v: %s", round, r.status, r.err, r.body)
			}
		}
	}
	if n := c.Counts(); n.Messages != 3*rounds || n.DoubledMessages != 0 {
		t.Errorf("%d messages in the CRM, %d of them doubled; want %d and none", n.Messages, n.DoubledMessages, 3*rounds)
	}
	c.agree(t, h, "acme")
}

// TestSameIDsElsewhere logs one message id for one contact id wherever the two
// mean something else: each place has a record of its own.
func TestSameIDsElsewhere(t *testing.T) {
	t.Parallel()
	c := startCRM(t, crmToken)
	h := startHost(t, setup{crm: c})
	tenants := []string{"acme", "beta"}
	seen := map[string]bool{}
	for _, tenant := range tenants {
		h.tenant(t, tenant, "examplecrm")
		for _, kind := range []string{"person", "company"} {
			for _, hostname := range []string{"a.examplecrm.example", "b.examplecrm.example"} {
				request := body(fields{
					"user":        fmt.Sprintf(`{"hostname":%q}`, hostname),
					"contactInfo": fmt.Sprintf(`{"id":7,"type":%q}`, kind),
				}, message(1))
				out := h.add(tenant, "examplecrm", request).logged(t, http.StatusCreated)
				if seen[out.LogID] || seen[out.MessageLogID] {
					t.Errorf("%s %s %s shares record %s or entry %s", tenant, kind, hostname, out.LogID, out.MessageLogID)
				}
				seen[out.LogID], seen[out.MessageLogID] = true, true
				e := h.entry(t, tenant, out.MessageLogID)
				if e.Contact.ID != "7" || e.Contact.Type != kind || e.Contact.Account != hostname {
					t.Errorf("the entry's contact reads %+v", e.Contact)
				}
				// The same place in another spelling.
				same := body(fields{
					"user":        fmt.Sprintf(`{"hostname":%q}`, strings.ToUpper(hostname)+"."),
					"contactInfo": fmt.Sprintf(`{"id":"7","type":%q}`, kind),
				}, message(1))
				if again := h.add(tenant, "examplecrm", same).logged(t, http.StatusOK); again.LogID != out.LogID {
					t.Errorf("in another spelling: record %s, want %s", again.LogID, out.LogID)
				}
			}
		}
	}
	if n := len(c.Activities()); n != 8 {
		t.Errorf("%d records, want 8", n)
	}
	keys := map[string]bool{}
	for _, a := range c.Activities() {
		keys[a.ExternalID] = true
	}
	if len(keys) != 8 {
		t.Errorf("%d idempotency keys, want 8", len(keys))
	}
	c.agree(t, h, tenants...)
}
