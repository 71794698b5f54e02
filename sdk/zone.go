package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // an adapter's machine may have no time zone database
)

// Zone is a time zone as a caller names it: an IANA name, or an offset alone.
// The zero value is UTC.
type Zone struct {
	// Name is the IANA name, as "America/Los_Angeles"; empty when only the
	// offset is known.
	Name string
	// OffsetSeconds is the offset from UTC, east positive. It is ignored when
	// Name is set.
	OffsetSeconds int
}

// The bounds of a numeric time zone offset. A number up to maxOffsetHours in
// size is read as hours, one from 15 to maxOffsetMinutes as minutes.
const (
	maxOffsetHours   = 14
	minOffsetMinutes = 15
	maxOffsetMinutes = 14 * 60
)

// ParseZone reads a timezoneOffset from JSON: null (ok is false), "+08:00", "Z",
// an IANA name, or a number or numeric text. A number of up to 14 in size is
// hours, fractions allowed; of 15 to 840, minutes; east is positive.
func ParseZone(raw []byte) (z Zone, ok bool, err error) {
	if len(raw) == 0 || string(raw) == "null" {
		return Zone{}, false, nil
	}
	if raw[0] == '"' {
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return Zone{}, false, errors.New("is not a JSON string")
		}
		z, err := ParseZoneText(text)
		return z, err == nil, err
	}
	if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
		return Zone{}, false, errors.New("must be a string, a number or null")
	}
	z, err = numericZone(string(raw))
	return z, err == nil, err
}

// ParseZoneText reads a time zone from text: "+08:00", "Z", an IANA name, or a
// number as ParseZone reads it.
func ParseZoneText(text string) (Zone, error) {
	switch {
	case text == "":
		return Zone{}, errors.New("must not be empty; send null when the zone is not known")
	case text == "Z" || text == "z":
		return Zone{}, nil
	case strings.ContainsAny(text[:1], "+-") && strings.Contains(text, ":"):
		return clockZone(text)
	case strings.ContainsAny(text[:1], "+-.0123456789"):
		return numericZone(strings.TrimPrefix(text, "+"))
	}
	if text == "Local" { // time.LoadLocation would take the machine's own zone
		return Zone{}, errors.New("is no IANA time zone name")
	}
	if _, err := location(text); err != nil {
		return Zone{}, errors.New("is no IANA time zone name, offset such as +08:00, or number of hours or minutes")
	}
	return Zone{Name: text}, nil
}

// clockZone reads "+08:00".
func clockZone(text string) (Zone, error) {
	if len(text) != len("+08:00") || text[3] != ':' || !digits(text[1:3]) || !digits(text[4:]) {
		return Zone{}, errors.New("must look like +08:00")
	}
	hours, minutes := twoDigits(text[1:3]), twoDigits(text[4:])
	seconds := hours*3600 + minutes*60
	if minutes > 59 || seconds > maxOffsetHours*3600 {
		return Zone{}, errors.New("must be at most 14:00 from UTC")
	}
	if text[0] == '-' {
		seconds = -seconds
	}
	return Zone{OffsetSeconds: seconds}, nil
}

// twoDigits returns the number that two digits write.
func twoDigits(text string) int { return int(text[0]-'0')*10 + int(text[1]-'0') }

func digits(text string) bool { return strings.Trim(text, "0123456789") == "" }

// numericZone reads a number of hours or minutes.
func numericZone(text string) (Zone, error) {
	if len(text) > 32 || strings.ContainsAny(text, "eE/_xXpP") {
		return Zone{}, errors.New("must be a plain number of hours or minutes")
	}
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		return Zone{}, errors.New("must be a plain number of hours or minutes")
	}
	size := new(big.Rat).Abs(n)
	unit := int64(3600)
	switch {
	case size.Cmp(big.NewRat(maxOffsetHours, 1)) <= 0:
	case size.Cmp(big.NewRat(minOffsetMinutes, 1)) >= 0 && size.Cmp(big.NewRat(maxOffsetMinutes, 1)) <= 0:
		unit = 60
	default:
		return Zone{}, errors.New("must be at most 14 hours or, from 15 on, at most 840 minutes")
	}
	seconds := n.Mul(n, big.NewRat(unit, 1))
	if !seconds.IsInt() {
		return Zone{}, errors.New("must be a whole number of seconds")
	}
	return Zone{OffsetSeconds: int(seconds.Num().Int64())}, nil
}

// Location returns the zone for use with package time: the IANA zone, else the
// fixed offset. An unknown name gives the fixed offset.
func (z Zone) Location() *time.Location {
	if z.Name != "" {
		if loc, err := location(z.Name); err == nil {
			return loc
		}
	}
	if z.OffsetSeconds == 0 {
		return time.UTC
	}
	sign, seconds := '+', z.OffsetSeconds
	if seconds < 0 {
		sign, seconds = '-', -seconds
	}
	name := fmt.Sprintf("%c%02d:%02d", sign, seconds/3600, seconds/60%60)
	return time.FixedZone(name, z.OffsetSeconds)
}

// OffsetAt returns the zone's offset from UTC at t, in seconds, east positive.
func (z Zone) OffsetAt(t time.Time) int {
	_, offset := t.In(z.Location()).Zone()
	return offset
}

// zones caches loaded locations: reading one costs a file or an embedded archive.
// It is bounded by the number of IANA names, since only valid ones are kept.
var zones sync.Map // string → *time.Location

func location(name string) (*time.Location, error) {
	if loc, ok := zones.Load(name); ok {
		return loc.(*time.Location), nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, err
	}
	zones.Store(name, loc)
	return loc, nil
}
