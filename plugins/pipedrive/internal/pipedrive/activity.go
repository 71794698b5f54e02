package pipedrive

import (
	"context"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/crmhttp"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/render"
)

// The manifest's custom fields.
const (
	fieldDeal = "deals"
	fieldLead = "leads"
)

// activity is the body of POST /api/v2/activities. What is not known is left out:
// Pipedrive refuses an empty text where an id belongs.
type activity struct {
	Subject      string        `json:"subject"`
	Type         string        `json:"type"` // the key_string of an activity type
	OwnerID      int64         `json:"owner_id"`
	Participants []participant `json:"participants"` // person_id itself cannot be written
	OrgID        int64         `json:"org_id,omitzero"`
	DealID       int64         `json:"deal_id,omitzero"`
	LeadID       string        `json:"lead_id,omitzero"`
	Note         string        `json:"note"` // HTML
	Done         bool          `json:"done"`
	DueDate      string        `json:"due_date"` // YYYY-MM-DD, UTC
	DueTime      string        `json:"due_time"` // HH:MM, UTC
}

type participant struct {
	PersonID int64 `json:"person_id"`
	Primary  bool  `json:"primary"`
}

// newActivity maps a request to Pipedrive's terms, as far as the request goes.
// OwnerID is 0 when it does not say.
func newActivity(req *sdk.AddMessageLogRequest) (activity, error) {
	personID, err := personOf(req.ContactInfo)
	if err != nil {
		return activity{}, err
	}
	dealID, leadID, err := linkOf(req)
	if err != nil {
		return activity{}, err
	}
	// A group stands where its conversation began: its note begins there too, and
	// the oldest message is the one that no later message changes.
	at := req.Messages[0].CreationTime.UTC()
	return activity{
		Subject:      render.Subject(req),
		OwnerID:      ownerOf(req.User.ID),
		Participants: []participant{{PersonID: personID, Primary: true}},
		DealID:       dealID,
		LeadID:       leadID,
		Note:         noteOf(req),
		Done:         true,
		DueDate:      at.Format("2006-01-02"),
		DueTime:      at.Format("15:04"),
	}, nil
}

// typePerson is the one type of contact. An organisation is none: an activity takes
// persons only.
const typePerson = "person"

// personOf returns the id of the person that the contact is. A person has one
// spelling only, for the host tells messages apart by the contact's type and id as
// they are written: of two spellings it would make two activities.
func personOf(contact sdk.Contact) (int64, error) {
	if contact.Type != typePerson {
		return 0, fault.Rejected("contactInfo.type must be \"person\", in these letters: choose a person of Pipedrive")
	}
	id, err := contact.ID.Int64()
	if err != nil || id <= 0 || contact.ID.String() != strconv.FormatInt(id, 10) {
		return 0, fault.Rejected("contactInfo.id is not the number of a person of Pipedrive, as 7: choose the contact again, or create it first")
	}
	return id, nil
}

// linkOf returns the deal or the lead that the activity belongs to. Pipedrive
// links an activity to one of them; a deal wins, for it is what a lead becomes.
func linkOf(req *sdk.AddMessageLogRequest) (dealID int64, leadID string, err error) {
	if deal := req.Field(fieldDeal); deal.String() != "" {
		dealID, err = deal.Int64()
		if err != nil || dealID <= 0 {
			return 0, "", fault.Rejected("additionalSubmission." + fieldDeal + " is not the number of a deal: choose the deal again")
		}
		return dealID, "", nil
	}
	leadID = req.Field(fieldLead).String()
	if leadID != "" && !uuid.MatchString(leadID) {
		return 0, "", fault.Rejected("additionalSubmission." + fieldLead + " is not the id of a lead, a UUID: choose the lead again")
	}
	return 0, leadID, nil
}

// uuid is the form of a lead's id.
var uuid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// ownerOf returns the user of Pipedrive that a user's id names, 0 for none: the
// number itself, or App Connect's "42-pipedrive". Pipedrive's user ids have 32
// bits; a larger number is an id of the messaging product.
func ownerOf(id sdk.ID) int64 {
	n, err := strconv.ParseInt(strings.TrimSuffix(id.String(), "-pipedrive"), 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt32 {
		return 0
	}
	return n
}

// maxNote is the longest note, in bytes of UTF-8. Pipedrive takes activity notes
// of 100 kB (its changelog of July 2025).
const maxNote = 100_000

// noteOf returns the note, with the request's key on its last line. render counts
// characters, Pipedrive bytes, so a note in a script of several bytes is made anew
// until it fits; a quarter does in any script.
func noteOf(req *sdk.AddMessageLogRequest) string {
	for limit := maxNote; ; limit -= maxNote / 8 {
		note := render.HTMLWith(req, render.Options{MaxLen: limit, Marker: req.IdempotencyKey})
		if len(note) <= maxNote || limit <= maxNote/4 {
			return note
		}
	}
}

// user is what the adapter needs to know of a user.
type user struct {
	ID     int64 `json:"id"`
	Access []struct {
		App   string `json:"app"`
		Admin bool   `json:"admin"`
	} `json:"access"`
}

// seesAll reports whether the user is an admin of the CRM, from whom no activity
// is hidden.
func (u user) seesAll() bool {
	for _, a := range u.Access {
		if a.App == "sales" && a.Admin { // what Pipedrive calls its CRM
			return true
		}
	}
	return false
}

// currentUser returns the user to whom the call's credentials belong. It is asked
// each time: what could be remembered would have to be found by the credentials,
// and those are kept nowhere. The price is the smallest that Pipedrive knows, and
// only calls pay it whose user is not one of Pipedrive.
func (a *Adapter) currentUser(ctx context.Context, call crmhttp.Call) (user, error) {
	var me user
	if _, err := a.exchange(ctx, call, crmhttp.Request{Path: "/v1/users/me"}, &me); err != nil {
		return user{}, err
	}
	if me.ID <= 0 {
		return user{}, unusable("a user without an id")
	}
	return me, nil
}

// person is what the adapter needs to know of a person.
type person struct {
	ID      int64 `json:"id"`
	OrgID   int64 `json:"org_id"` // 0 for none
	Deleted bool  `json:"is_deleted"`
}

// person returns the person with that id. One that was deleted, or merged into
// another, is refused.
func (a *Adapter) person(ctx context.Context, call crmhttp.Call, id int64) (person, error) {
	var found person
	_, err := a.exchange(ctx, call, crmhttp.Request{Path: crmhttp.Path("/api/v2/persons/{id}", id)}, &found)
	switch {
	case err != nil:
		return person{}, err
	case found.ID <= 0:
		return person{}, unusable("a person without an id")
	case found.Deleted, found.ID != id:
		return person{}, fault.Rejected("the person was deleted in Pipedrive, or merged into another: choose the contact again")
	}
	return found, nil
}
