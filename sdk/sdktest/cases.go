package sdktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

var errUnsupported = fault.Unsupported("the adapter cannot search for message logs")

// cases are the rules of the contract. Except knows them by their names, and the
// package comment lists them.
var cases = []testCase{
	{"single-message", "a message of the usual kind is logged", singleMessage},
	{"group", "three messages of one conversation are logged, as one record", group},
	{"record", "with WithRecords: the record holds every text, and the key if there is a search", record},
	{"any-message", "other kinds and shapes are logged, or refused for good; not all of them refused", anyMessage},
	{"unusual-ids", "odd ids are logged or refused for good; the contact's own id as text is logged", unusualIDs},
	{"any-text", "every text is logged: none, markup, emoji, 10,000 characters", anyText},
	{"zones", "messages are logged whatever the user's time zone", zones},
	{"secret", "credentials of other forms, which the CRM may refuse, show nowhere", secret},
	{"send-window", "after NotAfter nothing is sent, and the fault says so", sendWindowOver},
	{"cancelled", "a call whose context has ended returns", cancelled},
	{"concurrent", "32 calls at once make 32 records", concurrent},
	{"request-unchanged", "the request is as it was, after a call that succeeds", requestUnchanged},
	{"definite-faults", "no fault says that the CRM has not acted when it may have", definiteFaults},
	{"capabilities", "what the adapter reports is what it implements", capabilities},
	{"health", "CheckHealth answers, with a reason when the adapter does not serve", health},
	{"find", "a search finds the record, no other and nothing else, and writes nothing", find},
}

func singleMessage(r reporter, e *env) { e.mustAdd(r, "a message", e.with(e.shaped(1, nil))) }

func group(r reporter, e *env) {
	e.mustAdd(r, "a group", e.with(e.message(101, "On my way"), e.message(102, "Five minutes"), e.message(103, "Here")))
}

// sendWindowOver sends a request that came too late: nothing may be sent to the
// CRM any more, and the fault must say so.
func sendWindowOver(r reporter, e *env) {
	before := e.count()
	req := e.with(e.message(601, "Too late"))
	req.NotAfter = time.Now().Add(-time.Millisecond)
	if resp, err := e.add(r, req); err == nil {
		r.Errorf("notAfter had passed, yet AddMessageLog answered %+v", resp)
	} else if _, isFault := fault.As(err); !isFault || fault.ClassOf(err) == fault.Unknown {
		r.Errorf("notAfter had passed, so nothing was sent, yet the error does not say so: %v", err)
	}
	if n := e.count() - before; n != 0 {
		r.Errorf("notAfter had passed, yet the CRM saw %d writes", n)
	}
}

// cancelled calls an adapter to which nobody listens any more.
func cancelled(r reporter, e *env) {
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	req := e.with(e.message(701, "Never mind"))
	done := make(chan error, 1)
	go func() {
		_, err := e.target.AddMessageLog(ctx, req)
		done <- err
	}()
	select {
	case err := <-done: // any outcome will do
		if err != nil {
			inspect(r, "AddMessageLog failed", req, err.Error())
		}
	case <-time.After(e.patience):
		r.Fatalf("AddMessageLog did not return although its context had ended")
	}
}

// concurrent logs many messages at once. Each is a message of its own, so each
// log ID is too.
func concurrent(r reporter, e *env) {
	const calls = 32
	ids := make([]string, calls)
	errs := make([]error, calls)
	before := e.count()
	var wg sync.WaitGroup
	for i := range calls {
		req := e.with(e.message(int64(800+i), fmt.Sprintf("Message %d", i)))
		wg.Go(func() {
			resp, err := e.call(r, e.target.AddMessageLog, req)
			if err == nil && resp != nil {
				ids[i] = resp.LogID
			}
			errs[i] = err
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		r.Fatalf("concurrent calls failed: %v\n%s", err, hint(e.request(), err))
	}
	e.checkWrites(r, before, calls)
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != calls {
		r.Errorf("%d different messages got %d log IDs", calls, n)
	}
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
	_, err = e.target.FindMessageLog(r.Context(), FindRequest(e.with(e.shaped(1, nil))))
	if fault.CodeOf(err) != fault.NotSupported {
		r.Errorf("FindMessageLog of an adapter without it: %v", err)
	}
}

// health asks an adapter without credentials; it must answer, well or not.
func health(r reporter, e *env) {
	ctx, cancel := context.WithTimeout(r.Context(), e.patience)
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
