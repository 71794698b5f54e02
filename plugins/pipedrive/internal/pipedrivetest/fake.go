package pipedrivetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patchbay-crm/patchbay/plugins/internal/standin"
)

// writeTimeout is how long an answer may take: all switched delays, and itself.
const writeTimeout = 4 * maxDelay

// Fake is one account of Pipedrive. Its methods may be called concurrently.
type Fake struct {
	cfg      Config
	account  account
	tokens   tokens
	records  *records
	limits   *limits
	switches *switchboard
	journal  *journal
	handler  http.Handler
	tally    tally

	slots   chan struct{} // one per request being worked on
	closing chan struct{} // closed by Close: nothing waits any more

	mu     sync.Mutex     // guards what follows
	closed bool           // no further late write begins
	late   sync.WaitGroup // writes that happen after their answer
}

// tally counts what happened since the start.
type tally struct {
	attempted, applied, late, pending           atomic.Int64
	unauthorized, rateLimited, refused, strikes atomic.Int64
}

// account is the seed data by id. It does not change.
type account struct {
	users   map[int64]User
	orgs    map[int64]Organization
	persons map[int64]Person
	deals   map[int64]Deal
	leads   map[string]Lead
	types   map[string]ActivityType
}

func newAccount(c Config) account {
	return account{
		users:   index(c.Users, func(u User) int64 { return u.ID }),
		orgs:    index(c.Organizations, func(o Organization) int64 { return o.ID }),
		persons: index(c.Persons, func(p Person) int64 { return p.ID }),
		deals:   index(c.Deals, func(d Deal) int64 { return d.ID }),
		leads:   index(c.Leads, func(l Lead) string { return l.ID }),
		types:   index(c.ActivityTypes, func(t ActivityType) string { return t.Key }),
	}
}

// sees reports for a token's user which activities are not hidden.
func (a account) sees(t Token) func(*Activity) bool {
	user := a.users[t.UserID]
	return func(act *Activity) bool { return !user.OwnOnly || act.OwnerID == user.ID }
}

func index[K comparable, V any](list []V, key func(V) K) map[K]V {
	out := make(map[K]V, len(list))
	for _, v := range list {
		out[key(v)] = v
	}
	return out
}

// New returns an account without activities. The caller must Close it.
func New(c Config) (*Fake, error) {
	c = c.withDefaults()
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configure fake of Pipedrive: %w", err)
	}
	f := &Fake{
		cfg: c, account: newAccount(c), tokens: newTokens(c), records: newRecords(c), limits: newLimits(c),
		switches: newSwitchboard(c.Switches), journal: &journal{most: c.Journal},
		slots: make(chan struct{}, c.MaxConcurrent), closing: make(chan struct{}),
	}
	f.handler = f.bounded(f.routes())
	return f, nil
}

// Handler returns the HTTP face, for httptest.NewServer.
func (f *Fake) Handler() http.Handler { return f.handler }

// Run serves on the listener until ctx ends, closes the Fake, lets running
// requests finish for a few seconds, and returns nil. It closes the listener.
func (f *Fake) Run(ctx context.Context, ln net.Listener) error {
	return standin.Serve(ctx, ln, f.handler, writeTimeout, f.Close)
}

// Close ends every switched delay, lets go of the connections that a fault holds
// open, and stores at once what was still to be stored late. Requests may still
// be running: close the HTTP server after it.
func (f *Fake) Close() {
	f.mu.Lock()
	first := !f.closed
	f.closed = true
	f.mu.Unlock()
	if first {
		close(f.closing)
	}
	f.late.Wait()
}

// SetSwitches replaces all switches.
func (f *Fake) SetSwitches(to Switches) error {
	if err := to.validate(); err != nil {
		return err
	}
	f.switches.set(to)
	return nil
}

// Switches returns the switches as they stand: spent faults are gone.
func (f *Fake) Switches() Switches { return f.switches.get() }

// Activities returns every activity that is not deleted, oldest first, whatever
// the switches say.
func (f *Fake) Activities() []Activity {
	list := f.records.list(0, func(a *Activity) bool { return !a.IsDeleted })
	out := make([]Activity, len(list))
	for i, a := range list {
		out[i] = *a
	}
	return out
}

// Requests returns the latest requests to the API, oldest first.
func (f *Fake) Requests() []Request {
	list, _ := f.journal.list()
	return list
}

// bounded refuses requests beyond the limit of concurrent ones, and bodies
// beyond the limit of size.
func (f *Fake) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !f.acquire() {
			busy.write(w)
			return
		}
		defer f.release()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// busy is the answer to requests beyond the limit of concurrent ones.
var busy = refuse(v1, http.StatusServiceUnavailable, "", "too many requests at once")

func (f *Fake) acquire() bool {
	select {
	case f.slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func (f *Fake) release() { <-f.slots }

// pause waits in real time, whether or not the client is still there: what a
// client began is finished, as by real CRMs. A closing fake does not wait any
// more.
func (f *Fake) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-f.closing:
	}
}

// reset ends the connection with a TCP reset where there is a connection of its
// own, and breaks the answer off everywhere else.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's own way to break an answer off
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		err = tcp.SetLinger(0) // discard and reset instead of an orderly end
	}
	if err = errors.Join(err, conn.Close()); err != nil {
		return // the connection is gone already, which is what was wanted
	}
}
