package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// RetryCall asks to send a failed entry again.
type RetryCall struct {
	Tenant, ID string
	// AuthHeader replaces the stored one when it is set.
	AuthHeader sdk.Secret
	// Wait is as in Call.
	Wait      time.Duration
	RequestID string
}

// Retry sends a failed entry again. It answers as AddMessageLog does. An unknown
// entry is searched for first, with the fresh credentials.
func (r *Relay) Retry(ctx context.Context, call RetryCall) (*Result, error) {
	end, ok := r.begin()
	if !ok {
		return nil, fault.New(fault.ShuttingDown, "")
	}
	defer end()
	if err := checkAuth(call.AuthHeader); err != nil {
		return nil, err
	}
	e, err := r.entry(ctx, call.Tenant, call.ID)
	if err != nil {
		return nil, err
	}
	route, err := r.enabledRoute(e.Tenant, e.Adapter)
	if err != nil {
		return nil, err
	}
	ctx, cancel := r.waitFor(ctx, call.Wait, route)
	defer cancel()
	if e.State == ledger.Unknown {
		if e = r.search(ctx, e, inquiry{auth: call.AuthHeader, requestID: call.RequestID, lent: true}); e.State == ledger.Logged {
			return entryResult(e, false), nil
		}
	}
	return r.resend(ctx, e, route, call)
}

// resend opens a new window for the entry and sends it.
func (r *Relay) resend(ctx context.Context, e ledger.Entry, route *Route, call RetryCall) (*Result, error) {
	if e.State != ledger.Failed {
		// Asked of the table, not of the store: nothing may be opened that nobody
		// sends.
		return nil, r.settleError(ledger.Apply(e, ledger.Retry{}, r.storeNow(), ledger.RowsFree), nil, e)
	}
	req, err := r.storedRequest(ctx, e, route)
	if err != nil {
		return nil, err
	}
	if !call.AuthHeader.IsZero() {
		req.AuthHeader = call.AuthHeader
	}
	target := route.target(call.RequestID)
	proc, err := r.deps.Adapters.Acquire(ctx, target)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	d := &delivery{route: route, req: *req, proc: proc, target: target, deadline: deadline}
	began := time.Now()
	res, err := r.apply(ctx, e.ID, ledger.Retry{Timing: timing(route), Version: route.Version, CanFind: proc.CanFind()})
	if err != nil || res.Outcome != ledger.Applied || res.Entry.State != ledger.InFlight {
		proc.Release(false)
		return nil, r.settleError(res, err, e)
	}
	r.occupy(e.ID, nil)
	arrived := make(chan outcome, 1)
	r.calls.Go(func() {
		arrived <- r.attempt(d, res.Entry, began).run()
	})
	select {
	case o := <-arrived:
		if o.err != nil {
			return nil, withMessages(o.err, o.entry)
		}
		return entryResult(o.entry, true), nil
	case <-ctx.Done():
		return nil, withMessages(fault.New(fault.Outcome,
			"the adapter did not answer before the caller's deadline; the call goes on"), res.Entry)
	}
}

// ResolveCall is a person's word on an unknown entry: either LogID or NotLogged.
type ResolveCall struct {
	Tenant, ID string
	LogID      string
	NotLogged  bool
	// AuthHeader is lent to a last search when it is set.
	AuthHeader sdk.Secret
	RequestID  string
}

// Resolve settles an unknown entry by a person's word, unless a search of the CRM
// settles it first.
func (r *Relay) Resolve(ctx context.Context, call ResolveCall) (ledger.Entry, error) {
	end, ok := r.begin()
	if !ok {
		return ledger.Entry{}, fault.New(fault.ShuttingDown, "")
	}
	defer end()
	if err := checkResolution(call); err != nil {
		return ledger.Entry{}, err
	}
	e, err := r.entry(ctx, call.Tenant, call.ID)
	if err != nil {
		return ledger.Entry{}, err
	}
	if e.State == ledger.Unknown && e.CanFind && (call.NotLogged || !call.AuthHeader.IsZero()) {
		ctx, cancel := context.WithTimeout(ctx, r.cfg.MaxWait)
		defer cancel()
		if e = r.search(ctx, e, inquiry{auth: call.AuthHeader, requestID: call.RequestID, lent: true}); e.State == ledger.Logged {
			return e, nil
		}
	}
	var ev ledger.Event = ledger.ResolveLogged{ID: call.LogID, URL: r.logPage(e, call.LogID)}
	if call.NotLogged {
		ev = ledger.ResolveNotLogged{Dead: r.dead(e.ID)}
	}
	return r.settle(ctx, e, ev)
}

// Forget releases the messages of a logged entry whose CRM record was deleted, so
// that they can be logged again.
func (r *Relay) Forget(ctx context.Context, tenant, id string) (ledger.Entry, error) {
	end, ok := r.begin()
	if !ok {
		return ledger.Entry{}, fault.New(fault.ShuttingDown, "")
	}
	defer end()
	e, err := r.entry(ctx, tenant, id)
	if err != nil {
		return ledger.Entry{}, err
	}
	return r.settle(ctx, e, ledger.Forget{})
}

func (r *Relay) settle(ctx context.Context, e ledger.Entry, ev ledger.Event) (ledger.Entry, error) {
	res, err := r.apply(ctx, e.ID, ev)
	if err != nil || res.Outcome == ledger.Refused {
		return ledger.Entry{}, r.settleError(res, err, e)
	}
	return res.Entry, nil
}

// settleError says why a person's wish was not carried out.
func (r *Relay) settleError(res ledger.Result, err error, e ledger.Entry) error {
	switch {
	case errors.Is(err, store.ErrNotFound):
		return fault.New(fault.MessageLogNotFound, "")
	case errors.Is(err, store.ErrUncertain):
		return withMessages(&fault.Error{
			Code: fault.Outcome, Class: fault.Unknown, Source: fault.Host,
			Msg: "the ledger did not confirm the change", Err: err,
		}, e)
	case err != nil:
		return &fault.Error{
			Code: fault.Overloaded, Class: fault.Retryable, RetryAfter: time.Second,
			Msg: "the ledger cannot be written", Err: err,
		}
	case res.Refusal != nil:
		return withMessages(res.Refusal, res.Entry)
	default:
		return withMessages(fault.New(fault.Conflict, "the entry changed meanwhile"), res.Entry)
	}
}

func (r *Relay) entry(ctx context.Context, tenant, id string) (ledger.Entry, error) {
	e, err := r.deps.Store.Entry(ctx, tenant, id)
	if errors.Is(err, store.ErrNotFound) {
		return e, fault.New(fault.MessageLogNotFound, "")
	}
	if err != nil {
		return e, &fault.Error{
			Code: fault.Overloaded, Class: fault.Retryable, RetryAfter: time.Second,
			Msg: "the ledger cannot be read", Err: fmt.Errorf("read message log: %w", err),
		}
	}
	return e, nil
}

// checkAuth checks credentials that came beside a body.
func checkAuth(auth sdk.Secret) error {
	if auth.IsZero() {
		return nil
	}
	if reason := authFault(auth.Reveal()); reason != "" {
		return invalid(strictjson.Faults{{Pointer: "/authHeader", Code: strictjson.CodeInvalid, Detail: reason}})
	}
	return nil
}

func checkResolution(call ResolveCall) error {
	if err := checkAuth(call.AuthHeader); err != nil {
		return err
	}
	var faults strictjson.Faults
	switch {
	case call.NotLogged && call.LogID != "":
		faults.AddAt("/notLogged", strictjson.CodeInvalid, "must not be sent together with logId")
	case call.NotLogged:
	case call.LogID == "":
		faults.AddAt("/logId", strictjson.CodeRequired, `is required, or "notLogged": true`)
	case sdk.CheckLogID(call.LogID) != nil:
		faults.AddAt("/logId", strictjson.CodeInvalid, "must be 1 to %d bytes of printable text", sdk.MaxLogIDBytes)
	}
	if len(faults) > 0 {
		return invalid(faults)
	}
	return nil
}

// withMessages adds to a fault where the entry's messages stand.
func withMessages(err error, e ledger.Entry) error {
	f, ok := fault.As(err)
	if !ok {
		f = &fault.Error{Code: fault.Internal, Class: fault.Unknown, Err: err}
	}
	out := *f
	out.Err = errors.Join(f.Err, &MessagesError{Messages: messagesOf(e, false)})
	return &out
}

func messagesOf(e ledger.Entry, created bool) []Message {
	own := map[string]bool{e.ID: created}
	out := make([]Message, len(e.Messages))
	for i, id := range e.Messages {
		out[i] = standingOf(id, e, own)
	}
	return out
}

func entryResult(e ledger.Entry, created bool) *Result {
	return &Result{Entry: e, Created: created, Messages: messagesOf(e, created)}
}
