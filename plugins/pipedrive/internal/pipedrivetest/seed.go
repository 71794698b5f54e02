package pipedrivetest

import (
	"errors"
	"fmt"
	"time"
)

// User is a user of the account: an owner of activities.
type User struct {
	ID   int64
	Name string
	// TimezoneOffset is the user's offset as Pipedrive writes it: "+08:00".
	TimezoneOffset string
	// TimezoneName is the user's zone: "Asia/Singapore".
	TimezoneName string
	// Admin makes the user an admin of the CRM, as GET /v1/users/me says.
	Admin bool
	// OwnOnly hides from the user the activities of other owners, as Pipedrive's
	// permission sets can.
	OwnOnly bool
}

// Organization is a company that persons belong to.
type Organization struct {
	ID   int64
	Name string
}

// Person is a contact.
type Person struct {
	ID      int64
	Name    string
	Phone   string
	OrgID   int64 // 0: none
	OwnerID int64 // 0: the first user
}

// Deal is a deal that activities can be linked to.
type Deal struct {
	ID    int64
	Title string
}

// Lead is a lead that activities can be linked to.
type Lead struct {
	ID    string // a UUID
	Title string
}

// ActivityType is a kind of activity. Activities name it by its Key.
type ActivityType struct {
	ID       int64
	Name     string
	Key      string // the key_string
	Icon     string
	Inactive bool
}

// withSeed fills lists that are nil with the seed data of the package comment.
func (c Config) withSeed() Config {
	if c.Users == nil {
		c.Users = []User{
			{ID: 1001, Name: "Grace Hopper", TimezoneOffset: "+08:00", TimezoneName: "Asia/Singapore"},
			{ID: 1002, Name: "Edsger Dijkstra", TimezoneOffset: "+02:00", TimezoneName: "Europe/Amsterdam"},
		}
	}
	if c.Organizations == nil {
		c.Organizations = []Organization{{ID: 70, Name: "Analytical Engines"}, {ID: 71, Name: "Difference Works"}}
	}
	if c.Persons == nil {
		c.Persons = []Person{
			{ID: 7, Name: "Ada Lovelace", Phone: "+16505553204", OrgID: 70},
			{ID: 8, Name: "Charles Babbage", Phone: "+16505553205"},
		}
	}
	if c.Deals == nil {
		c.Deals = []Deal{{ID: 500, Title: "Engine No. 1"}, {ID: 501, Title: "Engine No. 2"}}
	}
	if c.Leads == nil {
		c.Leads = []Lead{
			{ID: "adf21080-0e10-11eb-879b-05d71fb426ec", Title: "Engine No. 3"},
			{ID: "3d2f1c60-77aa-4f0e-9d6b-2d9f3b1c5a11", Title: "Engine No. 4"},
		}
	}
	if c.ActivityTypes == nil {
		c.ActivityTypes = []ActivityType{
			{ID: 1, Name: "Call", Key: "call", Icon: "call"},
			{ID: 2, Name: "Meeting", Key: "meeting", Icon: "meeting"},
			{ID: 3, Name: "Fax", Key: "fax", Icon: "email", Inactive: true},
			{ID: 4, Name: "SMS", Key: "sms", Icon: "sms"},
		}
	}
	return c
}

// maxSeed bounds one call of Seed.
const maxSeed = 100_000

// Seeding says which activities Seed makes.
type Seeding struct {
	// PersonID is the primary participant: required.
	PersonID int64 `json:"personId"`
	// Count is how many: 1 to 100,000.
	Count int `json:"count"`
	// OwnerID is the owner; default the first user.
	OwnerID int64 `json:"ownerId,omitzero"`
	// From is the add and update time of the first; default now.
	From time.Time `json:"from,omitzero"`
	// Step is how much later each further one was made; negative goes back.
	Step time.Duration `json:"step,omitzero"`
	// Note is the note of each; default a text that holds no marker.
	Note string `json:"note,omitempty"`
}

// Seed makes activities of a person as somebody else might have made them, so
// that a search has something to search through. It counts as no create, takes
// no budget, and what it makes is seen by lists at once.
func (f *Fake) Seed(s Seeding) error {
	if s.Count < 1 || s.Count > maxSeed {
		return fmt.Errorf("seed activities: count must be 1 to %d", maxSeed)
	}
	person, ok := f.account.persons[s.PersonID]
	if !ok {
		return errors.New("seed activities: there is no such person")
	}
	if s.OwnerID == 0 {
		s.OwnerID = f.cfg.Users[0].ID
	}
	if _, ok := f.account.users[s.OwnerID]; !ok {
		return errors.New("seed activities: there is no such owner")
	}
	if s.From.IsZero() {
		s.From = f.cfg.Now()
	}
	if s.Note == "" {
		s.Note = "<p>Spoke about the engine.</p>"
	}
	for i := range s.Count {
		at := s.From.Add(time.Duration(i) * s.Step)
		a := Activity{
			Subject: fmt.Sprintf("Other activity %d", i+1), Type: f.cfg.ActivityTypes[0].Key,
			OwnerID: s.OwnerID, CreatorUserID: s.OwnerID, PersonID: s.PersonID, OrgID: person.OrgID,
			Participants: []Participant{{PersonID: s.PersonID, Primary: true}},
			Done:         true, DueDate: at.UTC().Format(time.DateOnly), Note: s.Note,
		}
		if _, err := f.records.insert(a, at, time.Time{}); err != nil {
			return fmt.Errorf("seed activities: %w", err)
		}
	}
	return nil
}
