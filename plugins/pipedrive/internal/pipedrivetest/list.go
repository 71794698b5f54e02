package pipedrivetest

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// The sizes of a page of a list.
const (
	defaultPage = 100
	maxPage     = 500
	maxIDs      = 100
)

// listParams are the parameters of GET /api/v2/activities. See
// https://developers.pipedrive.com/docs/api/v1/Activities#getActivities.
var listParams = []string{
	"ids", "owner_id", "deal_id", "lead_id", "person_id", "org_id", "done", "updated_since", "updated_until",
	"sort_by", "sort_direction", "include_fields", "limit", "cursor",
}

// query is the query of a request, in which no parameter occurs twice.
type query map[string]string

func parseQuery(r *http.Request) (query, *reply) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, bad("The query is malformed")
	}
	q := make(query, len(values))
	for name, v := range values {
		if len(v) > 1 {
			return nil, invalid(safeName(name), "must not be repeated")
		}
		q[name] = v[0]
	}
	return q, nil
}

// only refuses parameters other than those named.
func (q query) only(names ...string) *reply {
	unknown := ""
	for name := range q {
		if !slices.Contains(names, name) && (unknown == "" || name < unknown) {
			unknown = name
		}
	}
	if unknown == "" && !hasEmpty(q) {
		return nil
	}
	return invalid(safeName(unknown), "Parameter '"+safeName(unknown)+"' "+notAllowed)
}

func hasEmpty(q query) bool { _, has := q[""]; return has }

func (q query) attendees() (bool, *reply) {
	switch value, given := q["include_fields"]; {
	case !given:
		return false, nil
	case value == "attendees":
		return true, nil
	}
	return false, invalid("include_fields", "must be one of attendees")
}

func (q query) number(name string, most int64) (int64, *reply) {
	value, given := q[name]
	if !given {
		return 0, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, invalid(name, needNumber)
	}
	if n < 1 || n > most {
		return 0, invalid(name, "must be from 1 to "+strconv.FormatInt(most, 10))
	}
	return n, nil
}

// wholeSecond is the only form of time that the parameters take: a fraction of a
// second is refused by the real API as not a valid datetime.
const wholeSecond = "2006-01-02T15:04:05Z07:00"

func (q query) instant(name string) (time.Time, *reply) {
	value, given := q[name]
	if !given {
		return time.Time{}, nil
	}
	t, err := time.Parse(wholeSecond, value)
	if err != nil || strings.ContainsAny(value, ".,") {
		return time.Time{}, invalid(name, "is not a valid datetime")
	}
	return t, nil
}

func (q query) oneOf(name string, values ...string) (string, *reply) {
	value, given := q[name]
	if !given {
		return values[0], nil
	}
	if !slices.Contains(values, value) {
		return "", invalid(name, "must be one of "+strings.Join(values, ", "))
	}
	return value, nil
}

// search is a question to the list of activities.
type search struct {
	ids                      []int64 // nil: any
	owner, deal, person, org int64   // 0: any
	lead                     string  // empty: any
	done                     *bool   // nil: any
	since, until             time.Time
	by, direction            string
	attendees                bool
	limit                    int
	cursor                   *cursor // nil: from the beginning
}

// cursor is where a page begins: at its first activity. Clients see it as an
// opaque text.
type cursor struct {
	Field     string `json:"field"`
	Value     string `json:"fieldValue"`
	Direction string `json:"sortDirection"`
	ID        int64  `json:"id"`
}

func (c cursor) text() string { return base64.RawURLEncoding.EncodeToString(reply{body: c}.text()) }

func (q query) search() (s search, refusal *reply) {
	limit := int64(0)
	for _, read := range []func() *reply{
		func() *reply { return q.only(listParams...) },
		func() (r *reply) { s.owner, r = q.number("owner_id", 1<<53); return r },
		func() (r *reply) { s.deal, r = q.number("deal_id", 1<<53); return r },
		func() (r *reply) { s.person, r = q.number("person_id", 1<<53); return r },
		func() (r *reply) { s.org, r = q.number("org_id", 1<<53); return r },
		func() (r *reply) { limit, r = q.number("limit", maxPage); return r },
		func() (r *reply) { s.since, r = q.instant("updated_since"); return r },
		func() (r *reply) { s.until, r = q.instant("updated_until"); return r },
		func() (r *reply) { s.by, r = q.oneOf("sort_by", "id", "update_time", "add_time", "due_date"); return r },
		func() (r *reply) { s.direction, r = q.oneOf("sort_direction", "asc", "desc"); return r },
		func() (r *reply) { s.attendees, r = q.attendees(); return r },
		func() (r *reply) { s.lead, r = q.lead(); return r },
		func() (r *reply) { s.done, r = q.done(); return r },
		func() (r *reply) { s.ids, r = q.idList(); return r },
		func() (r *reply) { s.cursor, r = q.cursor(s.by, s.direction); return r },
	} {
		if refusal := read(); refusal != nil {
			return search{}, refusal
		}
	}
	s.limit = int(cmp.Or(limit, defaultPage))
	return s, nil
}

func (q query) lead() (string, *reply) {
	value, given := q["lead_id"]
	if given && !uuid.MatchString(value) {
		return "", invalid("lead_id", "must be a valid UUID")
	}
	return value, nil
}

func (q query) done() (*bool, *reply) {
	value, given := q["done"]
	switch {
	case !given:
		return nil, nil
	case value == "true" || value == "false":
		return new(value == "true"), nil
	}
	return nil, invalid("done", needBool)
}

func (q query) idList() ([]int64, *reply) {
	value, given := q["ids"]
	if !given {
		return nil, nil
	}
	texts := strings.Split(value, ",")
	if len(texts) > maxIDs {
		return nil, invalid("ids", "must hold at most "+strconv.Itoa(maxIDs)+" items")
	}
	out := make([]int64, len(texts))
	for i, text := range texts {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id < 1 {
			return nil, invalid("ids", "must be numbers separated by commas")
		}
		out[i] = id
	}
	return out, nil
}

// cursor reads the place where the page begins. A cursor of another order is
// refused.
func (q query) cursor(by, direction string) (*cursor, *reply) {
	value, given := q["cursor"]
	if !given {
		return nil, nil
	}
	var c cursor
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || json.Unmarshal(raw, &c, json.RejectUnknownMembers(true)) != nil || c.ID < 1 {
		return nil, invalid("cursor", "is not a valid cursor")
	}
	if c.Field != by || c.Direction != direction {
		return nil, invalid("cursor", "belongs to another sorting")
	}
	return &c, nil
}

// key returns what an activity is sorted by, as a text that sorts like it.
func (s search) key(a *Activity) string {
	switch s.by {
	case "update_time":
		return a.UpdateTime.Format(time.RFC3339)
	case "add_time":
		return a.AddTime.Format(time.RFC3339)
	case "due_date":
		return a.DueDate + "T" + a.DueTime
	}
	return "" // ids are compared as numbers
}

func (s search) compare(aKey string, aID int64, bKey string, bID int64) int {
	order := cmp.Or(cmp.Compare(aKey, bKey), cmp.Compare(aID, bID))
	if s.direction == "desc" {
		return -order
	}
	return order
}

// keep reports whether an activity answers the question.
func (s search) keep(a *Activity) bool {
	return !a.IsDeleted &&
		(s.owner == 0 || a.OwnerID == s.owner) && (s.person == 0 || a.PersonID == s.person) &&
		(s.deal == 0 || a.DealID == s.deal) && (s.org == 0 || a.OrgID == s.org) &&
		(s.lead == "" || strings.EqualFold(a.LeadID, s.lead)) && (s.done == nil || a.Done == *s.done) &&
		(s.since.IsZero() || !a.UpdateTime.Before(s.since)) && (s.until.IsZero() || a.UpdateTime.Before(s.until)) &&
		(s.ids == nil || slices.Contains(s.ids, a.ID))
}

// listActivities answers a page. Activities that were stored within the list's lag
// are not there yet.
func (f *Fake) listActivities(c *call) (func() reply, *reply) {
	q, refusal := parseQuery(c.r)
	if refusal != nil {
		return nil, refusal
	}
	s, refusal := q.search()
	if refusal != nil {
		return nil, refusal
	}
	sees := f.account.sees(c.token)
	return func() reply {
		seen := f.cfg.Now().Add(-f.switches.lag())
		found := f.records.list(s.person, func(a *Activity) bool { return !a.made.After(seen) && sees(a) && s.keep(a) })
		page, next := s.page(found)
		out := make([]wireActivity, len(page))
		for i, a := range page {
			out[i] = onWire(a, s.attendees)
		}
		return reply{http.StatusOK, success{Success: true, Data: out, Additional: &additional{next}}}
	}, nil
}

// page sorts what was found and cuts the page out of it.
func (s search) page(found []*Activity) (page []*Activity, next *string) {
	slices.SortFunc(found, func(a, b *Activity) int { return s.compare(s.key(a), a.ID, s.key(b), b.ID) })
	if s.cursor != nil {
		from, _ := slices.BinarySearchFunc(found, *s.cursor, func(a *Activity, c cursor) int {
			return s.compare(s.key(a), a.ID, c.Value, c.ID)
		})
		found = found[from:]
	}
	if len(found) <= s.limit {
		return found, nil
	}
	first := found[s.limit]
	return found[:s.limit], new(cursor{s.by, s.key(first), s.direction, first.ID}.text())
}
