package memory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

const defaultLimit = 50

// Entry implements store.Ledger.
func (s *Store) Entry(ctx context.Context, tenant, id string) (ledger.Entry, error) {
	if err := s.lock(ctx); err != nil {
		return ledger.Entry{}, err
	}
	defer s.mu.Unlock()
	r := s.rows[id]
	if r == nil || r.entry.Tenant != tenant {
		return ledger.Entry{}, fmt.Errorf("read entry %s: %w", id, store.ErrNotFound)
	}
	return r.entry.Clone(), nil
}

// Entries implements store.Ledger.
func (s *Store) Entries(ctx context.Context, q store.Query) ([]ledger.Entry, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	var found []ledger.Entry
	for _, id := range slices.Backward(s.ids) {
		if len(found) == limit {
			break
		}
		if e := s.rows[id].entry; matches(e, q) {
			found = append(found, e.Clone())
		}
	}
	return found, nil
}

func matches(e ledger.Entry, q store.Query) bool {
	return (q.Tenant == "" || e.Tenant == q.Tenant) &&
		(q.Adapter == "" || e.Adapter == q.Adapter) &&
		(len(q.States) == 0 || slices.Contains(q.States, e.State)) &&
		(q.ContactID == "" || e.ContactID == q.ContactID) &&
		(q.ContactType == nil || e.ContactType == *q.ContactType) &&
		(q.MessageID == "" || slices.Contains(e.Messages, q.MessageID)) &&
		(q.UserID == "" || e.UserID == q.UserID) &&
		(q.Since.IsZero() || !e.CreatedAt.Before(q.Since)) &&
		(q.Until.IsZero() || e.CreatedAt.Before(q.Until)) &&
		(q.Before == "" || e.ID < q.Before)
}

// Due implements store.Agenda.
func (s *Store) Due(ctx context.Context, limit int, except []string) ([]ledger.Entry, time.Duration, error) {
	if err := s.lock(ctx); err != nil {
		return nil, 0, err
	}
	defer s.mu.Unlock()
	now := s.now()
	var due []*row
	var wait time.Duration
	for r := range s.agenda {
		if until := r.entry.NextAt.Sub(now); until <= 0 {
			if r.entry.State == ledger.InFlight || !slices.Contains(except, r.entry.Adapter) {
				due = append(due, r)
			}
		} else if wait == 0 || until < wait {
			wait = until
		}
	}
	slices.SortFunc(due, func(a, b *row) int {
		return cmp.Or(a.entry.NextAt.Compare(b.entry.NextAt), cmp.Compare(a.entry.ID, b.entry.ID))
	})
	var entries []ledger.Entry
	for _, r := range due[:max(0, min(limit, len(due)))] {
		entries = append(entries, r.entry.Clone())
	}
	return entries, wait, nil
}

// Payload implements store.Agenda.
func (s *Store) Payload(ctx context.Context, id string) ([]byte, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	r := s.rows[id]
	if r == nil || len(r.payload) == 0 {
		return nil, fmt.Errorf("read the payload of %s: %w", id, store.ErrNotFound)
	}
	return slices.Clone(r.payload), nil
}

// ErasePayloads implements store.Agenda.
func (s *Store) ErasePayloads(ctx context.Context, age time.Duration, limit int) (int, error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	before := s.now().Add(-age)
	erased := 0
	for r := range s.stored {
		if erased >= limit {
			break
		}
		if r.entry.CreatedAt.Before(before) {
			s.erase(r)
			erased++
		}
	}
	return erased, nil
}

// CountStates implements store.Agenda.
func (s *Store) CountStates(ctx context.Context, tenant string) (map[ledger.State]int, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	counts := map[ledger.State]int{}
	for _, r := range s.rows {
		if tenant == "" || r.entry.Tenant == tenant {
			counts[r.entry.State]++
		}
	}
	return counts, nil
}
