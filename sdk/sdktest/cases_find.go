package sdktest

import (
	"context"
	"slices"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
)

// find searches for records that were just made, of two calls for one contact, and
// for one that never was. It has nothing to do for an adapter that cannot search.
func find(r reporter, e *env) {
	if _, ok := e.adapter.(sdk.MessageLogFinder); !ok {
		return
	}
	first, second := e.with(e.message(1001, "Where am I?"), e.message(1002, "Here")), e.with(e.message(1003, "And I?"))
	firstID, secondID := e.mustAdd(r, "a group", first), e.mustAdd(r, "a message", second)
	made, before := time.Now(), e.count()
	e.finds(r, first, firstID, made)
	e.finds(r, second, secondID, made)
	never := e.search(r, e.with(e.message(1004, "Never sent")))
	if never.Verdict == sdk.VerdictFound {
		r.Errorf("FindMessageLog found %q for a message that was never logged", never.LogIDs)
	}
	if n := e.count() - before; n != 0 {
		r.Errorf("FindMessageLog made %d writes; a search must not write", n)
	}
}

// finds wants the search for a request to find one record. A CRM's search may lag:
// until then it may answer that it has not found it, or that it cannot tell.
func (e *env) finds(r reporter, req *sdk.AddMessageLogRequest, id string, made time.Time) {
	within := min(e.lag+time.Second, e.patience)
	ctx, cancel := context.WithTimeout(r.Context(), within)
	defer cancel()
	for {
		resp := e.search(r, req)
		if resp.Verdict == sdk.VerdictFound {
			if !slices.Equal(resp.LogIDs, []string{id}) || !resp.Complete {
				r.Errorf("AddMessageLog answered log ID %q; FindMessageLog found %q (complete: %v), want this one and no other",
					id, resp.LogIDs, resp.Complete)
			}
			return
		}
		if resp.Verdict == sdk.VerdictNotFound && resp.AsOf.After(made.Add(e.lag)) {
			r.Fatalf("FindMessageLog has not found log ID %q as of %s after it was made, and the search lags %s at most (see WithSearchLag)",
				id, resp.AsOf.Sub(made), e.lag)
		}
		if !pause(ctx, max(resp.RetryAfter, 50*time.Millisecond)) {
			r.Fatalf("FindMessageLog has not found log ID %q within %s: %s", id, within, resp.Verdict)
		}
	}
}

// search asks for the records of a request, and holds the answer against what every
// answer must be.
func (e *env) search(r reporter, req *sdk.AddMessageLogRequest) *sdk.FindMessageLogResponse {
	ctx, cancel := context.WithTimeout(r.Context(), e.patience)
	defer cancel()
	began := time.Now()
	resp, err := e.target.FindMessageLog(ctx, FindRequest(req))
	if err != nil {
		inspect(r, "FindMessageLog failed", req, err.Error())
		r.Fatalf("FindMessageLog failed; answer sdk.CannotTell where a search is not complete: %v", err)
	}
	if resp == nil {
		r.Fatalf("FindMessageLog answered with neither a result nor an error")
	}
	if m := resp.ReturnMessage; m != nil {
		inspect(r, "FindMessageLog answered", req, m.Message)
	}
	if resp.Verdict == sdk.VerdictNotFound {
		e.checkAsOf(r, resp.AsOf, began, time.Now())
	}
	return resp
}

// asOfSlack is how much older than the search lag a moment may be: many a CRM tells
// time in whole seconds.
const asOfSlack = time.Second

// checkAsOf holds the moment of a "not found" against when the search began and
// ended.
func (e *env) checkAsOf(r reporter, asOf, began, ended time.Time) {
	switch oldest := began.Round(0).Add(-e.lag - asOfSlack); {
	case asOf.IsZero():
		r.Errorf("FindMessageLog answered not found without saying as of when")
	case asOf.Before(oldest):
		r.Errorf("FindMessageLog answered not found as of %s before it was asked: the host would never believe it. "+
			"Answer the moment before the first request, or the CRM's own word on its index, at most the search lag of %s ago (see WithSearchLag)",
			began.Round(0).Sub(asOf).Round(time.Millisecond), e.lag)
	case asOf.After(ended.Round(0)):
		r.Errorf("FindMessageLog answered not found as of %s in the future: the host would believe what nobody has seen. "+
			"Answer the moment before the first request", asOf.Sub(ended.Round(0)).Round(time.Millisecond))
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
