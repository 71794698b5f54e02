package supervisor

import (
	"context"
	"fmt"
	"time"
)

// Restart replaces the process: a new one is started first, and the old one
// drains once it is ready; when the start fails, the old one goes on. A process
// in backoff or quarantine is started at once. Restart joins a start that is
// under way. It returns when the start has succeeded, failed (*StartError), or
// ctx is done, in which case the start goes on.
func (s *Supervisor[I]) Restart(ctx context.Context) error {
	return s.ask(ctx, func(run context.Context, answer chan error) {
		s.mu.Lock()
		closing := s.closing
		s.mu.Unlock()
		if closing != nil {
			answer <- closing
			return
		}
		s.joined = append(s.joined, answer)
		s.start(run)
	})
}

// Unquarantine starts a process in quarantine at once and forgets its failures.
// In any other state it does nothing. It does not wait for the start.
func (s *Supervisor[I]) Unquarantine(ctx context.Context) error {
	return s.ask(ctx, func(run context.Context, answer chan error) {
		s.mu.Lock()
		quarantined := s.state == Quarantined
		if quarantined {
			s.failures, s.badStarts, s.quarantines = 0, 0, 0
		}
		s.mu.Unlock()
		if quarantined {
			s.start(run)
		}
		answer <- nil
	})
}

// ask has the actor do act and returns the answer, or why there is none.
func (s *Supervisor[I]) ask(ctx context.Context, act func(run context.Context, answer chan error)) error {
	answer := make(chan error, 1) // buffered: the actor never waits
	select {
	case s.mailbox <- func(run context.Context) { act(run, answer) }:
	case <-ctx.Done():
		return fmt.Errorf("ask the supervisor: %w", ctx.Err())
	case <-s.ended:
		return s.refusedForGood()
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("await the supervisor: %w", ctx.Err())
	}
}

func (s *Supervisor[I]) refusedForGood() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// Respec sets how the next process is started and how many calls it takes. The
// running process goes on.
func (s *Supervisor[I]) Respec(spec Spec[I]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spec = spec.withDefaults()
	s.settle()
}

// Status returns what is known of the process now.
func (s *Supervisor[I]) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := Status{
		Key: s.key, State: s.state, Since: s.since, Restarts: max(s.starts-1, 0),
		Cause: s.why.cause, Detail: s.why.detail, NextStart: s.why.next,
		Waiting: s.waiting.Len(), Old: s.old, Health: s.health,
	}
	if s.state == Ready {
		st.Cause, st.Detail, st.NextStart = "", "", time.Time{}
	}
	if p := s.current; p != nil {
		st.Pid, st.Started, st.InFlight, st.Serving = p.inst.Pid(), p.started, len(p.leases), !s.sick
		if s.sick {
			st.Cause, st.Detail = NotServing, s.health
		}
	}
	st.Remedy = st.Cause.Remedy()
	return st
}
