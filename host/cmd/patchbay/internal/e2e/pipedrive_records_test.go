package e2e

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestPipedriveRecords is what stands in Pipedrive in the end.
func TestPipedriveRecords(t *testing.T) {
	t.Parallel()
	b := startPipedriveBench(t, nil)
	t.Run("deal and lead", func(t *testing.T) { b.linksADeal(t) })
	t.Run("group", func(t *testing.T) { b.logsAGroup(t) })
	t.Run("same message elsewhere", func(t *testing.T) { b.logsElsewhere(t) })
	t.Run("person", func(t *testing.T) { b.knowsNoPerson(t) })
	t.Run("activity type", func(t *testing.T) { b.needsAType(t) })
	t.Run("type switched off", func(t *testing.T) { b.losesItsType(t) })
	b.ends(t, "typed")
}

// lead is a lead of the account.
const lead = "adf21080-0e10-11eb-879b-05d71fb426ec"

// linksADeal links what was chosen: a deal, else a lead, and a deal that is unknown
// only to Pipedrive is refused by it.
func (b *pipedriveBench) linksADeal(t *testing.T) {
	message := 100
	for chosen, want := range map[string]activity{
		`{}`:                                     {},
		`{"deals":"500"}`:                        {DealID: 500},
		`{"leads":"` + lead + `"}`:               {LeadID: lead},
		`{"deals":501,"leads":""}`:               {DealID: 501},
		`{"deals":"","leads":""}`:                {},
		`{"deals":"501","leads":"` + lead + `"}`: {DealID: 501},
	} {
		message++
		b.logsOnce(t, fields{"additionalSubmission": chosen}, http.StatusCreated, message)
		a := b.crm.one(t, message)
		if a.DealID != want.DealID || a.LeadID != want.LeadID {
			t.Errorf("%s: activity %+v", chosen, a)
		}
		if a.PersonID != 7 || a.OrgID != 70 || a.OwnerID != 1001 || a.Type != "sms" || !a.Done {
			t.Errorf("%s: activity %+v", chosen, a)
		}
	}
	unknown := fields{"additionalSubmission": `{"deals":"999"}`}
	r := b.relay(unknown, 120)
	if p := r.refused(t, 424, "crm_rejected"); p.Class != "permanent" || p.Source != "crm" || !strings.Contains(p.Detail, "Deal not found") {
		t.Errorf("problem %s", r.body)
	}
	sent := b.crm.counts(t).Attempted
	for _, wrong := range []string{`{"deals":"many"}`, `{"leads":"7"}`} {
		b.relay(fields{"additionalSubmission": wrong}, 120).refused(t, 424, "crm_rejected")
	}
	if n := b.crm.counts(t).Attempted; n != sent {
		t.Errorf("what cannot be a deal or a lead was sent")
	}
	b.logsOnce(t, fields{"additionalSubmission": `{"deals":"500"}`}, http.StatusCreated, 120)
}

// logsAGroup logs a conversation as one activity, oldest first, at the time of
// the oldest message.
func (b *pipedriveBench) logsAGroup(t *testing.T) {
	out := b.relay(nil, 203, 201, 202).logged(t, http.StatusCreated)
	a := b.crm.one(t, 201)
	if out.LogID != a.logID() || a.DueDate != "2023-11-15" || a.DueTime != "01:34:00" {
		t.Errorf("answer %+v, activity %+v", out, a)
	}
	at := []int{strings.Index(a.Note, textOf(201)), strings.Index(a.Note, textOf(202)), strings.Index(a.Note, textOf(203))}
	if slices.Contains(at, -1) || !slices.IsSorted(at) {
		t.Errorf("the messages stand at %v of the note", at)
	}
	if again := b.relay(nil, 202, 201).logged(t, http.StatusOK); again.LogID != out.LogID {
		t.Errorf("logged again: %+v", again)
	}
	// Of a group that was logged in part, only the rest is sent; a doubt about it
	// is settled like any other.
	b.crm.faults(t, onCreate(after(object{"do": "reset"})))
	rest := b.relay(nil, 202, 205, 204).logged(t, http.StatusCreated)
	if a := b.crm.one(t, 204); rest.LogID != a.logID() || strings.Contains(a.Note, textOf(202)) || !strings.Contains(a.Note, textOf(205)) {
		t.Errorf("answer %+v, activity %+v", rest, a)
	}
}

// logsElsewhere logs one message wherever it means something else: once for all
// users of an account, and anew for every account and every person.
func (b *pipedriveBench) logsElsewhere(t *testing.T) {
	const message = 300
	send := func(user, hostname, contact string) reply {
		return b.relay(fields{"user": pipedriveUser(user, hostname), "contactInfo": contact}, message)
	}
	const ada, charles = `{"id":7,"type":"person"}`, `{"id":8,"type":"person"}`
	first := send("1001-pipedrive", "one.pipedrive.com", ada).logged(t, http.StatusCreated)
	for _, user := range []string{"1001", "1002-pipedrive", "u-2"} {
		if again := send(user, "One.pipedrive.com.", ada).logged(t, http.StatusOK); again.LogID != first.LogID {
			t.Errorf("logged for user %s as %s, before that as %s", user, again.LogID, first.LogID)
		}
	}
	other := send("1002-pipedrive", "two.pipedrive.com", ada).logged(t, http.StatusCreated)
	person := send("1001-pipedrive", "one.pipedrive.com", charles).logged(t, http.StatusCreated)
	all := b.crm.of(t, message)
	var got, keys []string
	for _, a := range all {
		got, keys = append(got, a.logID()), append(keys, a.Markers...)
	}
	if want := []string{first.LogID, other.LogID, person.LogID}; !slices.Equal(got, want) {
		t.Fatalf("the message stands in %v, want %v", got, want)
	}
	slices.Sort(keys)
	if len(slices.Compact(keys)) != 3 {
		t.Errorf("the records have the keys %q", keys)
	}
	if all[0].OwnerID != 1001 || all[1].OwnerID != 1002 || all[2].PersonID != 8 || all[2].OrgID != 0 {
		t.Errorf("records %+v", all)
	}
}

// knowsNoPerson refuses a person that Pipedrive does not have, and a contact that
// is none, before anything is sent.
func (b *pipedriveBench) knowsNoPerson(t *testing.T) {
	sent := b.crm.counts(t).Attempted
	for contact, says := range map[string]string{
		`{"id":999,"type":"person"}`: "Person not found", `{"id":70,"type":"organization"}`: "contactInfo.type must be", `{"id":"x","type":"person"}`: "number of a person",
	} {
		r := b.relay(fields{"contactInfo": contact}, 400)
		if p := r.refused(t, 424, "crm_rejected"); p.Class != "permanent" || !strings.Contains(p.Detail, says) {
			t.Errorf("%s: %s", contact, r.body)
		}
	}
	if n := b.crm.counts(t).Attempted; n != sent {
		t.Errorf("%d creates were sent", n-sent)
	}
	b.logsOnce(t, nil, http.StatusCreated, 400)
}

// needsAType refuses a type that the tenant's setting names and the account does
// not have, and says which there are.
func (b *pipedriveBench) needsAType(t *testing.T) {
	b.tenant(t, "typed")
	enable := func(status int, method, kind string) {
		b.send(request{
			Method: method, Path: "/v1/tenants/typed/adapters/pipedrive",
			Body: `{"enabled":true,"settings":{"activityType":` + strconv.Quote(kind) + `}}`,
		}).into(t, status, nil)
	}
	sent := b.crm.counts(t).Attempted
	enable(http.StatusCreated, http.MethodPut, "nonsense")
	for _, kind := range []string{"nonsense", "fax" /* not active */, "SMS" /* a name */} {
		enable(http.StatusOK, http.MethodPatch, kind)
		r := b.add("typed", "pipedrive", toPipedrive(nil, 500))
		p := r.refused(t, 424, "crm_rejected")
		if p.Class != "permanent" || !strings.Contains(p.Detail, "the setting activityType") || !strings.Contains(p.Detail, "call, meeting, sms") {
			t.Errorf("%s: %s", kind, r.body)
		}
		if e := b.entry(t, "typed", p.MessageLogs[0]); e.State != "failed" || e.Problem.Code != "crm_rejected" {
			t.Errorf("entry %+v", e)
		}
	}
	if n := b.crm.counts(t).Attempted; n != sent {
		t.Errorf("%d creates were sent", n-sent)
	}
	enable(http.StatusOK, http.MethodPatch, "meeting")
	out := b.add("typed", "pipedrive", toPipedrive(nil, 500)).logged(t, http.StatusCreated)
	if a := b.crm.one(t, 500); a.logID() != out.LogID || a.Type != "meeting" {
		t.Errorf("answer %+v, activity %+v", out, a)
	}
}

// losesItsType has Pipedrive refuse the type that the adapter has just been told
// of: somebody has switched it off since.
func (b *pipedriveBench) losesItsType(t *testing.T) {
	own := fields{"user": pipedriveUser("1001", "typed.pipedrive.com")}
	b.logsOnce(t, own, http.StatusCreated, 600)
	sent := b.crm.counts(t).Attempted
	b.crm.faults(t, onCreate(merged(answers(400), object{"message": "Activity type is not active"})))
	r := b.relay(own, 601)
	if p := r.refused(t, 424, "crm_rejected"); p.Class != "permanent" || !strings.Contains(p.Detail, "not active") {
		t.Errorf("problem %s", r.body)
	}
	if n := b.crm.counts(t).Attempted - sent; n != 1 {
		t.Errorf("sent %d times", n)
	}
	b.logsOnce(t, own, http.StatusCreated, 601) // it is switched on again
}
