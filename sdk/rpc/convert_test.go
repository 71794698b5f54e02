package rpc

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/patchbay-crm/patchbay/sdk"
	adapterv1 "github.com/patchbay-crm/patchbay/sdk/proto/patchbay/adapter/v1"
)

// roundTrip fills a message, sends it through back and forth, and wants every
// field back.
func roundTrip[P proto.Message](t *testing.T, f filler, in P, through func(P) (P, error)) {
	t.Helper()
	f.fill(in.ProtoReflect())
	out, err := through(in)
	if err != nil {
		t.Fatalf("convert: %v", err)
	}
	if !proto.Equal(in, out) {
		t.Errorf("the converters change or forget a field:\n in  %v\n out %v", in, out)
	}
}

func TestRequestRoundTrip(t *testing.T) {
	t.Parallel()
	roundTrip(t, filler{}, &adapterv1.AddMessageLogRequest{}, func(p *adapterv1.AddMessageLogRequest) (*adapterv1.AddMessageLogRequest, error) {
		r, err := requestFromProto(p)
		if err != nil {
			return nil, err
		}
		return requestToProto(r)
	})
	roundTrip(t, filler{}, &adapterv1.FindMessageLogRequest{}, func(p *adapterv1.FindMessageLogRequest) (*adapterv1.FindMessageLogRequest, error) {
		r, err := findRequestFromProto(p)
		if err != nil {
			return nil, err
		}
		return findRequestToProto(r)
	})
}

func TestAnswerRoundTrip(t *testing.T) {
	t.Parallel()
	forms := map[protoreflect.FullName]func(int64) protoreflect.Value{
		"patchbay.adapter.v1.AddMessageLogResponse.log_url": func(int64) protoreflect.Value {
			return protoreflect.ValueOfString("https://crm.example.com/activities/1?x=%20")
		},
		"patchbay.adapter.v1.ReturnMessage.message_type": func(int64) protoreflect.Value {
			return protoreflect.ValueOfString("danger")
		},
	}
	roundTrip(t, filler{forms: forms}, &adapterv1.AddMessageLogResponse{}, func(p *adapterv1.AddMessageLogResponse) (*adapterv1.AddMessageLogResponse, error) {
		r, err := answerFromProto(p, unscrubbed)
		if err != nil {
			return nil, err
		}
		return answerToProto(r), nil
	})
	roundTrip(t, filler{}, &adapterv1.CheckHealthResponse{}, func(p *adapterv1.CheckHealthResponse) (*adapterv1.CheckHealthResponse, error) {
		return healthToProto(healthFromProto(p), unscrubbed), nil
	})
	capability := func(n int64) protoreflect.Value {
		return protoreflect.ValueOfString([]string{"checkHealth", "findMessageLog"}[n%2])
	}
	roundTrip(t, filler{forms: map[protoreflect.FullName]func(int64) protoreflect.Value{
		"patchbay.adapter.v1.GetInfoResponse.capabilities": capability,
	}}, &adapterv1.GetInfoResponse{}, func(p *adapterv1.GetInfoResponse) (*adapterv1.GetInfoResponse, error) {
		return infoToProto(infoFromProto(p)), nil
	})
}

func TestVerdictRoundTrip(t *testing.T) {
	t.Parallel()
	f := filler{forms: map[protoreflect.FullName]func(int64) protoreflect.Value{
		"patchbay.adapter.v1.ReturnMessage.message_type": func(int64) protoreflect.Value { return protoreflect.ValueOfString("warning") },
	}}
	found, notFound, cannotTell := &adapterv1.Found{}, &adapterv1.NotFound{}, &adapterv1.CannotTell{}
	for _, p := range []proto.Message{found, notFound, cannotTell} {
		f.fill(p.ProtoReflect())
	}
	for name, in := range map[string]*adapterv1.FindMessageLogResponse{
		"found":      {Verdict: &adapterv1.FindMessageLogResponse_Found{Found: found}},
		"notFound":   {Verdict: &adapterv1.FindMessageLogResponse_NotFound{NotFound: notFound}},
		"cannotTell": {Verdict: &adapterv1.FindMessageLogResponse_CannotTell{CannotTell: cannotTell}},
	} {
		r := foundFromProto(in, time.Now(), unscrubbed)
		if r.Verdict.String() != name {
			t.Errorf("%s is read as %s", name, r.Verdict)
		}
		if out := foundToProto(r); !proto.Equal(in, out) {
			t.Errorf("the converters change or forget a field:\n in  %v\n out %v", in, out)
		}
	}
	if n := (&adapterv1.FindMessageLogResponse{}).ProtoReflect().Descriptor().Fields().Len(); n != 3 {
		t.Errorf("there are %d verdicts, and this test knows 3", n)
	}
}

// TestZeroRequest shows that what is absent stays absent.
func TestZeroRequest(t *testing.T) {
	t.Parallel()
	p, err := requestToProto(&sdk.AddMessageLogRequest{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := requestFromProto(p)
	if err != nil {
		t.Fatal(err)
	}
	if !r.NotAfter.IsZero() || !r.Deadline.IsZero() || r.AdditionalSubmission != nil || r.Settings != nil ||
		!r.User.ID.IsZero() || !r.ContactInfo.ID.IsZero() || !r.AuthHeader.IsZero() || len(r.Messages) != 0 {
		t.Errorf("an empty request became %+v", r)
	}
}

// TestIDForms shows that ids keep their JSON form and every digit, and that the
// host's own text wins over a raw object that says otherwise.
func TestIDForms(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("9", sdk.MaxIDBytes)
	for name, c := range map[string]struct{ raw, text, json string }{
		"integer":           {`{"id":7}`, "7", `7`},
		"text":              {`{"id":"7"}`, "7", `"7"`},
		"above 2^53":        {`{"id":5578984350117917661}`, "5578984350117917661", `5578984350117917661`},
		"256 digits":        {`{"id":` + long + `}`, long, long},
		"escaped text":      {`{"id":"\u00e9/\u0041"}`, "é/A", `"é/A"`},
		"no raw object":     {``, "7", `"7"`},
		"another text":      {`{"id":8}`, "7", `"7"`},
		"raw is no object":  {`[7]`, "7", `"7"`},
		"raw has an odd id": {`{"id":7.5}`, "7", `"7"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contact := contactFromProto(&adapterv1.Contact{Id: c.text, Raw: []byte(c.raw)})
			user := userFromProto(&adapterv1.User{Id: c.text, Raw: []byte(c.raw)})
			for kind, id := range map[string]sdk.ID{"contact": contact.ID, "user": user.ID} {
				if got, _ := json.Marshal(id); id.String() != c.text || string(got) != c.json {
					t.Errorf("%s id is %q, as JSON %s; want %q, %s", kind, id, got, c.text, c.json)
				}
			}
		})
	}
}

// TestValuesByteForByte shows that JSON values travel untouched: json.Marshal of a
// map would write <, > and & another way and drop spaces.
func TestValuesByteForByte(t *testing.T) {
	t.Parallel()
	in := sdk.Values{
		"b": sdk.RawValue([]byte(`{"x" : [1e400, 12345678901234567890.50],"y":"<&>\u2028"}`)),
		"a": sdk.TextValue("<b>"), "n": sdk.RawValue([]byte("88001")), "absent": {}, `quo"te`: sdk.TextValue(""),
	}
	raw := valuesToJSON(in)
	if !json.Valid(raw) {
		t.Fatalf("no JSON: %s", raw)
	}
	out, err := valuesFromJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range in {
		if got := out[name]; !bytes.Equal(got.Raw(), want.Raw()) {
			t.Errorf("%s came as %s, sent as %s", name, got.Raw(), want.Raw())
		}
	}
	if len(out) != len(in) {
		t.Errorf("%d values became %d", len(in), len(out))
	}
}

func TestRefusedRequests(t *testing.T) {
	t.Parallel()
	message := &adapterv1.Message{Id: "1", Raw: []byte(`{"id":1,"creationTime":1}`)}
	for name, p := range map[string]*adapterv1.AddMessageLogRequest{
		"missing":               nil,
		"message without id":    {Messages: []*adapterv1.Message{message, {Id: "1", Raw: []byte(`{"creationTime":1}`)}}},
		"message that is text":  {Messages: []*adapterv1.Message{{Id: "1", Raw: []byte(`"secret"`)}}},
		"submission that is []": {AdditionalSubmission: []byte(`["secret"]`)},
		"settings cut off":      {Settings: []byte(`{"a":"secret`)},
	} {
		_, err := requestFromProto(p)
		if err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows a value: %v", name, err)
		}
	}
}

// TestTextThatIsNotUTF8 shows that such a request is refused before it is sent,
// where the outcome is still known, in every text field there is.
func TestTextThatIsNotUTF8(t *testing.T) {
	t.Parallel()
	texts := 0
	var each func(m protoreflect.Message, whole *adapterv1.AddMessageLogRequest)
	each = func(m protoreflect.Message, whole *adapterv1.AddMessageLogRequest) {
		fields := m.Descriptor().Fields()
		for i := range fields.Len() {
			field := fields.Get(i)
			switch {
			case field.Kind() == protoreflect.StringKind:
				texts++
				before := m.Get(field)
				m.Set(field, protoreflect.ValueOfString("\xff"))
				if checkTexts(whole) == nil {
					t.Errorf("%s may hold what is not UTF-8", field.FullName())
				}
				m.Set(field, before)
			case field.IsList() && field.Message() != nil:
				each(m.Get(field).List().Get(0).Message(), whole)
			case field.Message() != nil:
				each(m.Get(field).Message(), whole)
			}
		}
	}
	p := &adapterv1.AddMessageLogRequest{}
	(&filler{}).fill(p.ProtoReflect())
	each(p.ProtoReflect(), p)
	if err := checkTexts(p); err != nil || texts < 12 {
		t.Errorf("checked %d texts, at the end %v", texts, err)
	}
}

func TestAnswersAreChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"https":       {"https://crm.example.com/a?b#c", "https://crm.example.com/a?b#c"},
		"http":        {"http://127.0.0.1:8080/", "http://127.0.0.1:8080/"},
		"script":      {"javascript:alert(1)", ""},
		"data":        {"data:text/html,x", ""},
		"relative":    {"/activities/1", ""},
		"no host":     {"https:///x", ""},
		"credentials": {"https://user:pass@crm.example.com/", ""},
		"control":     {"https://crm.example.com/\n", ""},
		"not UTF-8":   {"https://crm.example.com/\xff", ""},
		"too long":    {"https://crm.example.com/" + strings.Repeat("x", maxLogURLBytes), ""},
		"empty":       {"", ""},
	} {
		if got := webAddress(c.in); got != c.want {
			t.Errorf("%s: log page %q is taken as %q", name, c.in, got)
		}
	}
	for name, c := range map[string]struct {
		in   *adapterv1.ReturnMessage
		want *sdk.ReturnMessage
	}{
		"absent":       {nil, nil},
		"without text": {&adapterv1.ReturnMessage{MessageType: "success"}, nil},
		"unknown type": {&adapterv1.ReturnMessage{Message: "m", MessageType: "<b>"}, &sdk.ReturnMessage{Message: "m", MessageType: sdk.Warning}},
		"negative":     {&adapterv1.ReturnMessage{Message: "m", MessageType: "success", TtlMillis: -5}, &sdk.ReturnMessage{Message: "m", MessageType: sdk.Success}},
		"for ever":     {&adapterv1.ReturnMessage{Message: "m", MessageType: "success", TtlMillis: 1 << 62}, &sdk.ReturnMessage{Message: "m", MessageType: sdk.Success, TTL: maxWait}},
	} {
		got := returnMessageFromProto(c.in, unscrubbed)
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	long := returnMessageFromProto(&adapterv1.ReturnMessage{Message: strings.Repeat("x", 5000), MessageType: "success"}, unscrubbed)
	if len(long.Message) != maxTextBytes {
		t.Errorf("a text of 5000 bytes is taken as %d", len(long.Message))
	}
}

func TestSearchesAreChecked(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	found := func(ids ...string) *adapterv1.FindMessageLogResponse {
		return &adapterv1.FindMessageLogResponse{Verdict: &adapterv1.FindMessageLogResponse_Found{Found: &adapterv1.Found{LogIds: ids}}}
	}
	notFound := func(asOf *timestamppb.Timestamp) *adapterv1.FindMessageLogResponse {
		return &adapterv1.FindMessageLogResponse{Verdict: &adapterv1.FindMessageLogResponse_NotFound{NotFound: &adapterv1.NotFound{AsOf: asOf}}}
	}
	cannot := func(d *durationpb.Duration) *adapterv1.FindMessageLogResponse {
		return &adapterv1.FindMessageLogResponse{Verdict: &adapterv1.FindMessageLogResponse_CannotTell{CannotTell: &adapterv1.CannotTell{RetryAfter: d}}}
	}
	many := slices.Repeat([]string{"1"}, maxFound+1)
	for name, c := range map[string]struct {
		in   *adapterv1.FindMessageLogResponse
		want *sdk.FindMessageLogResponse
	}{
		"no answer":       {nil, sdk.CannotTell(0)},
		"no verdict":      {&adapterv1.FindMessageLogResponse{}, sdk.CannotTell(0)},
		"found none":      {found(), sdk.CannotTell(0)},
		"found bad":       {found("1", "2\n"), sdk.CannotTell(0)},
		"found empty":     {found("1", ""), sdk.CannotTell(0)},
		"found too many":  {found(many...), sdk.CannotTell(0)},
		"not complete":    {found("1"), &sdk.FindMessageLogResponse{Verdict: sdk.VerdictFound, LogIDs: []string{"1"}}},
		"no moment":       {notFound(nil), sdk.CannotTell(0)},
		"odd moment":      {notFound(&timestamppb.Timestamp{Nanos: -1}), sdk.CannotTell(0)},
		"in the future":   {notFound(timestamppb.New(now.Add(time.Hour))), sdk.NotFound(now)},
		"in the past":     {notFound(timestamppb.New(now.Add(-time.Hour))), sdk.NotFound(now.Add(-time.Hour))},
		"ask in a year":   {cannot(durationpb.New(365 * 24 * time.Hour)), sdk.CannotTell(maxWait)},
		"ask yesterday":   {cannot(durationpb.New(-time.Hour)), sdk.CannotTell(0)},
		"ask at odd time": {cannot(&durationpb.Duration{Seconds: 1, Nanos: -1}), sdk.CannotTell(0)},
	} {
		got := foundFromProto(c.in, now, unscrubbed)
		if got.Verdict != c.want.Verdict || !slices.Equal(got.LogIDs, c.want.LogIDs) || got.Complete != c.want.Complete ||
			!got.AsOf.Equal(c.want.AsOf) || got.RetryAfter != c.want.RetryAfter {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	if p := foundToProto(sdk.Found(many...)); p.GetCannotTell() == nil {
		t.Errorf("the server sends a list that the host refuses: %v", p)
	}
}

func TestUnknownCapabilitiesAreIgnored(t *testing.T) {
	t.Parallel()
	got := infoFromProto(&adapterv1.GetInfoResponse{
		Sdk: strings.Repeat("x", 1000), Capabilities: []string{"addMessageLog", "makeCoffee", "addMessageLog"},
	})
	if len(got.SDK) != maxSDKBytes || !slices.Equal(got.Capabilities, []sdk.Capability{sdk.CanAddMessageLog}) {
		t.Errorf("%+v", got)
	}
}

// TestKeptRequests shows that a request comes back whole from its wire form.
func TestKeptRequests(t *testing.T) {
	t.Parallel()
	in := &adapterv1.AddMessageLogRequest{}
	(&filler{}).fill(in.ProtoReflect())
	r, err := requestFromProto(in)
	if err != nil {
		t.Fatal(err)
	}
	data, err := EncodeRequest(r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeRequest(data)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := requestToProto(back); err != nil || !proto.Equal(in, out) {
		t.Errorf("%v, %v", out, err)
	}
	if _, err := DecodeRequest([]byte("\xff")); err == nil {
		t.Error("what is no request is decoded")
	}
	r.Tenant = "\xff"
	if _, err := EncodeRequest(r); err == nil {
		t.Error("what is not UTF-8 is encoded")
	}
}
