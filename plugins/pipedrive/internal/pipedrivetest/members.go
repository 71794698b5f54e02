package pipedrivetest

import (
	"regexp"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The formats of texts.
var (
	clockTime = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$`)
	uuid      = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
)

// What is wrong with a member. None repeats its value.
const (
	notAllowed = "is not allowed for this request"
	needNumber = "must be a number"
	needBool   = "must be a boolean"
	needText   = "must be a string"
)

// wrong is a problem of one member; empty is none.
type wrong string

// number reads an id. Version 2 turns no text into a number: see
// https://pipedrive.readme.io/docs/pipedrive-api-v2-migration-guide.
func number(raw jsontext.Value, into *int64) wrong {
	if raw.Kind() != '0' {
		return needNumber
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		return "must be a whole number"
	}
	if n < 1 {
		return "must be greater than or equal to 1"
	}
	*into = n
	return ""
}

// orNone allows null, which takes a value away.
func orNone[T any](read func(jsontext.Value, *T) wrong) func(jsontext.Value, *T) wrong {
	return func(raw jsontext.Value, into *T) wrong {
		if raw.Kind() == 'n' {
			var none T
			*into = none
			return ""
		}
		return read(raw, into)
	}
}

func boolean(raw jsontext.Value, into *bool) wrong {
	switch raw.Kind() {
	case 't', 'f':
		*into = raw.Kind() == 't'
		return ""
	}
	return needBool
}

// text reads a text of at most so many bytes.
func text(most int) func(jsontext.Value, *string) wrong {
	return func(raw jsontext.Value, into *string) wrong {
		if raw.Kind() != '"' {
			return needText
		}
		if err := json.Unmarshal(raw, into); err != nil {
			return needText
		}
		if len(*into) > most {
			return wrong("must be at most " + strconv.Itoa(most) + " bytes long")
		}
		return ""
	}
}

// line reads a text that is not empty and has at most so many characters.
func line(most int) func(jsontext.Value, *string) wrong {
	return func(raw jsontext.Value, into *string) wrong {
		if w := text(4*most)(raw, into); w != "" {
			return w
		}
		switch n := utf8.RuneCountInString(*into); {
		case n == 0:
			return "must not be empty"
		case n > most:
			return wrong("must be at most " + strconv.Itoa(most) + " characters long")
		}
		return ""
	}
}

// date reads YYYY-MM-DD.
func date(raw jsontext.Value, into *string) wrong {
	if w := line(32)(raw, into); w != "" {
		return w
	}
	if _, err := time.Parse(time.DateOnly, *into); err != nil {
		return "must be a date in the format YYYY-MM-DD"
	}
	return ""
}

// hours reads HH:MM, or HH:MM:SS, which is how answers write it.
func hours(raw jsontext.Value, into *string) wrong {
	if w := line(32)(raw, into); w != "" {
		return w
	}
	if !clockTime.MatchString(*into) {
		return "must be a time in the format HH:MM"
	}
	if len(*into) == len("15:04") {
		*into += ":00"
	}
	return ""
}

func leadID(raw jsontext.Value, into *string) wrong {
	if w := text(64)(raw, into); w != "" {
		return w
	}
	if !uuid.MatchString(*into) {
		return "must be a valid UUID"
	}
	return ""
}

// object reads an object strictly; members says how to read each member.
func object(raw jsontext.Value, members map[string]func(jsontext.Value) wrong) (name string, why wrong) {
	var in map[string]jsontext.Value
	if raw.Kind() != '{' || json.Unmarshal(raw, &in) != nil {
		return "", "must be an object"
	}
	for name, value := range sorted(in) {
		read, known := members[name]
		if !known {
			return name, wrong("Parameter '" + safeName(name) + "' " + notAllowed)
		}
		if w := read(value); w != "" {
			return name, w
		}
	}
	return "", ""
}

// into binds a reader to where the value goes.
func into[T any](read func(jsontext.Value, *T) wrong, to *T) func(jsontext.Value) wrong {
	return func(raw jsontext.Value) wrong { return read(raw, to) }
}

// location reads an address. Only its value is required.
func location(raw jsontext.Value, to **Location) wrong {
	var l Location
	short := text(1024)
	name, why := object(raw, map[string]func(jsontext.Value) wrong{
		"value": into(line(1024), &l.Value), "country": into(short, &l.Country),
		"admin_area_level_1": into(short, &l.AdminAreaLevel1), "admin_area_level_2": into(short, &l.AdminAreaLevel2),
		"locality": into(short, &l.Locality), "sublocality": into(short, &l.Sublocality), "route": into(short, &l.Route),
		"street_number": into(short, &l.StreetNumber), "subpremise": into(short, &l.Subpremise),
		"postal_code": into(short, &l.PostalCode),
	})
	switch {
	case why != "":
		return within(name, why)
	case l.Value == "":
		return "value: is required"
	}
	*to = &l
	return ""
}

// participants reads persons, of whom exactly one is the primary one.
func participants(raw jsontext.Value, to *[]Participant) wrong {
	var list []jsontext.Value
	if raw.Kind() != '[' || json.Unmarshal(raw, &list) != nil {
		return "must be an array"
	}
	if len(list) > 100 {
		return "must hold at most 100 items"
	}
	var out []Participant
	seen, primary := map[int64]bool{}, 0
	for _, item := range list {
		var p Participant
		name, why := object(item, map[string]func(jsontext.Value) wrong{
			"person_id": into(number, &p.PersonID), "primary": into(boolean, &p.Primary),
		})
		switch {
		case why != "":
			return within(name, why)
		case p.PersonID == 0:
			return "person_id: is required"
		case seen[p.PersonID]:
			return "person_id: must not occur twice"
		}
		seen[p.PersonID] = true
		primary += btoi(p.Primary)
		out = append(out, p)
	}
	if len(out) > 0 && primary != 1 {
		return "must have exactly one primary participant"
	}
	*to = out
	return ""
}

func attendees(raw jsontext.Value, to *[]Attendee) wrong {
	var list []jsontext.Value
	if raw.Kind() != '[' || json.Unmarshal(raw, &list) != nil {
		return "must be an array"
	}
	if len(list) > 100 {
		return "must hold at most 100 items"
	}
	var out []Attendee
	for _, item := range list {
		var a Attendee
		name, why := object(item, map[string]func(jsontext.Value) wrong{
			"email": into(line(254), &a.Email), "name": into(text(1024), &a.Name), "status": into(text(64), &a.Status),
			"is_organizer": into(boolean, &a.IsOrganizer), "person_id": into(number, &a.PersonID), "user_id": into(number, &a.UserID),
		})
		switch {
		case why != "":
			return within(name, why)
		case a.Email == "":
			return "email: is required"
		}
		out = append(out, a)
	}
	*to = out
	return ""
}

func within(name string, why wrong) wrong {
	if name == "" {
		return why
	}
	return wrong(safeName(name)) + ": " + why
}

// safeName returns a member's name cut to a bearable length.
func safeName(name string) string {
	const most = 64
	if len(name) > most {
		return name[:most] + "..."
	}
	return name
}
