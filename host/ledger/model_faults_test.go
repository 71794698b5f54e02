package ledger_test

import (
	"math/bits"

	"github.com/patchbay-crm/patchbay/host/ledger"
)

// choices are what callers and adapters may do or leave.
func (m *model) choices(s *modelState) {
	for i, caller := range s.Callers {
		n := *s
		switch {
		case caller.State == idle && caller.Posts > 0:
			n.Callers[i] = modelCaller{looking, caller.Posts - 1}
			m.emit(n, false, "caller %d asks for %s", i+1, setName(m.cfg.wants[i]))
		case caller.State != idle && !m.cfg.patient:
			n.Callers[i].State = idle
			for c := range n.Calls {
				if int(n.Calls[c].Caller) == i+1 {
					n.Calls[c].Caller = 0
				}
			}
			m.emit(n, false, "the deadline of caller %d is over; the call goes on", i+1)
		}
	}
	for i, c := range s.Calls {
		if c.Stage != atHand || c.Deaf {
			continue
		}
		for _, result := range []uint8{refusedForGood, refusedForNow} {
			n := *s
			n.Calls[i].Stage, n.Calls[i].Result = answered, result
			m.emit(n, false, "the adapter answers E%d: %s", c.Entry, resultNames[result])
		}
	}
}

// faults emits what may go wrong.
func (m *model) faults(s0 *modelState) {
	s := *s0
	s.Faults--
	for i, c := range s.Calls {
		if c.Stage < atHand || c.Stage > written || c.Deaf {
			continue
		}
		n := s
		m.giveUp(&n, i, false)
		m.emit(n, false, "the connection to the adapter breaks with E%d in it", c.Entry)
		n = s
		m.giveUp(&n, i, true)
		n.kill(i)
		m.emit(n, false, "the adapter dies with E%d in hand", c.Entry)
		if c.Wire > 0 {
			n = s
			n.Calls[i].Wire = 0
			m.emit(n, false, "the request of E%d is lost on the way, and nobody says so", c.Entry)
			n = s
			m.createRecord(&n, i)
			n.Calls[i].Result, n.Calls[i].LogID = madeNothingSure, 0
			if m.cfg.without.emptyIDIsUnknown {
				n.Calls[i].Result = refusedForGood
			}
			m.emit(n, false, "the CRM acts on E%d, and the adapter answers with an empty log ID", c.Entry)
		}
	}
	m.loseClaim(&s)
	n := s
	m.hostDies(&n)
	m.emit(n, false, "the host dies and starts again")
	if m.cfg.power {
		n = s
		m.losePower(&n)
		m.hostDies(&n)
		m.emit(n, false, "the power fails; the host starts again")
	}
}

// loseWrite is a write of an outcome that failed, or whose commit was not confirmed.
// The host tries again, without its caller.
func (m *model) loseWrite(s0 *modelState, i int) {
	c := s0.Calls[i]
	for _, commits := range []bool{false, true} {
		n := *s0
		n.Faults--
		n.Calls[i].NotAfter = -2 // what is being written is not sent again
		words := "fails"
		if commits {
			m.apply(&n, int(c.Entry)-1, m.outcome(c))
			words = "is not confirmed"
		}
		told := "told that the outcome is open"
		if c.Caller != 0 && m.cfg.without.writeBeforeTelling && c.Result == refusedForGood {
			n.Entries[c.Entry-1].ToldFailed = true
			told = "told that it is surely not logged"
		}
		n.tell(i)
		m.emit(n, false, "the write of %s of E%d %s, its caller is %s", resultNames[c.Result], c.Entry, words, told)
	}
}

// loseClaim is a claim whose commit was not confirmed: the entry exists, and nothing
// is sent.
func (m *model) loseClaim(s *modelState) {
	for i, caller := range s.Callers {
		if caller.State != looking {
			continue
		}
		var free uint8
		for message, holder := range s.Rows {
			if has(m.cfg.wants[i], message) && holder == 0 {
				free |= 1 << message
			}
		}
		if free == 0 {
			continue
		}
		n := *s
		e := m.claim(&n, free)
		n.Callers[i].State = idle
		n.Entries[e].ToldFailed = m.cfg.without.uncertainty
		m.emit(n, false, "the claim of %s as E%d is not confirmed; caller %d goes home", setName(free), e+1, i+1)
	}
}

// hostDies takes the host's memory and its adapters. The next life begins with what
// the ledger says.
func (m *model) hostDies(s *modelState) {
	for i := range s.Callers {
		s.Callers[i].State = idle
	}
	for i := range s.Calls {
		c := &s.Calls[i]
		c.Caller = 0
		switch c.Stage {
		case claimed, answered:
			*c = modelCall{}
		case atHand, checked, written:
			if m.cfg.without.lifeline {
				c.Deaf, c.Forgotten = true, true
				break
			}
			s.kill(i)
		}
	}
	s.Searches = [maxSearches]modelSearch{}
	for i := range s.Entries {
		if s.Entries[i].State == inFlight {
			m.apply(s, i, ledger.Lost{Epoch: modelEpoch, Problem: unclear})
		}
	}
}

// losePower takes back what was committed without an fsync.
func (m *model) losePower(s *modelState) {
	for i := range s.Entries {
		e := &s.Entries[i]
		if e.Lazy {
			e.State, e.LogID, e.Lazy = inFlight, 0, false
		}
		if m.cfg.without.durableClaims && e.State == inFlight {
			e.State = failed
			for message, holder := range s.Rows {
				if int(holder) == i+1 {
					s.Rows[message] = 0
				}
			}
		}
	}
}

// acts are what a person may do by hand. What it says is what the CRM shows at that
// moment.
func (m *model) acts(s0 *modelState) {
	s := *s0
	s.Acts--
	for i, e := range s.Entries {
		if e.State == noEntry {
			continue
		}
		m.retry(&s, i)
		surely, _ := s.visible(i)
		act := func(ev ledger.Event, words string) {
			n := s
			if res := m.apply(&n, i, ev); res.Changed() {
				m.emit(n, false, "a person %s E%d (%s)", words, i+1, say(res))
			}
		}
		if surely == 0 {
			act(ledger.ResolveNotLogged{Dead: s.dead(i)}, "finds no record and resolves")
		} else {
			act(ledger.ResolveLogged{ID: recordNames[bits.TrailingZeros8(surely)]}, "finds a record and resolves")
		}
		if m.cfg.forget && e.State == logged && !e.Forgotten && surely == 1<<(e.LogID-1) && !s.onTheWay(i) {
			n := s
			n.Records[e.LogID-1].Deleted = true
			res := m.apply(&n, i, ledger.Forget{})
			m.emit(n, false, "a person deletes the record of E%d and forgets it (%s)", i+1, say(res))
		}
	}
}

// retry sends a failed entry again by hand.
func (m *model) retry(s *modelState, i int) {
	n := *s
	res := m.apply(&n, i, ledger.Retry{Timing: m.timing()})
	if !res.Changed() {
		return
	}
	n.Entries[i].ToldFailed = false // it was asked for again
	if n.Entries[i].State == inFlight {
		m.call(&n, i, 0)
	}
	m.emit(n, false, "a person retries E%d (%s)", i+1, say(res))
}

// onTheWay reports whether a call of the entry is not over.
func (s *modelState) onTheWay(i int) bool {
	for _, c := range s.Calls {
		if int(c.Entry) == i+1 {
			return true
		}
	}
	return false
}
