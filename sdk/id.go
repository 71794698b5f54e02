package sdk

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// MaxIDBytes is the longest id, as canonical text, in bytes.
const MaxIDBytes = 256

// ID is an identifier that came as a JSON integer or string. Its text is exact,
// however many digits it has, and it remembers in which form it came. The zero
// value is the absent id.
type ID struct {
	text   string
	number bool
}

// StringID returns the id with that text, in the form of a JSON string.
func StringID(text string) ID { return ID{text: text} }

// IntID returns the id with that number, in the form of a JSON integer.
func IntID(n int64) ID { return ID{text: strconv.FormatInt(n, 10), number: true} }

// ParseID reads an id from JSON: an integer without fraction, exponent or
// negative zero, or a non-empty string. Its text is at most MaxIDBytes bytes.
func ParseID(raw []byte) (ID, error) {
	if len(raw) == 0 {
		return ID{}, errors.New("is missing")
	}
	var id ID
	if raw[0] == '"' {
		text, err := textOf(raw)
		if err != nil {
			return ID{}, err
		}
		id.text = text
	} else {
		if !isInteger(raw) {
			return ID{}, errors.New("must be an integer or a string")
		}
		id = ID{text: string(raw), number: true}
	}
	return id, id.check()
}

func (id ID) check() error {
	switch {
	case id.text == "":
		return errors.New("must not be empty")
	case len(id.text) > MaxIDBytes:
		return fmt.Errorf("must be at most %d bytes long", MaxIDBytes)
	case !utf8.ValidString(id.text):
		return errors.New("must be UTF-8 text")
	}
	for i := range len(id.text) {
		if id.text[i] == 0 {
			return errors.New("must not contain U+0000")
		}
	}
	return nil
}

// isInteger reports whether raw is a JSON integer in canonical form.
func isInteger(raw []byte) bool {
	digits := raw
	if digits[0] == '-' {
		digits = digits[1:]
	}
	if len(digits) == 0 || (digits[0] == '0' && len(raw) > 1) {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// String returns the id as canonical text: the digits of the integer, or the
// string. 7 and "7" have the same text.
func (id ID) String() string { return id.text }

// Int64 returns the id as a number. It fails when the text is no integer or does
// not fit, as ids of more than 18 digits may not.
func (id ID) Int64() (int64, error) {
	n, err := strconv.ParseInt(id.text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("id is not a 64-bit integer: %w", errors.Unwrap(err))
	}
	return n, nil
}

// IsZero reports whether the id is absent.
func (id ID) IsZero() bool { return id.text == "" }

// IsNumber reports whether the id came as a JSON integer.
func (id ID) IsNumber() bool { return id.number }

// MarshalJSON returns the id in the form in which it came, null when absent.
func (id ID) MarshalJSON() ([]byte, error) {
	switch {
	case id.text == "":
		return []byte("null"), nil
	case id.number:
		return []byte(id.text), nil
	default:
		return json.Marshal(id.text)
	}
}

// UnmarshalJSON reads an integer, a string, or null for the absent id.
func (id *ID) UnmarshalJSON(raw []byte) error {
	if string(raw) == "null" {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(raw)
	if err != nil {
		return fmt.Errorf("id %w", err)
	}
	*id = parsed
	return nil
}
