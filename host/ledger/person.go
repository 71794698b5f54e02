package ledger

import (
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// What a person asks for.

func (ev Retry) apply(e *Entry, now time.Time, rows RowState) Result {
	switch e.State {
	case Failed:
		if r := refuseRows(rows); r.Outcome == Refused {
			return r
		}
		e.moveTo(ev.Version, ev.CanFind)
		e.open(ev.Timing, now)
		return Result{Outcome: Applied, Rows: TakeRows}
	case Queued:
		e.NextAt = now
		return e.bump()
	default:
		return e.refuseState(now)
	}
}

func (ev ResolveLogged) apply(e *Entry, now time.Time, rows RowState) Result {
	if e.State != Unknown && e.State != Failed {
		return e.refuseState(now)
	}
	failed := e.State == Failed
	if failed {
		if r := refuseRows(rows); r.Outcome == Refused {
			return r
		}
	}
	e.log(ev.ID, now)
	e.LogURL = ev.URL
	r := e.bump()
	if failed {
		r.Rows = TakeRows
	}
	return r
}

func (ev ResolveNotLogged) apply(e *Entry, now time.Time, _ RowState) Result {
	switch {
	case e.State == Failed:
		return Result{}
	case e.State != Unknown || !ev.Dead || !e.settled(now):
		return e.refuseState(now)
	}
	return e.fail(&Problem{
		fault.CRMUnavailable, fault.Retryable, fault.Host,
		"the outcome was unknown; a person settled it as not logged",
	}, now)
}

func (Forget) apply(e *Entry, now time.Time, _ RowState) Result {
	switch {
	case e.State == Failed || !e.ForgottenAt.IsZero():
		return Result{}
	case e.State != Logged:
		return e.refuseState(now)
	}
	e.ForgottenAt, e.NextAt, e.Audits = now, time.Time{}, 0
	r := e.bump()
	r.Rows = ReleaseRows
	return r
}

// refuseState says that the entry's state does not allow it.
func (e *Entry) refuseState(now time.Time) Result {
	switch e.State {
	case InFlight:
		return refuse(fault.InProgress, "the entry is in flight", time.Second)
	case Queued:
		return refuse(fault.Conflict, "the entry is queued and will be sent", 0)
	case Unknown:
		return refuseUnsettled(e, now)
	default:
		return refuseLogged(e)
	}
}

func refuseRows(rows RowState) Result {
	switch rows {
	case RowsLogged:
		return refuse(fault.AlreadyLogged, "messages of this entry were logged by another entry meanwhile", 0)
	case RowsHeld:
		return refuse(fault.InProgress, "another entry is logging messages of this entry", time.Second)
	default:
		return Result{}
	}
}

func refuseLogged(e *Entry) Result {
	if !e.ForgottenAt.IsZero() {
		return refuse(fault.Conflict, "the entry was forgotten", 0)
	}
	return refuse(fault.AlreadyLogged, "the entry is logged", 0)
}

// refuseUnsettled tells when the entry can be settled at the earliest.
func refuseUnsettled(e *Entry, now time.Time) Result {
	wait := max(e.UnsettledUntil.Sub(now), 0)
	if wait == 0 && e.CanFind {
		wait = time.Second
	}
	return refuse(fault.OutcomeUnsettled, "the entry's outcome is unknown until it settles", wait)
}
