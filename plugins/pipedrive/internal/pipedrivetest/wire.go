package pipedrivetest

import "time"

// wireActivity is an activity as the API writes it, with null for what is not
// set. See https://developers.pipedrive.com/docs/api/v1/Activities.
type wireActivity struct {
	ID                int64             `json:"id"`
	Subject           string            `json:"subject"`
	Type              string            `json:"type"`
	OwnerID           int64             `json:"owner_id"`
	CreatorUserID     int64             `json:"creator_user_id"`
	IsDeleted         bool              `json:"is_deleted"`
	AddTime           time.Time         `json:"add_time"`
	UpdateTime        time.Time         `json:"update_time"`
	DealID            *int64            `json:"deal_id"`
	LeadID            *string           `json:"lead_id"`
	PersonID          *int64            `json:"person_id"`
	OrgID             *int64            `json:"org_id"`
	ProjectID         *int64            `json:"project_id"` // always null: the account has no projects
	DueDate           string            `json:"due_date"`
	DueTime           *string           `json:"due_time"`
	Duration          *string           `json:"duration"`
	Busy              bool              `json:"busy"`
	Done              bool              `json:"done"`
	DoneTime          *time.Time        `json:"marked_as_done_time"`
	Location          *wireLocation     `json:"location"`
	Participants      []wireParticipant `json:"participants"`
	Attendees         []wireAttendee    `json:"attendees,omitzero"` // given only when asked for
	PublicDescription string            `json:"public_description"`
	Priority          *int64            `json:"priority"`
	Note              string            `json:"note"`
}

type wireParticipant struct {
	PersonID int64 `json:"person_id"`
	Primary  bool  `json:"primary"`
}

type wireAttendee struct {
	Email       string  `json:"email"`
	Name        *string `json:"name"`
	Status      *string `json:"status"`
	IsOrganizer bool    `json:"is_organizer"`
	PersonID    *int64  `json:"person_id"`
	UserID      *int64  `json:"user_id"`
}

type wireLocation struct {
	Value           string  `json:"value"`
	Country         *string `json:"country"`
	AdminAreaLevel1 *string `json:"admin_area_level_1"`
	AdminAreaLevel2 *string `json:"admin_area_level_2"`
	Locality        *string `json:"locality"`
	Sublocality     *string `json:"sublocality"`
	Route           *string `json:"route"`
	StreetNumber    *string `json:"street_number"`
	Subpremise      *string `json:"subpremise"`
	PostalCode      *string `json:"postal_code"`
}

// wirePerson is a person as version 2 writes it. See
// https://developers.pipedrive.com/docs/api/v1/Persons.
type wirePerson struct {
	ID           int64          `json:"id"`
	Name         string         `json:"name"`
	OwnerID      int64          `json:"owner_id"`
	OrgID        *int64         `json:"org_id"`
	AddTime      time.Time      `json:"add_time"`
	UpdateTime   time.Time      `json:"update_time"`
	Emails       []wirePhone    `json:"emails"`
	Phones       []wirePhone    `json:"phones"`
	IsDeleted    bool           `json:"is_deleted"`
	VisibleTo    int            `json:"visible_to"`
	LabelIDs     []int64        `json:"label_ids"`
	PictureID    *int64         `json:"picture_id"`
	CustomFields map[string]any `json:"custom_fields"`
}

type wirePhone struct {
	Value   string `json:"value"`
	Primary bool   `json:"primary"`
	Label   string `json:"label"`
}

// onWire returns what the API gives of an activity.
func onWire(a *Activity, attendees bool) wireActivity {
	w := wireActivity{
		ID: a.ID, Subject: a.Subject, Type: a.Type, OwnerID: a.OwnerID, CreatorUserID: a.CreatorUserID,
		IsDeleted: a.IsDeleted, AddTime: a.AddTime, UpdateTime: a.UpdateTime,
		DealID: orNull(a.DealID), LeadID: orNull(a.LeadID), PersonID: orNull(a.PersonID), OrgID: orNull(a.OrgID),
		DueDate: a.DueDate, DueTime: orNull(a.DueTime), Duration: orNull(a.Duration),
		Busy: a.Busy, Done: a.Done, DoneTime: orNull(a.DoneTime), Participants: make([]wireParticipant, len(a.Participants)),
		PublicDescription: a.PublicDescription, Priority: orNull(a.Priority), Note: a.Note,
	}
	for i, p := range a.Participants {
		w.Participants[i] = wireParticipant(p)
	}
	if l := a.Location; l != nil {
		w.Location = &wireLocation{
			l.Value, orNull(l.Country), orNull(l.AdminAreaLevel1), orNull(l.AdminAreaLevel2), orNull(l.Locality),
			orNull(l.Sublocality), orNull(l.Route), orNull(l.StreetNumber), orNull(l.Subpremise), orNull(l.PostalCode),
		}
	}
	if attendees {
		w.Attendees = make([]wireAttendee, len(a.Attendees))
		for i, t := range a.Attendees {
			w.Attendees[i] = wireAttendee{t.Email, orNull(t.Name), orNull(t.Status), t.IsOrganizer, orNull(t.PersonID), orNull(t.UserID)}
		}
	}
	return w
}

// orNull returns nil for the zero value, which JSON writes as null.
func orNull[T comparable](value T) *T {
	var zero T
	if value == zero {
		return nil
	}
	return &value
}
