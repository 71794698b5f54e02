// Package memory keeps the ledger in maps: a store driver for tests and for
// measuring the relay without a disk. It passes storetest; it forgets everything
// when the process ends, so no host serves with it.
//
// One mutex guards all of it. The package starts no goroutine and no timer.
package memory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

// Store is an in-memory store.Store. Its methods may be called concurrently.
type Store struct {
	clock    func() time.Time
	identity string

	mu      sync.Mutex
	closed  bool
	rows    map[string]*row
	ids     []string // keys of rows, in order
	claims  map[claimKey]*row
	agenda  map[*row]struct{} // rows with a NextAt
	stored  map[*row]struct{} // rows with a payload
	tenants map[string]store.Tenant
	enabled map[enablementKey]store.Enablement
	tokens  map[string]store.Token
	// revision is the last one given out. It counts for the whole directory, so
	// that a row made again never takes up an old revision.
	revision int64
	pins     map[pinKey]string
	facts    map[string]string
}

var _ store.Store = (*Store)(nil)

type row struct {
	entry   ledger.Entry
	payload []byte
}

type claimKey struct {
	ledger.Scope
	message string
}

// New returns an empty store whose clock is now; nil is time.Now.
func New(now func() time.Time) *Store {
	if now == nil {
		now = time.Now
	}
	return &Store{
		clock:    now,
		identity: rand.Text(),
		rows:     map[string]*row{},
		claims:   map[claimKey]*row{},
		agenda:   map[*row]struct{}{},
		stored:   map[*row]struct{}{},
		tenants:  map[string]store.Tenant{},
		enabled:  map[enablementKey]store.Enablement{},
		tokens:   map[string]store.Token{},
		pins:     map[pinKey]string{},
		facts:    map[string]string{},
	}
}

// Close makes every later call answer store.ErrClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// lock begins one transaction; the caller unlocks unless there is an error.
func (s *Store) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return store.ErrClosed
	}
	return nil
}

func (s *Store) now() time.Time { return s.clock().UTC().Truncate(time.Microsecond) }

// Claim implements store.Ledger.
func (s *Store) Claim(ctx context.Context, c store.Claim) (store.Claimed, error) {
	if c.Draft.ID == "" || len(c.Draft.Messages) == 0 {
		return store.Claimed{}, errors.New("claim: the draft has no ID or no messages")
	}
	if err := s.lock(ctx); err != nil {
		return store.Claimed{}, err
	}
	defer s.mu.Unlock()
	if s.rows[c.Draft.ID] != nil {
		return store.Claimed{}, fmt.Errorf("claim %s: %w", c.Draft.ID, store.ErrConflict)
	}
	var free []string
	var got store.Claimed
	for i, m := range c.Draft.Messages {
		if slices.Contains(c.Draft.Messages[:i], m) {
			continue
		}
		if holder := s.claims[claimKey{c.Draft.Scope, m}]; holder != nil {
			got.Held = append(got.Held, store.Holder{Message: m, Entry: holder.entry.Clone()})
			continue
		}
		free = append(free, m)
	}
	if len(free) == 0 {
		return got, nil
	}
	r := &row{
		entry:   stored(ledger.Open(c.Draft, free, c.Timing, s.now())),
		payload: slices.Clone(c.Payload),
	}
	s.insert(r)
	got.Entry = r.entry.Clone()
	return got, nil
}

func (s *Store) insert(r *row) {
	id := r.entry.ID
	s.rows[id] = r
	at, _ := slices.BinarySearch(s.ids, id)
	s.ids = slices.Insert(s.ids, at, id)
	for _, m := range r.entry.Messages {
		s.claims[claimKey{r.entry.Scope, m}] = r
	}
	if len(r.payload) > 0 {
		s.stored[r] = struct{}{}
	}
	s.schedule(r)
}

// schedule brings the agenda in line with the row's NextAt.
func (s *Store) schedule(r *row) {
	if r.entry.NextAt.IsZero() {
		delete(s.agenda, r)
		return
	}
	s.agenda[r] = struct{}{}
}

func (s *Store) erase(r *row) {
	r.payload = nil
	delete(s.stored, r)
}

// Apply implements store.Ledger.
func (s *Store) Apply(ctx context.Context, id string, ev ledger.Event) (ledger.Result, error) {
	began := time.Now()
	if err := s.lock(ctx); err != nil {
		return ledger.Result{}, err
	}
	defer s.mu.Unlock()
	r := s.rows[id]
	if r == nil {
		return ledger.Result{}, fmt.Errorf("apply to %s: %w", id, store.ErrNotFound)
	}
	var held ledger.RowState
	if ledger.NeedsRows(r.entry, ev) {
		held = s.rowState(r)
	}
	res, err := apply(r.entry.Clone(), ledger.Aged(ev, store.Elapsed(began)), s.now(), held)
	if err != nil {
		return ledger.Result{}, fmt.Errorf("apply to %s: %w", id, err)
	}
	if !res.Changed() {
		return res, nil
	}
	res.Entry = stored(res.Entry)
	r.entry = res.Entry.Clone()
	s.moveRows(r, res.Rows)
	s.schedule(r)
	if res.ErasePayload {
		s.erase(r)
	}
	return res, nil
}

// apply runs the state table; a bug in it must not take the store along.
func apply(e ledger.Entry, ev ledger.Event, now time.Time, rows ledger.RowState) (res ledger.Result, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the state table panicked: %v", v)
		}
	}()
	return ledger.Apply(e, ev, now, rows), nil
}

func (s *Store) rowState(r *row) ledger.RowState {
	state := ledger.RowsFree
	for _, m := range r.entry.Messages {
		holder := s.claims[claimKey{r.entry.Scope, m}]
		switch {
		case holder == nil || holder == r:
		case holder.entry.State == ledger.Logged:
			return ledger.RowsLogged
		default:
			state = ledger.RowsHeld
		}
	}
	return state
}

func (s *Store) moveRows(r *row, rows ledger.Rows) {
	for _, m := range r.entry.Messages {
		key := claimKey{r.entry.Scope, m}
		switch rows {
		case ledger.TakeRows:
			s.claims[key] = r
		case ledger.ReleaseRows:
			if s.claims[key] == r {
				delete(s.claims, key)
			}
		case ledger.KeepRows:
		}
	}
}

// Holders implements store.Ledger.
func (s *Store) Holders(ctx context.Context, scope ledger.Scope, messages []string) ([]store.Holder, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var held []store.Holder
	for i, m := range messages {
		holder := s.claims[claimKey{scope, m}]
		if holder != nil && !slices.Contains(messages[:i], m) {
			held = append(held, store.Holder{Message: m, Entry: holder.entry.Clone()})
		}
	}
	return held, nil
}

// stored returns the entry as a database would give it back: times in whole
// microseconds, in UTC.
func stored(e ledger.Entry) ledger.Entry {
	for _, t := range []*time.Time{
		&e.WindowEnd, &e.SettlesAt, &e.UnsettledUntil, &e.NextAt, &e.ReconciledAt,
		&e.CreatedAt, &e.UpdatedAt, &e.ForgottenAt, &e.FirstSentAt,
	} {
		*t = t.UTC().Truncate(time.Microsecond)
	}
	return e
}
