package sdktest

import (
	"context"
	"reflect"
	"slices"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/internal/callstate"
)

func requestUnchanged(r reporter, e *env) {
	req := e.with(e.message(901, "Hands off"), e.message(902, "Mine"))
	before := snapshot(req)
	e.logs(r, "a group", req) // what is refused early is not looked at
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
		"an ordinary request":      e.with(e.message(951, "Nothing special")),
		"a group":                  e.with(e.message(952, "One"), e.message(953, "Two")),
		"a message without text":   e.with(e.shaped(954, map[string]any{"subject": nil})),
		"a contact of no CRM":      e.with(e.message(955, "Who is this?")),
		"credentials of no CRM":    e.with(e.message(956, "Let me in")),
		"a request without a user": e.with(e.message(957, "On whose behalf?")),
	}
	requests["a contact of no CRM"].ContactInfo = Contact(`{"id":"no-such-contact","type":"person"}`)
	requests["credentials of no CRM"].AuthHeader = sdk.NewSecret("Bearer no-such-token")
	requests["a request without a user"].User = sdk.User{Hostname: e.request().User.Hostname}
	for _, what := range sortedKeys(requests) {
		state := new(callstate.State)
		_, err := e.call(r, func(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
			return e.adapter.AddMessageLog(ctx, req.WithCallState(state))
		}, requests[what])
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
