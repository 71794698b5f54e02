// Package callstate holds what one call into an adapter has done so far, as far
// as Patchbay's own HTTP client can see it. It lets a plain Go error or a panic
// be classed truthfully: when every CRM request of the call went through a
// watched client and no write of it stands, the CRM surely has not acted.
//
// A write stands from its first byte on, unless it is taken back:
//
//	          first byte leaves            the CRM answers that it has not acted
//	nothing ───────────────────▶ stands ───────────────────────────────────────▶ nothing
//	          Sent()               │                NotActed()
//	                               └── success, no answer, an answer that says nothing: it stands for good
//
// A call may make several writes; while one of them stands, no later failure of
// the call is definite (docs/DELIVERY.md: a record made by the first of two steps
// exists, whatever becomes of the second).
package callstate

import (
	"sync"
	"sync/atomic"
	"time"
)

// State is the record of one call. The zero value is ready; all methods may be
// called concurrently and on a nil State, which records nothing.
type State struct {
	watched  atomic.Bool
	standing atomic.Int64 // writes begun and not taken back

	once  sync.Once
	limit time.Time // set by once
}

// Watch notes that the call talks to its CRM through a client that reports
// its writes.
func (s *State) Watch() {
	if s != nil {
		s.watched.Store(true)
	}
}

// Sent notes that a request which may change the CRM is about to be written, in
// whole or in part. Each request notes it once.
func (s *State) Sent() {
	if s != nil {
		s.standing.Add(1)
	}
}

// NotActed takes one Sent back: the CRM answered that it refused the request
// before acting, or no byte of it left after all.
func (s *State) NotActed() {
	if s != nil {
		s.standing.Add(-1)
	}
}

// MayHaveActed reports whether a write stands, so that no failure of the call is
// definite any more. A nil State reports false.
func (s *State) MayHaveActed() bool { return s != nil && s.standing.Load() > 0 }

// SurelyNotSent reports whether the call was watched and no write of it stands.
func (s *State) SurelyNotSent() bool {
	return s != nil && s.watched.Load() && s.standing.Load() == 0
}

// Limit returns the end of the send window as a reading of the monotonic clock.
// The first call fixes it, so a wall clock that is set back in the middle of a
// call does not lengthen the window. A nil State works it out anew each time.
func (s *State) Limit(notAfter time.Time) time.Time {
	now := time.Now()
	limit := now.Add(notAfter.Round(0).Sub(now.Round(0)))
	if s == nil {
		return limit
	}
	s.once.Do(func() { s.limit = limit })
	return s.limit
}
