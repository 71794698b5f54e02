package sdk_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/internal/callstate"
)

type adder struct{}

func (adder) AddMessageLog(context.Context, *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
	return sdk.Logged("1"), nil
}

type adderFinder struct{ adder }

func (adderFinder) FindMessageLog(context.Context, *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
	return sdk.CannotTell(0), nil
}

type adderFinderChecker struct{ adderFinder }

func (adderFinderChecker) CheckHealth(context.Context, *sdk.CheckHealthRequest) (*sdk.CheckHealthResponse, error) {
	return sdk.Serving(), nil
}

func TestCapabilities(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]sdk.Adapter{
		"addMessageLog":                            adder{},
		"addMessageLog findMessageLog":             adderFinder{},
		"addMessageLog findMessageLog checkHealth": adderFinderChecker{},
	} {
		info := sdk.Info{Capabilities: sdk.Capabilities(a)}
		var names []string
		for _, c := range info.Capabilities {
			names = append(names, string(c))
			if !info.Can(c) {
				t.Errorf("%T cannot %s", a, c)
			}
		}
		if strings.Join(names, " ") != want || info.Can("makeCoffee") {
			t.Errorf("%T: %v, want %s", a, names, want)
		}
	}
}

func TestSearchAnswers(t *testing.T) {
	t.Parallel()
	now := time.Now()
	if r := sdk.Found("1", "2"); r.Verdict != sdk.VerdictFound || !r.Complete || !slices.Equal(r.LogIDs, []string{"1", "2"}) {
		t.Errorf("%+v", r)
	}
	if r := sdk.Found(); r.Verdict != sdk.VerdictCannotTell {
		t.Errorf("found without records: %+v", r)
	}
	if r := sdk.NotFound(now); r.Verdict != sdk.VerdictNotFound || !r.AsOf.Equal(now) || !r.Complete {
		t.Errorf("%+v", r)
	}
	if r := sdk.CannotTell(time.Minute); r.Verdict != sdk.VerdictCannotTell || r.RetryAfter != time.Minute || r.Complete {
		t.Errorf("%+v", r)
	}
	var zero sdk.FindMessageLogResponse
	if zero.Verdict.String() != "cannotTell" || sdk.VerdictFound.String() != "found" || sdk.VerdictNotFound.String() != "notFound" || sdk.Verdict(9).String() != "cannotTell" {
		t.Error("verdicts have other names")
	}
}

func TestCheckLogID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"1", "5512", strings.Repeat("x", sdk.MaxLogIDBytes), "a b/é"} {
		if err := sdk.CheckLogID(id); err != nil {
			t.Errorf("%.20q: %v", id, err)
		}
	}
	for _, id := range []string{"", strings.Repeat("x", sdk.MaxLogIDBytes+1), "a\nb", "\x00", "\x7f", "\xff"} {
		if err := sdk.CheckLogID(id); fault.CodeOf(err) != fault.AdapterFault || fault.ClassOf(err) != fault.Unknown {
			t.Errorf("%.20q: %v", id, err)
		}
	}
}

func TestRequestViews(t *testing.T) {
	t.Parallel()
	state := new(callstate.State)
	window := time.Now().Add(time.Minute)
	req := &sdk.AddMessageLogRequest{
		NotAfter: window, User: sdk.User{Hostname: "crm.example.com"}, AuthHeader: sdk.NewSecret("Bearer x"),
		AdditionalSubmission: sdk.Values{"deal": sdk.RawValue([]byte("7"))}, Settings: sdk.Values{"type": sdk.TextValue("sms")},
	}
	if req.Field("deal").String() != "7" || !req.Field("lead").IsZero() || req.Setting("type").String() != "sms" || !req.Setting("x").IsZero() {
		t.Error("fields or settings differ")
	}
	watched := req.WithCallState(state)
	if call := watched.CRMCall(); call.State != state || call.Hostname != "crm.example.com" || call.AuthHeader.Reveal() != "Bearer x" || !call.NotAfter.Equal(window) {
		t.Errorf("%+v", call)
	}
	if req.CRMCall().State != nil {
		t.Error("WithCallState changed its receiver")
	}
	search := &sdk.FindMessageLogRequest{Original: watched}
	if call := search.CRMCall(); !call.NotAfter.IsZero() || call.State != state {
		t.Errorf("a search may write: %+v", call)
	}
	if h := sdk.NotServing("why"); h.Serving || h.Message != "why" || !sdk.Serving().Serving {
		t.Errorf("%+v", h)
	}
}
