package pipedrivetest

import (
	"net/http"
	"strconv"
	"time"
)

// readPerson gives a person as version 2 does. See
// https://developers.pipedrive.com/docs/api/v1/Persons.
func (f *Fake) readPerson(c *call) (func() reply, *reply) {
	if refusal := noParams(c.r); refusal != nil {
		return nil, refusal
	}
	id, refusal := pathID(c.r)
	if refusal != nil {
		return nil, refusal
	}
	return func() reply {
		p, ok := f.account.persons[id]
		if !ok {
			return notFound("Person")
		}
		if p.OwnerID == 0 {
			p.OwnerID = f.cfg.Users[0].ID
		}
		return done(showPerson(p))
	}, nil
}

// added is when the seed data were made.
var added = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)

func showPerson(p Person) wirePerson {
	w := wirePerson{
		ID: p.ID, Name: p.Name, OwnerID: p.OwnerID, OrgID: orNull(p.OrgID), AddTime: added, UpdateTime: added,
		Emails: []wirePhone{}, Phones: []wirePhone{}, VisibleTo: 7, LabelIDs: []int64{}, CustomFields: map[string]any{},
	}
	if p.Phone != "" {
		w.Phones = append(w.Phones, wirePhone{p.Phone, true, "mobile"})
	}
	return w
}

// readMe gives the token's user as version 1 does. See
// https://developers.pipedrive.com/docs/api/v1/Users#getCurrentUser.
func (f *Fake) readMe(c *call) (func() reply, *reply) {
	if refusal := noParamsV1(c.r); refusal != nil {
		return nil, refusal
	}
	u := f.account.users[c.token.UserID]
	return func() reply {
		return done(map[string]any{
			"id": u.ID, "name": u.Name, "default_currency": "EUR", "locale": "en_US", "lang": 1,
			"email": "user" + strconv.FormatInt(u.ID, 10) + "@" + f.cfg.CompanyDomain + ".example", "phone": nil,
			"access":    []map[string]any{{"app": "sales", "admin": u.Admin, "permission_set_id": "62cc4d7f-4038-4352-abf3-a8c1c822b631"}},
			"activated": true, "active_flag": true, "is_deleted": false, "is_you": true, "role_id": 1, "icon_url": nil,
			"created": stamp(added), "modified": stamp(added), "has_created_company": false,
			"timezone_name": u.TimezoneName, "timezone_offset": u.TimezoneOffset,
			"company_id": 22122, "company_name": f.cfg.CompanyDomain, "company_domain": f.cfg.CompanyDomain,
			"company_country": "EE", "company_industry": nil,
			"language": map[string]any{"language_code": "en", "country_code": "US"},
		})
	}, nil
}

// listTypes gives the activity types as version 1 does, inactive ones included.
// See https://developers.pipedrive.com/docs/api/v1/ActivityTypes.
func (f *Fake) listTypes(c *call) (func() reply, *reply) {
	if refusal := noParamsV1(c.r); refusal != nil {
		return nil, refusal
	}
	return func() reply {
		list := make([]map[string]any, len(f.cfg.ActivityTypes))
		for i, t := range f.cfg.ActivityTypes {
			list[i] = map[string]any{
				"id": t.ID, "order_nr": i + 1, "name": t.Name, "key_string": t.Key, "icon_key": t.Icon,
				"active_flag": !t.Inactive, "color": nil, "is_custom_flag": t.Key == "sms",
				"add_time": stamp(added), "update_time": stamp(added),
			}
		}
		return done(list)
	}, nil
}

// noParamsV1 refuses query parameters in version 1's envelope.
func noParamsV1(r *http.Request) *reply {
	if r.URL.RawQuery == "" {
		return nil
	}
	return new(refuse(v1, http.StatusBadRequest, "", "Bad request: unknown parameter"))
}
