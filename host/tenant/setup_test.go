package tenant_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/store/memory"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/host/tenant"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const adminToken = "admin-token-of-32-bytes-or-so-01"

// fakeCatalog holds packages by name and version. The last one of a name without
// a hyphen in its version is the newest stable one.
type fakeCatalog struct {
	mu       sync.Mutex
	packages []*catalog.Package
}

func (c *fakeCatalog) Lookup(name, version string) (*catalog.Package, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.packages {
		if p.Name == name && p.Version == version {
			return p, nil
		}
	}
	return nil, fault.New(fault.AdapterNotFound, "this version is not installed")
}

func (c *fakeCatalog) Latest(name string) (*catalog.Package, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range slices.Backward(c.packages) {
		if p.Name == name && !strings.Contains(p.Version, "-") {
			return p, nil
		}
	}
	return nil, fault.New(fault.AdapterNotFound, "no stable version is installed")
}

func (c *fakeCatalog) Adapters() []catalog.Adapter {
	c.mu.Lock()
	defer c.mu.Unlock()
	byName := map[string]*catalog.Adapter{}
	var out []catalog.Adapter
	for _, p := range c.packages {
		if byName[p.Name] == nil {
			byName[p.Name] = &catalog.Adapter{Name: p.Name}
		}
		byName[p.Name].Versions = append(byName[p.Name].Versions, p.Version)
	}
	for _, a := range byName {
		out = append(out, *a)
	}
	return out
}

// install adds a package made from a bundled manifest, changed by edit. Its digest
// is its version.
func (c *fakeCatalog) install(t *testing.T, version string, edit func(*manifest.Manifest)) {
	t.Helper()
	raw, err := os.ReadFile("testdata/acme.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	m.Version = version
	if edit != nil {
		edit(m)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.packages = append(c.packages, &catalog.Package{Name: m.Name, Version: version, Digest: version, Manifest: m})
}

// replace puts another package in the place of the version's.
func (c *fakeCatalog) replace(version, digest string, edit func(*manifest.Manifest)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, p := range c.packages {
		if p.Version == version {
			other, m := *p, *p.Manifest
			edit(&m)
			other.Digest, other.Manifest = digest, &m
			c.packages[i] = &other
		}
	}
}

func (c *fakeCatalog) uninstall() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.packages = nil
}

// fakeSealer marks data with its associated data and a checksum.
type fakeSealer struct{ broken bool }

func (s *fakeSealer) Seal(data, ad []byte) ([]byte, error) {
	sum := sha256.Sum256(ad)
	flipped := bytes.Map(func(r rune) rune { return r ^ 1 }, data)
	return append(sum[:], flipped...), nil
}

func (s *fakeSealer) Unseal(data, ad []byte) ([]byte, error) {
	sum := sha256.Sum256(ad)
	if s.broken || len(data) < len(sum) || !bytes.Equal(sum[:], data[:len(sum)]) {
		return nil, errors.New("wrong key or associated data")
	}
	return bytes.Map(func(r rune) rune { return r ^ 1 }, data[len(sum):]), nil
}

// fakeStore is the memory store with errors to order.
type fakeStore struct {
	*memory.Store
	mu    sync.Mutex
	fail  []error // for the next writes, in turn
	after bool    // fail after the write took place
	seen  []store.Enablement
}

func (s *fakeStore) next() (err error, after bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.fail) > 0 {
		err, s.fail = s.fail[0], s.fail[1:]
	}
	return err, s.after
}

func (s *fakeStore) SaveTenant(ctx context.Context, t store.Tenant) (int64, error) {
	err, after := s.next()
	if err != nil && !after {
		return 0, err
	}
	revision, saved := s.Store.SaveTenant(ctx, t)
	return revision, errors.Join(err, saved)
}

func (s *fakeStore) SaveEnablement(ctx context.Context, e store.Enablement) (int64, error) {
	s.mu.Lock()
	s.seen = append(s.seen, e)
	s.mu.Unlock()
	err, after := s.next()
	if err != nil && !after {
		return 0, err
	}
	revision, saved := s.Store.SaveEnablement(ctx, e)
	return revision, errors.Join(err, saved)
}

func (s *fakeStore) SaveToken(ctx context.Context, t store.Token) error {
	err, after := s.next()
	if err != nil && !after {
		return err
	}
	return errors.Join(err, s.Store.SaveToken(ctx, t))
}

type fakeLedger map[ledger.State]int

func (l fakeLedger) CountStates(context.Context, string) (map[ledger.State]int, error) { return l, nil }

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// fixture is a directory with everything around it.
type fixture struct {
	*tenant.Directory
	t       *testing.T
	store   *fakeStore
	catalog *fakeCatalog
	sealer  *fakeSealer
	ledger  fakeLedger
	clock   *clock
	logs    *bytes.Buffer
}

func setup(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		t: t, catalog: &fakeCatalog{}, sealer: &fakeSealer{}, ledger: fakeLedger{},
		clock: &clock{at: time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)}, logs: &bytes.Buffer{},
	}
	f.store = &fakeStore{Store: memory.New(f.clock.now)}
	f.catalog.install(t, "1.0.0", nil)
	f.Directory = f.another()
	return f
}

// another returns a second directory over the same store: another host.
func (f *fixture) another() *tenant.Directory {
	f.t.Helper()
	d, err := tenant.New(tenant.Config{
		Store: f.store, Ledger: f.ledger, Catalog: f.catalog, Sealer: f.sealer,
		AdminToken: sdk.NewSecret(adminToken), Now: f.clock.now, Log: slog.New(slog.NewTextHandler(f.logs, nil)),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := d.Load(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	return d
}

// tenant makes a tenant.
func (f *fixture) tenant(id string) {
	f.t.Helper()
	if _, _, err := f.PutTenant(f.t.Context(), id, body(f.t, `{}`)); err != nil {
		f.t.Fatal(err)
	}
}

// enable puts an enablement of the adapter acme.
func (f *fixture) enable(id, text string) tenant.Enablement {
	f.t.Helper()
	e, _, err := f.PutEnablement(f.t.Context(), id, "acme", body(f.t, text))
	if err != nil {
		f.t.Fatalf("put enablement: %v: %v", err, errors.Unwrap(err))
	}
	return e
}

func body(t *testing.T, text string) *strictjson.Node {
	t.Helper()
	n, err := strictjson.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// wantCode fails unless err is a fault of that code.
func wantCode(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if err == nil || fault.CodeOf(err) != code {
		t.Fatalf("got error %v, want a fault of code %s", err, code)
	}
}

// pointers returns the faults of a body as "pointer code".
func pointers(err error) string {
	var faults strictjson.Faults
	if !errors.As(err, &faults) {
		return fmt.Sprintf("no faults: %v", err)
	}
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = f.Pointer + " " + f.Code
	}
	return strings.Join(lines, ", ")
}
