package ledger

import (
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Result is what Apply decided.
type Result struct {
	// Entry is the entry as it is afterwards.
	Entry Entry
	// From is the state in which the event met the entry.
	From    State
	Outcome Outcome
	Rows    Rows
	// ErasePayload is whether the stored request is no longer needed.
	ErasePayload bool
	// Refusal is why the event was refused, with a time to try again when waiting
	// helps; nil unless Outcome is Refused.
	Refusal *fault.Error
}

// Changed reports whether the entry is to be written.
func (r Result) Changed() bool { return r.Outcome == Applied || r.Outcome == Strayed }

// Apply says what the event makes of the entry at that time of the store's clock.
// rows is read only when NeedsRows says so.
func Apply(e Entry, ev Event, now time.Time, rows RowState) Result {
	before := e
	r := ev.apply(&e, now, rows)
	r.From = before.State
	if !r.Changed() {
		r.Entry = before
		return r
	}
	e.UpdatedAt = now
	r.ErasePayload = e.State == Logged && e.Audits == 0
	r.Entry = e
	return r
}

// bump makes every holder of the present epoch stale.
func (e *Entry) bump() Result {
	e.Epoch++
	return Result{Outcome: Applied}
}

func refuse(code fault.Code, msg string, wait time.Duration) Result {
	f := fault.New(code, msg)
	f.RetryAfter = wait
	return Result{Outcome: Refused, Refusal: f}
}

// own reports whether the event is of the attempt now in flight.
func (e *Entry) own(epoch int64) bool { return e.State == InFlight && e.Epoch == epoch }

func (ev LogID) apply(e *Entry, now time.Time, rows RowState) Result {
	take := func() {
		e.log(ev.ID, now)
		e.LogURL, e.Return = ev.URL, ev.Return
		if ev.Again {
			e.scheduleAudits(now)
		}
	}
	if e.own(ev.Epoch) {
		take()
		return e.bump()
	}
	// A stale answer still carries a true log ID (rule 3).
	switch e.State {
	case Unknown, Queued:
		take()
		return e.bump()
	case Failed:
		if rows == RowsFree {
			take()
			r := e.bump()
			r.Rows = TakeRows
			return r
		}
	case Logged, InFlight:
	}
	return e.strayed(ev.ID, now)
}

// strayed notes the ID and changes nothing else but the epoch of a settled entry:
// an attempt in flight keeps its own.
func (e *Entry) strayed(id string, now time.Time) Result {
	if !e.stray(id, now) {
		return Result{}
	}
	if e.State != InFlight {
		e.Epoch++
	}
	return Result{Outcome: Strayed}
}

func (ev Failure) apply(e *Entry, now time.Time, _ RowState) Result {
	if !e.own(ev.Epoch) {
		return Result{}
	}
	switch {
	case ev.Problem.Class == fault.Unknown:
		e.doubt(ev.Problem, now)
		return e.bump()
	case ev.Problem.Class == fault.Retryable && e.Async:
		e.State, e.Problem, e.NextAt = Queued, ev.Problem, now.Add(ev.Delay)
		return e.bump()
	case !e.settled(now):
		// A definite failure of this attempt says nothing about an earlier one
		// that may still be on its way (rule 7).
		e.doubtEarlier(now)
		return e.bump()
	}
	return e.fail(ev.Problem, now)
}

// doubtEarlier makes the entry unknown for the sake of an earlier attempt.
func (e *Entry) doubtEarlier(now time.Time) {
	until := e.UnsettledUntil
	e.doubt(&Problem{
		fault.Outcome, fault.Unknown, fault.Host,
		"an earlier attempt may still be on its way to the CRM",
	}, now)
	e.UnsettledUntil = until
}

// fail makes the entry failed and releases its claims.
//
// An entry of which a stray is known is logged after all, under that ID: to free
// its messages would log them twice.
func (e *Entry) fail(p *Problem, now time.Time) Result {
	if len(e.StrayIDs) > 0 {
		e.log(e.StrayIDs[0], now)
		return e.bump()
	}
	e.State, e.Problem, e.NextAt = Failed, p, time.Time{}
	e.UnsettledUntil = time.Time{}
	r := e.bump()
	r.Rows = ReleaseRows
	return r
}

func (ev Lost) apply(e *Entry, now time.Time, _ RowState) Result {
	if !e.own(ev.Epoch) {
		return Result{}
	}
	if ev.Crash {
		e.Crashes++
	}
	e.doubt(ev.Problem, now)
	return e.bump()
}

func (ev Expire) apply(e *Entry, now time.Time, _ RowState) Result {
	if !e.own(ev.Epoch) || now.Before(e.WindowEnd) {
		return Result{}
	}
	e.doubt(&Problem{
		fault.Outcome, fault.Unknown, fault.Host,
		"the adapter did not answer while its send window was open",
	}, now)
	return e.bump()
}

func (ev Take) apply(e *Entry, now time.Time, _ RowState) Result {
	if e.State != Queued || e.Epoch != ev.Epoch {
		return Result{}
	}
	e.moveTo(ev.Version, ev.CanFind)
	e.open(ev.Timing, now)
	return Result{Outcome: Applied}
}

func (ev Found) apply(e *Entry, now time.Time, rows RowState) Result {
	oldest, others := ev.LogIDs[0], ev.LogIDs[1:]
	if e.State == Logged {
		return ev.audit(e, now)
	}
	e.ReconciledAt, e.Verdict = now, "found"
	if e.State == InFlight || (e.State == Failed && rows != RowsFree) {
		return e.strayed(oldest, now) // of an earlier attempt
	}
	from := e.State
	for _, id := range others {
		e.stray(id, now)
	}
	e.log(oldest, now)
	e.LogURL, e.Return = ev.URL, ev.Return
	r := e.bump()
	if from == Failed {
		r.Rows = TakeRows
	}
	return r
}

// audit compares what a search found with what the ledger says (rule 14).
func (ev Found) audit(e *Entry, now time.Time) Result {
	if e.Epoch != ev.Epoch {
		return Result{}
	}
	// A list that may be cut short cannot show that the record is gone.
	e.ReconciledAt, e.Verdict, e.Vanished = now, "found", ev.Complete
	for _, id := range ev.LogIDs {
		if id == e.LogID {
			e.Vanished = false
			continue
		}
		e.stray(id, now)
	}
	e.audited(now)
	return e.bump()
}

// audited counts one audit as done and schedules the next.
func (e *Entry) audited(now time.Time) {
	e.NextAt = time.Time{}
	if e.Audits--; e.Audits > 0 {
		e.NextAt = now.Add(auditAgainIn)
	}
	e.Audits = max(e.Audits, 0)
}

func (ev NotFound) apply(e *Entry, now time.Time, _ RowState) Result {
	if e.Epoch != ev.Epoch || (e.State != Unknown && e.State != Logged) {
		return Result{}
	}
	asOf := now.Add(-ev.Age)
	believed := ev.Dead && e.settled(asOf)
	e.ReconciledAt, e.Verdict = now, "notFound"
	if e.State == Logged {
		if e.Vanished = believed; believed {
			e.audited(now)
		} else {
			e.askAgain(now, 0, ev.Lent)
		}
		return e.bump()
	}
	if !believed {
		e.askAgain(now, 0, ev.Lent)
		return e.bump()
	}
	if ev.Requeue || e.Async {
		if e.Crashes >= poisonCrashes {
			return e.fail(&Problem{
				fault.PoisonMessage, fault.Permanent, fault.Host,
				"the adapter's process died each time it was given these messages",
			}, now)
		}
		e.State, e.NextAt, e.UnsettledUntil = Queued, now, time.Time{}
		return e.bump()
	}
	return e.fail(&Problem{
		fault.CRMUnavailable, fault.Retryable, fault.Host,
		"the outcome was unknown; a search of the CRM then showed that nothing was logged",
	}, now)
}

// askAgain schedules the next search: by the given wait, else by backoff, and in
// any case once the entry settles. An entry that cannot be searched for waits for a
// person, and one whose next search is set keeps it when this one was lent.
func (e *Entry) askAgain(now time.Time, wait time.Duration, lent bool) {
	if lent && !e.NextAt.IsZero() {
		return
	}
	if e.NextAt = (time.Time{}); !e.CanFind {
		return
	}
	if wait <= 0 {
		wait = e.findBackoff()
		e.Finds++
	}
	e.NextAt = now.Add(min(wait, findWaitMax))
	if now.Before(e.UnsettledUntil) && e.UnsettledUntil.Before(e.NextAt) {
		e.NextAt = e.UnsettledUntil
	}
}

func (ev CannotTell) apply(e *Entry, now time.Time, _ RowState) Result {
	if e.Epoch != ev.Epoch || (e.State != Unknown && e.State != Logged) {
		return Result{}
	}
	e.ReconciledAt, e.Verdict = now, "cannotTell"
	if e.askAgain(now, ev.RetryAfter, ev.Lent); ev.Never {
		e.NextAt, e.Audits = time.Time{}, 0
	}
	return e.bump()
}
