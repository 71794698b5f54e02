package ledger_test

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/patchbay-crm/patchbay/host/ledger"
)

// modelConfig is one world: its times, its callers, and what may go wrong in it.
type modelConfig struct {
	window, applyWithin, lag int // W, D and L in ticks
	wants                    [numCallers]uint8
	posts                    [numCallers]uint8
	faults, acts             uint8
	canFind, async           bool
	// power is whether the power may fail, forget whether a person may delete a
	// record, paused whether an adapter may stand still between its last look at
	// the window and sending.
	power, forget, paused bool
	// patient is whether callers wait for ever.
	patient bool
	without ablation
}

// ablation is a rule taken out.
type ablation struct {
	// event and result change what the table is asked, and what it answers.
	event  func(*ledger.Entry, *ledger.Event, *ledger.RowState)
	result func(modelConfig, ledger.Event, *ledger.Result)

	notAfter           bool // the adapter does not look at the window
	writeBeforeTelling bool // a failure is told before it is written
	uncertainty        bool // an uncertain claim is told as surely not sent
	emptyIDIsUnknown   bool // an empty log ID is a failure
	claims             bool // claims may be anyone's
	lifeline           bool // adapters outlive their host
	durableLogID       bool // log IDs are lazy even when nobody can search
	durableClaims      bool // claims are lazy
}

// model explores a world, breadth first, so that the first violation found is one of
// the shortest.
type model struct {
	cfg modelConfig
	out []modelStep
	// talk is whether steps are described.
	talk bool
	// broken is what the step under way violates.
	broken string
}

type modelStep struct {
	next   modelState
	fair   bool
	words  string
	broken string
}

// emit adds a step that may happen next.
func (m *model) emit(next modelState, fair bool, format string, args ...any) {
	m.check(&next)
	next.canon()
	step := modelStep{next: next, fair: fair, broken: m.broken}
	m.broken = ""
	if m.talk {
		step.words = fmt.Sprintf(format, args...)
	}
	m.out = append(m.out, step)
}

// expand returns the steps that may follow s. The slice is used again.
func (m *model) expand(s *modelState) []modelStep {
	m.out = m.out[:0]
	m.steps(s)
	return m.out
}

func (m *model) start() modelState {
	s := modelState{Faults: m.cfg.faults, Acts: m.cfg.acts}
	for i := range s.Callers {
		s.Callers[i].Posts = m.cfg.posts[i]
	}
	return s
}

// verdict is what an exploration showed.
type verdict struct {
	states, depth int
	// violation is empty when every state holds; trace leads to it.
	violation string
	trace     []string
}

// exploration is the graph of the states seen so far.
type exploration struct {
	*model
	seed  maphash.Seed
	index map[uint64]uint32
	// came is by which step of which state each state was first reached, and goes
	// is where a fair world goes from it.
	came []arrival
	goes []uint32
	next []modelState
	// limit is the most states a world may have.
	limit int
}

type arrival struct {
	from uint32
	step uint16
}

// explore visits every state of the world.
func explore(cfg modelConfig, limit int) verdict {
	x := &exploration{model: &model{cfg: cfg}, seed: maphash.MakeSeed(), index: map[uint64]uint32{}, limit: limit}
	first := x.start()
	x.visit(first, arrival{})
	depth, index := 0, uint32(0)
	for ; len(x.next) > 0; depth++ {
		layer := x.next
		x.next = nil
		for i := range layer {
			if what, at := x.follow(&layer[i], index); what != "" {
				return verdict{len(x.came), depth, what, x.trace(at)}
			}
			index++
		}
		if len(x.came) > limit {
			return verdict{len(x.came), depth, fmt.Sprintf("more than %d states", limit), nil}
		}
	}
	if at, ok := x.circle(); ok {
		return verdict{len(x.came), depth, "a fair world goes round in circles", x.trace(arrival{at, noStep})}
	}
	return verdict{states: len(x.came), depth: depth}
}

// noStep is the step of an arrival that stands for its state alone.
const noStep = ^uint16(0)

// visit returns the number of a state, a new one when it was not seen before.
func (x *exploration) visit(s modelState, by arrival) uint32 {
	sum := maphash.Comparable(x.seed, s)
	if n, ok := x.index[sum]; ok {
		return n
	}
	n := uint32(len(x.came))
	x.index[sum] = n
	x.came = append(x.came, by)
	x.goes = append(x.goes, n)
	x.next = append(x.next, s)
	return n
}

// follow takes every step from a state. A world that cannot go on by itself must be
// at rest.
func (x *exploration) follow(s *modelState, index uint32) (violation string, at arrival) {
	moved := false
	for i, step := range x.expand(s) {
		at := arrival{index, uint16(i)}
		if step.broken != "" {
			return step.broken, at
		}
		n := x.visit(step.next, at)
		if step.fair && !moved && n != index {
			moved = true
			x.goes[index] = n
		}
	}
	if !moved {
		if why := x.unrest(s); why != "" {
			return why, arrival{index, noStep}
		}
	}
	return "", arrival{}
}

// unrest says why a world that stands still is not at rest.
func (m *model) unrest(s *modelState) string {
	for i, c := range s.Callers {
		if c.State != idle {
			return fmt.Sprintf("caller %d waits for ever", i+1)
		}
	}
	for i, e := range s.Entries {
		if e.State == inFlight || e.State == queued || (e.State == unknown && m.cfg.canFind) {
			return fmt.Sprintf("E%d stays %s for ever", i+1, states[e.State])
		}
	}
	return ""
}

// circle returns a state from which a fair world never comes to rest.
func (x *exploration) circle() (at uint32, found bool) {
	const open, rests = 1, 2
	mark := make([]uint8, len(x.goes))
	var path []uint32
	for i := range x.goes {
		path = path[:0]
		n := uint32(i)
		for mark[n] == 0 && x.goes[n] != n {
			mark[n] = open
			path = append(path, n)
			n = x.goes[n]
		}
		if mark[n] == open {
			return n, true
		}
		mark[n] = rests
		for _, p := range path {
			mark[p] = rests
		}
	}
	return 0, false
}

// trace tells the way from the start to an arrival.
func (x *exploration) trace(at arrival) []string {
	var way []uint16
	if at.step != noStep {
		way = append(way, at.step)
	}
	for n := at.from; n != 0; n = x.came[n].from {
		way = append(way, x.came[n].step)
	}
	teller := &model{cfg: x.cfg, talk: true}
	s := teller.start()
	var lines []string
	for _, w := range slices.Backward(way) {
		step := teller.expand(&s)[w]
		lines = append(lines, fmt.Sprintf("%2d  %s", len(lines)+1, step.words))
		s = step.next
	}
	return append(lines, "    "+s.String())
}

// String describes a state for the end of a trace.
func (s modelState) String() string {
	var out []string
	for i, e := range s.Entries {
		if e.State != noEntry {
			out = append(out, fmt.Sprintf("E%d(%s) %s", i+1, setName(e.Messages), states[e.State]))
		}
	}
	for i, r := range s.Records {
		if r.Messages != 0 {
			out = append(out, fmt.Sprintf("%s(%s) of E%d", recordNames[i], setName(r.Messages), r.Entry))
		}
	}
	return strings.Join(out, ", ")
}
