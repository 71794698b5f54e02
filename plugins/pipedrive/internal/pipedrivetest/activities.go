package pipedrivetest

import (
	"net/http"
	"strconv"
)

// createActivity checks the request at once and stores when the work is done. It
// never looks for an activity like the new one.
func (f *Fake) createActivity(c *call) (func() reply, *reply) {
	if refusal := noParams(c.r); refusal != nil {
		return nil, refusal
	}
	d, refusal := f.readDraft(c.r, Activity{})
	if refusal != nil {
		return nil, refusal
	}
	user := c.token.UserID
	return func() reply {
		now := f.cfg.Now()
		f.complete(d, user, now)
		a, err := f.records.insert(d.Activity, now, now)
		if err != nil {
			return refuse(v2, http.StatusInsufficientStorage, "ERR_INTERNAL", err.Error())
		}
		f.tally.applied.Add(1)
		return reply{f.cfg.CreatedStatus, success{Success: true, Data: onWire(a, false)}}
	}, nil
}

func (f *Fake) readActivity(c *call) (func() reply, *reply) {
	attendees, refusal := includeFields(c.r)
	if refusal != nil {
		return nil, refusal
	}
	id, refusal := pathID(c.r)
	if refusal != nil {
		return nil, refusal
	}
	sees := f.account.sees(c.token)
	return func() reply {
		a := f.records.get(id)
		if a == nil || !sees(a) {
			return notFound("Activity")
		}
		return done(onWire(a, attendees))
	}, nil
}

func (f *Fake) changeActivity(c *call) (func() reply, *reply) {
	if refusal := noParams(c.r); refusal != nil {
		return nil, refusal
	}
	id, refusal := pathID(c.r)
	if refusal != nil {
		return nil, refusal
	}
	from := f.records.get(id)
	if from == nil || from.IsDeleted || !f.account.sees(c.token)(from) {
		return nil, new(notFound("Activity"))
	}
	d, refusal := f.readDraft(c.r, *from)
	if refusal != nil {
		return nil, refusal
	}
	return func() reply {
		a := f.records.change(id, f.cfg.Now(), func(a *Activity) { d.over(a) })
		if a == nil {
			return notFound("Activity")
		}
		return done(onWire(a, false))
	}, nil
}

// over writes the members that the request gave over an activity, which may have
// changed since the request was checked.
func (d *draft) over(a *Activity) {
	for name := range d.given {
		switch name {
		case "subject":
			a.Subject = d.Subject
		case "type":
			a.Type = d.Type
		case "owner_id":
			a.OwnerID = d.OwnerID
		case "deal_id":
			a.DealID = d.DealID
		case "lead_id":
			a.LeadID = d.LeadID
		case "org_id":
			a.OrgID = d.OrgID
		case "due_date":
			a.DueDate = d.DueDate
		case "due_time":
			a.DueTime = d.DueTime
		case "duration":
			a.Duration = d.Duration
		case "busy":
			a.Busy = d.Busy
		case "done":
			a.Done = d.Done
		case "location":
			a.Location = d.Location
		case "participants":
			a.Participants, a.PersonID = d.Participants, d.PersonID
		case "attendees":
			a.Attendees = d.Attendees
		case "public_description":
			a.PublicDescription = d.PublicDescription
		case "priority":
			a.Priority = d.Priority
		case "note":
			a.Note = d.Note
		}
	}
}

// deleteActivity marks an activity as deleted: lists do not show it any more, and
// reading it by id says so.
func (f *Fake) deleteActivity(c *call) (func() reply, *reply) {
	if refusal := noParams(c.r); refusal != nil {
		return nil, refusal
	}
	id, refusal := pathID(c.r)
	if refusal != nil {
		return nil, refusal
	}
	sees := f.account.sees(c.token)
	return func() reply {
		a := f.records.get(id)
		if a == nil || !sees(a) || f.records.change(id, f.cfg.Now(), func(a *Activity) { a.IsDeleted = true }) == nil {
			return notFound("Activity")
		}
		return done(struct {
			ID int64 `json:"id"`
		}{id})
	}, nil
}

// pathID reads the id in the path.
func pathID(r *http.Request) (int64, *reply) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id < 1 {
		return 0, invalid("id", needNumber)
	}
	return id, nil
}

// noParams refuses every query parameter.
func noParams(r *http.Request) *reply { return onlyParams(r) }

// onlyParams refuses query parameters other than those named, and repeated ones.
func onlyParams(r *http.Request, names ...string) *reply {
	query, refusal := parseQuery(r)
	if refusal != nil {
		return refusal
	}
	return query.only(names...)
}

// includeFields reads the parameter that asks for attendees.
func includeFields(r *http.Request) (attendees bool, refusal *reply) {
	query, refusal := parseQuery(r)
	if refusal != nil {
		return false, refusal
	}
	if refusal := query.only("include_fields"); refusal != nil {
		return false, refusal
	}
	return query.attendees()
}
