package pipedrivetest

import (
	"errors"
	"fmt"
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

// Switches make the fake slow, late or broken. The zero value works at once. As
// JSON, durations are text such as "1.5s".
type Switches struct {
	// ListLag is how long lists take to see a new activity. Reading by id sees it
	// at once.
	ListLag time.Duration `json:"listLag"`
	// Slow is how long every request to the API waits before its work.
	Slow time.Duration `json:"slow"`
	// Faults strike requests that are in order. The first that strikes is the only
	// one.
	Faults []Fault `json:"faults"`
}

// Route is a group of routes that a fault can strike.
type Route string

// The routes.
const (
	RouteActivities Route = "activities"    // POST, GET /api/v2/activities
	RouteActivity   Route = "activity"      // GET, PATCH, DELETE /api/v2/activities/{id}
	RoutePerson     Route = "person"        // GET /api/v2/persons/{id}
	RouteMe         Route = "me"            // GET /v1/users/me
	RouteTypes      Route = "activityTypes" // GET /v1/activityTypes
)

// Action is what a fault does.
type Action string

// The actions.
const (
	// Status answers with an HTTP status.
	Status Action = "status"
	// Garbage answers 200 with a useless body: see Junk.
	Garbage Action = "garbage"
	// Reset ends the connection with a TCP reset.
	Reset Action = "reset"
	// Hold answers nothing, and keeps the connection open until the client goes.
	Hold Action = "hold"
	// Late breaks a write's connection off, or answers it with Status when that is
	// given, and does the work only after Delay, whether or not the client is there.
	// With Held, the connection stays open without an answer instead.
	Late Action = "late"
	// Slow waits for Delay, then goes on as if nothing was.
	Slow Action = "slow"
)

// Moment is when a fault strikes.
type Moment string

// The moments.
const (
	Before Moment = "before" // the work has not been done, and will not be, except by Slow
	After  Moment = "after"  // the work has been done
)

// Junk is a useless body.
type Junk string

// The kinds of junk.
const (
	HTML       Junk = "html"       // a web page, as a proxy gives one
	Truncated  Junk = "truncated"  // the first half of the right answer
	Empty      Junk = "empty"      // no byte
	NoData     Junk = "noData"     // the right answer without its data
	NotSuccess Junk = "notSuccess" // success is false, with an error
	NoID       Junk = "noId"       // the data lack their id
	TextID     Junk = "textId"     // the id is a string
)

// Fault is one way to fail.
type Fault struct {
	// Route and Method are what it strikes; empty is any.
	Route  Route  `json:"route,omitzero"`
	Method string `json:"method,omitzero"`
	// Skip lets so many requests pass that it would have struck.
	Skip int `json:"skip,omitzero"`
	// Next is how many requests it strikes, then it is spent; default 1.
	Next int `json:"next,omitzero"`
	// Do is what it does: required.
	Do Action `json:"do"`
	// When is the moment of Status, Garbage, Reset, Hold and Slow; default After
	// for Garbage and Before for the others.
	When Moment `json:"when,omitzero"`
	// Status is the status, 400 to 599, of Status and Late.
	Status int `json:"status,omitzero"`
	// Junk is the body of Garbage; and with HTML, that of Status.
	Junk Junk `json:"junk,omitzero"`
	// Message replaces the error text of an answer with a status.
	Message string `json:"message,omitzero"`
	// RetryAfter is sent as the header Retry-After, as it is: seconds or a date.
	RetryAfter string `json:"retryAfter,omitzero"`
	// RateLimitReset is sent as x-ratelimit-reset, in seconds, with
	// x-ratelimit-remaining 0.
	RateLimitReset int `json:"rateLimitReset,omitzero"`
	// Delay is how long Late and Slow wait.
	Delay time.Duration `json:"delay,omitzero"`
	// Held makes Late keep the connection open.
	Held bool `json:"held,omitzero"`
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
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"listLag", s.ListLag}, {"slow", s.Slow}} {
		if d.value < 0 || d.value > maxDelay {
			faults = append(faults, fmt.Errorf("%s must be between 0 and %s", d.name, maxDelay))
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
	withStatus := f.Do == Status || f.Do == Late && f.Status != 0
	delays := f.Do == Late || f.Do == Slow
	checks := []struct {
		bad bool
		why string
	}{
		{!slices.Contains([]Route{"", RouteActivities, RouteActivity, RoutePerson, RouteMe, RouteTypes}, f.Route), "route is unknown"},
		{!slices.Contains([]string{"", http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete}, f.Method), "method is unknown"},
		{!slices.Contains([]Action{Status, Garbage, Reset, Hold, Late, Slow}, f.Do), "do is unknown"},
		{!slices.Contains([]Moment{"", Before, After}, f.When), `when must be "before" or "after"`},
		{f.Do == Late && f.When != "", "late has a moment of its own"},
		{f.Do == Late && f.Method == http.MethodGet, "only a write can be late"},
		{f.Skip < 0 || f.Next < 0, "skip and next must not be negative"},
		{withStatus && (f.Status < 400 || f.Status > 599), "status must lie between 400 and 599"},
		{!withStatus && f.Status != 0, "status is for the actions status and late"},
		{!withStatus && (f.RetryAfter != "" || f.RateLimitReset != 0 || f.Message != ""), "retryAfter, rateLimitReset and message are for answers with a status"},
		{f.RateLimitReset < 0, "rateLimitReset must not be negative"},
		{len(f.RetryAfter) > 64 || strings.ContainsFunc(f.RetryAfter, notPrintable), "retryAfter must be a short printable text"},
		{len(f.Message) > 512, "message must be short"},
		{f.Do == Garbage && !slices.Contains([]Junk{HTML, Truncated, Empty, NoData, NotSuccess, NoID, TextID}, f.Junk), "junk is unknown"},
		{f.Do == Status && f.Junk != "" && f.Junk != HTML, `junk of a status must be "html"`},
		{f.Do != Garbage && f.Do != Status && f.Junk != "", "junk is for the actions garbage and status"},
		{delays != (f.Delay != 0), "delay belongs to the actions late and slow, and only to them"},
		{f.Delay < 0 || f.Delay > maxDelay, "delay must be at most " + maxDelay.String()},
		{f.Held && (f.Do != Late || f.Status != 0), "held is for the action late without a status"},
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

// after reports whether the work is done before the fault strikes.
func (f Fault) after() bool { return f.When == After || f.When == "" && f.Do == Garbage }

// switchboard holds the switches as they stand. Its methods may be called
// concurrently.
type switchboard struct {
	mu  sync.Mutex // guards now
	now Switches
}

func newSwitchboard(s Switches) *switchboard {
	b := &switchboard{}
	b.set(s)
	return b
}

func (b *switchboard) set(s Switches) {
	s.Faults = slices.Clone(s.Faults)
	for i, f := range s.Faults {
		s.Faults[i].Next = max(f.Next, 1)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = s
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
func (b *switchboard) strike(rt route, method string) (Switches, *Fault) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.now
	s.Faults = nil // shared; one request has no use for them
	for i := range b.now.Faults {
		f := &b.now.Faults[i]
		if f.Route != "" && f.Route != rt.name || f.Method != "" && f.Method != method || f.Do == Late && !rt.write {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		struck := *f
		if f.Next--; f.Next == 0 {
			b.now.Faults = slices.Delete(b.now.Faults, i, i+1)
		}
		return s, &struck
	}
	return s, nil
}

// lag returns how long lists take to see a new activity.
func (b *switchboard) lag() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now.ListLag
}
