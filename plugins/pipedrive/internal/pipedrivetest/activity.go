package pipedrivetest

import "time"

// Activity is one stored record. It does not change once stored; a change of it
// stores another.
type Activity struct {
	// ID counts up from 1.
	ID            int64
	Subject       string
	Type          string // a key_string
	OwnerID       int64
	CreatorUserID int64
	IsDeleted     bool
	// AddTime, UpdateTime and DoneTime have whole seconds only, as everywhere in the
	// API. DoneTime is zero when the activity is not done.
	AddTime, UpdateTime, DoneTime time.Time

	DealID   int64  // 0: none
	LeadID   string // empty: none
	PersonID int64  // of the primary participant; 0: none
	OrgID    int64  // 0: none

	DueDate           string // YYYY-MM-DD
	DueTime, Duration string // HH:MM:SS, empty: none; DueTime is in UTC
	Busy, Done        bool
	Location          *Location
	Priority          int64 // 0: none
	Participants      []Participant
	Attendees         []Attendee
	PublicDescription string
	Note              string // HTML

	// Markers are the client's references in the note: see Config.Marker.
	Markers []string

	made time.Time // when it was stored; lists see it from then on, with their lag
}

// Participant is a person who takes part in an activity.
type Participant struct {
	PersonID int64
	Primary  bool
}

// Attendee is somebody who is invited to an activity.
type Attendee struct {
	Email, Name, Status string
	IsOrganizer         bool
	PersonID, UserID    int64 // 0: none
}

// Location is where an activity takes place.
type Location struct {
	Value, Country                    string
	AdminAreaLevel1, AdminAreaLevel2  string
	Locality, Sublocality, PostalCode string
	Route, StreetNumber, Subpremise   string
}

// size is roughly how much memory the activity takes.
func (a *Activity) size() int64 {
	const fixed = 768 // structs, index entries
	n := fixed + len(a.Subject) + len(a.Note) + len(a.PublicDescription) + 32*len(a.Participants)
	for _, t := range a.Attendees {
		n += 96 + len(t.Email) + len(t.Name) + len(t.Status)
	}
	return int64(n)
}
