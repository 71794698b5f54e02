package pipedrivetest

import "time"

// Activity is one stored record, and the JSON that the API gives of it. It does
// not change once stored; a change stores another. See
// https://developers.pipedrive.com/docs/api/v1/Activities.
type Activity struct {
	// ID counts up from 1.
	ID            int64  `json:"id"`
	Subject       string `json:"subject"`
	Type          string `json:"type"` // a key_string
	OwnerID       int64  `json:"owner_id"`
	CreatorUserID int64  `json:"creator_user_id"`
	IsDeleted     bool   `json:"is_deleted"`
	// AddTime and UpdateTime have whole seconds only, as everywhere in the API.
	AddTime    time.Time `json:"add_time"`
	UpdateTime time.Time `json:"update_time"`

	DealID   int64     `json:"-"` // 0: none; null in JSON
	LeadID   string    `json:"-"`
	PersonID int64     `json:"-"` // of the primary participant
	OrgID    int64     `json:"-"`
	DueDate  string    `json:"due_date"`
	DueTime  string    `json:"-"` // HH:MM:SS, UTC
	Duration string    `json:"-"`
	Busy     bool      `json:"busy"`
	Done     bool      `json:"done"`
	DoneTime time.Time `json:"-"`
	Location *Location `json:"location"`
	Priority int64     `json:"-"`

	Participants      []Participant `json:"participants"`
	Attendees         []Attendee    `json:"-"` // given only when asked for
	PublicDescription string        `json:"public_description"`
	Note              string        `json:"note"`

	made    time.Time // when it was stored; lists see it from then on, with their lag
	markers []string  // the client's references in the note
}

// Participant is a person who takes part in an activity.
type Participant struct {
	PersonID int64 `json:"person_id"`
	Primary  bool  `json:"primary"`
}

// Attendee is somebody who is invited to an activity.
type Attendee struct {
	Email       string `json:"email"`
	Name        string `json:"name,omitempty"`
	Status      string `json:"status,omitempty"`
	IsOrganizer bool   `json:"is_organizer"`
	PersonID    int64  `json:"person_id,omitzero"`
	UserID      int64  `json:"user_id,omitzero"`
}

// Location is where an activity takes place.
type Location struct {
	Value           string `json:"value"`
	Country         string `json:"country,omitempty"`
	AdminAreaLevel1 string `json:"admin_area_level_1,omitempty"`
	AdminAreaLevel2 string `json:"admin_area_level_2,omitempty"`
	Locality        string `json:"locality,omitempty"`
	Sublocality     string `json:"sublocality,omitempty"`
	Route           string `json:"route,omitempty"`
	StreetNumber    string `json:"street_number,omitempty"`
	Subpremise      string `json:"subpremise,omitempty"`
	PostalCode      string `json:"postal_code,omitempty"`
}

// shown is an activity as the API writes it, with null for what is not set.
type shown struct {
	Activity
	DealID    *int64     `json:"deal_id"`
	LeadID    *string    `json:"lead_id"`
	PersonID  *int64     `json:"person_id"`
	OrgID     *int64     `json:"org_id"`
	ProjectID *int64     `json:"project_id"`
	DueTime   *string    `json:"due_time"`
	Duration  *string    `json:"duration"`
	DoneTime  *time.Time `json:"marked_as_done_time"`
	Priority  *int64     `json:"priority"`
	Attendees []Attendee `json:"attendees,omitzero"`
}

// show returns what the API gives of an activity.
func show(a *Activity, attendees bool) shown {
	s := shown{
		Activity: *a, DealID: orNull(a.DealID), LeadID: orNull(a.LeadID), PersonID: orNull(a.PersonID), OrgID: orNull(a.OrgID),
		DueTime: orNull(a.DueTime), Duration: orNull(a.Duration), DoneTime: orNull(a.DoneTime), Priority: orNull(a.Priority),
	}
	if s.Participants == nil {
		s.Participants = []Participant{}
	}
	if attendees {
		s.Attendees = append([]Attendee{}, a.Attendees...)
	}
	return s
}

// orNull returns nil for the zero value, which JSON writes as null.
func orNull[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}

// size is roughly how much memory the activity takes.
func (a *Activity) size() int64 {
	const fixed = 768 // structs, index entries
	n := fixed + len(a.Subject) + len(a.Note) + len(a.PublicDescription) + 32*len(a.Participants)
	for _, t := range a.Attendees {
		n += 96 + len(t.Email) + len(t.Name)
	}
	return int64(n)
}
