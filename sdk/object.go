package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"
)

// object is a JSON object whose members are read leniently. Its parts are parts of
// the document: nothing is copied but the texts that are asked for, which is what
// makes reading a record cheap. A name that stands twice has its last value.
type object []member

type member struct {
	name  string
	value []byte
}

// openObject reads the members of a JSON object.
func openObject(raw []byte) (object, error) {
	if len(raw) == 0 {
		return nil, errors.New("is missing")
	}
	if !json.Valid(raw) {
		return nil, errors.New("must be a JSON object")
	}
	o, ok := membersOf(bytes.TrimSpace(raw))
	if !ok {
		return nil, errors.New("must be a JSON object")
	}
	return o, nil
}

// membersOf returns the members of raw, and whether it is an object. raw is a
// value of a well-formed document.
func membersOf(raw []byte) (object, bool) {
	if len(raw) == 0 || raw[0] != '{' {
		return nil, false
	}
	o := make(object, 0, 8)
	for i := skipSpace(raw, 1); raw[i] != '}'; {
		end := valueEnd(raw, i)
		name, _ := textOf(raw[i:end])             // a name of a well-formed object is a text
		i = skipSpace(raw, skipSpace(raw, end)+1) // after the colon
		end = valueEnd(raw, i)
		o = append(o, member{name, raw[i:end]})
		i = afterComma(raw, end)
	}
	return o, true
}

// itemsOf returns the items of raw, none when it is no array. raw is a value of a
// well-formed document.
func itemsOf(raw []byte) [][]byte {
	if len(raw) == 0 || raw[0] != '[' {
		return nil
	}
	var items [][]byte
	for i := skipSpace(raw, 1); raw[i] != ']'; {
		end := valueEnd(raw, i)
		items = append(items, raw[i:end])
		i = afterComma(raw, end)
	}
	return items
}

// skipSpace returns the index of the first byte from i on that is no white space.
func skipSpace(doc []byte, i int) int {
	for doc[i] == ' ' || doc[i] == '\t' || doc[i] == '\n' || doc[i] == '\r' {
		i++
	}
	return i
}

// afterComma returns where the next member or item begins, or their list ends.
func afterComma(doc []byte, i int) int {
	if i = skipSpace(doc, i); doc[i] == ',' {
		i = skipSpace(doc, i+1)
	}
	return i
}

// valueEnd returns the index after the value that begins at i, inside an object
// or array of a well-formed document.
func valueEnd(doc []byte, i int) int {
	for depth := 0; ; i++ {
		switch doc[i] {
		case '"':
			i = lastQuote(doc, i)
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 { // of what the value stands in
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
}

// lastQuote returns the index of the quote that ends the string beginning at i.
func lastQuote(doc []byte, i int) int {
	for i++; doc[i] != '"'; i++ {
		if doc[i] == '\\' {
			i++
		}
	}
	return i
}

// textOf returns the text of a JSON string. Nearly all strings stand in the
// document as they are; the others are left to encoding/json.
func textOf(raw []byte) (string, error) {
	if len(raw) >= 2 && raw[0] == '"' && raw[len(raw)-1] == '"' && isPlain(raw[1:len(raw)-1]) {
		return string(raw[1 : len(raw)-1]), nil
	}
	var text string
	if len(raw) == 0 || raw[0] != '"' {
		return "", errors.New("is not a JSON string")
	}
	if err := json.Unmarshal(raw, &text); err != nil {
		return "", errors.New("is not a JSON string")
	}
	return text, nil
}

// isPlain reports whether text is the inside of a JSON string without escapes, in
// valid UTF-8.
func isPlain(text []byte) bool {
	ascii := true
	for _, c := range text {
		switch {
		case c < ' ', c == '"', c == '\\':
			return false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return ascii || utf8.Valid(text)
}

// get returns the member's value, nil when there is none.
func (o object) get(name string) []byte {
	for _, m := range slices.Backward(o) {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

func (o object) text(name string) string {
	text, _ := textOf(o.get(name)) // absent or another type: empty
	return text
}

func (o object) number(name string, most int64) int64 {
	n, err := strconv.ParseInt(string(o.get(name)), 10, 64)
	if err != nil || n < 0 || n > most {
		return 0
	}
	return n
}

func (o object) objects(name string) []object {
	var out []object
	for _, item := range itemsOf(o.get(name)) {
		if o, ok := membersOf(item); ok {
			out = append(out, o)
		}
	}
	return out
}

func (o object) id(name string) (ID, error) {
	id, err := ParseID(o.get(name))
	if err != nil {
		return ID{}, fmt.Errorf("%s %w", name, err)
	}
	return id, nil
}

func (o object) optionalID(name string) (ID, error) {
	if raw := o.get(name); len(raw) == 0 || string(raw) == "null" {
		return ID{}, nil
	}
	return o.id(name)
}

func (o object) looseID(name string) ID {
	id, err := ParseID(o.get(name))
	if err != nil {
		return ID{}
	}
	return id
}
