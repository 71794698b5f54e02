package relay

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// testRoute returns a route on a manifest made from testManifest, in which each
// pair of texts is replaced.
func testRoute(tb testing.TB, replace ...string) *Route {
	tb.Helper()
	m, err := manifest.Parse([]byte(strings.NewReplacer(replace...).Replace(testManifest)))
	if err != nil {
		tb.Fatal(err)
	}
	return &Route{Tenant: "t1", Adapter: "acme", Version: "1.0.0", Enabled: true, Manifest: m}
}

// fields is a request body by member; nil leaves one out.
type fields map[string]string

// with returns the body of a good request in which some members are replaced; ""
// leaves one out.
func (f fields) with(change fields) []byte {
	all := fields{
		"user":        `{"id":"42","hostname":"x.acme.example"}`,
		"contactInfo": `{"id":7,"type":"person"}`,
		"authHeader":  `"Bearer good"`,
		"message":     `{"id":"A","creationTime":"2026-01-02T03:04:05Z"}`,
	}
	maps.Copy(all, f)
	maps.Copy(all, change)
	var members []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if all[name] != "" {
			members = append(members, fmt.Sprintf("%q:%s", name, all[name]))
		}
	}
	return []byte("{" + strings.Join(members, ",") + "}")
}

func message(id string, rest ...string) string {
	at := `"creationTime":"2026-01-02T03:04:05Z"`
	if len(rest) > 0 {
		at = strings.Join(rest, ",")
	}
	return fmt.Sprintf(`{"id":%s,%s}`, id, at)
}

// mustDecode demands that a request is good.
func mustDecode(t *testing.T, route *Route, change fields) *request {
	t.Helper()
	req, err := decode(fields{}.with(change), route)
	if err != nil {
		t.Fatalf("decode %v: %v", change, err)
	}
	return req
}

// faultsOf returns "pointer code" of every field fault of a refused request.
func faultsOf(t *testing.T, err error) (list []string, details string) {
	t.Helper()
	var faults strictjson.Faults
	if fault.CodeOf(err) != fault.InvalidFields || fault.ClassOf(err) != fault.Permanent || !errors.As(err, &faults) {
		t.Fatalf("want invalid_fields, got %v", err)
	}
	for _, f := range faults {
		list = append(list, f.Pointer+" "+f.Code)
		details += f.Error() + "\n"
	}
	slices.Sort(list)
	return list, details
}

func TestDecodeGoodRequest(t *testing.T) {
	t.Parallel()
	req := mustDecode(t, testRoute(t), fields{
		"user":                 `{"id":42,"name":"Ada","hostname":"X.Acme.Example.","team":{"x":1}}`,
		"contactInfo":          `{"id":"007","type":"lead","phoneNumber":"+16505553204","name":"Bob","score":1e400}`,
		"message":              message(`60279564004`, `"creationTime":1767323045000,"conversationId":5578984350117917661,"extra":[1.50,{"a":null}]`),
		"additionalSubmission": `{"deal":88001}`,
		"recordingLink":        `"https://media.example/1?x=%20"`,
	})
	if req.Tenant != "t1" || req.User.ID.String() != "42" || req.User.Name != "Ada" || req.account != "x.acme.example" {
		t.Errorf("user %+v of account %q", req.User, req.account)
	}
	if got := string(req.User.Raw); got != `{"id":42,"name":"Ada","hostname":"X.Acme.Example.","team":{"x":1}}` {
		t.Errorf("raw user %s", got)
	}
	c := req.ContactInfo
	if c.ID.String() != "007" || c.ID.IsNumber() || c.Type != "lead" || c.PhoneNumber != "+16505553204" || !strings.Contains(string(c.Raw), `1e400`) {
		t.Errorf("contact %+v", c)
	}
	m := req.Messages[0]
	if m.ID.String() != "60279564004" || m.ConversationID.String() != "5578984350117917661" || m.CreationTime.UnixMilli() != 1767323045000 {
		t.Errorf("message %+v", m)
	}
	if !strings.Contains(string(m.Raw), `"extra":[1.50,{"a":null}]`) {
		t.Errorf("raw message %s", m.Raw)
	}
	if req.Field("deal").String() != "88001" || req.Field("note").String() != "none" || req.RecordingLink != "https://media.example/1?x=%20" {
		t.Errorf("deal %s, note %s, link %s", req.Field("deal"), req.Field("note"), req.RecordingLink)
	}
	if req.AuthHeader.Reveal() != "Bearer good" || strings.Contains(fmt.Sprintf("%v %+v %#v", req, req, req), "Bearer good") {
		t.Error("the credentials are wrong, or can be printed")
	}
}

func TestDecodeEveryFaultAtOnce(t *testing.T) {
	t.Parallel()
	_, err := decode([]byte(`{
		"user":{"id":1.5,"name":7,"hostname":"https://x.acme.example","timezone":"Mars/Olympus"},
		"contactInfo":{"type":7,"name":[]},
		"authHeader":"",
		"mesage":1,
		"message":[{"id":"A"},{"creationTime":"yesterday","id":1e3},7,{"id":"","creationTime":true},{"id":"x/~y\u0000","creationTime":"2026-01-02T03:04:05Z"}],
		"additionalSubmission":{"deel":1,"note":7},
		"recordingLink":"ftp://media.example/1",
		"timezoneOffset":14.5
	}`), testRoute(t))
	got, details := faultsOf(t, err)
	want := []string{
		"/additionalSubmission/deel unknown_member", "/additionalSubmission/note wrong_type",
		"/authHeader invalid_value", "/contactInfo/id required", "/contactInfo/name wrong_type", "/contactInfo/type wrong_type",
		"/mesage unknown_member", "/message/0/creationTime required", "/message/1/creationTime invalid_value",
		"/message/1/id invalid_value", "/message/2 wrong_type", "/message/3/creationTime invalid_value",
		"/message/3/id invalid_value", "/message/4/id invalid_value", "/message/4/id invalid_value",
		"/recordingLink invalid_value", "/timezoneOffset invalid_value",
		"/user/hostname invalid_value", "/user/id invalid_value", "/user/name wrong_type", "/user/timezone invalid_value",
	}
	if !slices.Equal(got, want) {
		t.Errorf("faults:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, hint := range []string{`did you mean "message"?`, `did you mean "deal"?`, "must not contain the character U+0000"} {
		if !strings.Contains(details, hint) {
			t.Errorf("no %q in\n%s", hint, details)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, message(fmt.Sprint(i+1)))
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	for name, c := range map[string]struct {
		change fields
		want   string // the faults, comma separated
	}{
		"message and messages":     {fields{"messages": many(1)}, "/messages invalid_value"},
		"neither":                  {fields{"message": ""}, "/message required"},
		"no messages":              {fields{"message": "[]"}, "/message invalid_value"},
		"no messages, plural":      {fields{"message": "", "messages": "[]"}, "/messages invalid_value"},
		"501 messages":             {fields{"message": many(501)}, "/message invalid_value"},
		"message null":             {fields{"message": "null"}, "/message wrong_type"},
		"messages in messages":     {fields{"message": "[" + many(1) + "]"}, "/message/0 wrong_type"},
		"no contact":               {fields{"contactInfo": ""}, "/contactInfo required"},
		"contact null":             {fields{"contactInfo": "null"}, "/contactInfo wrong_type"},
		"contact id null":          {fields{"contactInfo": `{"id":null}`}, "/contactInfo/id invalid_value"},
		"contact id float":         {fields{"contactInfo": `{"id":7.0}`}, "/contactInfo/id invalid_value"},
		"contact id too long":      {fields{"contactInfo": `{"id":"` + strings.Repeat("7", 257) + `"}`}, "/contactInfo/id invalid_value"},
		"no authHeader":            {fields{"authHeader": ""}, "/authHeader required"},
		"authHeader null":          {fields{"authHeader": "null"}, "/authHeader required"},
		"authHeader, two lines":    {fields{"authHeader": `"Bearer x\r\nX-Admin: 1"`}, "/authHeader invalid_value"},
		"authHeader, 8 KiB and 1":  {fields{"authHeader": `"` + strings.Repeat("x", 8193) + `"`}, "/authHeader invalid_value"},
		"user is text":             {fields{"user": `"ada"`}, "/user wrong_type"},
		"no user":                  {fields{"user": ""}, "/user/hostname required"},
		"user without host name":   {fields{"user": `{"id":"42"}`}, "/user/hostname required"},
		"host name elsewhere":      {fields{"user": `{"hostname":"evil.example"}`}, "/user/hostname invalid_value"},
		"host name with port":      {fields{"user": `{"hostname":"x.acme.example:443"}`}, "/user/hostname invalid_value"},
		"host name with user":      {fields{"user": `{"hostname":"a@x.acme.example"}`}, "/user/hostname invalid_value"},
		"host name is an address":  {fields{"user": `{"hostname":"127.0.0.1"}`}, "/user/hostname invalid_value"},
		"the parent itself":        {fields{"user": `{"hostname":"acme.example"}`}, "/user/hostname invalid_value"},
		"link without host":        {fields{"recordingLink": `"https:///x"`}, "/recordingLink invalid_value"},
		"link that is relative":    {fields{"recordingLink": `"/x"`}, "/recordingLink invalid_value"},
		"link too long":            {fields{"recordingLink": `"https://a.example/` + strings.Repeat("x", 2048) + `"`}, "/recordingLink invalid_value"},
		"submission is a list":     {fields{"additionalSubmission": `[]`}, "/additionalSubmission wrong_type"},
		"a member in another case": {fields{"Message": `1`}, "/Message unknown_member"},
		"user setting":             {fields{"user": `{"hostname":"x.acme.example","userSettings":{"prefix":{"value":7}}}`}, "/user/userSettings/prefix/value wrong_type"},
		"NUL in an open object":    {fields{"contactInfo": `{"id":7,"note":{"x":["a\u0000"]}}`}, "/contactInfo/note/x/0 invalid_value"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := decode(fields{}.with(c.change), testRoute(t))
			if got, _ := faultsOf(t, err); strings.Join(got, ",") != c.want {
				t.Errorf("faults %q, want %q", got, c.want)
			}
		})
	}
}

func TestDecodeMalformedBody(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty": "", "cut short": `{"message":`, "a list": `[]`, "null": `null`, "text": `"x"`,
		"twice the same member": `{"message":1,"message":2}`, "two values": `{} {}`, "not UTF-8": "{\"a\":\"\xff\"}",
		"too deep": strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000),
	} {
		_, err := decode([]byte(body), testRoute(t))
		if fault.CodeOf(err) != fault.MalformedRequest || fault.ClassOf(err) != fault.Permanent {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecodeWhatMayBeAbsent(t *testing.T) {
	t.Parallel()
	free := testRoute(t, `"egress": ["*.acme.example"],`, ``, `{"type": "oauth"}`, `{"type": "none"}`,
		`"https://{hostname}/log/{logId}"`, `"https://crm.example/log/{logId}"`)
	req := mustDecode(t, free, fields{"user": "", "authHeader": ""})
	if req.account != "" || !req.AuthHeader.IsZero() || req.ContactInfo.Type != "person" || !req.User.ID.IsZero() {
		t.Errorf("request %+v", req)
	}
	if req = mustDecode(t, free, fields{"user": "null", "contactInfo": `{"id":7}`, "recordingLink": "null", "timezoneOffset": "null", "additionalSubmission": "null"}); req.ContactInfo.Type != "" {
		t.Errorf("contact %+v", req.ContactInfo)
	}
	base := testRoute(t)
	base.BaseURLSet = true
	if req = mustDecode(t, base, fields{"user": `{"id":"42"}`}); req.account != "" {
		t.Errorf("account %q", req.account)
	}
}

func TestDecodeOrdersMessages(t *testing.T) {
	t.Parallel()
	late, early := `"creationTime":"2026-01-02T03:04:06Z"`, `"creationTime":"2026-01-02T11:04:05+08:00"`
	req := mustDecode(t, testRoute(t), fields{"message": "", "messages": "[" + strings.Join([]string{
		message(`"b"`, late), message(`10`, early), message(`9`, early), message(`"9"`, late), message(`"a"`, late), message(`"10"`, early),
	}, ",") + "]"})
	var got []string
	for _, m := range req.Messages {
		got = append(got, m.ID.String())
	}
	if want := []string{"9", "10", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("oldest first: %q, want %q", got, want)
	}
	if want := []string{"b", "10", "9", "a"}; !slices.Equal(req.order, want) {
		t.Errorf("in the order of the request: %q, want %q", req.order, want)
	}
	var list []string
	for i := range maxMessages {
		list = append(list, message(fmt.Sprint(i+1)))
	}
	if req = mustDecode(t, testRoute(t), fields{"message": "[" + strings.Join(list, ",") + "]"}); len(req.Messages) != 500 {
		t.Errorf("%d of 500 messages", len(req.Messages))
	}
}

func TestDecodeZone(t *testing.T) {
	t.Parallel()
	const winter, summer = `"creationTime":"2026-01-02T03:04:05Z"`, `"creationTime":"2026-07-02T03:04:05Z"`
	tenant := sdk.Zone{Name: "Asia/Tokyo"}
	for name, c := range map[string]struct {
		offset, user string
		tenant       sdk.Zone
		when         string
		zone         string
		seconds      int
	}{
		"nothing is known":            {"", "", sdk.Zone{}, winter, "", 0},
		"the tenant's":                {"", "", tenant, winter, "Asia/Tokyo", 9 * 3600},
		"the user's":                  {"", `"Europe/Berlin"`, tenant, winter, "Europe/Berlin", 3600},
		"the user's, in summer":       {"", `"Europe/Berlin"`, tenant, summer, "Europe/Berlin", 7200},
		"the call's":                  {`"-03:30"`, `"Europe/Berlin"`, tenant, winter, "", -12600},
		"the call's, by name":         {`"America/Los_Angeles"`, `"Europe/Berlin"`, tenant, summer, "America/Los_Angeles", -7 * 3600},
		"the call's, UTC":             {`"Z"`, `"Europe/Berlin"`, tenant, winter, "", 0},
		"the call's null is no zone":  {`null`, `"Europe/Berlin"`, tenant, winter, "Europe/Berlin", 3600},
		"the user's null is no zone":  {"", `null`, tenant, winter, "Asia/Tokyo", 9 * 3600},
		"a number of hours":           {`5.5`, "", tenant, winter, "", 19800},
		"an offset knows no daylight": {`"+01:00"`, "", tenant, summer, "", 3600},
	} {
		route := testRoute(t)
		route.Timezone = c.tenant
		user := `{"hostname":"x.acme.example"}`
		if c.user != "" {
			user = `{"hostname":"x.acme.example","timezone":` + c.user + `}`
		}
		req := mustDecode(t, route, fields{"user": user, "timezoneOffset": c.offset, "message": message(`"A"`, c.when)})
		if req.Zone != c.zone || req.OffsetSeconds != c.seconds {
			t.Errorf("%s: zone %q, %d s; want %q, %d s", name, req.Zone, req.OffsetSeconds, c.zone, c.seconds)
		}
	}
}

func TestDecodeSettings(t *testing.T) {
	t.Parallel()
	route := testRoute(t, `"name": "Prefix", "scope": "user"}`,
		`"name": "Prefix", "scope": "user", "defaultValue": "SMS"}, {"id": "tag", "type": "inputField", "name": "Tag"}`)
	setting := func(user string) string {
		req := mustDecode(t, route, fields{"user": `{"hostname":"x.acme.example","userSettings":` + user + `}`})
		return req.Setting("prefix").String() + " " + req.Setting("tag").String()
	}
	if got := setting(`null`); got != "SMS " {
		t.Errorf("defaults: %q", got)
	}
	settings, err := strictjson.Parse([]byte(`{"prefix":"Text","tag":"T"}`))
	if err != nil {
		t.Fatal(err)
	}
	values, faults := route.Manifest.CheckSettings(settings, manifest.ScopeTenant)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	route.Settings = values
	if got := setting(`{}`); got != "Text T" {
		t.Errorf("the tenant's: %q", got)
	}
	// The user may set what the manifest gives to users, and nothing else; members
	// that are not the adapter's are left alone.
	if got := setting(`{"prefix":{"value":"Mine","customizable":true},"tag":{"value":"Mine"},"other":{"value":7}}`); got != "Mine T" {
		t.Errorf("the user's: %q", got)
	}
}
