package sdk_test

import (
	"errors"
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
	health, err := a.(sdk.HealthChecker).CheckHealth(t.Context(), &sdk.CheckHealthRequest{})
	if err != nil || health.Serving || health.Message != want {
		t.Errorf("CheckHealth: %+v, %v", health, err)
	}
}
