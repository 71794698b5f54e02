package manifest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
)

// show returns values as sorted "name=json" texts.
func show(values sdk.Values) []string {
	out := make([]string, 0, len(values))
	for name, v := range values {
		out = append(out, name+"="+string(v.Raw()))
	}
	slices.Sort(out)
	return out
}

// codes returns faults as "pointer code" texts.
func codes(faults strictjson.Faults) []string {
	var out []string
	for _, f := range faults {
		out = append(out, f.Pointer+" "+f.Code)
	}
	return out
}

func TestCheckSubmission(t *testing.T) {
	t.Parallel()
	m := mustParse(t, full(t))
	const defaults = "billable=false"
	for name, c := range map[string]struct {
		in    string
		want  []string // values beside note, stage and billable's defaults
		fault []string
	}{
		"all":                   {in: `{"deal":88001,"stage":7,"source":"x","note":"abc","billable":true,"due":"2024-02-29","hours":1.50}`, want: []string{"billable=true", "deal=88001", `due="2024-02-29"`, "hours=1.50", `note="abc"`, `source="x"`, "stage=7"}},
		"defaults":              {in: `{"note":"abc"}`, want: []string{defaults, `note="abc"`, `stage="7"`}},
		"null and empty":        {in: `{"note":"abc","deal":null,"stage":"","due":"","hours":null,"billable":"","hint":null}`, want: []string{defaults, `note="abc"`, `stage="7"`}},
		"option as text":        {in: `{"note":"a","stage":"7"}`, want: []string{defaults, `note="a"`, `stage="7"`}},
		"short option":          {in: `{"note":"a","stage":"Lost"}`, want: []string{defaults, `note="a"`, `stage="Lost"`}},
		"big integer":           {in: `{"note":"a","deal":5578984350117917661234567890}`, want: []string{defaults, "deal=5578984350117917661234567890", `note="a"`, `stage="7"`}},
		"false is a value":      {in: `{"note":"a","billable":false}`, want: []string{"billable=false", `note="a"`, `stage="7"`}},
		"number keeps its text": {in: `{"note":"a","hours":-1E2}`, want: []string{defaults, "hours=-1E2", `note="a"`, `stage="7"`}},

		"nothing":       {in: `{}`, fault: []string{"/note required"}},
		"null":          {in: `null`, fault: []string{"/note required"}},
		"not an object": {in: `[]`, fault: []string{" wrong_type"}}, // what it lacks is not asked for, too
		"unknown":       {in: `{"note":"a","deals":1}`, fault: []string{"/deals unknown_member"}},
		"case":          {in: `{"note":"a","Deal":1}`, fault: []string{"/Deal unknown_member"}},
		"warning":       {in: `{"note":"a","hint":"x"}`, fault: []string{"/hint invalid_value"}},
		"types":         {in: `{"deal":true,"stage":[],"note":1,"billable":"true","due":20240229,"hours":"1"}`, fault: []string{"/deal wrong_type", "/stage wrong_type", "/note wrong_type", "/billable wrong_type", "/due wrong_type", "/hours wrong_type"}},
		"values":        {in: `{"deal":1.0,"stage":8,"note":"ABC","due":"2023-02-29"}`, fault: []string{"/deal invalid_value", "/stage invalid_value", "/note invalid_value", "/due invalid_value"}},
		"exponent":      {in: `{"note":"a","deal":1e2}`, fault: []string{"/deal invalid_value"}},
		"date shape":    {in: `{"note":"a","due":"2024-2-9"}`, fault: []string{"/due invalid_value"}},
		"date and time": {in: `{"note":"a","due":"2024-02-09T00:00:00Z"}`, fault: []string{"/due invalid_value"}},
		"NUL":           {in: `{"note":"a","deal":"a\u0000b"}`, fault: []string{"/deal invalid_value"}},
		"long number":   {in: `{"note":"a","hours":` + strings.Repeat("1", 257) + `}`, fault: []string{"/hours invalid_value"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values, faults := m.CheckSubmission(node(t, c.in))
			if got := codes(faults); !slices.Equal(got, c.fault) {
				t.Fatalf("faults %q, want %q\n%v", got, c.fault, faults)
			}
			if got := show(values); !slices.Equal(got, append([]string{}, c.want...)) {
				t.Errorf("values %q, want %q", got, c.want)
			}
			if faults != nil && values != nil {
				t.Error("values beside faults")
			}
		})
	}
}

func TestCheckSubmissionPointers(t *testing.T) {
	t.Parallel()
	m := mustParse(t, full(t))
	if _, faults := m.CheckSubmission(nil); !slices.Equal(codes(faults), []string{"/additionalSubmission/note required"}) {
		t.Errorf("absent: %v", faults)
	}
	body := node(t, `{"body":{"fields":{"stage":1}}}`)
	_, faults := m.CheckSubmission(body.Get("body").Get("fields"))
	if want := []string{"/body/fields/stage invalid_value", "/body/fields/note required"}; !slices.Equal(codes(faults), want) {
		t.Errorf("nested: %v, want %v", codes(faults), want)
	}
	_, faults = m.CheckSubmission(node(t, `{"note":"a","dael":1}`))
	if want := `/dael: unknown member "dael"; did you mean "deal"?`; faults.Error() != want {
		t.Errorf("got %v, want %s", faults, want)
	}
	if values, faults := mustParse(t, minimal).CheckSubmission(nil); faults != nil || values == nil || len(values) != 0 {
		t.Errorf("no fields: %v %v", values, faults)
	}
}

func TestSubmissionIsBounded(t *testing.T) {
	t.Parallel()
	m := mustParse(t, full(t))
	var b strings.Builder
	for i := range maxSubmitted + 1 {
		fmt.Fprintf(&b, `,"x%d":1`, i)
	}
	_, faults := m.CheckSubmission(node(t, "{"+b.String()[1:]+"}"))
	if len(faults) != 1 || faults[0].Code != strictjson.CodeInvalid {
		t.Errorf("%d faults, want 1", len(faults))
	}
}

func TestFaultsRepeatNoValue(t *testing.T) {
	t.Parallel()
	m := mustParse(t, full(t))
	for _, in := range []string{
		`{"deal":{"hunter2":1},"stage":"hunter2","note":"HUNTER2 hunter2","billable":"hunter2","due":"hunter2","hours":"hunter2","hint":"hunter2","x":"hunter2"}`,
		`"hunter2"`, `["hunter2"]`,
	} {
		if _, faults := m.CheckSubmission(node(t, in)); len(faults) == 0 || strings.Contains(strings.ToLower(faults.Error()), "hunter2") {
			t.Errorf("%s: %v", in, faults)
		}
	}
	in := `{"mode":"hunter2","archive":"hunter2","greeting":["hunter2"],"careful":"hunter2","apiSecret":{"a":"hunter2"},"x":"hunter2"}`
	if _, faults := m.CheckSettings(node(t, in), ScopeTenant); len(faults) != 6 || strings.Contains(faults.Error(), "hunter2") {
		t.Errorf("settings: %v", faults)
	}
}

func TestCheckSettings(t *testing.T) {
	t.Parallel()
	m := mustParse(t, full(t))
	for name, c := range map[string]struct {
		in    string
		scope Scope
		want  []string
		fault []string
	}{
		"tenant, all":              {`{"greeting":"Hey","mode":2,"archive":false,"apiSecret":"s"}`, ScopeTenant, []string{`apiSecret="s"`, "archive=false", `greeting="Hey"`, "mode=2"}, nil},
		"tenant, no defaults":      {`{"mode":"fast","greeting":null,"archive":""}`, ScopeTenant, []string{`mode="fast"`}, nil},
		"tenant, required":         {`{}`, ScopeTenant, nil, []string{"/mode required"}},
		"tenant, unknown":          {`{"mode":2,"color":1}`, ScopeTenant, nil, []string{"/color unknown_member"}},
		"tenant, a section":        {`{"mode":2,"general":{"greeting":"x"}}`, ScopeTenant, nil, []string{"/general unknown_member"}},
		"tenant, a warning":        {`{"mode":2,"careful":"x"}`, ScopeTenant, nil, []string{"/careful invalid_value"}},
		"tenant, wrong":            {`{"mode":3,"archive":1,"greeting":1}`, ScopeTenant, nil, []string{"/mode invalid_value", "/archive wrong_type", "/greeting wrong_type"}},
		"tenant, not an object":    {`"x"`, ScopeTenant, nil, []string{" wrong_type"}},
		"user, own":                {`{"greeting":"Yo","mode":"2"}`, ScopeUser, []string{`greeting="Yo"`, `mode="2"`}, nil},
		"user, others left out":    {`{"greeting":"Yo","archive":false,"apiSecret":"s","color":[1]}`, ScopeUser, []string{`greeting="Yo"`}, nil},
		"user, wrong type ignored": {`{"archive":"not mine to set"}`, ScopeUser, []string{}, nil},
		"user, nothing required":   {`{}`, ScopeUser, []string{}, nil},
		"user, wrong":              {`{"greeting":7}`, ScopeUser, nil, []string{"/greeting wrong_type"}},
		"user, not an object":      {`7`, ScopeUser, nil, []string{" wrong_type"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values, faults := m.CheckSettings(node(t, c.in), c.scope)
			if got := codes(faults); !slices.Equal(got, c.fault) {
				t.Fatalf("faults %q, want %q", got, c.fault)
			}
			if got := show(values); !slices.Equal(got, append([]string{}, c.want...)) {
				t.Errorf("values %q, want %q", got, c.want)
			}
		})
	}
	if _, faults := m.CheckSettings(nil, ScopeTenant); !slices.Equal(codes(faults), []string{"/settings/mode required"}) {
		t.Errorf("absent: %v", faults)
	}
	if values, faults := m.CheckSettings(nil, ScopeUser); values == nil || faults != nil {
		t.Errorf("absent user's: %v %v", values, faults)
	}
}

func TestMergeSettings(t *testing.T) {
	t.Parallel()
	m := mustParse(t, full(t))
	text := sdk.TextValue
	for name, c := range map[string]struct {
		tenant, user sdk.Values
		want         []string
	}{
		"defaults":             {nil, nil, []string{"archive=true", `greeting="Hi"`}},
		"tenant above default": {sdk.Values{"greeting": text("T"), "archive": sdk.RawValue([]byte("false"))}, nil, []string{"archive=false", `greeting="T"`}},
		"user above tenant":    {sdk.Values{"greeting": text("T")}, sdk.Values{"greeting": text("U")}, []string{"archive=true", `greeting="U"`}},
		"user above default":   {nil, sdk.Values{"greeting": text("U")}, []string{"archive=true", `greeting="U"`}},
		"user out of scope":    {sdk.Values{"apiSecret": text("T")}, sdk.Values{"apiSecret": text("U"), "archive": text("U")}, []string{`apiSecret="T"`, "archive=true", `greeting="Hi"`}},
		"of an older version":  {sdk.Values{"gone": text("T")}, sdk.Values{"gone": text("U")}, []string{"archive=true", `greeting="Hi"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := show(m.MergeSettings(c.tenant, c.user)); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSettingsAreBounded(t *testing.T) {
	t.Parallel()
	section := func(name string) string {
		var items []string
		for i := range 150 {
			items = append(items, fmt.Sprintf(`{"id":"%s%d","type":"boolean","name":"x"}`, name, i))
		}
		return fmt.Sprintf(`{"id":"%s","type":"section","name":"x","items":[%s]}`, name, strings.Join(items, ","))
	}
	_, err := Parse([]byte(change(t, minimal, "/settings=["+section("a")+","+section("b")+"]")))
	if err == nil || err.Error() != "/settings: must hold at most 200 settings" {
		t.Errorf("Parse = %v", err)
	}
}
