package ledger_test

import (
	"math/bits"

	"github.com/patchbay-crm/patchbay/host/ledger"
)

// steps emits everything that can happen next. What comes before time passes is what
// a fair world does by itself; the rest are choices and faults.
func (m *model) steps(s *modelState) {
	for i := range s.Calls {
		if s.Calls[i].Stage != noCall {
			m.stepCall(s, i)
		}
	}
	for i := range s.Searches {
		if s.Searches[i].Entry != 0 {
			m.endSearch(s, i)
		}
	}
	for i := range s.Callers {
		m.stepCaller(s, i)
	}
	for i := range s.Entries {
		if s.Entries[i].State != noEntry {
			m.stepEntry(s, i)
		}
	}
	later := *s
	if later.tick() {
		m.emit(later, true, "a second passes")
	}
	m.choices(s)
	if s.Faults > 0 {
		m.faults(s)
	}
	if s.Acts > 0 {
		m.acts(s)
	}
}

// stepCaller lets a caller who waits look at its messages: send what is free, and go
// home when the rest is decided.
func (m *model) stepCaller(s *modelState, i int) {
	if s.Callers[i].State != looking {
		return
	}
	want := m.cfg.wants[i]
	var free uint8
	waits, doubts := false, false
	for message, holder := range s.Rows {
		switch {
		case !has(want, message):
		case holder == 0:
			free |= 1 << message
		case s.Entries[holder-1].State == inFlight:
			waits = true
		case s.Entries[holder-1].State != logged:
			doubts = true // unknown: 409; queued: 202
		}
	}
	n := *s
	switch {
	case free != 0:
		e := m.claim(&n, free)
		m.call(&n, e, uint8(i+1))
		n.Callers[i].State = waitingForOwn
		m.emit(n, true, "caller %d claims %s as E%d", i+1, setName(free), e+1)
	case waits:
		// Until the one who holds them knows, or this caller's deadline.
	case doubts:
		n.Callers[i].State = idle
		m.emit(n, true, "caller %d is told that the outcome is open", i+1)
	default:
		m.tellLogged(&n, i)
		m.emit(n, true, "caller %d is told that %s is logged", i+1, setName(want))
	}
}

// tellLogged answers 200, and demands that it is true.
func (m *model) tellLogged(s *modelState, i int) {
	s.Callers[i].State = idle
	for message, holder := range s.Rows {
		if !has(m.cfg.wants[i], message) {
			continue
		}
		e := &s.Entries[holder-1]
		if e.LogID == 0 || !has(s.Records[e.LogID-1].Messages, message) || s.Records[e.LogID-1].Deleted {
			m.violated("caller %d was told a log ID of message %s that the CRM does not have", i+1, setName(1<<message))
		}
		e.ToldLogged = true
	}
}

// stepCall moves one call on.
func (m *model) stepCall(s *modelState, i int) {
	c := s.Calls[i]
	if c.Wire > 0 {
		m.stepCRM(s, i)
	}
	n := *s
	next := &n.Calls[i]
	switch c.Stage {
	case claimed:
		next.Stage = atHand
		m.emit(n, true, "the adapter gets E%d", c.Entry)
	case atHand:
		if c.NotAfter < 0 && !m.cfg.without.notAfter {
			if next.Stage, next.Result = answered, refusedForNow; c.Deaf {
				*next = modelCall{} // and nobody hears it
			}
			m.emit(n, true, "the adapter finds the window of E%d closed", c.Entry)
			break
		}
		next.Stage = checked
		m.emit(n, true, "the adapter finds the window of E%d open", c.Entry)
	case checked:
		// The pause between looking and sending is at most the second that the
		// store adds to W, unless the world is made for longer ones.
		if c.NotAfter >= -1 || m.cfg.paused || m.cfg.without.notAfter {
			m.write(s, i)
		}
	case answered:
		m.record(s, i)
	}
	if c.Stage < atHand || c.Stage > written {
		return
	}
	n = *s
	switch {
	case c.Deaf:
		n.kill(i)
		m.emit(n, true, "the condemned process of E%d is reaped", c.Entry)
	case c.End <= 0:
		m.giveUp(&n, i, false)
		m.emit(n, true, "the host stops listening for E%d and condemns the process", c.Entry)
	}
}

// kill ends the process of a call. What it sent may still be applied.
func (s *modelState) kill(i int) {
	c := &s.Calls[i]
	if c.Wire == 0 {
		*c = modelCall{}
		return
	}
	*c = modelCall{Stage: orphan, Entry: c.Entry, Wire: c.Wire}
}

// giveUp records that the outcome of a call is not known.
func (m *model) giveUp(s *modelState, i int, crash bool) {
	c := &s.Calls[i]
	c.Deaf = true
	m.apply(s, int(c.Entry)-1, ledger.Lost{Epoch: epoch(c.Own), Problem: unclear, Crash: crash})
	s.tell(i)
}

// tell sends the caller of a call home without a definite answer.
func (s *modelState) tell(i int) {
	if caller := s.Calls[i].Caller; caller != 0 {
		s.Callers[caller-1].State = idle
		s.Calls[i].Caller = 0
	}
}

// write sends the request to the CRM. A CRM without D acts there and then.
func (m *model) write(s *modelState, i int) {
	n := *s
	n.Calls[i].Stage, n.Calls[i].Wire = written, uint8(m.cfg.applyWithin+1)
	if m.cfg.applyWithin == 0 {
		m.createRecord(&n, i)
		m.emit(n, true, "the adapter sends E%d, and the CRM acts", n.Calls[i].Entry)
		return
	}
	m.emit(n, true, "the adapter sends E%d to the CRM", n.Calls[i].Entry)
}

// stepCRM applies a request that is on its way.
func (m *model) stepCRM(s *modelState, i int) {
	n := *s
	m.createRecord(&n, i)
	m.emit(n, true, "the CRM acts on E%d", s.Calls[i].Entry)
	if s.Calls[i].Stage == orphan {
		n = *s
		n.Calls[i] = modelCall{}
		m.emit(n, false, "the request of E%d died with its connection", s.Calls[i].Entry)
	}
}

// createRecord makes the record of a call and answers whoever still listens.
func (m *model) createRecord(s *modelState, i int) {
	c := &s.Calls[i]
	r := slot(s.Records[:])
	if r < 0 {
		m.violated("the model is too small: records")
		return
	}
	s.Records[r] = modelRecord{Messages: s.Entries[c.Entry-1].Messages, Entry: c.Entry, Lag: uint8(m.cfg.lag)}
	c.Wire = 0
	switch {
	case c.Stage == orphan:
		*c = modelCall{}
	case !c.Deaf:
		c.Stage, c.Result, c.LogID = answered, madeRecord, uint8(r+1)
	}
}

// outcome is what the answer of a call means to the ledger.
func (m *model) outcome(c modelCall) ledger.Event {
	switch c.Result {
	case madeRecord:
		return ledger.LogID{
			Epoch: epoch(c.Own), ID: recordNames[c.LogID-1],
			Durable: !m.cfg.canFind && !m.cfg.without.durableLogID,
		}
	case refusedForGood:
		return ledger.Failure{Epoch: epoch(c.Own), Problem: rejected}
	case refusedForNow:
		return ledger.Failure{Epoch: epoch(c.Own), Problem: unavailable}
	default:
		return ledger.Lost{Epoch: epoch(c.Own), Problem: unclear}
	}
}

var resultNames = []string{"", "a log ID", "a refusal for good", "a refusal for now", "no usable answer"}

// record writes the answer of a call into the ledger, and then tells the caller.
func (m *model) record(s *modelState, i int) {
	c := s.Calls[i]
	entry := int(c.Entry) - 1
	n := *s
	res := m.apply(&n, entry, m.outcome(c))
	told := "told that the outcome is open"
	switch state := n.Entries[entry].State; {
	case c.Caller == 0:
		told = "gone"
	case state == logged:
		n.Callers[c.Caller-1].State = looking // at the rest of its messages
		n.Calls[i].Caller = 0
		told = "satisfied"
	case state == failed && res.Outcome == ledger.Applied:
		n.Entries[entry].ToldFailed = true
		told = "told that it is surely not logged"
	}
	n.tell(i)
	n.Calls[i] = modelCall{}
	m.emit(n, true, "%s of E%d is written (%s), its caller is %s", resultNames[c.Result], c.Entry, say(res), told)
	if c.Result == refusedForNow && c.NotAfter > 0 {
		n = *s
		n.Calls[i].Stage, n.Calls[i].Result = claimed, noResult
		m.emit(n, false, "the host sends E%d again in the same window", c.Entry)
	}
	if s.Faults > 0 {
		m.loseWrite(s, i)
	}
}

// stepEntry does what the host's agenda asks for.
func (m *model) stepEntry(s *modelState, i int) {
	n := *s
	switch e := s.Entries[i]; e.State {
	case inFlight:
		if e.Window <= 0 {
			m.apply(&n, i, ledger.Expire{Epoch: modelEpoch})
			m.emit(n, true, "the window of E%d is over", i+1)
		}
	case queued:
		m.apply(&n, i, ledger.Take{Epoch: modelEpoch, Timing: m.timing()})
		m.call(&n, i, 0)
		m.emit(n, true, "E%d is taken from the queue", i+1)
	case unknown:
		if m.cfg.canFind {
			m.beginSearch(s, i)
		}
	}
}

// beginSearch asks the CRM: it shows what surely is to be seen, and may show more.
func (m *model) beginSearch(s *modelState, i int) {
	for _, q := range s.Searches {
		if int(q.Entry) == i+1 {
			return // one at a time
		}
	}
	q := slot(s.Searches[:])
	if q < 0 {
		return
	}
	surely, perhaps := s.visible(i)
	ask := func(found uint8, fair bool) {
		n := *s
		n.Searches[q] = modelSearch{Entry: uint8(i + 1), Found: found, Own: true, Dead: s.dead(i)}
		m.emit(n, fair, "a search for E%d begins; it will show %d records", i+1, bits.OnesCount8(found))
	}
	ask(surely, surely != 0 || (s.dead(i) && s.Entries[i].Until <= 0))
	if perhaps != 0 {
		ask(surely|perhaps, false)
	}
}

// visible are the records of the entry's messages that a search sees, and those that
// it may see already. The key of a record is its set of messages: rule 12.
func (s *modelState) visible(i int) (surely, perhaps uint8) {
	for r, record := range s.Records {
		switch {
		case record.Messages != s.Entries[i].Messages || record.Deleted:
		case record.Lag == 0:
			surely |= 1 << r
		default:
			perhaps |= 1 << r
		}
	}
	return surely, perhaps
}

// endSearch writes what a search showed.
func (m *model) endSearch(s *modelState, i int) {
	q := s.Searches[i]
	n := *s
	n.Searches[i] = modelSearch{}
	var ev ledger.Event = ledger.NotFound{Epoch: epoch(q.Own), Age: fromNow(int8(q.Age)).Sub(modelNow), Dead: q.Dead}
	if q.Found != 0 {
		ev = ledger.Found{Epoch: epoch(q.Own), LogIDs: recordSets[q.Found], Complete: true}
	}
	res := m.apply(&n, int(q.Entry)-1, ev)
	m.emit(n, true, "the search for E%d ends: %T (%s)", q.Entry, ev, say(res))
	if q.Found == 0 {
		n = *s
		n.Searches[i] = modelSearch{}
		res = m.apply(&n, int(q.Entry)-1, ledger.CannotTell{Epoch: epoch(q.Own)})
		m.emit(n, false, "the search for E%d breaks off (%s)", q.Entry, say(res))
	}
}
