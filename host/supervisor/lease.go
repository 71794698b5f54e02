package supervisor

import (
	"container/list"
	"context"
	"errors"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Lease is the right to make one call to a process. Its holder must Release or
// Condemn it; what is called first counts. Its methods may be called
// concurrently.
type Lease[I Instance] struct {
	s         *Supervisor[I]
	p         *process[I]
	requestID string
}

// Instance returns the process to call.
func (l *Lease[I]) Instance() I { return l.p.inst }

// Release ends the call. answered says that the process answered it, be it with
// a fault of its own; a call that was never sent, ran out of time or was cut off
// by the transport is not answered.
func (l *Lease[I]) Release(answered bool) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.s.release(l, answered)
}

// Condemn ends the call and reports that its process hangs. The process gets no
// more calls, a replacement is started as after a crash, and the process is
// killed once its other calls have ended or Config.CondemnTimeout has passed.
// Its Done is closed after it has been reaped. cause stands in the crash report;
// "" reads as Hang.
func (l *Lease[I]) Condemn(cause Cause) {
	if cause == "" {
		cause = Hang
	}
	done := make(chan struct{})
	l.s.tell(func(ctx context.Context) {
		l.s.condemn(ctx, l.p, l, cause, l.s.cfg.CondemnTimeout)
		close(done)
	})
	select {
	case <-done:
	case <-l.s.ended:
	}
}

// waiter is a call that waits for a process or for a free place in it.
type waiter[I Instance] struct {
	requestID string
	outcome   chan outcome[I] // buffered: who decides never waits
}

type outcome[I Instance] struct {
	lease *Lease[I]
	err   error
}

// Acquire returns the right to make one call, which the crash report names
// requestID should the process die in it. It waits within ctx while the process
// is starting or has no free place. Its errors are faults of class Retryable,
// for nothing was sent: adapter_unavailable with the time to wait in backoff, in
// quarantine and while the adapter says that it cannot serve; overloaded when
// too many wait already; shutting_down.
func (s *Supervisor[I]) Acquire(ctx context.Context, requestID string) (*Lease[I], error) {
	if err := ctx.Err(); err != nil {
		return nil, s.gaveUp(err)
	}
	s.mu.Lock()
	if err := s.refusal(); err != nil {
		s.mu.Unlock()
		return nil, err
	}
	if s.waiting.Len() == 0 && s.hasPlace() {
		l := s.grant(requestID)
		s.mu.Unlock()
		return l, nil
	}
	if s.waiting.Len() >= s.cfg.MaxWaiting {
		s.mu.Unlock()
		return nil, fault.New(fault.Overloaded, "too many calls wait for the adapter")
	}
	w := &waiter[I]{requestID: requestID, outcome: make(chan outcome[I], 1)}
	place := s.waiting.PushBack(w)
	s.mu.Unlock()
	select {
	case o := <-w.outcome:
		return o.lease, o.err
	case <-ctx.Done():
		return nil, s.abandon(place, w, ctx.Err())
	}
}

// abandon gives up waiting, and gives back a lease granted in the same moment.
func (s *Supervisor[I]) abandon(place *list.Element, w *waiter[I], cause error) error {
	s.mu.Lock()
	select {
	case o := <-w.outcome:
		if o.lease != nil {
			s.release(o.lease, false)
		}
	default:
		s.waiting.Remove(place)
	}
	s.mu.Unlock()
	return s.gaveUp(cause)
}

// gaveUp is the fault of a call whose time ran out before it was sent.
func (s *Supervisor[I]) gaveUp(cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := fault.New(fault.Overloaded, "the adapter had no free place in time")
	if s.current == nil {
		f = fault.New(fault.AdapterUnavailable, "the adapter did not start in time")
	}
	if errors.Is(cause, context.Canceled) {
		f.Msg = "the caller gave up before the call was sent"
	}
	f.Op, f.Err = "supervisor.Acquire", cause
	return f
}

// refusal is what calls get at once, nil when they may wait. The caller holds
// mu.
func (s *Supervisor[I]) refusal() error {
	if s.closing != nil {
		return s.closing
	}
	var f *fault.Error
	switch {
	case s.state == Backoff || s.state == Quarantined:
		f = fault.New(fault.AdapterUnavailable, "the adapter is in "+string(s.state)+" ("+string(s.why.cause)+")")
		if s.state == Quarantined {
			f.Msg = "the adapter is in quarantine (" + string(s.why.cause) + ")"
		}
		f.RetryAfter = max(time.Until(s.why.next), time.Millisecond)
	case s.current != nil && s.sick:
		f = fault.New(fault.AdapterUnavailable, "the adapter says that it cannot serve ("+string(NotServing)+")")
		f.RetryAfter = max(time.Until(s.healthAt.Add(s.cfg.HealthEvery)), time.Millisecond)
	default:
		return nil
	}
	f.Op = "supervisor.Acquire"
	return f
}

// hasPlace reports whether a call could begin now. The caller holds mu.
func (s *Supervisor[I]) hasPlace() bool {
	return s.current != nil && !s.sick && len(s.current.leases) < s.spec.Concurrency && !isClosed(s.current.inst.Dead())
}

// grant hands out a place in the current process. The caller holds mu and has
// asked hasPlace.
func (s *Supervisor[I]) grant(requestID string) *Lease[I] {
	l := &Lease[I]{s: s, p: s.current, requestID: requestID}
	s.current.leases[l] = struct{}{}
	return l
}

// settle lets those that wait go on, or turns them away. The caller holds mu.
func (s *Supervisor[I]) settle() {
	if err := s.refusal(); err != nil {
		for e := s.waiting.Front(); e != nil; e = s.waiting.Front() {
			s.waiting.Remove(e).(*waiter[I]).outcome <- outcome[I]{err: err}
		}
		return
	}
	for s.waiting.Len() > 0 && s.hasPlace() {
		w := s.waiting.Remove(s.waiting.Front()).(*waiter[I])
		w.outcome <- outcome[I]{lease: s.grant(w.requestID)}
	}
}

// giveBack releases a lease whose call was not answered.
func (s *Supervisor[I]) giveBack(l *Lease[I]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(l, false)
}

// release takes a lease back. A lease that was taken back before, and nil, are
// left alone. The caller holds mu.
func (s *Supervisor[I]) release(l *Lease[I], answered bool) {
	if l == nil {
		return
	}
	if _, held := l.p.leases[l]; !held {
		return
	}
	delete(l.p.leases, l)
	switch {
	case answered:
		l.p.answered = true
		s.failures, s.badStarts, s.quarantines = 0, 0, 0
	case l.requestID != "" && isClosed(l.p.inst.Dead()):
		// Cut off by the death of the process, of which the report is still to come.
		l.p.lost = append(l.p.lost, l.requestID)
	}
	if l.p.retired && len(l.p.leases) == 0 {
		close(l.p.idle)
	}
	s.settle()
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
