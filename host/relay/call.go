package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// AddMessageLog logs the messages of one call, each once.
//
// Outcomes:
//  1. A Result: every message is logged, now or before.
//  2. A fault of class permanent or retryable: of the messages that were not
//     logged before, none was logged now. A MessagesError in its chain names the
//     exceptions.
//  3. A fault of class unknown: some may have been logged. A MessagesError says
//     which entries to ask after.
func (r *Relay) AddMessageLog(ctx context.Context, call Call) (*Result, error) {
	end, ok := r.begin()
	if !ok {
		return nil, fault.New(fault.ShuttingDown, "")
	}
	defer end()
	route, err := r.enabledRoute(call.Tenant, call.Adapter)
	if err != nil {
		return nil, err
	}
	req, err := decode(call.Body, route)
	if err != nil {
		return nil, err
	}
	ctx, cancel := r.waitFor(ctx, call.Wait, route)
	defer cancel()
	return r.newJob(ctx, route, req, call.RequestID).run(ctx)
}

// enabledRoute returns the route on which new messages may be sent.
func (r *Relay) enabledRoute(tenant, adapter string) (*Route, error) {
	route, err := r.deps.Routes.Route(tenant, adapter)
	if err != nil {
		return nil, err
	}
	if !route.Enabled {
		return nil, fault.New(fault.AdapterDisabled, "")
	}
	return route, nil
}

// waitFor bounds ctx by how long the caller waits.
func (r *Relay) waitFor(ctx context.Context, wait time.Duration, route *Route) (context.Context, context.CancelFunc) {
	if wait <= 0 {
		wait = route.Manifest.Run.Limits.CallTimeout
	}
	return context.WithTimeout(ctx, min(wait, r.cfg.MaxWait))
}

// timing are the durations of an attempt on the route.
func timing(route *Route) ledger.Timing {
	run := route.Manifest.Run
	return ledger.Timing{
		Window: run.Limits.CallTimeout, Apply: run.Reconcile.ApplyWithin, Lag: run.Reconcile.SearchLag,
	}
}

// job is one request on its way to an answer.
type job struct {
	r         *Relay
	route     *Route
	req       *request
	requestID string
	deadline  time.Time // the caller's
	scope     ledger.Scope
	// holders are the entries that hold the request's messages, as last seen.
	holders map[string]ledger.Entry
	// lent are the unknown entries that were searched for with this request's
	// credentials.
	lent map[string]bool
	// own are the entries that this request created.
	own map[string]bool
	// newest is the entry created last.
	newest ledger.Entry
}

func (r *Relay) newJob(ctx context.Context, route *Route, req *request, requestID string) *job {
	deadline, _ := ctx.Deadline()
	return &job{
		r: r, route: route, req: req, requestID: requestID, deadline: deadline,
		scope: ledger.Scope{
			Tenant: route.Tenant, Adapter: route.Adapter, Account: req.account,
			ContactType: req.ContactInfo.Type, ContactID: req.ContactInfo.ID.String(),
		},
		holders: map[string]ledger.Entry{}, lent: map[string]bool{}, own: map[string]bool{},
	}
}

// run sends what is free, waits for what others hold, and begins again with what
// became free meanwhile, until every message is logged or one cannot be.
func (j *job) run(ctx context.Context) (*Result, error) {
	for {
		if err := j.send(ctx); err != nil {
			return nil, j.explain(err)
		}
		free, err := j.await(ctx)
		if err != nil {
			return nil, j.explain(err)
		}
		if !free {
			return j.result(), nil
		}
	}
}

// missing returns the messages that are not known to be logged, oldest first.
func (j *job) missing() []string {
	var out []string
	for _, m := range j.req.Messages {
		id := m.ID.String()
		if e, held := j.holders[id]; !held || e.State != ledger.Logged {
			out = append(out, id)
		}
	}
	return out
}

// hold notes that the entry holds the message.
func (j *job) hold(holders ...store.Holder) {
	for _, h := range holders {
		j.holders[h.Message] = h.Entry
	}
}

// holdAll notes that the entry holds its messages.
func (j *job) holdAll(e ledger.Entry) {
	for _, id := range e.Messages {
		j.holders[id] = e
	}
}

// send claims the free messages among the missing and sends them. A place in an
// adapter process is taken first, so that a call that cannot be sent writes
// nothing. From the claim on the work goes on without the caller (rule 11).
func (j *job) send(ctx context.Context) error {
	target := j.route.target(j.requestID)
	proc, err := j.r.deps.Adapters.Acquire(ctx, target)
	if err != nil {
		return j.unsent(ctx, err)
	}
	draft, err := j.draft(proc)
	if err != nil {
		proc.Release(false)
		return err
	}
	d := j.r.deliver(&delivery{
		route: j.route, req: j.req.AddMessageLogRequest, draft: draft,
		proc: proc, target: target, deadline: j.deadline,
	})
	select {
	case c := <-d.claimed:
		j.hold(c.got.Held...)
		j.holdAll(c.got.Entry)
		if c.err != nil {
			return j.unclaimed(ctx, c.err, draft)
		}
		if c.got.Entry.ID == "" {
			return nil
		}
	case <-ctx.Done():
		return j.unclaimed(ctx, store.ErrUncertain, draft)
	}
	return j.outcome(ctx, d.outcome)
}

// outcome waits for what becomes of the entry that this request created.
func (j *job) outcome(ctx context.Context, arrived <-chan outcome) error {
	select {
	case o := <-arrived:
		j.holdAll(o.entry)
		if o.err == nil {
			j.own[o.entry.ID], j.newest = true, o.entry
		}
		return o.err
	case <-ctx.Done():
		return fault.New(fault.Outcome, "the adapter did not answer before the caller's deadline; the call goes on")
	}
}

// draft returns the claim on the missing messages.
func (j *job) draft(proc Process) (store.Claim, error) {
	payload, err := j.r.sealRequest(&j.req.AddMessageLogRequest)
	if err != nil {
		return store.Claim{}, &fault.Error{Code: fault.Internal, Class: fault.Permanent, Err: err}
	}
	return store.Claim{
		Draft: ledger.Entry{
			ID: ulid.Make().String(), Scope: j.scope, Version: j.route.Version, UserID: j.req.User.ID.String(),
			Messages: j.missing(), CanFind: proc.CanFind(),
		},
		Timing: timing(j.route), Payload: payload,
	}, nil
}

// unclaimed says what a claim that failed means to the caller. One that is not
// certain may stand, so nobody may be told "surely not sent" (rule 5).
func (j *job) unclaimed(ctx context.Context, err error, c store.Claim) error {
	if errors.Is(err, store.ErrUncertain) {
		j.hold(uncertain(c.Draft.ID, c.Draft.Messages)...)
		return &fault.Error{
			Code: fault.Outcome, Class: fault.Unknown, Source: fault.Host,
			Msg: "the ledger did not confirm the claim in time", Err: err,
		}
	}
	return j.unsent(ctx, &fault.Error{
		Code: fault.Overloaded, Class: fault.Retryable, RetryAfter: time.Second,
		Msg: "the ledger cannot be written", Err: fmt.Errorf("claim messages: %w", err),
	})
}

// uncertain are the holders of messages whose claim may or may not stand.
func uncertain(id string, messages []string) []store.Holder {
	out := make([]store.Holder, len(messages))
	for i, m := range messages {
		out[i] = store.Holder{Message: m, Entry: ledger.Entry{ID: id, State: ledger.Unknown}}
	}
	return out
}

// unsent answers for a call that found no adapter, or no ledger to write to:
// messages that were logged before are told all the same, and those in doubt are
// not told as surely not logged.
func (j *job) unsent(ctx context.Context, cause error) error {
	holders, err := j.r.deps.Store.Holders(context.WithoutCancel(ctx), j.scope, j.missing())
	if err != nil {
		j.r.log.WarnContext(ctx, "holders not read", "error", err)
		return cause
	}
	j.hold(holders...)
	missing := j.missing()
	switch {
	case len(missing) == 0:
		return nil
	case j.anyUnknown(missing):
		return &fault.Error{Code: fault.OutcomeUnsettled, Class: fault.Unknown, Err: cause}
	case len(j.holdersOf(missing)) > 0:
		return inProgress(cause)
	}
	return cause
}

// anyUnknown reports whether one of these messages is held by an unknown entry:
// then nobody may be told that it surely is not logged.
func (j *job) anyUnknown(messages []string) bool {
	return slices.ContainsFunc(messages, func(m string) bool { return j.holders[m].State == ledger.Unknown })
}

// inProgress says that others are at work on messages of the request.
func inProgress(cause error) error {
	return &fault.Error{
		Code: fault.InProgress, Class: fault.Retryable, RetryAfter: time.Second,
		Msg: "another request is still logging some of these messages", Err: cause,
	}
}

// result is the answer once every message is logged.
func (j *job) result() *Result {
	out := &Result{Entry: j.newest, Created: len(j.own) > 0, Messages: j.standing()}
	if !out.Created {
		newest := j.req.Messages[len(j.req.Messages)-1].ID.String()
		out.Entry = j.holders[newest]
	}
	return out
}

// standing says where each message of the request stands, in the request's order.
func (j *job) standing() []Message {
	out := make([]Message, len(j.req.order))
	for i, id := range j.req.order {
		out[i] = standingOf(id, j.holders[id], j.own)
	}
	return out
}

func standingOf(id string, e ledger.Entry, own map[string]bool) Message {
	m := Message{ID: id, State: e.State, EntryID: e.ID}
	if e.State == ledger.Logged {
		m.LogID, m.Duplicate = e.LogID, !own[e.ID]
	}
	return m
}

// explain adds to a fault where each message stands.
func (j *job) explain(err error) error {
	f, ok := fault.As(err)
	if !ok {
		f = &fault.Error{Code: fault.Internal, Class: fault.Unknown, Err: err}
	}
	if len(j.holders) == 0 {
		return f
	}
	out := *f
	out.Err = errors.Join(f.Err, &MessagesError{Messages: j.standing()})
	if out.Code == fault.OutcomeUnsettled && out.RetryAfter == 0 {
		out.RetryAfter = j.settlesIn()
	}
	return &out
}

// settlesIn returns how long until the last unknown entry settles, 0 when that is
// not for time to say.
func (j *job) settlesIn() time.Duration {
	var wait time.Duration
	for _, e := range j.holders {
		if e.State == ledger.Unknown && e.CanFind {
			wait = max(wait, e.UnsettledUntil.Sub(j.r.storeNow()), time.Second)
		}
	}
	return wait
}
