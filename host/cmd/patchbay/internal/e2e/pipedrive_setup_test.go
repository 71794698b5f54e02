package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// textOf is the text of a message, which stands in no other's.
func textOf(message int) string { return fmt.Sprintf("%s text %d.", marker, message) }

// pipedriveUser is a user of the messaging product at an account.
func pipedriveUser(id, hostname string) string {
	return fmt.Sprintf(`{"id":%q,"hostname":%q,"name":"%s"}`, id, hostname, marker)
}

// toPipedrive returns a marked body with these messages for Ada Lovelace, or with
// the members of own. Its user is none of Pipedrive's, so the account is asked for
// everything: activity types, user and person, and then to create.
func toPipedrive(own fields, messages ...int) string {
	all := fields{
		"user":        pipedriveUser("u-1", "acme.pipedrive.com"),
		"contactInfo": `{"id":7,"type":"person","name":"` + marker + `","phoneNumber":"` + marker + `"}`,
		"authHeader":  strconv.Quote("Bearer " + markedToken),
	}
	maps.Copy(all, own)
	var texts []string
	for _, id := range messages {
		texts = append(texts, fmt.Sprintf(`{"id":%d,"creationTime":%d,"direction":"Outbound","subject":%q,`+
			`"from":{"phoneNumber":"+18885550052"},"to":[{"phoneNumber":"+16505553204"}],"conversationId":1}`,
			id, 1_700_000_000_000+int64(id)*60_000, textOf(id)))
	}
	return body(all, texts...)
}

// pipedriveBench is a host whose tenant acme may use pipedrive, and its account.
type pipedriveBench struct {
	*host
	crm *pipedrive
}

// startPipedriveBench starts a host, of whose pipedrive the configuration says own,
// and an account with these flags.
func startPipedriveBench(t testing.TB, own object, flags ...string) *pipedriveBench {
	t.Helper()
	crm := startPipedrive(t, flags...)
	b := &pipedriveBench{startHost(t, setup{pipedrive: crm, adapters: map[string]object{"pipedrive": own}}), crm}
	b.tenant(t, "acme", "pipedrive")
	return b
}

// relay sends messages.
func (b *pipedriveBench) relay(own fields, messages ...int) reply {
	return b.add("acme", "pipedrive", toPipedrive(own, messages...))
}

// goRelay sends messages in a goroutine.
func (b *pipedriveBench) goRelay(own fields, message int, prefer ...string) went {
	return b.goAdd("acme", "pipedrive", toPipedrive(own, message), prefer...)
}

// logsOnce sends a message whose outcome is settled, twice: it is answered with
// that status, then as logged before, and there is one record of it.
func (b *pipedriveBench) logsOnce(t testing.TB, own fields, status, message int) messageLog {
	t.Helper()
	out := b.relay(own, message).logged(t, status)
	again := b.relay(own, message).logged(t, http.StatusOK)
	if id := b.crm.one(t, message).logID(); out.LogID != id || again.LogID != id || out.MessageLogID != again.MessageLogID {
		t.Errorf("answered with %s of %s, then %s of %s; the record is %s",
			out.LogID, out.MessageLogID, again.LogID, again.MessageLogID, id)
	}
	if !strings.HasSuffix(out.LogURL, ".pipedrive.com/activities/"+out.LogID) {
		t.Errorf("the record's page is %q", out.LogURL)
	}
	return out
}

// ends checks that the ledger and the account agree one to one, and that nothing
// tells a value of a request.
func (b *pipedriveBench) ends(t testing.TB, tenants ...string) {
	t.Helper()
	tenants = append(tenants, "acme")
	b.agree(t, tenants...)
	b.tellsNothing(t, tenants...)
}

// agree compares the tenants' ledger entries with the account one to one: each
// record has exactly one logged entry, whose messages it holds, each logged entry
// its record, nothing is doubled, and nothing is open.
func (b *pipedriveBench) agree(t testing.TB, tenants ...string) {
	t.Helper()
	logged := map[string]entry{}
	for _, tenant := range tenants {
		for _, e := range b.entries(t, tenant, "adapter=pipedrive") {
			switch {
			case e.State == "failed":
			case e.State != "logged" || len(e.StrayIDs) > 0:
				t.Errorf("entry %s of %s is %s with strays %q", e.ID, tenant, e.State, e.StrayIDs)
			case logged[e.LogID].ID != "":
				t.Errorf("entries %s and %s have the same log ID %s", e.ID, logged[e.LogID].ID, e.LogID)
			default:
				logged[e.LogID] = e
			}
		}
	}
	records := b.crm.activities(t)
	for _, a := range records {
		e, known := logged[a.logID()]
		if !known {
			t.Errorf("record %d with the note %q has no entry", a.ID, a.Note)
			continue
		}
		for _, message := range e.messageIDs() {
			id, err := strconv.Atoi(message)
			must(t, err)
			if !strings.Contains(a.Note, textOf(id)) || strconv.FormatInt(a.PersonID, 10) != e.Contact.ID {
				t.Errorf("record %+v is not that of entry %+v", a, e)
			}
		}
	}
	if len(records) != len(logged) {
		t.Errorf("%d records, %d logged entries", len(records), len(logged))
	}
	if n := b.crm.counts(t); n.Doubled != 0 || n.Pending != 0 || n.Markers != len(records) || n.Applied != len(records) {
		t.Errorf("%d records, and the account counts %+v", len(records), n)
	}
}
