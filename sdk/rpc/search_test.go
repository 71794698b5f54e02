package rpc_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

func TestSearchAndHealth(t *testing.T) {
	t.Parallel()
	a := finder{}
	a.find = func(_ context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error) {
		switch {
		case req.IdempotencyKey != req.Original.IdempotencyKey || !req.Original.NotAfter.IsZero() || req.Original.AuthHeader.Reveal() != "Bearer "+token || req.SentBefore.Sub(req.SentAfter) != 2*time.Hour:
			return nil, fault.Rejected("the search arrived changed")
		case req.Original.Tenant == "panics":
			panic("lost " + token)
		}
		found := sdk.Found("1", "2")
		found.ReturnMessage = &sdk.ReturnMessage{Message: "no folder for " + token, MessageType: sdk.Warning}
		return found, nil
	}
	a.health = func(ctx context.Context) (*sdk.CheckHealthResponse, error) {
		switch rpc.RequestID(ctx) {
		case "sick":
			return sdk.NotServing("no licence"), nil
		case "fails":
			return nil, errors.New("inner " + token)
		case "panics":
			panic("lost")
		}
		return sdk.Serving(), nil
	}
	client, logged := pair(t, a)
	if info, err := client.Info(t.Context()); err != nil || info.SDK != "patchbay-go/1" || !info.Can(sdk.CanAddMessageLog) || !info.Can(sdk.CanFindMessageLog) || !info.Can(sdk.CanCheckHealth) {
		t.Errorf("Info: %+v, %v", info, err)
	}
	found, err := client.FindMessageLog(t.Context(), sdktest.FindRequest(request()))
	if err != nil || found.Verdict != sdk.VerdictFound || len(found.LogIDs) != 2 || !found.Complete {
		t.Errorf("FindMessageLog: %+v, %v", found, err)
	} else if m := found.ReturnMessage; m == nil || *m != (sdk.ReturnMessage{Message: "no folder for [redacted]", MessageType: sdk.Warning}) {
		t.Errorf("FindMessageLog: the message is %+v", m)
	}
	odd := request()
	odd.Tenant = "panics"
	if _, err := client.FindMessageLog(t.Context(), sdktest.FindRequest(odd)); fault.CodeOf(err) != fault.AdapterFault {
		t.Errorf("FindMessageLog that panics: %v", err)
	}
	for state, want := range map[string]sdk.CheckHealthResponse{
		"well": {Serving: true}, "sick": {Message: "no licence"},
		"fails": {Message: "the adapter's health check failed"}, "panics": {Message: "the adapter's health check failed"},
	} {
		got, err := client.CheckHealth(rpc.WithRequestID(t.Context(), state))
		if err != nil || *got != want {
			t.Errorf("%s: health %+v, %v; want %+v", state, got, err, want)
		}
	}
	if strings.Contains(strings.ReplaceAll(logged.String(), "inner "+token, ""), token) {
		t.Errorf("the secret of a call is logged: %s", logged)
	}
	plain, _ := pair(t, adapterFunc(nil))
	if _, err := plain.FindMessageLog(t.Context(), sdktest.FindRequest(request())); fault.CodeOf(err) != fault.NotSupported || fault.ClassOf(err) != fault.Permanent {
		t.Errorf("FindMessageLog without the ability: %v", err)
	}
	if got, err := plain.CheckHealth(t.Context()); err != nil || !got.Serving {
		t.Errorf("health without a check: %+v, %v", got, err)
	}
}
