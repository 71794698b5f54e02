package sdktest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/internal/callstate"
)

// patience is how long a case waits for an adapter to answer.
const patience = 10 * time.Second

var errUnsupported = fault.Unsupported("the adapter cannot search for message logs")

// cases are the rules of the contract. Their names are used by Except.
var cases = []testCase{
	{"single-message", singleMessage},
	{"group", group},
	{"any-message", anyMessage},
	{"unusual-ids", unusualIDs},
	{"any-text", anyText},
	{"zones", zones},
	{"secret", secret},
	{"send-window", sendWindowOver},
	{"cancelled", cancelled},
	{"concurrent", concurrent},
	{"request-unchanged", requestUnchanged},
	{"definite-faults", definiteFaults},
	{"capabilities", capabilities},
	{"health", health},
	{"find", find},
}

// add logs a request within patience.
func (e *env) add(r reporter, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	return e.target.AddMessageLog(ctx, req)
}

// mustAdd logs a request that has nothing wrong with it.
func (e *env) mustAdd(r reporter, req *sdk.AddMessageLogRequest) string {
	r.Helper()
	resp, err := e.add(r, req)
	if err != nil {
		r.Fatalf("AddMessageLog failed on a request that has nothing wrong with it: %v", err)
	}
	if resp == nil {
		r.Fatalf("AddMessageLog answered with neither a result nor an error")
	}
	if err := sdk.CheckLogID(resp.LogID); err != nil {
		r.Fatalf("AddMessageLog: %v", err)
	}
	return resp.LogID
}

// mustSettle logs a request that a CRM may refuse: a log ID is as good as a fault
// that says the CRM has not acted.
func (e *env) mustSettle(r reporter, what string, req *sdk.AddMessageLogRequest) {
	r.Helper()
	resp, err := e.add(r, req)
	switch f, isFault := fault.As(err); {
	case err == nil && resp == nil:
		r.Errorf("%s: AddMessageLog answered with neither a result nor an error", what)
	case err == nil:
		if err := sdk.CheckLogID(resp.LogID); err != nil {
			r.Errorf("%s: %v", what, err)
		}
	case !isFault:
		r.Errorf("%s: the error is no fault, so the host can only call the outcome unknown: %v", what, err)
	case f.Class == fault.Unknown:
		r.Errorf("%s: the fault is of class unknown, which locks the message until a person or a search settles it: %v", what, err)
	}
}

func singleMessage(r reporter, e *env) { e.mustAdd(r, e.with(SeedMessage())) }

func group(r reporter, e *env) {
	e.mustAdd(r, e.with(Message(101, "On my way"), Message(102, "Five minutes"), Message(103, "Here")))
}

// anyMessage sends records of other kinds and shapes than the sample.
func anyMessage(r reporter, e *env) {
	shapes := map[string]map[string]any{
		"without text":         {"id": 201, "subject": nil},
		"epoch milliseconds":   {"id": 202, "creationTime": 1424265890000, "lastModifiedTime": 1424265890300},
		"without conversation": {"id": 203, "conversationId": nil, "uri": nil},
		"conversation as text": {"id": 204, "conversationId": "5578984350117917661"},
		"no parties":           {"id": 205, "from": nil, "to": nil},
		"inbound":              {"id": 206, "direction": "Inbound"},
		"fax": {"id": 207, "type": "Fax", "faxPageCount": 3, "attachments": []any{
			map[string]any{"id": 1, "type": "RenderedDocument", "contentType": "application/pdf", "fileName": "fax.pdf"},
		}},
		"picture": {"id": 208, "attachments": []any{
			map[string]any{"id": 2, "type": "MmsAttachment", "contentType": "image/png", "uri": "https://media.example.com/2"},
		}},
		"members of other types": {"id": 209, "to": "nobody", "attachments": 7, "subject": []int{1}},
		"unknown members":        {"id": 210, "zz": map[string]any{"deep": []any{nil, 1.5e300}}},
	}
	for what, members := range shapes {
		e.mustSettle(r, what, e.with(MessageWith(members)))
	}
	voicemail := e.with(MessageWith(map[string]any{"id": 211, "type": "VoiceMail", "attachments": []any{
		map[string]any{"id": 3, "type": "AudioRecording", "contentType": "audio/mpeg", "vmDuration": 14},
	}}))
	voicemail.RecordingLink = "https://media.example.com/recordings/3"
	e.mustSettle(r, "voicemail", voicemail)
}

func unusualIDs(r reporter, e *env) {
	contacts := map[string]string{
		"contact id as text":           `{"id":"7"}`,
		"contact id above 2^53":        `{"id":9007199254740993}`,
		"contact id of 40 digits":      `{"id":1234567890123456789012345678901234567890}`,
		"contact id that is no number": `{"id":"0031i000009xYzAAAU","type":"person"}`,
		"contact id with odd text":     `{"id":"a/b?c=d&e=%2F ü'\"<>"}`,
	}
	for what, raw := range contacts {
		req := e.with(MessageWith(map[string]any{"id": "m-" + what}))
		req.ContactInfo = Contact(raw)
		e.mustSettle(r, what, req)
	}
	e.mustSettle(r, "message id of 256 digits", e.with(MessageWith(map[string]any{"id": strings.Repeat("8", sdk.MaxIDBytes)})))
	anonymous := e.with(MessageWith(map[string]any{"id": 301}))
	anonymous.User = sdk.User{Hostname: anonymous.User.Hostname}
	e.mustSettle(r, "no user", anonymous)
}

func anyText(r reporter, e *env) {
	texts := map[string]string{
		"empty":                 "",
		"markup":                `<b>bold</b> & "quotes" 'and' <script>alert(1)</script>`,
		"replacement patterns":  "$$ $& $1 \\1 %s %d {{.}} ${HOME}",
		"emoji and other sides": "👩‍👩‍👧‍👦 שלום مرحبا 你好 e\u0301 \u202edesrever\u202c",
		"line breaks":           "one\r\ntwo\n\nthree\ttab",
		"10,000 characters":     strings.Repeat("äöü 字🙂 ", 10_000/7),
	}
	id := int64(400)
	for what, text := range texts {
		id++
		e.mustSettle(r, what, e.with(Message(id, text)))
	}
}

func zones(r reporter, e *env) {
	for i, zone := range []sdk.Zone{
		{}, {Name: "Asia/Kathmandu"}, {Name: "America/St_Johns"}, {OffsetSeconds: 14 * 3600}, {OffsetSeconds: -9*3600 - 1800},
	} {
		req := e.with(Message(int64(500+i), "What time is it?"))
		req.Zone, req.OffsetSeconds = zone.Name, zone.OffsetAt(req.Messages[0].CreationTime)
		e.mustAdd(r, req)
	}
}

// sendWindowOver sends a request that came too late: nothing may be sent to the
// CRM any more, and the fault must say so.
func sendWindowOver(r reporter, e *env) {
	before := 0
	if e.writes != nil {
		before = e.writes()
	}
	req := e.with(Message(601, "Too late"))
	req.NotAfter = time.Now().Add(-time.Millisecond)
	if resp, err := e.add(r, req); err == nil {
		r.Errorf("notAfter had passed, yet AddMessageLog answered log ID %q", resp.LogID)
	} else if _, isFault := fault.As(err); !isFault || fault.ClassOf(err) == fault.Unknown {
		r.Errorf("notAfter had passed, so nothing was sent, yet the error does not say so: %v", err)
	}
	if e.writes == nil {
		return
	}
	if n := e.writes() - before; n != 0 {
		r.Errorf("notAfter had passed, yet the CRM saw %d writes", n)
	}
}

// cancelled calls an adapter to which nobody listens any more.
func cancelled(r reporter, e *env) {
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = e.target.AddMessageLog(ctx, e.with(Message(701, "Never mind"))) // any outcome will do
	}()
	select {
	case <-done:
	case <-time.After(patience):
		r.Fatalf("AddMessageLog did not return although its context had ended")
	}
}

// concurrent logs many messages at once. Each is a message of its own, so each
// log ID is too.
func concurrent(r reporter, e *env) {
	const calls = 32
	ids := make([]string, calls)
	errs := make([]error, calls)
	var wg sync.WaitGroup
	for i := range calls {
		req := e.with(Message(int64(800+i), fmt.Sprintf("Message %d", i)))
		wg.Go(func() {
			resp, err := e.add(r, req)
			if err == nil && resp != nil {
				ids[i] = resp.LogID
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		r.Fatalf("concurrent calls failed: %v", err)
	}
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != calls {
		r.Errorf("%d different messages got %d log IDs", calls, n)
	}
}

func requestUnchanged(r reporter, e *env) {
	req := e.with(Message(901, "Hands off"), Message(902, "Mine"))
	before := snapshot(req)
	_, _ = e.add(r, req) // any outcome will do
	if !reflect.DeepEqual(before, snapshot(req)) {
		r.Errorf("AddMessageLog changed its request, which may be shared between attempts")
	}
}

// definiteFaults logs requests that many a CRM refuses, if only in the second of
// several steps, and holds each fault against what crmhttp saw of the call: one
// that says the CRM has not acted must not follow a write that stands. The
// adapter is asked directly, for over gRPC the SDK's server corrects it.
func definiteFaults(r reporter, e *env) {
	requests := map[string]*sdk.AddMessageLogRequest{
		"an ordinary request":      e.with(Message(951, "Nothing special")),
		"a group":                  e.with(Message(952, "One"), Message(953, "Two")),
		"a message without text":   e.with(MessageWith(map[string]any{"id": 954, "subject": nil})),
		"a contact of no CRM":      e.with(Message(955, "Who is this?")),
		"credentials of no CRM":    e.with(Message(956, "Let me in")),
		"a request without a user": e.with(Message(957, "On whose behalf?")),
	}
	requests["a contact of no CRM"].ContactInfo = Contact(`{"id":"no-such-contact","type":"person"}`)
	requests["credentials of no CRM"].AuthHeader = sdk.NewSecret("Bearer no-such-token")
	requests["a request without a user"].User = sdk.User{Hostname: e.request().User.Hostname}
	for what, req := range requests {
		state := new(callstate.State)
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		_, err := e.adapter.AddMessageLog(ctx, req.WithCallState(state))
		cancel()
		if f, isFault := fault.As(err); isFault && f.Class != fault.Unknown && state.MayHaveActed() {
			r.Errorf("%s: the fault is of class %s, yet the CRM did not refuse a write of the call, so a record may exist: "+
				"return fault.OutcomeUnknown, or declare the request with crmhttp's ReadOnly if it only searches: %v", what, f.Class, err)
		}
	}
}

// snapshot copies what an adapter could change.
func snapshot(req *sdk.AddMessageLogRequest) sdk.AddMessageLogRequest {
	c := *req
	c.Messages = slices.Clone(req.Messages)
	for i, m := range c.Messages {
		c.Messages[i].Raw = slices.Clone(m.Raw)
		c.Messages[i].To = slices.Clone(m.To)
		c.Messages[i].Attachments = slices.Clone(m.Attachments)
	}
	c.User.Raw, c.ContactInfo.Raw = slices.Clone(req.User.Raw), slices.Clone(req.ContactInfo.Raw)
	c.AdditionalSubmission, c.Settings = clone(req.AdditionalSubmission), clone(req.Settings)
	return c
}

func clone(values sdk.Values) sdk.Values {
	if values == nil {
		return nil
	}
	out := make(sdk.Values, len(values))
	for name, value := range values {
		out[name] = sdk.RawValue(slices.Clone(value.Raw()))
	}
	return out
}

func capabilities(r reporter, e *env) {
	info, err := e.target.Info(r.Context())
	if err != nil {
		r.Fatalf("Info: %v", err)
	}
	if want := sdk.Capabilities(e.adapter); !slices.Equal(info.Capabilities, want) {
		r.Errorf("the adapter reports %v and implements %v", info.Capabilities, want)
	}
	if info.Can(sdk.CanFindMessageLog) {
		return
	}
	_, err = e.target.FindMessageLog(r.Context(), FindRequest(e.with(SeedMessage())))
	if fault.CodeOf(err) != fault.NotSupported {
		r.Errorf("FindMessageLog of an adapter without it: %v", err)
	}
}

// health asks an adapter without credentials; it must answer, well or not.
func health(r reporter, e *env) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	resp, err := e.target.CheckHealth(ctx)
	switch {
	case err != nil:
		r.Errorf("CheckHealth failed; answer sdk.NotServing with the reason: %v", err)
	case resp == nil:
		r.Errorf("CheckHealth answered with neither a result nor an error")
	case !resp.Serving && resp.Message == "":
		r.Errorf("CheckHealth answered that the adapter cannot serve, without a reason")
	}
}
