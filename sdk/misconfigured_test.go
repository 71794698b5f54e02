package sdk_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestMisconfigured(t *testing.T) {
	t.Parallel()
	a := sdk.Misconfigured(errors.New("ACME_BASE_URL is no URL"))
	const want = "the adapter is misconfigured: ACME_BASE_URL is no URL"
	_, err := a.AddMessageLog(t.Context(), &sdk.AddMessageLogRequest{})
	if fault.CodeOf(err) != fault.AdapterFault || fault.ClassOf(err) != fault.Permanent || fault.MessageOf(err) != want {
		t.Errorf("AddMessageLog: %v", err)
	}
	// A capability that it lacks would be one that the adapter seems to lack.
	if got := sdk.Capabilities(a); !slices.Equal(got, []sdk.Capability{sdk.CanAddMessageLog, sdk.CanFindMessageLog, sdk.CanCheckHealth}) {
		t.Errorf("capabilities %v", got)
	}
	found, err := a.(sdk.MessageLogFinder).FindMessageLog(t.Context(), &sdk.FindMessageLogRequest{})
	if err != nil || found.Verdict != sdk.VerdictCannotTell {
		t.Errorf("FindMessageLog: %+v, %v", found, err)
	}
	health, err := a.(sdk.HealthChecker).CheckHealth(t.Context(), &sdk.CheckHealthRequest{})
	if err != nil || health.Serving || health.Message != want {
		t.Errorf("CheckHealth: %+v, %v", health, err)
	}
}
