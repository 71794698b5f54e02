package memory

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/host/store"
)

type enablementKey struct{ tenant, adapter string }

type pinKey struct{ name, version string }

// LoadDirectory implements store.Directory.
func (s *Store) LoadDirectory(ctx context.Context) (*store.DirectoryRows, error) {
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	rows := &store.DirectoryRows{}
	for _, t := range s.tenants {
		rows.Tenants = append(rows.Tenants, t)
	}
	for _, e := range s.enabled {
		e.Settings = slices.Clone(e.Settings)
		rows.Enablements = append(rows.Enablements, e)
	}
	for _, t := range s.tokens {
		t.Hash = slices.Clone(t.Hash)
		rows.Tokens = append(rows.Tokens, t)
	}
	slices.SortFunc(rows.Tenants, func(a, b store.Tenant) int { return strings.Compare(a.ID, b.ID) })
	slices.SortFunc(rows.Enablements, func(a, b store.Enablement) int {
		return strings.Compare(a.Tenant+" "+a.Adapter, b.Tenant+" "+b.Adapter)
	})
	slices.SortFunc(rows.Tokens, func(a, b store.Token) int { return strings.Compare(a.ID, b.ID) })
	return rows, nil
}

// SaveTenant implements store.Directory.
func (s *Store) SaveTenant(ctx context.Context, t store.Tenant) (int64, error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	if s.tenants[t.ID].Revision != t.Revision {
		return 0, fmt.Errorf("save tenant %s: %w", t.ID, store.ErrConflict)
	}
	s.revision++
	t.Revision = s.revision
	t.CreatedAt, t.DeletedAt = micros(t.CreatedAt), micros(t.DeletedAt)
	s.tenants[t.ID] = t
	return t.Revision, nil
}

// SaveEnablement implements store.Directory.
func (s *Store) SaveEnablement(ctx context.Context, e store.Enablement) (int64, error) {
	if err := s.lock(ctx); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	key := enablementKey{e.Tenant, e.Adapter}
	if s.enabled[key].Revision != e.Revision {
		return 0, fmt.Errorf("save enablement %s of %s: %w", e.Adapter, e.Tenant, store.ErrConflict)
	}
	if e.Removed {
		delete(s.enabled, key)
		return 0, nil
	}
	s.revision++
	e.Revision = s.revision
	e.Settings = slices.Clone(e.Settings)
	e.CreatedAt, e.UpdatedAt = micros(e.CreatedAt), micros(e.UpdatedAt)
	s.enabled[key] = e
	return e.Revision, nil
}

// SaveToken implements store.Directory.
func (s *Store) SaveToken(ctx context.Context, t store.Token) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	_, known := s.tokens[t.ID]
	switch {
	case t.Revoked && !known:
		return fmt.Errorf("delete token %s: %w", t.ID, store.ErrNotFound)
	case t.Revoked:
		delete(s.tokens, t.ID)
		return nil
	case known || s.hashTaken(t.Hash):
		return fmt.Errorf("save token %s: %w", t.ID, store.ErrConflict)
	}
	t.Hash = slices.Clone(t.Hash)
	t.CreatedAt, t.ExpiresAt = micros(t.CreatedAt), micros(t.ExpiresAt)
	s.tokens[t.ID] = t
	return nil
}

func (s *Store) hashTaken(hash []byte) bool {
	for _, t := range s.tokens {
		if bytes.Equal(t.Hash, hash) {
			return true
		}
	}
	return false
}

func micros(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// PinPackage implements store.Registry.
func (s *Store) PinPackage(ctx context.Context, name, version, digest string) (string, error) {
	if err := s.lock(ctx); err != nil {
		return "", err
	}
	defer s.mu.Unlock()
	key := pinKey{name, version}
	if pinned, ok := s.pins[key]; ok {
		return pinned, nil
	}
	s.pins[key] = digest
	return digest, nil
}

// RepinPackage implements store.Registry.
func (s *Store) RepinPackage(ctx context.Context, name, version, digest string) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.pins[pinKey{name, version}] = digest
	return nil
}

// Identity implements store.Registry.
func (s *Store) Identity(ctx context.Context) (string, error) {
	if err := s.lock(ctx); err != nil {
		return "", err
	}
	defer s.mu.Unlock()
	return s.identity, nil
}

// Fact implements store.Registry.
func (s *Store) Fact(ctx context.Context, name, value string) (string, error) {
	if err := s.lock(ctx); err != nil {
		return "", err
	}
	defer s.mu.Unlock()
	if stands, ok := s.facts[name]; ok {
		return stands, nil
	}
	s.facts[name] = value
	return value, nil
}
