package e2e

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/plugins/examplecrm/server"
)

// crm is a running example CRM.
type crm struct {
	*server.Server
	t    testing.TB
	addr string
	stop func() // stops answering; records stay
}

// startCRM starts a CRM that takes the token.
func startCRM(t testing.TB, token string) *crm {
	t.Helper()
	s, err := server.New(server.Config{Tokens: []string{token}})
	must(t, err)
	c := &crm{Server: s, t: t}
	c.open()
	t.Cleanup(func() {
		c.stop()
		must(t, s.Close())
	})
	return c
}

// open begins to answer on a free port.
func (c *crm) open() {
	c.t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(context.Background(), "tcp", "127.0.0.1:0")
	must(c.t, err)
	c.addr = listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx, listener) }()
	c.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			c.t.Errorf("CRM: %v", err)
		}
		c.stop = func() {}
	}
}

func (c *crm) url() string { return "http://" + c.addr }

// set replaces the CRM's switches.
func (c *crm) set(s server.Switches) {
	c.t.Helper()
	must(c.t, c.SetSwitches(s))
}

// next makes the next create fail once.
func (c *crm) next(f server.Fault) {
	c.t.Helper()
	f.Next = 1
	c.set(server.Switches{Faults: []server.Fault{f}})
}

// arrived waits until n creates have reached the CRM.
func (c *crm) arrived(n int64) {
	c.t.Helper()
	eventually(c.t, strconv.FormatInt(n, 10)+" creates have reached the CRM", func() bool { return c.Counts().Creates >= n })
}

// want checks that the CRM holds exactly these records, each given as its message
// ids joined by commas, oldest first.
func (c *crm) want(t testing.TB, records ...string) {
	t.Helper()
	var got []string
	for _, a := range c.Activities() {
		got = append(got, strings.Join(a.MessageIDs, ","))
	}
	if !slices.Equal(got, records) {
		t.Errorf("the CRM holds the records %q, want %q", got, records)
	}
}

// agree compares the tenants' ledger entries of examplecrm with the CRM one to one: each record
// has exactly one logged entry with the same contact and messages, each logged
// entry its record, no message stands in two records, and nothing is open.
func (c *crm) agree(t testing.TB, h *host, tenants ...string) {
	t.Helper()
	logged := map[string]entry{}
	for _, tenant := range tenants {
		for _, e := range h.entries(t, tenant, "adapter=examplecrm") {
			switch {
			case e.State != "logged" && e.State != "failed":
				t.Errorf("entry %s of %s is %s", e.ID, tenant, e.State)
			case e.State == "logged" && len(e.StrayIDs) > 0:
				t.Errorf("entry %s has strays %q", e.ID, e.StrayIDs)
			case e.State == "logged" && logged[e.LogID].ID != "":
				t.Errorf("entries %s and %s have the same log ID %s", e.ID, logged[e.LogID].ID, e.LogID)
			case e.State == "logged":
				logged[e.LogID] = e
			}
		}
	}
	records := c.Activities()
	for _, a := range records {
		id := strconv.FormatInt(a.ID, 10)
		e, known := logged[id]
		if !known {
			t.Errorf("record %s with messages %q has no entry", id, a.MessageIDs)
			continue
		}
		if !slices.Equal(e.messageIDs(), a.MessageIDs) || e.Contact.ID != a.ContactID || e.Contact.Type != a.ContactType {
			t.Errorf("record %s and entry %s differ:\n%+v\n%+v", id, e.ID, a, e)
		}
	}
	if len(records) != len(logged) {
		t.Errorf("%d records, %d logged entries", len(records), len(logged))
	}
	if n := c.Counts().DoubledKeys; n != 0 {
		t.Errorf("%d idempotency keys stand in more than one record", n)
	}
}
