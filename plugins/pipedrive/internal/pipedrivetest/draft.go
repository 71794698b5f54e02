package pipedrivetest

import (
	"errors"
	"io"
	"iter"
	"maps"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// draft is what a request wants an activity to be.
type draft struct {
	Activity
	given map[string]bool // which members the request has
}

// readDraft reads the body of a create or a change. It starts from the activity as
// it stands; an empty one for a create.
func (f *Fake) readDraft(r *http.Request, from Activity) (*draft, *reply) {
	in, refusal := readBody(r)
	if refusal != nil {
		return nil, refusal
	}
	if _, has := in["person_id"]; has { // https://devcommunity.pipedrive.com/t/api-v1-to-v2-upgrade-post-activities-http-400-responses/19734
		return nil, bad("'person_id' is a read-only field. Add a primary participant to set 'person_id' instead.")
	}
	d := &draft{Activity: from, given: make(map[string]bool, len(in))}
	members := f.members(d)
	for name, value := range sorted(in) {
		read, ok := members[name]
		if !ok {
			return nil, invalid(safeName(name), "Parameter '"+safeName(name)+"' "+notAllowed)
		}
		if why := read(value); why != "" {
			return nil, invalid(name, string(why))
		}
		d.given[name] = true
	}
	return d, f.possible(d)
}

// members are the members that a client may write, and how each is read.
func (f *Fake) members(d *draft) map[string]func(jsontext.Value) wrong {
	var project int64
	return map[string]func(jsontext.Value) wrong{
		"subject":  into(line(f.cfg.SubjectLimit), &d.Subject),
		"type":     into(line(64), &d.Type),
		"owner_id": into(number, &d.OwnerID),
		"deal_id":  into(orNone(number), &d.DealID),
		"lead_id":  into(orNone(leadID), &d.LeadID),
		"org_id":   into(orNone(number), &d.OrgID),
		"project_id": func(raw jsontext.Value) wrong {
			if why := orNone(number)(raw, &project); why != "" || project == 0 {
				return why
			}
			return "Project not found" // the account has none
		},
		"due_date":           into(date, &d.DueDate),
		"due_time":           into(orNone(hours), &d.DueTime),
		"duration":           into(orNone(hours), &d.Duration),
		"busy":               into(boolean, &d.Busy),
		"done":               into(boolean, &d.Done),
		"location":           into(orNone(location), &d.Location),
		"participants":       into(participants, &d.Participants),
		"attendees":          into(attendees, &d.Attendees),
		"public_description": into(text(f.cfg.NoteLimit), &d.PublicDescription),
		"priority":           into(orNone(number), &d.Priority),
		"note":               into(orNone(text(f.cfg.NoteLimit)), &d.Note),
	}
}

// possible refuses what is well formed and cannot be: unknown records, and a deal
// together with a lead. It sets the person from the participants.
func (f *Fake) possible(d *draft) *reply {
	a := f.account
	if d.given["participants"] {
		d.PersonID = 0
	}
	for _, p := range d.Participants {
		if _, ok := a.persons[p.PersonID]; !ok {
			return bad("Person not found")
		}
		if p.Primary {
			d.PersonID = p.PersonID
		}
	}
	kind, known := a.types[d.Type]
	checks := []struct {
		bad bool
		why string
	}{
		{d.given["type"] && !known, "Activity type not found: 'type' must be the key_string of an activity type"},
		{d.given["type"] && kind.Inactive, "Activity type is not active"},
		{d.given["owner_id"] && a.users[d.OwnerID].ID == 0, "User not found: 'owner_id' must be a user of the account"},
		{d.DealID != 0 && a.deals[d.DealID].ID == 0, "Deal not found"},
		{d.LeadID != "" && a.leads[d.LeadID].ID == "", "Lead not found"},
		{d.OrgID != 0 && a.orgs[d.OrgID].ID == 0, "Organization not found"},
		{d.DealID != 0 && d.LeadID != "", "Activity cannot be linked to a deal and to a lead at the same time"},
	}
	for _, c := range checks {
		if c.bad {
			return bad(c.why)
		}
	}
	return nil
}

// complete gives a new activity what its request left out.
func (f *Fake) complete(d *draft, user int64, now time.Time) {
	if d.Type == "" {
		for _, t := range f.cfg.ActivityTypes {
			if !t.Inactive {
				d.Type = t.Key
				break
			}
		}
	}
	if d.Subject == "" {
		d.Subject = f.account.types[d.Type].Name
	}
	if d.OwnerID == 0 {
		d.OwnerID = user
	}
	if d.DueDate == "" {
		d.DueDate = now.UTC().Format(time.DateOnly)
	}
	d.CreatorUserID = user
}

// readBody reads a JSON object, without looking at its members yet.
func readBody(r *http.Request) (map[string]jsontext.Value, *reply) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := params["charset"]
	if err != nil || kind != "application/json" || charset != "" && charset != "utf-8" && charset != "UTF-8" {
		return nil, new(refuse(v2, http.StatusUnsupportedMediaType, "ERR_UNSUPPORTED_MEDIA_TYPE", "Content-Type must be application/json"))
	}
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, new(refuse(v2, http.StatusRequestEntityTooLarge, "ERR_PAYLOAD_TOO_LARGE", "Request body is too large"))
	case err != nil:
		return nil, bad("Request body could not be read")
	}
	var in map[string]jsontext.Value
	if err := json.Unmarshal(body, &in); err != nil || in == nil {
		return nil, bad("Request body must be a JSON object without repeated members")
	}
	return in, nil
}

// sorted walks through a map by name, so that the same request is always refused
// for the same reason.
func sorted(in map[string]jsontext.Value) iter.Seq2[string, jsontext.Value] {
	return func(yield func(string, jsontext.Value) bool) {
		for _, name := range slices.Sorted(maps.Keys(in)) {
			if !yield(name, in[name]) {
				return
			}
		}
	}
}
