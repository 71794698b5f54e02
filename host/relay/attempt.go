package relay

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// attempt is one send window of one entry. It lives until the adapter answered or
// the window and the CRM's apply time are over, whether or not anyone waits.
type attempt struct {
	r      *Relay
	entry  ledger.Entry
	route  *Route
	req    *sdk.AddMessageLogRequest
	proc   Process // a place taken; nil between two tries
	target Target
	// windowEnd is W by this host's clock: nothing is sent after it (rule 1).
	windowEnd time.Time
	// callEnd is W + D: the host stops listening (rule 11).
	callEnd time.Time
	// deadline is the caller's: no further try begins after it.
	deadline time.Time
}

// outcome is what became of an attempt.
type outcome struct {
	entry ledger.Entry
	err   error // nil when the entry is logged
}

// delivery is a claim to be made and, once it stands, sent.
type delivery struct {
	route    *Route
	req      sdk.AddMessageLogRequest
	draft    store.Claim
	proc     Process
	target   Target
	deadline time.Time
}

// claim is what became of a claim.
type claim struct {
	got store.Claimed
	err error
}

// underWay is a delivery that goes on by itself.
type underWay struct {
	claimed <-chan claim   // receives once
	outcome <-chan outcome // receives once, if there is an entry
}

// deliver claims and sends in a goroutine of the relay's, so that neither depends
// on the caller's patience.
func (r *Relay) deliver(d *delivery) underWay {
	claimed, done := make(chan claim, 1), make(chan outcome, 1)
	r.calls.Go(func() {
		began := time.Now() // before the transaction: rule 16
		got, err := r.deps.Store.Claim(r.life, d.draft)
		if err != nil || got.Entry.ID == "" {
			d.proc.Release(false)
			claimed <- claim{got, err}
			return
		}
		r.occupy(got.Entry.ID, nil)
		r.compareClocks(began, got.Entry.CreatedAt)
		claimed <- claim{got, nil}
		done <- r.attempt(d, got.Entry, began).run()
	})
	return underWay{claimed, done}
}

// attempt returns the attempt that sends a claimed entry, its window open since
// began.
func (r *Relay) attempt(d *delivery, e ledger.Entry, began time.Time) *attempt {
	window := timing(d.route)
	a := &attempt{
		r: r, entry: e, route: d.route, req: &d.req, proc: d.proc, target: d.target, deadline: d.deadline,
		windowEnd: began.Add(window.Window), callEnd: began.Add(window.Window + window.Apply),
	}
	a.req.Messages = only(d.req.Messages, e.Messages)
	a.req.IdempotencyKey = idempotencyKey(e.Scope, e.Messages)
	a.req.Attempt = e.Attempts
	a.req.Deadline = d.deadline
	a.req.NotAfter = a.windowEnd.Round(0)
	return a
}

func (a *attempt) run() outcome {
	resp, tries, err := a.send()
	if err == nil {
		return a.logged(resp, tries > 1)
	}
	if fault.ClassOf(err) == fault.Unknown {
		return a.lost(err)
	}
	return a.failed(err)
}

// send hands the request to the adapter, again after faults that surely sent
// nothing, while the window is open and the caller waits.
func (a *attempt) send() (resp *sdk.AddMessageLogResponse, tries int, err error) {
	for try := 1; ; try++ {
		resp, err := a.once()
		if err == nil {
			return resp, try, nil
		}
		if fault.ClassOf(err) != fault.Retryable || try >= a.r.cfg.Tries || !a.pause(try, err) {
			return nil, try, err
		}
	}
}

// once is one gRPC call.
func (a *attempt) once() (*sdk.AddMessageLogResponse, error) {
	if err := a.takePlace(); err != nil {
		a.r.vacate(a.entry.ID)
		return nil, err
	}
	proc := a.proc
	a.proc = nil
	a.r.occupy(a.entry.ID, proc.Done())
	ctx, cancel := context.WithDeadline(a.r.life, a.callEnd)
	defer cancel()
	resp, err := proc.AddMessageLog(ctx, a.req)
	if err == nil {
		err = sdk.CheckLogID(resp.LogID)
	}
	if !errors.Is(err, rpc.ErrBrokenOff) {
		a.r.vacate(a.entry.ID)
		proc.Release(!errors.Is(err, rpc.ErrNotSent))
		return resp, err
	}
	// The adapter may still be at it: only its end proves otherwise (rule 2). A
	// process that died is reaped within milliseconds, and its crash report should
	// say how; a host that stops ends it anyway.
	if !endsSoon(ctx, proc) && a.r.life.Err() == nil {
		proc.Condemn("hang")
	}
	proc.Release(false)
	return nil, err
}

// reapTime is how long a process that broke off a call may take to be reaped
// before it counts as alive.
const reapTime = time.Second

// endsSoon reports whether the process ends within reapTime, and before ctx.
func endsSoon(ctx context.Context, proc Process) bool {
	timer := time.NewTimer(reapTime)
	defer timer.Stop()
	select {
	case <-proc.Done():
		return true
	case <-ctx.Done():
	case <-timer.C:
	}
	select {
	case <-proc.Done():
		return true
	default:
		return false
	}
}

// takePlace makes sure that the attempt has a place in a living process. Nothing
// was sent when it fails.
func (a *attempt) takePlace() error {
	if a.proc != nil {
		select {
		case <-a.proc.Done():
			a.proc.Release(false)
			a.proc = nil
		default:
		}
	}
	if a.proc == nil {
		ctx, cancel := context.WithDeadline(a.r.life, earlier(a.windowEnd, a.deadline))
		defer cancel()
		proc, err := a.r.deps.Adapters.Acquire(ctx, a.target)
		if err != nil {
			return err
		}
		a.proc = proc
	}
	if !time.Now().Before(a.windowEnd) {
		a.proc.Release(false)
		a.proc = nil
		return &fault.Error{Code: fault.Overloaded, Class: fault.Retryable, Msg: "the send window closed before the call was sent"}
	}
	return nil
}

// pause waits before the next try: what the fault asks for, else a full-jitter
// backoff. It reports false when the wait does not fit.
func (a *attempt) pause(try int, err error) bool {
	wait := fault.RetryAfterOf(err)
	if wait <= 0 {
		wait = rand.N(a.r.cfg.RetryBase << min(try-1, 10))
	}
	if time.Until(earlier(a.windowEnd, a.deadline)) <= wait {
		return false
	}
	pauseFor(a.r.life, wait)
	return a.r.life.Err() == nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// logged records the log ID before anyone is told.
func (a *attempt) logged(resp *sdk.AddMessageLogResponse, again bool) outcome {
	ev := ledger.LogID{
		Epoch: a.entry.Epoch, ID: resp.LogID, URL: resp.LogURL, Return: returnMessage(resp.ReturnMessage), Again: again,
		Durable: !a.entry.CanFind || time.Now().After(a.windowEnd),
	}
	if ev.URL == "" {
		ev.URL = a.route.Manifest.LogPage(a.req.User.Hostname, a.req.ContactInfo.Type, a.req.ContactInfo.ID.String(), resp.LogID)
	}
	return a.record(ev, nil)
}

// returnMessage returns the adapter's text for the user as the ledger keeps it.
func returnMessage(m *sdk.ReturnMessage) *ledger.ReturnMessage {
	if m == nil {
		return nil
	}
	return &ledger.ReturnMessage{
		Message: m.Message, MessageType: string(m.MessageType), TTLMillis: m.TTL.Milliseconds(),
	}
}

// failed records a definite failure before anyone is told (rule 5).
func (a *attempt) failed(err error) outcome {
	return a.record(ledger.Failure{Epoch: a.entry.Epoch, Problem: ledger.ProblemOf(err)}, err)
}

// lost records that the outcome is unknown, and asks the CRM at once.
func (a *attempt) lost(err error) outcome {
	o := a.record(ledger.Lost{
		Epoch: a.entry.Epoch, Problem: ledger.ProblemOf(err), Crash: errors.Is(err, rpc.ErrBrokenOff) && a.r.dead(a.entry.ID),
	}, err)
	if o.entry.State != ledger.Unknown || !o.entry.CanFind || !time.Now().Before(a.deadline) {
		return o
	}
	ctx, cancel := context.WithDeadline(a.r.life, a.deadline)
	defer cancel()
	if e := a.r.search(ctx, o.entry, inquiry{auth: a.req.AuthHeader, requestID: a.target.RequestID}); e.State == ledger.Logged {
		return outcome{entry: e}
	}
	return o
}

// record writes an event and says what the caller may be told: err when the entry
// became what the event says, nil when it is logged, "unknown" when the write is
// not certain or came too late to count.
func (a *attempt) record(ev ledger.Event, err error) outcome {
	res, writeErr := a.r.apply(a.r.life, a.entry.ID, ev)
	if writeErr != nil {
		a.r.log.Error("outcome not written, trying again", "message_log_id", a.entry.ID, "error", writeErr)
		a.r.writeLater(a.entry.ID, ev)
		a.entry.State = ledger.Unknown
		return outcome{a.entry, &fault.Error{
			Code: fault.Outcome, Class: fault.Unknown, Source: fault.Host,
			Msg: "the ledger did not confirm the outcome", Err: writeErr,
		}}
	}
	switch e := res.Entry; {
	case e.State == ledger.Logged:
		return outcome{entry: e}
	case res.Outcome == ledger.Applied && e.State == ledger.Failed, fault.ClassOf(err) == fault.Unknown && err != nil:
		return outcome{e, err}
	default:
		return outcome{e, fault.New(fault.Outcome, "the entry's outcome is not known; an earlier or newer attempt is unsettled")}
	}
}

// writeLater keeps trying to write an event that could not be written, until it
// is, or the relay ends. Every event is fenced by its epoch, so writing it twice
// changes nothing.
func (r *Relay) writeLater(id string, ev ledger.Event) {
	if logged, ok := ev.(ledger.LogID); ok {
		logged.Durable = true // by then its window may be over
		ev = logged
	}
	r.calls.Go(func() {
		for wait := 100 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
			if pauseFor(r.life, wait); r.life.Err() != nil {
				return
			}
			if _, err := r.apply(r.life, id, ev); err == nil {
				return
			}
		}
	})
}
