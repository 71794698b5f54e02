package pipedrive

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestChoose(t *testing.T) {
	t.Parallel()
	types := func(pairs ...string) (out []activityType) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, activityType{pairs[i], pairs[i+1], true})
		}
		return out
	}
	for name, test := range map[string]struct {
		types  []activityType
		wanted string
		want   string
	}{
		"by key":                  {types("call", "Call", "sms", "Kurznachricht"), "", "sms"},
		"by name":                 {types("call", "Call", "k17", "SMS"), "", "k17"},
		"word of a name":          {types("call", "Call", "out", "Outgoing SMS (text)"), "", "out"},
		"key with a number":       {types("sms_1", "Nachricht"), "", "sms_1"},
		"key run together":        {types("smsmessage", "x"), "", "smsmessage"},
		"number run together":     {types("k", "SMS2"), "", "k"},
		"MMS":                     {types("mms", "MMS"), "", "mms"},
		"first of several":        {types("a", "SMS in", "b", "SMS out"), "", "a"},
		"text message":            {types("call", "Call", "text_message", "x"), "", "text_message"},
		"text messages":           {types("k", "Text Messages"), "", "k"},
		"Text":                    {types("k", "Text"), "", "k"},
		"texting":                 {types("k", "Texting"), "", "k"},
		"SMS before text":         {types("k", "Text message", "s", "SMS"), "", "s"},
		"text of something":       {types("k", "Text the lawyer", "contexts", "Contexts"), "", ""},
		"sms inside a word":       {types("mechanisms", "Organisms"), "", ""},
		"none":                    {types("call", "Call", "task", "Task"), "", ""},
		"no types":                {nil, "", ""},
		"wanted":                  {types("call", "Call", "sms", "SMS"), "call", "call"},
		"wanted by name":          {types("call", "Call me", "sms", "SMS"), "Call me", ""},
		"wanted in another case":  {types("call", "Call", "sms", "SMS"), "CALL", ""},
		"wanted and not there":    {types("call", "Call", "sms", "SMS"), "text", ""},
		"letters of other tongue": {types("k", "СМС", "l", "SMS-сообщение"), "", "l"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := choose(test.types, test.wanted); got != test.want {
				t.Errorf("chose %q, want %q", got, test.want)
			}
		})
	}
}

// TestNoType: the refusal says what to do and what there is.
func TestNoType(t *testing.T) {
	t.Parallel()
	many := make([]string, 30)
	for i := range many {
		many[i] = fmt.Sprintf(`{"name":"Type","key_string":"type_%d","active_flag":true}`, i)
	}
	for name, test := range map[string]struct {
		types, setting string
		says           []string
		not            string
	}{
		"none for messages": {
			`{"key_string":"call","name":"Call","active_flag":true},{"key_string":"sms","name":"SMS","active_flag":false}`, "",
			[]string{"no active activity type for text messages", "add one named SMS", "setting activityType", "active are: call"},
			"sms,",
		},
		"setting unknown":  {smsType, "whatsapp", []string{"setting activityType names no active activity type", "active are: sms"}, "whatsapp"},
		"setting inactive": {`{"key_string":"fax","name":"Fax","active_flag":false},` + smsType, "fax", []string{"active are: sms"}, "fax,"},
		"no types":         {``, "", []string{"no active type at all"}, ""},
		"many":             {strings.Join(many, ","), "", []string{"type_0, type_1", "type_19, and 10 more"}, "type_20"},
		"odd keys":         {`{"key_string":"a\u0000b\u202ec","name":"x","active_flag":true},{"key_string":"` + strings.Repeat("k", 64) + `","name":"x","active_flag":true}`, "", []string{"active are: abc, kkkk", "k…"}, strings.Repeat("k", 61)},
		"keys that are not": {
			`{"key_string":"","name":"SMS","active_flag":true},{"key_string":"` + strings.Repeat("k", 65) + `","name":"SMS","active_flag":true}`, "",
			[]string{"no active type at all"},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm := newSite(t, map[string][]answer{routeTypes: ok(`{"success":true,"data":[` + test.types + `]}`)})
			req := request()
			req.Settings = sdk.Values{"activityType": sdk.TextValue(test.setting)}
			_, err := newAdapter(t, crm.url).AddMessageLog(t.Context(), req)
			if fault.CodeOf(err) != fault.CRMRejected || fault.ClassOf(err) != fault.Permanent {
				t.Fatalf("got %v", err)
			}
			for _, piece := range test.says {
				if !strings.Contains(fault.MessageOf(err), piece) {
					t.Errorf("%q does not say %q", fault.MessageOf(err), piece)
				}
			}
			if test.not != "" && strings.Contains(fault.MessageOf(err), test.not) {
				t.Errorf("%q says %q", fault.MessageOf(err), test.not)
			}
			if n := crm.times(routeTypes); n != 1 || crm.times(routeCreate) != 0 {
				t.Errorf("asked for the types %d times, sent %d", n, crm.times(routeCreate))
			}
		})
	}
}

// TestUsable: what an account may make the adapter remember is bounded.
func TestUsable(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("k", n) }
	var many []activityType
	for i := range maxTypes + 1 {
		many = append(many, activityType{"off", "", false}, activityType{fmt.Sprint("type_", i), "", true})
	}
	got := usable(many)
	if len(got) != maxTypes || got[maxTypes-1].Key != fmt.Sprint("type_", maxTypes-1) {
		t.Errorf("%d types are remembered, the last is %+v", len(got), got[len(got)-1])
	}
	for name, test := range map[string]struct{ in, want activityType }{
		"longest key":     {activityType{long(maxKey), "SMS", true}, activityType{long(maxKey), "SMS", true}},
		"overlong key":    {activityType{long(maxKey + 1), "SMS", true}, activityType{}},
		"no key":          {activityType{"", "SMS", true}, activityType{}},
		"inactive":        {activityType{"sms", "SMS", false}, activityType{}},
		"longest name":    {activityType{"a", long(maxKey), true}, activityType{"a", long(maxKey), true}},
		"overlong name":   {activityType{"a", "SMS " + long(maxKey), true}, activityType{"a", "SMS " + long(maxKey-4), true}},
		"cut in a letter": {activityType{"a", long(maxKey-1) + "字", true}, activityType{"a", long(maxKey - 1), true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got activityType
			for _, kept := range usable([]activityType{test.in}) {
				got = kept
			}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

// age makes what is remembered of all accounts older.
func age(a *Adapter, by time.Duration) {
	a.types.mu.Lock()
	defer a.types.mu.Unlock()
	for of, k := range a.types.known {
		k.at = k.at.Add(-by)
		a.types.known[of] = k
	}
}

func mustLog(t *testing.T, a *Adapter, req *sdk.AddMessageLogRequest) {
	t.Helper()
	if _, err := a.AddMessageLog(t.Context(), req); err != nil {
		t.Fatal(err)
	}
}

// TestTypesAreAskedForOnce for each account, until they are ten minutes old.
func TestTypesAreAskedForOnce(t *testing.T) {
	t.Parallel()
	crm := newSite(t, nil)
	a := newAdapter(t, crm.url)
	expect := func(step string, want int) {
		t.Helper()
		if n := crm.times(routeTypes); n != want {
			t.Fatalf("%s: asked %d times, want %d", step, n, want)
		}
	}
	for range 3 {
		mustLog(t, a, request())
	}
	expect("one account", 1)
	upper := request()
	asUser(`{"id":42,"hostname":"ACME.pipedrive.com."}`)(upper)
	mustLog(t, a, upper)
	expect("the account written otherwise", 1)
	other := request()
	asUser(`{"id":42,"hostname":"other.pipedrive.com"}`)(other)
	mustLog(t, a, other)
	expect("another account", 2)
	tenant := request()
	tenant.Tenant = "globex"
	mustLog(t, a, tenant)
	expect("another tenant", 3)
	for range 2 {
		nameless := request()
		asUser(`{"id":42}`)(nameless)
		mustLog(t, a, nameless)
	}
	expect("an account that only the credentials know, twice", 5)
	age(a, typesFor-time.Second)
	mustLog(t, a, request())
	expect("nearly ten minutes later", 5)
	age(a, time.Second)
	mustLog(t, a, request())
	expect("ten minutes later", 6)
}

// TestTypesOfOneAccountStayThere: the same key_string of another account is not
// taken for this one's.
func TestTypesOfOneAccountStayThere(t *testing.T) {
	t.Parallel()
	mine, theirs := `{"success":true,"data":[{"name":"SMS","key_string":"mine","active_flag":true}]}`, `{"success":true,"data":[{"name":"SMS","key_string":"theirs","active_flag":true}]}`
	crm := newSite(t, map[string][]answer{routeTypes: ok(mine, theirs)})
	a := newAdapter(t, crm.url)
	other := request()
	asUser(`{"id":42,"hostname":"other.pipedrive.com"}`)(other)
	for _, req := range []*sdk.AddMessageLogRequest{request(), other, request(), other} {
		mustLog(t, a, req)
	}
	for i, want := range []string{"mine", "theirs", "mine", "theirs"} {
		if got := crm.bodies[i]["type"]; got != want {
			t.Errorf("activity %d has the type %v, want %s", i, got, want)
		}
	}
}

// TestTypeThatIsRefused: when Pipedrive refuses an activity whose type was
// remembered, the types are asked for again, and another type is tried once.
func TestTypeThatIsRefused(t *testing.T) {
	t.Parallel()
	const (
		text  = `{"success":true,"data":[{"name":"Text","key_string":"text","active_flag":true}]}`
		none  = `{"success":true,"data":[{"name":"Call","key_string":"call","active_flag":true}]}`
		words = `{"success":false,"error":"Activity type is not active"}`
	)
	refused := answer{400, words, nil}
	for name, test := range map[string]struct {
		later   time.Duration
		answers []answer // to creates
		types   []answer // after the first
		asked   int      // for types, in all
		sent    []string // types
		says    string   // "" for success
	}{
		"another type": {recheckAfter, []answer{refused, ok(createdAs12)[0]}, ok(text), 2, []string{"sms", "text"}, ""},
		"refused too":  {recheckAfter, []answer{refused}, ok(text), 2, []string{"sms", "text"}, "not active"},
		"unknown then": {recheckAfter, []answer{refused, {500, ``, nil}}, ok(text), 2, []string{"sms", "text"}, "500"},
		"no type":      {recheckAfter, []answer{refused}, ok(none), 2, []string{"sms"}, "add one named SMS"},
		"same type":    {recheckAfter, []answer{refused}, ok(callAndSMS), 2, []string{"sms"}, "not active"},
		"not told":     {recheckAfter, []answer{refused}, []answer{{503, ``, nil}}, 2, []string{"sms"}, "not active"},
		"told junk":    {recheckAfter, []answer{refused}, ok(`{"success":false}`), 2, []string{"sms"}, "not active"},
		"told oddly":   {recheckAfter, []answer{refused}, []answer{{404, ``, nil}}, 2, []string{"sms"}, "not active"},
		"just read":    {recheckAfter - time.Second, []answer{refused}, ok(text), 1, []string{"sms"}, "not active"},
		"limited":      {recheckAfter, []answer{{429, ``, nil}}, ok(text), 1, []string{"sms"}, "429"},
		"unknown":      {recheckAfter, []answer{{500, ``, nil}}, ok(text), 1, []string{"sms"}, "500"},
		"unauthorized": {recheckAfter, []answer{{401, ``, nil}}, ok(text), 1, []string{"sms"}, "401"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			crm := newSite(t, nil)
			a := newAdapter(t, crm.url)
			mustLog(t, a, request())
			crm.set(routeCreate, test.answers)
			crm.set(routeTypes, test.types)
			age(a, test.later)
			crm.bodies = nil
			_, err := a.AddMessageLog(t.Context(), request())
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(fault.MessageOf(err), test.says) {
				t.Errorf("got %v, want %q", err, test.says)
			}
			if unknown := strings.Contains(test.says, "500"); err != nil && unknown != (fault.ClassOf(err) == fault.Unknown) {
				t.Errorf("class %s", fault.ClassOf(err))
			}
			var sent []string
			for _, body := range crm.bodies {
				sent = append(sent, fmt.Sprint(body["type"]))
			}
			if !slices.Equal(sent, test.sent) || crm.times(routeTypes) != test.asked {
				t.Errorf("sent %v, want %v; asked for types %d times, want %d", sent, test.sent, crm.times(routeTypes), test.asked)
			}
		})
	}
}

// TestMissingTypeIsLookedForAgain once a minute, not with every message.
func TestMissingTypeIsLookedForAgain(t *testing.T) {
	t.Parallel()
	none := `{"success":true,"data":[{"name":"Call","key_string":"call","active_flag":true}]}`
	crm := newSite(t, map[string][]answer{routeTypes: ok(none, callAndSMS)})
	a := newAdapter(t, crm.url)
	for range 3 {
		if _, err := a.AddMessageLog(t.Context(), request()); fault.CodeOf(err) != fault.CRMRejected {
			t.Fatalf("got %v", err)
		}
	}
	if n := crm.times(routeTypes); n != 1 {
		t.Fatalf("asked %d times", n)
	}
	age(a, recheckAfter)
	mustLog(t, a, request())
	if n := crm.times(routeTypes); n != 2 {
		t.Errorf("asked %d times", n)
	}
}

// TestFailureIsNotRemembered: what could not be read is asked for again.
func TestFailureIsNotRemembered(t *testing.T) {
	t.Parallel()
	crm := newSite(t, map[string][]answer{routeTypes: {{503, ``, nil}, ok(callAndSMS)[0]}})
	a := newAdapter(t, crm.url)
	if _, err := a.AddMessageLog(t.Context(), request()); fault.CodeOf(err) != fault.CRMUnavailable {
		t.Fatalf("got %v", err)
	}
	mustLog(t, a, request())
}
