package server

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/patchbay-crm/patchbay/plugins/internal/standin"
)

// The largest values of switches.
const (
	maxDelay  = time.Minute
	maxFaults = 64
)

// Switches make the CRM slow, late or broken. The zero value is a CRM that does
// its work at once. As JSON, durations are text such as "1.5s".
type Switches struct {
	// SearchLag is how long a search takes to see a new activity. Reading by id
	// sees it at once.
	SearchLag time.Duration `json:"searchLag"`
	// SearchDelay is how long each search takes.
	SearchDelay time.Duration `json:"searchDelay"`
	// ApplyDelay is how long a create waits before it stores.
	ApplyDelay time.Duration `json:"applyDelay"`
	// AnswerDelay is how long a create waits after it stored, before it answers.
	AnswerDelay time.Duration `json:"answerDelay"`
	// DropAbandoned gives a create up when its client has gone before it was
	// stored. By default such creates are finished, as real CRMs do.
	DropAbandoned bool `json:"dropAbandoned"`
	// Faults strike requests. The first that strikes is the only one.
	Faults []Fault `json:"faults"`
}

// Operation is a kind of request that a fault can strike.
type Operation string

// The operations.
const (
	Create Operation = "create" // POST /activities
	Search Operation = "search" // GET /activities
)

// Action is what a fault does.
type Action string

// The actions.
const (
	// Reset ends the connection with a TCP reset.
	Reset Action = "reset"
	// Status answers with an HTTP status.
	Status Action = "status"
	// Garbage stores, then answers 200 with a body that is no JSON.
	Garbage Action = "garbage"
	// Empty stores, then answers 200 with an empty body.
	Empty Action = "empty"
	// Late answers with Status, or resets the connection when Status is 0, and
	// stores only after Delay.
	Late Action = "late"
)

// Moment is when a fault strikes a create.
type Moment string

// The moments.
const (
	Before Moment = "before" // nothing has been stored, and nothing will be
	After  Moment = "after"  // the activity has been stored
)

// Fault is one way to fail. Either Next or Probability says how often it strikes.
type Fault struct {
	// On is what it strikes; default Create.
	On Operation `json:"on,omitzero"`
	// Do is what it does.
	Do Action `json:"do"`
	// When is the moment at which Reset and Status strike a create; default
	// Before. The other actions have a moment of their own.
	When Moment `json:"when,omitzero"`
	// Next makes it strike the next so many requests; then it is spent.
	Next int `json:"next,omitzero"`
	// Probability makes it strike each request with that chance, up to 1.
	Probability float64 `json:"probability,omitzero"`
	// Status is the status, 400 to 599, of Status and Late.
	Status int `json:"status,omitzero"`
	// RetryAfter is sent as the header Retry-After, as it is: seconds or a date.
	RetryAfter string `json:"retryAfter,omitzero"`
	// Delay is how much later Late stores.
	Delay time.Duration `json:"delay,omitzero"`
}

// MarshalJSON writes durations as text.
func (s Switches) MarshalJSON() ([]byte, error) {
	type plain Switches // without this method
	return json.Marshal(plain(s), standin.Durations())
}

// UnmarshalJSON reads durations as text, and refuses unknown members.
func (s *Switches) UnmarshalJSON(raw []byte) error {
	type plain Switches
	return json.Unmarshal(raw, (*plain)(s), standin.Durations())
}

func (s Switches) validate() error {
	var faults []error
	for name, d := range map[string]time.Duration{
		"searchLag": s.SearchLag, "searchDelay": s.SearchDelay, "applyDelay": s.ApplyDelay, "answerDelay": s.AnswerDelay,
	} {
		if d < 0 || d > maxDelay {
			faults = append(faults, fmt.Errorf("%s must be between 0 and %s", name, maxDelay))
		}
	}
	if len(s.Faults) > maxFaults {
		faults = append(faults, fmt.Errorf("faults: more than %d", maxFaults))
	}
	for i, f := range s.Faults {
		if err := f.validate(); err != nil {
			faults = append(faults, fmt.Errorf("faults[%d]: %w", i, err))
		}
	}
	return errors.Join(faults...)
}

func (f Fault) validate() error {
	knownDo := slices.Contains([]Action{Reset, Status, Garbage, Empty, Late}, f.Do)
	withStatus := f.Do == Status || f.Do == Late && f.Status != 0
	checks := []struct {
		bad bool
		why string
	}{
		{f.On != "" && f.On != Create && f.On != Search, `on must be "create" or "search"`},
		{!knownDo, `do must be "reset", "status", "garbage", "empty" or "late"`},
		{f.On == Search && f.Do == Late, "a search cannot be late"},
		{f.When != "" && f.When != Before && f.When != After, `when must be "before" or "after"`},
		{f.When != "" && (f.On == Search || f.Do != Reset && f.Do != Status), "when is for creates that are reset or get a status"},
		{f.Next < 0 || f.Probability < 0 || f.Probability > 1, "next must not be negative, probability must lie between 0 and 1"},
		{(f.Next > 0) == (f.Probability > 0), "either next or probability must be given"},
		{withStatus && (f.Status < 400 || f.Status > 599), "status must lie between 400 and 599"},
		{!withStatus && f.Status != 0, "status is for the actions status and late"},
		{!withStatus && f.RetryAfter != "", "retryAfter is for answers with a status"},
		{len(f.RetryAfter) > 64 || strings.ContainsFunc(f.RetryAfter, notPrintable), "retryAfter must be a short printable text"},
		{f.Do == Late && f.Delay == 0 || f.Do != Late && f.Delay != 0, "delay belongs to the action late, and only to it"},
		{f.Delay < 0 || f.Delay > maxDelay, "delay must be at most " + maxDelay.String()},
	}
	var faults []error
	for _, c := range checks {
		if c.bad {
			faults = append(faults, errors.New(c.why))
		}
	}
	return errors.Join(faults...)
}

func notPrintable(r rune) bool { return r < 0x20 || r > 0x7e }

// after reports whether the fault lets a create store first.
func (f Fault) after() bool { return f.When == After || f.Do == Garbage || f.Do == Empty }

// switchboard holds the switches as they stand. Its methods may be called
// concurrently.
type switchboard struct {
	mu   sync.Mutex // guards what follows
	now  Switches
	dice *rand.Rand
}

func newSwitchboard(s Switches, seed uint64) *switchboard {
	b := &switchboard{dice: rand.New(rand.NewPCG(seed, 0))}
	b.set(s)
	return b
}

func (b *switchboard) set(s Switches) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = s
	b.now.Faults = slices.Clone(s.Faults)
}

func (b *switchboard) get() Switches {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.now
	s.Faults = slices.Clone(s.Faults)
	return s
}

// strike returns the switches for one request, with the fault that strikes it;
// nil when none does.
func (b *switchboard) strike(on Operation) (Switches, *Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.now
	s.Faults = nil // shared; one request has no use for them
	for i := range b.now.Faults {
		f := b.now.Faults[i]
		if on == Search != (f.On == Search) {
			continue
		}
		if f.Next > 0 {
			b.now.Faults[i].Next--
			if f.Next == 1 {
				b.now.Faults = slices.Delete(b.now.Faults, i, i+1)
			}
			return s, &f
		}
		if b.dice.Float64() < f.Probability {
			return s, &f
		}
	}
	return s, nil
}

// answer ends a request as the fault says.
func (f *Fault) answer(w http.ResponseWriter) {
	switch {
	case f.Status != 0:
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		refuse(w, f.Status, "switched", "a switch of this CRM says so")
	case f.Do == Garbage:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("<html>OK")) // a lost answer is what this fault is for
	case f.Do == Empty:
		w.WriteHeader(http.StatusOK)
	default:
		reset(w)
	}
}
