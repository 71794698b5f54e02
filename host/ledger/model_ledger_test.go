package ledger_test

import (
	"fmt"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
)

// entry returns the entry as the ledger knows it.
func (m *model) entry(s *modelState, i int) ledger.Entry {
	e := &s.Entries[i]
	out := ledger.Entry{
		Messages: messageSets[e.Messages], State: states[e.State], Epoch: modelEpoch, Attempts: 1,
		Async: m.cfg.async, CanFind: m.cfg.canFind, Crashes: int(e.Crashes),
		WindowEnd: fromNow(e.Window), SettlesAt: fromNow(e.Settles), UnsettledUntil: fromNow(e.Until),
		StrayIDs: recordSets[e.Strays],
	}
	switch e.State {
	case inFlight:
		out.NextAt = out.WindowEnd
	case queued, unknown:
		out.NextAt = modelNow
	}
	if e.LogID != 0 {
		out.LogID = recordNames[e.LogID-1]
	}
	if e.Forgotten {
		out.ForgottenAt = modelNow
	}
	return out
}

// keep stores an entry that the ledger returned.
func (s *modelState) keep(i int, in ledger.Entry) {
	e := &s.Entries[i]
	for n, name := range states {
		if name == in.State {
			e.State = uint8(n)
		}
	}
	e.Crashes = uint8(min(in.Crashes, 2))
	e.LogID = recordOf(in.LogID)
	e.Strays = 0
	for _, id := range in.StrayIDs {
		e.Strays |= 1 << (recordOf(id) - 1)
	}
	e.Window, e.Settles, e.Until = ticksFromNow(in.WindowEnd), ticksFromNow(in.SettlesAt), ticksFromNow(in.UnsettledUntil)
	e.Forgotten = !in.ForgottenAt.IsZero()
}

// rowState is what a store driver would say of the entry's messages.
func (s *modelState) rowState(i int) ledger.RowState {
	state := ledger.RowsFree
	for m, holder := range s.Rows {
		if !has(s.Entries[i].Messages, m) || holder == 0 || int(holder) == i+1 {
			continue
		}
		if s.Entries[holder-1].State == logged {
			return ledger.RowsLogged
		}
		state = ledger.RowsHeld
	}
	return state
}

// apply brings an event to an entry: the real table, in the model's store.
func (m *model) apply(s *modelState, i int, ev ledger.Event) ledger.Result {
	before := m.entry(s, i)
	rows := s.rowState(i)
	if m.cfg.without.event != nil {
		m.cfg.without.event(&before, &ev, &rows)
	}
	res := ledger.Apply(before, ev, modelNow, rows)
	if !res.Changed() {
		return res
	}
	if m.cfg.without.result != nil {
		m.cfg.without.result(m.cfg, ev, &res)
	}
	lazy := m.cfg.power && ledger.Lazy(ev)
	if !lazy {
		s.synced()
	}
	s.Entries[i].Lazy = lazy && res.Entry.State == ledger.Logged && before.State == ledger.InFlight
	s.keep(i, res.Entry)
	for message := range numMessages {
		if !has(s.Entries[i].Messages, message) {
			continue
		}
		switch {
		case res.Rows == ledger.TakeRows:
			s.Rows[message] = uint8(i + 1)
		case res.Rows == ledger.ReleaseRows && int(s.Rows[message]) == i+1:
			s.Rows[message] = 0
		}
	}
	if res.Entry.Epoch != modelEpoch {
		s.outdate(i)
	}
	m.checkAgenda(res.Entry)
	return res
}

// outdate makes everyone stale who holds the entry's epoch.
func (s *modelState) outdate(i int) {
	for c := range s.Calls {
		if int(s.Calls[c].Entry) == i+1 {
			s.Calls[c].Own = false
		}
	}
	for q := range s.Searches {
		if int(s.Searches[q].Entry) == i+1 {
			s.Searches[q].Own = false
		}
	}
}

// synced notes that everything committed so far survives a power loss: the log is
// written in order.
func (s *modelState) synced() {
	for i := range s.Entries {
		s.Entries[i].Lazy = false
	}
}

// checkAgenda demands that an entry which is not settled comes back by itself.
func (m *model) checkAgenda(e ledger.Entry) {
	var ok bool
	switch e.State {
	case ledger.InFlight:
		ok = e.NextAt.Equal(e.WindowEnd)
	case ledger.Queued:
		ok = !e.NextAt.IsZero()
	case ledger.Unknown:
		latest := modelNow.Add(5 * time.Minute)
		if modelNow.Before(e.UnsettledUntil) {
			latest = e.UnsettledUntil
		}
		ok = e.NextAt.IsZero() != e.CanFind && !e.NextAt.After(latest)
	default:
		ok = true
	}
	if !ok {
		m.violated("nobody comes back to the entry: %s, next at %s", e.State, e.NextAt.Sub(modelNow))
	}
}

// claim opens an entry for messages that nobody holds.
func (m *model) claim(s *modelState, messages uint8) int {
	i := slot(s.Entries[:])
	if i < 0 {
		m.violated("the model is too small: entries")
		return 0
	}
	e := ledger.Open(ledger.Entry{Async: m.cfg.async, CanFind: m.cfg.canFind}, messageSets[messages], m.timing(), modelNow)
	s.Entries[i] = modelEntry{Messages: messages}
	s.keep(i, e)
	for message := range numMessages {
		if has(messages, message) {
			s.Rows[message] = uint8(i + 1)
		}
	}
	s.synced()
	m.checkAgenda(e)
	return i
}

func (m *model) timing() ledger.Timing {
	return ledger.Timing{
		Window: time.Duration(m.cfg.window) * time.Second,
		Apply:  time.Duration(m.cfg.applyWithin) * time.Second,
		Lag:    time.Duration(m.cfg.lag) * time.Second,
	}
}

// call hands an entry's new attempt to the host.
func (m *model) call(s *modelState, i int, caller uint8) {
	c := slot(s.Calls[:])
	if c < 0 {
		m.violated("the model is too small: calls")
		return
	}
	s.Calls[c] = modelCall{
		Stage: claimed, Entry: uint8(i + 1), Caller: caller, Own: true,
		NotAfter: int8(m.cfg.window), End: int8(m.cfg.window + m.cfg.applyWithin),
	}
}

// slot returns the first empty slot, -1 when there is none.
func slot[T comparable](slots []T) int {
	var empty T
	for i := range slots {
		if slots[i] == empty {
			return i
		}
	}
	return -1
}

// dead is the host's knowledge whether the entry's newest attempt can still send:
// rule 2.
func (s *modelState) dead(i int) bool {
	for _, c := range s.Calls {
		if int(c.Entry) == i+1 && c.Stage >= claimed && c.Stage <= written && !c.Forgotten {
			return false
		}
	}
	return true
}

// check demands the invariants of a state.
func (m *model) check(s *modelState) {
	for message := range numMessages {
		copies := 0
		for _, r := range s.Records {
			if has(r.Messages, message) && !r.Deleted {
				copies++
			}
		}
		if copies > 1 {
			m.violated("message %s stands in two CRM records", setName(1<<message))
		}
	}
	for i := range s.Entries {
		e := &s.Entries[i]
		if e.State == noEntry {
			continue
		}
		if e.State == failed && s.made(i) {
			m.violated("E%d failed, and the CRM has a record of it", i+1)
		}
		if e.ToldFailed && s.made(i) {
			m.violated("the caller of E%d was told that it is surely not logged, and it is", i+1)
		}
		if e.ToldLogged && !m.cfg.canFind && e.State != logged {
			m.violated("the caller of E%d was told that it is logged, and nobody remembers", i+1)
		}
		m.checkClaims(s, i)
	}
}

// checkClaims demands that exactly the entries that need them hold claims.
func (m *model) checkClaims(s *modelState, i int) {
	if m.cfg.without.claims {
		return
	}
	e := &s.Entries[i]
	for message, holder := range s.Rows {
		holds := int(holder) == i+1
		wants := has(e.Messages, message) && e.State != failed && !e.Forgotten
		if holds != wants {
			m.violated("E%d is %s and holds message %s: %v", i+1, states[e.State], setName(1<<message), holds)
		}
	}
}

// violated notes the first violation of the step under way.
func (m *model) violated(format string, args ...any) {
	if m.broken == "" {
		m.broken = fmt.Sprintf(format, args...)
	}
}
