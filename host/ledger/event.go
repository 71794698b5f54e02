package ledger

import "time"

// Event is something that happened to an entry. The types of this file are all
// events there are.
type Event interface {
	apply(e *Entry, now time.Time, rows RowState) Result
}

// LogID brings the ID of a CRM record that the attempt of that epoch made.
type LogID struct {
	Epoch  int64
	ID     string
	URL    string
	Return *ReturnMessage
	// Again is whether the attempt was sent more than once in its window, after
	// faults that were said to have sent nothing: an audit will tell.
	Again bool
	// Durable asks for an fsync before the caller is told: for adapters that
	// cannot search, and for answers that come late.
	Durable bool
}

// Failure brings a definite failure of the attempt of that epoch: the CRM surely
// has not acted. Problem's class is permanent or retryable.
type Failure struct {
	Epoch   int64
	Problem *Problem
	// Delay is the wait before the next attempt of an asynchronous entry.
	Delay time.Duration
}

// Lost says that the attempt of that epoch ended and may have happened: a crash,
// the call's own timeout, a transport status, an unusable log ID, class unknown.
type Lost struct {
	Epoch   int64
	Problem *Problem
	// Crash is whether the adapter's process died.
	Crash bool
}

// Expire says that the window of the attempt of that epoch may be over.
type Expire struct{ Epoch int64 }

// Take begins the next attempt of a queued entry.
type Take struct {
	Epoch   int64
	Timing  Timing
	Version string // as in Retry
	CanFind bool   // as in Retry
}

// Found brings the records that a search found, oldest first; at least one.
type Found struct {
	Epoch    int64
	LogIDs   []string
	Complete bool
	// URL is a page on which a person sees the oldest; empty when unknown.
	URL string
	// Return is the adapter's text for the user. A search that only audits a
	// logged entry leaves the text of its answer.
	Return *ReturnMessage
}

// NotFound says that a complete search found nothing.
type NotFound struct {
	Epoch int64
	// Age is how long ago the moment was for which it holds: at least the time
	// since the search began.
	Age time.Duration
	// Dead is whether the newest attempt's call has returned, or its process has
	// been reaped: nothing can be sent any more.
	Dead bool
	// Requeue is whether the entry is to be sent again by the host (rule 15).
	Requeue bool
	// Lent is as in CannotTell.
	Lent bool
}

// Aged returns the event as it is after it waited for its turn: what a search did
// not find is older by then. Stores call it inside the transaction, for a "not
// found" is as old as its search, however long the write takes.
func Aged(ev Event, waited time.Duration) Event {
	if nf, ok := ev.(NotFound); ok {
		nf.Age += max(waited, 0)
		return nf
	}
	return ev
}

// CannotTell says that a search was not complete.
type CannotTell struct {
	Epoch int64
	// RetryAfter is when to ask again; 0 leaves it to the backoff.
	RetryAfter time.Duration
	// Never is whether there is no use in asking again: the stored request was
	// erased. The entry waits for a person, and audits end.
	Never bool
	// Lent is whether a caller's credentials and time were used: such a search
	// says nothing of the next one's chances, and does not put it off.
	Lent bool
}

// Retry asks to send a failed entry again, or a queued one now.
type Retry struct {
	Timing Timing
	// Version is the adapter version that the attempt is for, and CanFind whether
	// it can search. Without a version both stay as they are.
	Version string
	CanFind bool
}

// ResolveLogged is a person's word that the CRM has the record under that ID.
type ResolveLogged struct{ ID, URL string }

// ResolveNotLogged is a person's word that the CRM has no record.
type ResolveNotLogged struct {
	// Dead is as in NotFound.
	Dead bool
}

// Forget releases the messages of a logged entry whose CRM record was deleted.
type Forget struct{}

// Lazy reports whether the event may be committed without an fsync of its own
// before anyone is told (rule 5).
func Lazy(ev Event) bool {
	switch ev := ev.(type) {
	case LogID:
		return !ev.Durable
	case Lost, Expire, CannotTell:
		return true
	default:
		return false
	}
}

// RowState says who holds the messages of a failed entry now.
type RowState uint8

// The row states.
const (
	RowsFree   RowState = iota // nobody
	RowsLogged                 // another entry, which is logged
	RowsHeld                   // another entry, which is not logged
)

// NeedsRows reports whether Apply has to be told who holds the entry's messages.
func NeedsRows(e Entry, ev Event) bool {
	if e.State != Failed {
		return false
	}
	switch ev.(type) {
	case LogID, Found, Retry, ResolveLogged:
		return true
	default:
		return false
	}
}

// Rows says what happens to the claims on the entry's messages.
type Rows uint8

// What may happen to claims.
const (
	KeepRows    Rows = iota
	ReleaseRows      // the messages become free
	TakeRows         // the entry claims its messages again
)

// Outcome says what became of an event.
type Outcome uint8

// The outcomes.
const (
	// Ignored: the entry stays as it is; the event came too late to matter.
	Ignored Outcome = iota
	// Applied: the entry changed as the event asked.
	Applied
	// Strayed: the entry is another record's; the ID was noted as a stray.
	Strayed
	// Refused: the entry's state does not allow it; Refusal says why.
	Refused
)
