package tenant

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/sdk"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Catalog is what the directory asks about installed packages. Its methods answer
// from memory and may be called concurrently.
type Catalog interface {
	// Lookup returns the package of that version, or the fault adapter_not_found
	// that says why it cannot be used.
	Lookup(name, version string) (*catalog.Package, error)
	// Latest returns the newest stable version, or the fault adapter_not_found
	// when there is none.
	Latest(name string) (*catalog.Package, error)
	// Adapters returns the installed adapters by name.
	Adapters() []catalog.Adapter
}

// installed returns nil when a version of the adapter can be used, else the fault
// adapter_not_found that says why none can.
func installed(c Catalog, adapter string) error {
	for _, a := range c.Adapters() {
		if a.Name == adapter && len(a.Versions) > 0 {
			return nil
		}
	}
	if _, err := c.Latest(adapter); err != nil {
		return err
	}
	return nil
}

// Sealer encrypts settings. ad is bound to the result and must be given again.
type Sealer interface {
	Seal(data, ad []byte) ([]byte, error)
	Unseal(data, ad []byte) ([]byte, error)
}

// Ledger tells whether a tenant has unsettled entries.
type Ledger interface {
	CountStates(ctx context.Context, tenant string) (map[ledger.State]int, error)
}

// Config is what a Directory needs. Every member but Now and Log is required.
type Config struct {
	Store   store.Directory
	Ledger  Ledger
	Catalog Catalog
	Sealer  Sealer
	// AdminToken is the token that may do everything.
	AdminToken sdk.Secret
	// Now is the clock that expiry is judged by; default time.Now.
	Now func() time.Time
	// Log takes reports of what is wrong with stored rows; default: discarded.
	Log *slog.Logger
}

// minAdminToken is the shortest admin token, in bytes.
const minAdminToken = 16

func (c Config) validate() error {
	var faults []error
	for name, missing := range map[string]bool{
		"Store": c.Store == nil, "Ledger": c.Ledger == nil, "Catalog": c.Catalog == nil, "Sealer": c.Sealer == nil,
	} {
		if missing {
			faults = append(faults, fmt.Errorf("%s is not set", name))
		}
	}
	if len(c.AdminToken.Reveal()) < minAdminToken {
		faults = append(faults, fmt.Errorf("AdminToken is shorter than %d bytes", minAdminToken))
	}
	return errors.Join(faults...)
}

// Directory holds tenants, enablements and tokens. Its methods may be called
// concurrently.
type Directory struct {
	cfg       Config
	adminHash [sha256.Size]byte
	current   atomic.Pointer[snapshot]
	changed   chan struct{}

	mu      sync.Mutex // serialises changes
	rows    rows
	revoked []revokedToken // the last ones, oldest first
}

// New returns a directory. It is empty until Load.
func New(cfg Config) (*Directory, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure the tenant directory: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d := &Directory{
		cfg: cfg, changed: make(chan struct{}, 1),
		adminHash: sha256.Sum256([]byte(cfg.AdminToken.Reveal())),
		rows:      newRows(),
	}
	d.current.Store(&snapshot{})
	return d, nil
}

// Load reads the directory from the store and looks every enabled version up in
// the catalog again. Call it at start and when another host has changed the
// directory. A row that cannot be used is logged and
// does not stop the others.
func (d *Directory) Load(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.load(ctx)
}

func (d *Directory) load(ctx context.Context) error {
	all, err := d.cfg.Store.LoadDirectory(ctx)
	if err != nil {
		return fmt.Errorf("load the tenant directory: %w", err)
	}
	d.rows = indexRows(all)
	d.publish()
	return nil
}

// Refresh looks every enabled version up in the catalog again. Call it after the
// catalog has changed: from then on every route is of the packages that are
// installed now. No call sees some routes of before and some of after.
func (d *Directory) Refresh() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.publish()
}

// Changed returns a channel that gets a value after changes. Several changes may
// give one value; it is for one reader.
func (d *Directory) Changed() <-chan struct{} { return d.changed }

// publish makes the rows the snapshot. Callers hold mu.
func (d *Directory) publish() {
	d.current.Store(d.build(d.current.Load()))
	select {
	case d.changed <- struct{}{}:
	default: // the reader has not come round to the last one yet
	}
}

// The bounds of one change.
const (
	changeTimeout = 10 * time.Second
	changeTries   = 4
)

// change runs one change of the rows. The change is finished even when ctx ends
// meanwhile: a caller that went away must not leave memory and store at odds. op
// may run several times, each time on fresh rows.
func (d *Directory) change(ctx context.Context, what string, op func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return internal(what, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), changeTimeout)
	defer cancel()
	d.mu.Lock()
	defer d.mu.Unlock()
	for range changeTries {
		err := op(ctx)
		if _, refused := fault.As(err); err == nil || refused {
			return err
		}
		// The rows in memory may be stale, or the write may have happened.
		reload := d.load(ctx)
		if reload != nil || !errors.Is(err, store.ErrConflict) {
			return unchanged(what, errors.Join(err, reload))
		}
	}
	return &fault.Error{
		Code: fault.Conflict, Class: fault.Permanent,
		Msg: "others keep changing this at the same time; look at it and try again",
	}
}

// writeError is the error of a write to the store.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// unsaved returns err as a writeError that says what was being written.
func unsaved(doing string, err error) error { return &writeError{fmt.Errorf("%s: %w", doing, err)} }

// unchanged returns the fault of a change that was not made, or perhaps made.
func unchanged(what string, err error) error {
	out := &fault.Error{Op: "tenant: " + what, Code: fault.Internal, Class: fault.Unknown, Source: fault.Host, Err: err}
	var write *writeError
	switch {
	case errors.Is(err, store.ErrUncertain):
		out.Code, out.Msg = fault.Outcome, "the ledger did not confirm the change; look whether it was made"
	case errors.As(err, &write):
		out.Code, out.Class, out.RetryAfter = fault.Overloaded, fault.Retryable, time.Second
		out.Msg = "the ledger cannot be written"
	}
	return out
}

func internal(what string, err error) error {
	return &fault.Error{Op: "tenant: " + what, Code: fault.Internal, Class: fault.Unknown, Err: err}
}

func tenantNotFound() error { return fault.New(fault.TenantNotFound, "") }
