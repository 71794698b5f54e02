package sdktest

import (
	"context"
	"slices"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
)

// find searches for a record that was just made, and for one that never was. It
// has nothing to do for an adapter that cannot search.
func find(r reporter, e *env) {
	if _, ok := e.adapter.(sdk.MessageLogFinder); !ok {
		return
	}
	req := e.with(Message(1001, "Where am I?"), Message(1002, "Here"))
	id := e.mustAdd(r, req)
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	for {
		resp, err := e.target.FindMessageLog(ctx, FindRequest(req))
		if err != nil {
			r.Fatalf("FindMessageLog failed; answer sdk.CannotTell where a search is not complete: %v", err)
		}
		if resp == nil {
			r.Fatalf("FindMessageLog answered with neither a result nor an error")
		}
		if resp.Verdict == sdk.VerdictFound {
			if !slices.Contains(resp.LogIDs, id) {
				r.Errorf("AddMessageLog answered log ID %q, FindMessageLog found %q", id, resp.LogIDs)
			}
			break
		}
		// A CRM's search may lag: not found yet, or cannot tell.
		if !pause(ctx, max(resp.RetryAfter, 50*time.Millisecond)) {
			r.Fatalf("FindMessageLog has not found the record within %s: %s", patience, resp.Verdict)
		}
	}
	never := e.with(Message(1003, "Never sent"))
	resp, err := e.target.FindMessageLog(ctx, FindRequest(never))
	switch {
	case err != nil:
		r.Errorf("FindMessageLog of a record that never was: %v", err)
	case resp.Verdict == sdk.VerdictFound:
		r.Errorf("FindMessageLog found %q for a message that was never logged", resp.LogIDs)
	case resp.Verdict == sdk.VerdictNotFound && resp.AsOf.IsZero():
		r.Errorf("FindMessageLog answered not found without saying as of when")
	}
}

// pause waits for d and reports false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
