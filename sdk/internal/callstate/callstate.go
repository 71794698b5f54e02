// Package callstate holds what one call into an adapter has done so far, as far
// as Patchbay's own HTTP client can see it. It lets a plain Go error or a panic
// be classed truthfully: when every CRM request of the call went through a
// watched client and none of them was a write, the CRM surely has not acted.
package callstate

import "sync/atomic"

// State is the record of one call. The zero value is ready; all methods may be
// called concurrently and on a nil State, which records nothing.
type State struct {
	watched atomic.Bool
	sent    atomic.Bool
}

// Watch notes that the call talks to its CRM through a client that reports
// its writes.
func (s *State) Watch() {
	if s != nil {
		s.watched.Store(true)
	}
}

// Sent notes that a request which may change the CRM was written, in whole or
// in part.
func (s *State) Sent() {
	if s != nil {
		s.sent.Store(true)
	}
}

// SurelyNotSent reports whether the call was watched and wrote nothing.
func (s *State) SurelyNotSent() bool {
	return s != nil && s.watched.Load() && !s.sent.Load()
}
