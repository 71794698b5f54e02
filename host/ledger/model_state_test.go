package ledger_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
)

// The size of the world. A world that needs more says so: nothing is cut off
// silently.
const (
	maxEntries  = 4
	maxCalls    = 6
	maxRecords  = 4
	maxSearches = 2
	numMessages = 2
	numCallers  = 2
	maxAge      = 2 // ticks a search may take
)

// modelState is all there is at one moment, in bytes: the ledger, the calls, the CRM
// and the callers. Times are ticks from now, a tick is a second, and what lies so far
// back that it makes no difference is cut off, so that equal futures are equal
// states.
type modelState struct {
	Entries  [maxEntries]modelEntry
	Calls    [maxCalls]modelCall
	Records  [maxRecords]modelRecord
	Searches [maxSearches]modelSearch
	Callers  [numCallers]modelCaller
	// Rows are the claims: by message, the entry that holds it plus one.
	Rows [numMessages]uint8
	// Faults and Acts are what is left of the budgets.
	Faults, Acts uint8
}

// modelEntry is a ledger.Entry cut down to what the table reads. Its epoch is not
// kept: those who hold an epoch remember whether it is the present one.
type modelEntry struct {
	State    uint8 // an index of states; 0 is no entry
	Messages uint8 // a set
	Crashes  uint8
	LogID    uint8 // a record plus one
	Strays   uint8 // a set of records
	// Window, Settles and Until are WindowEnd, SettlesAt and UnsettledUntil.
	Window, Settles, Until int8
	Forgotten              bool
	// Lazy is whether "logged" was committed without an fsync.
	Lazy bool
	// ToldFailed and ToldLogged are what its caller was told last.
	ToldFailed, ToldLogged bool
}

// never is the zero time.
const never = int8(-128)

var states = []ledger.State{"", ledger.InFlight, ledger.Queued, ledger.Unknown, ledger.Logged, ledger.Failed}

const (
	noEntry uint8 = iota
	inFlight
	queued
	unknown
	logged
	failed
)

// The stages of a call.
const (
	noCall   uint8 = iota
	claimed        // the host has it
	atHand         // the adapter has it
	checked        // the adapter looked at NotAfter last
	written        // the request left for the CRM
	answered       // the adapter's answer is in the host's memory
	orphan         // the process is dead, the CRM may still apply the request
)

// The results of a call.
const (
	noResult uint8 = iota
	madeRecord
	refusedForGood
	refusedForNow
	madeNothingSure // class unknown
)

// modelCall is one attempt, from the host to the CRM.
type modelCall struct {
	Stage  uint8
	Entry  uint8 // plus one
	Caller uint8 // who waits, plus one
	Result uint8
	LogID  uint8 // a record plus one
	// Wire is 0 when nothing is under way to the CRM, else one more than the
	// ticks within which it may be applied.
	Wire uint8
	// NotAfter is W by the host's clock, End is W + D.
	NotAfter, End int8
	// Own is whether its epoch is the entry's present one.
	Own bool
	// Deaf is whether the host stopped listening and condemned the process.
	Deaf bool
	// Forgotten is whether no host knows of the process any more.
	Forgotten bool
}

// modelRecord is a record in the CRM.
type modelRecord struct {
	Messages uint8 // none: no record
	Entry    uint8 // the one whose attempt made it, plus one
	Lag      uint8 // ticks until searches surely see it
	Deleted  bool
}

// modelSearch is a search under way, with what it will show.
type modelSearch struct {
	Entry uint8 // plus one
	Found uint8 // a set of records
	Age   uint8
	Own   bool
	Dead  bool
}

// The states of a caller.
const (
	idle uint8 = iota
	looking
	waitingForOwn
)

type modelCaller struct{ State, Posts uint8 }

// has reports whether the set has the element.
func has(set uint8, i int) bool { return set>>i&1 == 1 }

// tick lets a second pass. It reports false when something has to happen first.
func (s *modelState) tick() bool {
	for i := range s.Calls {
		if s.Calls[i].Wire == 1 { // D is over
			return false
		}
	}
	for i := range s.Searches {
		if s.Searches[i].Entry != 0 && s.Searches[i].Age == maxAge {
			return false
		}
	}
	for i := range s.Entries {
		e := &s.Entries[i]
		for _, t := range []*int8{&e.Window, &e.Settles, &e.Until} {
			if e.State != noEntry && *t > -maxAge-1 {
				*t--
			}
		}
	}
	for i := range s.Calls {
		c := &s.Calls[i]
		if c.Stage == noCall {
			continue
		}
		c.NotAfter, c.End = max(c.NotAfter-1, -2), max(c.End-1, 0)
		if c.Wire > 1 {
			c.Wire--
		}
	}
	for i := range s.Records {
		if s.Records[i].Lag > 0 {
			s.Records[i].Lag--
		}
	}
	for i := range s.Searches {
		if s.Searches[i].Entry != 0 {
			s.Searches[i].Age++
		}
	}
	return true
}

// canon makes states equal that differ only in what no longer matters.
func (s *modelState) canon() {
	for i := range s.Entries {
		s.canonEntry(i)
	}
	for i := range s.Calls {
		s.Calls[i].canon()
		for j := range i {
			if s.Calls[i] == s.Calls[j] && s.Calls[i].echo() {
				s.Calls[i] = modelCall{} // written twice, it says nothing new
			}
		}
	}
	sortSlots(s.Calls[:], func(c modelCall) uint64 {
		return uint64(c.Stage)<<56 | uint64(c.Entry)<<48 | uint64(c.Caller)<<40 | uint64(c.Result)<<36 |
			uint64(c.LogID)<<32 | uint64(c.Wire)<<28 | uint64(uint8(c.NotAfter))<<20 | uint64(uint8(c.End))<<12 |
			flag(c.Own)<<2 | flag(c.Deaf)<<1 | flag(c.Forgotten)
	})
	sortSlots(s.Searches[:], func(q modelSearch) uint64 {
		return uint64(q.Entry)<<32 | uint64(q.Found)<<16 | uint64(q.Age)<<8 | flag(q.Own)<<1 | flag(q.Dead)
	})
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// sortSlots puts the highest key first, and so empty slots last.
func sortSlots[T any](slots []T, key func(T) uint64) {
	for i := 1; i < len(slots); i++ {
		for j := i; j > 0 && key(slots[j]) > key(slots[j-1]); j-- {
			slots[j], slots[j-1] = slots[j-1], slots[j]
		}
	}
}

func (s *modelState) canonEntry(i int) {
	e := &s.Entries[i]
	// A search that began before now sees an older moment.
	asked, called := false, false
	for _, q := range s.Searches {
		asked = asked || int(q.Entry) == i+1
	}
	for _, c := range s.Calls {
		called = called || int(c.Entry) == i+1
	}
	if e.Until != never && !asked {
		e.Until = max(e.Until, 0)
	}
	e.Window, e.Settles = max(e.Window, 0), max(e.Settles, 0)
	if e.State != inFlight && !e.Lazy {
		e.Window, e.Settles = 0, 0
	}
	if e.State == logged && !e.Lazy {
		e.Until = never
	}
	if e.State == failed && !asked && !called && s.Acts == 0 && !s.made(i) {
		*e = modelEntry{} // nothing can happen to it any more
	}
}

// made reports whether an attempt of the entry made a record.
func (s *modelState) made(i int) bool {
	for _, r := range s.Records {
		if int(r.Entry) == i+1 && !r.Deleted {
			return true
		}
	}
	return false
}

func (c *modelCall) canon() {
	again := c.Stage == answered && c.Result == refusedForNow && c.NotAfter > 0 // may be sent again
	if c.Stage >= written && !again {
		c.NotAfter = 0
	}
	if c.Stage >= answered && !again || c.Deaf {
		c.End = 0
	}
	if c.Stage == orphan {
		c.Own, c.Deaf, c.Forgotten = false, false, false
	}
}

// echo reports whether the call is a stale refusal that nobody waits for.
func (c *modelCall) echo() bool {
	return c.Stage == answered && !c.Own && c.Caller == 0 && (c.Result == refusedForGood || c.Result == refusedForNow)
}

// modelNow is now: all times are relative to it.
var modelNow = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// modelEpoch is the present epoch of every entry, and one less a stale one.
const modelEpoch = int64(10)

func epoch(own bool) int64 {
	if own {
		return modelEpoch
	}
	return modelEpoch - 1
}

func ticksFromNow(t time.Time) int8 {
	if t.IsZero() {
		return never
	}
	d := t.Sub(modelNow)
	if d%time.Second != 0 || d > 100*time.Second {
		panic(fmt.Sprintf("%s is no small number of ticks", d))
	}
	return int8(max(d/time.Second, -maxAge-1))
}

func fromNow(ticks int8) time.Time {
	if ticks == never {
		return time.Time{}
	}
	return modelNow.Add(time.Duration(ticks) * time.Second)
}

// Names of records and messages, made once.
var (
	recordNames = [maxRecords]string{"R1", "R2", "R3", "R4"}
	recordSets  = makeSets(recordNames[:])
	messageSets = makeSets([]string{"A", "B"})
)

func makeSets(names []string) [][]string {
	sets := make([][]string, 1<<len(names))
	for set := range sets {
		for i, name := range names {
			if has(uint8(set), i) {
				sets[set] = append(sets[set], name)
			}
		}
	}
	return sets
}

func setName(set uint8) string { return strings.Join(messageSets[set], "") }

func recordOf(id string) uint8 {
	for i, name := range recordNames {
		if name == id {
			return uint8(i + 1)
		}
	}
	return 0
}
