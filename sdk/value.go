package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Values are named values, as submitted in additionalSubmission or set as
// settings. A missing name gives the absent Value.
type Values map[string]Value

// Value is one JSON value with its form kept: a large number stays exact. The
// zero value is the absent value. A Value of a setting may hold a secret;
// printing it with fmt or slog shows its JSON, so log names, not values.
type Value struct{ raw json.RawMessage }

// RawValue returns the value with that JSON text, which must be well-formed.
// JSON null gives the absent value.
func RawValue(raw []byte) Value {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || string(raw) == "null" {
		return Value{}
	}
	return Value{raw: raw}
}

// TextValue returns the value that is this JSON string.
func TextValue(text string) Value {
	raw, _ := json.Marshal(text) // a string always encodes
	return Value{raw: raw}
}

// IsZero reports whether nothing was submitted.
func (v Value) IsZero() bool { return len(v.raw) == 0 }

// Raw returns the JSON text, nil when absent.
func (v Value) Raw() json.RawMessage { return v.raw }

// String returns the text of a JSON string, the digits of a number, "true" or
// "false", the JSON text of anything else, and "" when absent.
func (v Value) String() string {
	if len(v.raw) > 0 && v.raw[0] == '"' {
		var s string
		if json.Unmarshal(v.raw, &s) == nil {
			return s
		}
	}
	return string(v.raw)
}

// Bool returns whether the value is true. Anything else, the absent value
// included, is false.
func (v Value) Bool() bool { return string(v.raw) == "true" }

// Int64 returns the value as a number, whether it came as a number or as text.
func (v Value) Int64() (int64, error) {
	if v.IsZero() {
		return 0, errors.New("no value")
	}
	n, err := strconv.ParseInt(v.String(), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("not a 64-bit integer: %w", errors.Unwrap(err))
	}
	return n, nil
}

// maxNumberBytes and maxExponent bound what Rat reads: a short text with a large
// exponent, or a long one, would cost seconds.
const (
	maxNumberBytes = 512
	maxExponent    = 512
)

// Rat returns the value as an exact number, whether it came as a decimal number
// or as the text of one. Numbers of more than 512 characters or with an exponent
// above 512 are refused.
func (v Value) Rat() (*big.Rat, error) {
	if v.IsZero() {
		return nil, errors.New("no value")
	}
	text := v.String()
	if len(text) > maxNumberBytes || strings.Trim(text, "+-.0123456789eE") != "" {
		return nil, errors.New("not a number")
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if e, err := strconv.Atoi(text[i+1:]); err != nil || e < -maxExponent || e > maxExponent {
			return nil, errors.New("not a number of usable size")
		}
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, errors.New("not a number")
	}
	return r, nil
}

// MarshalJSON returns the JSON text, null when absent.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.IsZero() {
		return []byte("null"), nil
	}
	return v.raw, nil
}

// UnmarshalJSON keeps the JSON text.
func (v *Value) UnmarshalJSON(raw []byte) error {
	*v = RawValue(bytes.Clone(raw))
	return nil
}
