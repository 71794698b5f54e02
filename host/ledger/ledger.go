// Package ledger is the state table of message logs as one pure function.
//
// An Entry is one CRM record, made or to be made. Apply takes an entry, an event
// and the store's clock, and says what the entry becomes, what happens to the
// claims on its messages, and what the one who brought the event is told. It
// touches no database and no clock, so every store driver runs the same table,
// and the model in this package's tests checks it in all reachable states.
//
//	           claim (fsynced)       log ID
//	(new) ──────────► in_flight ───────────────────► logged
//	                   │  ▲ │  surely not done, for good or for now (sync)
//	                   │  │ └──────────────────────► failed    (claims released)
//	                   │  │
//	                   │  └── taken ── queued ◄───── surely not done (async)
//	                   │ crash, deadline, host death, no log ID: it may have happened
//	                   └──────────────────────────► unknown ──► found: logged
//	                                                         ──► absent after settling: failed or queued
//	                                                         ──► settled by a person
//
// Times are the store's. Every change of an entry is a compare-and-set on its
// epoch and adds one to it; docs/DELIVERY.md explains the rules by number.
package ledger

import (
	"slices"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// State is where an entry stands.
type State string

// The states.
const (
	InFlight State = "in_flight" // claimed; a call may be on its way
	Queued   State = "queued"    // surely not done; will be sent again
	Unknown  State = "unknown"   // the CRM may have acted
	Logged   State = "logged"    // the CRM record exists
	Failed   State = "failed"    // surely not done; the claims are released
)

// States returns every state.
func States() []State { return []State{InFlight, Queued, Unknown, Logged, Failed} }

// Settled reports whether nothing more is to happen by itself.
func (s State) Settled() bool { return s == Logged || s == Failed }

// Scope is what a message id is unique in (rule 13): a contact of a CRM account
// of a tenant's adapter, whatever the adapter's version.
type Scope struct {
	Tenant, Adapter, Account, ContactType, ContactID string
}

// Entry is one row of the ledger: one CRM record, made or to be made.
type Entry struct {
	ID string
	Scope
	// Version is the adapter's version that the newest attempt was for.
	Version string
	// UserID is the id of the user the messages belong to; empty when not sent.
	UserID string
	// Messages are the canonical ids of the entry's messages, oldest first.
	Messages []string
	State    State
	// Epoch counts the entry's changes, from 1.
	Epoch int64
	// Attempts counts the send windows opened, from 1.
	Attempts int
	// Async is whether the caller was promised delivery later.
	Async bool
	// CanFind is whether the adapter can search for the record.
	CanFind bool
	// WindowEnd is W, the end of the newest attempt's send window.
	WindowEnd time.Time
	// SettlesAt is W + D + L: from then on "not found" is believed.
	SettlesAt time.Time
	// UnsettledUntil is the latest SettlesAt of the attempts that ended without a
	// definite answer; zero when there is none.
	UnsettledUntil time.Time
	// NextAt is when something is due: the end of the window, the next search,
	// the next attempt or the next audit; zero when nothing is.
	NextAt time.Time
	// Audits is how many audits are left (rule 14).
	Audits int
	// Finds counts the searches of the present doubt, for backoff.
	Finds int
	// Crashes counts the adapter deaths while this entry was in flight.
	Crashes int

	LogID  string
	LogURL string
	Return *ReturnMessage
	// StrayIDs are CRM records of this entry's messages beside LogID.
	StrayIDs []string
	// Vanished is whether an audit found no record any more.
	Vanished bool
	// Problem is why the entry is not logged; nil when it is.
	Problem *Problem
	// ReconciledAt and Verdict are of the newest search.
	ReconciledAt time.Time
	Verdict      string

	CreatedAt   time.Time
	UpdatedAt   time.Time
	ForgottenAt time.Time
	// FirstSentAt is when the first window opened.
	FirstSentAt time.Time
}

// Clone returns an entry that shares nothing with e that can be changed.
func (e Entry) Clone() Entry {
	e.Messages = slices.Clone(e.Messages)
	e.StrayIDs = slices.Clone(e.StrayIDs)
	if e.Return != nil {
		text := *e.Return
		e.Return = &text
	}
	if e.Problem != nil {
		problem := *e.Problem
		e.Problem = &problem
	}
	return e
}

// ReturnMessage is the adapter's text for the user.
type ReturnMessage struct {
	Message     string `json:"message"`
	MessageType string `json:"messageType"`
	TTLMillis   int64  `json:"ttl"`
}

// Problem is why an entry is not logged.
type Problem struct {
	Code   fault.Code   `json:"code"`
	Class  fault.Class  `json:"class"`
	Source fault.Source `json:"source"`
	Detail string       `json:"detail"`
}

// ProblemOf returns err as a problem, without its causes.
func ProblemOf(err error) *Problem {
	return &Problem{fault.CodeOf(err), fault.ClassOf(err), fault.SourceOf(err), fault.MessageOf(err)}
}

// Err returns the problem as a fault; nil for no problem.
func (p *Problem) Err() error {
	if p == nil {
		return nil
	}
	return &fault.Error{Code: p.Code, Class: p.Class, Source: p.Source, Msg: p.Detail}
}

// Timing are the durations of one attempt.
type Timing struct {
	// Window is how long the attempt may send.
	Window time.Duration
	// Apply is D: how long after W the CRM may still apply a request.
	Apply time.Duration
	// Lag is L: how far the CRM's search may lag behind.
	Lag time.Duration
}

// windowSlack is added to the recorded window: the host measures its own from
// before the transaction, the store from within it (rule 16).
const windowSlack = time.Second

// The times of audits (rule 14): at settlesAt, and then once more.
const (
	auditsDue    = 2
	auditAgainIn = 24 * time.Hour
)

// poisonCrashes is how many adapter deaths an entry may be in flight at before it
// is not sent again by itself (rule 15).
const poisonCrashes = 2

// The waits between searches of one doubt.
const (
	findBackoffMin = 500 * time.Millisecond
	findBackoffMax = 5 * time.Minute
	// findWaitMax bounds a wait that a CRM asks for.
	findWaitMax = time.Hour
)

// Open returns the entry that holds its claimed messages, in flight with its
// first window open at now.
func Open(draft Entry, claimed []string, t Timing, now time.Time) Entry {
	e := draft
	e.Messages = claimed
	e.CreatedAt, e.FirstSentAt = now, now
	e.StrayIDs = nil
	e.open(t, now)
	e.UpdatedAt = now
	return e
}

// moveTo has the next attempt made by that version of the adapter; none given
// leaves it with the last.
func (e *Entry) moveTo(version string, canFind bool) {
	if version != "" {
		e.Version, e.CanFind = version, canFind
	}
}

// open begins a new attempt.
func (e *Entry) open(t Timing, now time.Time) {
	e.State = InFlight
	e.Epoch++
	e.Attempts++
	e.WindowEnd = now.Add(t.Window + windowSlack)
	e.SettlesAt = e.WindowEnd.Add(t.Apply + t.Lag)
	e.NextAt = e.WindowEnd
	e.Finds = 0
	e.Problem = nil
}

// doubt makes the entry unknown: its newest attempt may have happened.
func (e *Entry) doubt(p *Problem, now time.Time) {
	e.State, e.Problem = Unknown, p
	e.UnsettledUntil = later(e.UnsettledUntil, e.SettlesAt)
	e.Finds = 0
	e.NextAt = time.Time{}
	if e.CanFind {
		e.NextAt = now
	}
}

// log makes the entry logged and schedules the audits it needs.
func (e *Entry) log(id string, now time.Time) {
	e.State, e.LogID, e.Problem = Logged, id, nil
	e.NextAt, e.Audits = time.Time{}, 0
	e.StrayIDs = slices.DeleteFunc(slices.Clone(e.StrayIDs), func(s string) bool { return s == id })
	if e.Attempts > 1 || len(e.StrayIDs) > 0 {
		e.scheduleAudits(now)
	}
}

// scheduleAudits has a logged entry searched for, from when it settles (rule 14).
func (e *Entry) scheduleAudits(now time.Time) {
	if e.CanFind {
		e.Audits = auditsDue
		e.NextAt = later(now, later(e.SettlesAt, e.UnsettledUntil))
	}
}

// stray notes a CRM record beside the entry's own and reports whether it is new.
func (e *Entry) stray(id string, now time.Time) bool {
	if id == e.LogID || slices.Contains(e.StrayIDs, id) {
		return false
	}
	e.StrayIDs = append(slices.Clone(e.StrayIDs), id)
	if e.State == Logged && e.Audits == 0 && e.ForgottenAt.IsZero() {
		e.scheduleAudits(now)
	}
	return true
}

// settled reports whether every attempt that was not answered definitely is past
// its settling time at that moment.
func (e *Entry) settled(at time.Time) bool {
	return !at.Before(e.UnsettledUntil)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// findBackoff returns the wait before the next search, doubling from the first.
func (e *Entry) findBackoff() time.Duration {
	return min(findBackoffMin<<min(e.Finds, 16), findBackoffMax)
}
