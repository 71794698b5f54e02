package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// spec is a custom field as the property test knows it: it is written into a
// manifest for the validator, and read by oracle without it.
type spec struct {
	Const     string           `json:"const"`
	Title     string           `json:"title"`
	Type      string           `json:"type"`
	Required  bool             `json:"required,omitempty"`
	Options   []map[string]any `json:"options,omitempty"`
	Custom    bool             `json:"allowCustomValue,omitempty"`
	Dependent bool             `json:"contactDependent,omitempty"`
	Pattern   string           `json:"pattern,omitempty"`
	Default   json.RawMessage  `json:"defaultValue,omitempty"`
}

// pool are values that may be submitted; some fit some fields.
var pool = []string{
	`null`, `""`, `"a"`, `"b"`, `"abc"`, `"7"`, `"007"`, `7`, `-7`, `0`, `-0`, `7.0`, `7e0`, `12345678901234567890123`, `true`, `false`, `"true"`,
	`"2024-02-29"`, `"2023-02-29"`, `"2024-1-1"`, `"2024-02-29 "`, `0.25`, `-1e3`, `[]`, `["a"]`, `{}`, `{"a":1}`, `"\u0000"`, `"é"`, `" "`,
}

var optionPool = []any{"a", "b", 7, "-7", "abc", json.Number("12345678901234567890123")}

func drawSpec(rt *rapid.T, name string) spec {
	s := spec{Const: name, Title: name, Type: rapid.SampledFrom([]string{"selection", "inputField", "checkbox", "date", "number", "warning"}).Draw(rt, "type")}
	if s.Type == "warning" {
		return s
	}
	s.Required = rapid.Bool().Draw(rt, "required")
	switch s.Type {
	case "selection":
		s.Custom, s.Dependent = rapid.Bool().Draw(rt, "custom"), rapid.Bool().Draw(rt, "dependent")
		least := 1
		if s.Custom || s.Dependent {
			least = 0
		}
		for _, c := range rapid.SliceOfNDistinct(rapid.SampledFrom(optionPool), least, 4, func(v any) string { return fmt.Sprint(v) }).Draw(rt, "options") {
			s.Options = append(s.Options, map[string]any{"const": c, "title": "x"})
		}
	case "inputField":
		s.Pattern = rapid.SampledFrom([]string{"", "a", "^[a-z]+$", "^.{1,2}$"}).Draw(rt, "pattern")
	}
	if value := rapid.SampledFrom(pool).Draw(rt, "default"); rapid.Bool().Draw(rt, "with default") && s.accepts(value) == "" {
		s.Default = json.RawMessage(value)
	}
	return s
}

// accepts is the independent reading of one field: "" or the code of the fault.
func (s spec) accepts(raw string) string {
	var v any
	dec := json.NewDecoder(strings.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		panic(err)
	}
	text, isText := v.(string)
	number, isNumber := v.(json.Number)
	_, isBool := v.(bool)
	fits := map[string]bool{"selection": isText || isNumber, "inputField": isText, "date": isText, "number": isNumber, "checkbox": isBool, "warning": true}
	right := false
	switch s.Type {
	case "selection":
		if i, ok := new(big.Int).SetString(string(number), 10); isNumber && ok && i.String() == string(number) {
			text, isText = i.String(), true
		}
		right = isText && (s.Custom || s.Dependent || slices.ContainsFunc(s.Options, func(o map[string]any) bool { return fmt.Sprint(o["const"]) == text }))
	case "inputField":
		right = s.Pattern == "" || regexp.MustCompile(s.Pattern).FindStringIndex(text) != nil
	case "date":
		day, err := time.Parse("2006-01-02T15:04:05", text+"T00:00:00")
		right = err == nil && day.Format("2006-01-02") == text
	case "number", "checkbox":
		right = true
	}
	switch {
	case strings.Contains(text, "\x00"):
		return strictjson.CodeInvalid
	case !fits[s.Type]:
		return strictjson.CodeType
	case !right:
		return strictjson.CodeInvalid
	}
	return ""
}

// oracle reads a submission against the list of fields: the values, or the faults
// as "pointer code".
func oracle(specs []spec, submitted map[string]string) (values, faults []string) {
	byName := map[string]spec{}
	for _, s := range specs {
		byName[s.Const] = s
	}
	given := map[string]bool{}
	for name, raw := range submitted {
		s, known := byName[name]
		switch {
		case !known:
			faults = append(faults, "/"+name+" unknown_member")
		case raw != "null" && raw != `""`:
			given[name] = true
			if code := s.accepts(raw); code != "" {
				faults = append(faults, "/"+name+" "+code)
			}
			values = append(values, name+"="+raw)
		}
	}
	for _, s := range specs {
		switch def := string(s.Default); {
		case given[s.Const]:
		case def != "" && def != "null" && def != `""`:
			values = append(values, s.Const+"="+def)
		case s.Required:
			faults = append(faults, "/"+s.Const+" required")
		}
	}
	if len(faults) > 0 {
		values = nil
	}
	slices.Sort(values)
	slices.Sort(faults)
	return values, faults
}

func TestValidatorAgreesWithOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		specs := []spec{} // an empty list, not null
		for i := range rapid.IntRange(0, 6).Draw(rt, "fields") {
			specs = append(specs, drawSpec(rt, "f"+strconv.Itoa(i)))
		}
		list, err := json.Marshal(specs)
		if err != nil {
			rt.Fatal(err)
		}
		m, err := Parse([]byte(change(t, minimal, `/page={"messageLog":{"additionalFields":`+string(list)+`}}`)))
		if err != nil {
			rt.Fatalf("the generated manifest is refused: %v\n%s", err, list)
		}
		names := rapid.SampledFrom([]string{"f0", "f1", "f2", "f3", "f4", "f5", "f6", "F0"})
		submitted := rapid.MapOf(names, rapid.SampledFrom(pool)).Draw(rt, "submitted")
		var doc []string
		for _, name := range slices.Sorted(maps.Keys(submitted)) {
			doc = append(doc, strconv.Quote(name)+":"+submitted[name])
		}
		values, faults := m.CheckSubmission(node(t, "{"+strings.Join(doc, ",")+"}"))
		gotFaults := codes(faults)
		slices.Sort(gotFaults)
		wantValues, wantFaults := oracle(specs, submitted)
		if !slices.Equal(gotFaults, wantFaults) || !slices.Equal(show(values), append([]string{}, wantValues...)) {
			rt.Fatalf("fields %s\nsubmitted %s\n got %q %q\nwant %q %q", list, doc, show(values), gotFaults, wantValues, wantFaults)
		}
	})
}
