package rpc_test

import (
	"context"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
)

// TestWindowIsMeasuredFromTheArrival: the end of the send window by the monotonic
// clock stands before the adapter begins, so a wall clock that is set back while the
// adapter works does not lengthen the window.
func TestWindowIsMeasuredFromTheArrival(t *testing.T) {
	t.Parallel()
	req := request()
	req.NotAfter = time.Now().Add(time.Minute)
	limit := make(chan time.Time, 1)
	client, _ := pair(t, adapterFunc(func(_ context.Context, r *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error) {
		limit <- r.CRMCall().State.Limit(r.NotAfter.Add(time.Hour)) // as if the clock had been set back by an hour
		return sdk.Logged("1"), nil
	}))
	if _, err := client.AddMessageLog(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(<-limit); left > time.Minute {
		t.Errorf("the window ends in %s, want a minute at most", left)
	}
}
