// Package store is the seam between Patchbay and its database: what the host
// needs to remember, and with which guarantees. host/store/storetest is the same
// contract as a suite that every driver passes; nothing above this package knows
// which driver it has.
//
// Times in and out are the store's own clock (rule 16 of docs/DELIVERY.md): a
// driver reads it inside the transaction. Methods may be called concurrently. A
// cancelled context ends the wait for a turn; a write that was handed to the
// database is finished all the same, and its outcome told if anyone still waits.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
)

// The errors that callers tell apart, found with errors.Is.
var (
	// ErrNotFound: there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the row was changed since it was read, or exists already.
	ErrConflict = errors.New("changed by someone else")
	// ErrUncertain: the commit may or may not have taken place.
	ErrUncertain = errors.New("the outcome of the commit is not known")
	// ErrClosed: the store was closed before the write began.
	ErrClosed = errors.New("store is closed")
)

// Store is everything that the host remembers.
type Store interface {
	Ledger
	Agenda
	Directory
	Registry
	// Close waits for writes under way and releases the database.
	Close() error
}

// Elapsed returns how long ago began was, by the wall clock or the monotonic one,
// whichever says longer: the one may be set back, the other stands still while the
// machine sleeps.
func Elapsed(began time.Time) time.Duration {
	return max(time.Since(began), time.Now().Round(0).Sub(began.Round(0)))
}

// Ledger keeps the entries and the claims on their messages.
type Ledger interface {
	// Claim takes all free messages of the draft in one durable transaction and
	// opens one entry for them (rule 6).
	//
	// Outcomes:
	//  1. Some or all were free: Claimed.Entry is in flight and durable.
	//  2. None was free: Claimed.Entry has no ID; nothing was written.
	//  3. An error that is not ErrUncertain: nothing was written.
	//  4. ErrUncertain: the entry may exist, in flight; nothing may be sent.
	// In 1 and 2, Held names the holders of the other messages, as of the same
	// transaction.
	Claim(ctx context.Context, c Claim) (Claimed, error)
	// Apply runs ledger.Apply on the entry in one transaction, which is durable
	// before it returns unless ledger.Lazy(ev); a lazy one is committed.
	//
	// The event is aged by the time it waited for its turn (ledger.Aged, Elapsed).
	//
	// Outcomes: the result; ErrNotFound; ErrUncertain; any other error, when
	// nothing was written.
	Apply(ctx context.Context, id string, ev ledger.Event) (ledger.Result, error)
	// Holders returns who holds which of these messages now. Free ones are left
	// out.
	Holders(ctx context.Context, scope ledger.Scope, messages []string) ([]Holder, error)
	// Entry returns the tenant's entry, or ErrNotFound.
	Entry(ctx context.Context, tenant, id string) (ledger.Entry, error)
	// Entries returns the entries that match q, newest first.
	Entries(ctx context.Context, q Query) ([]ledger.Entry, error)
}

// Claim asks for the messages of a draft entry.
type Claim struct {
	// Draft has ID, Scope, Version, UserID, Async, CanFind and Messages set, the
	// rest zero. IDs are ULIDs: they sort by age.
	Draft  ledger.Entry
	Timing ledger.Timing
	// Payload is the encrypted request, kept beside the entry (rule 10).
	Payload []byte
}

// Claimed is what a claim got.
type Claimed struct {
	Entry ledger.Entry
	Held  []Holder
}

// Holder says which entry holds a message.
type Holder struct {
	Message string
	Entry   ledger.Entry
}

// Query selects entries. Zero fields select everything.
type Query struct {
	Tenant      string // empty: all tenants
	Adapter     string
	States      []ledger.State
	ContactID   string
	ContactType *string
	MessageID   string
	UserID      string
	Since       time.Time // created at or after
	Until       time.Time // created before
	// Before is the ID below which to begin: the cursor.
	Before string
	// Limit is the most entries returned; 0 is 50.
	Limit int
}

// Agenda is what the host has to come back to.
type Agenda interface {
	// Due returns up to limit entries whose NextAt has come, the longest due
	// first, and how long it is until the next one is due; 0 when none is known.
	// Entries of the adapters in except are left out unless they are in flight:
	// these adapters have as much work as they can take.
	Due(ctx context.Context, limit int, except []string) (entries []ledger.Entry, wait time.Duration, err error)
	// Payload returns the stored request of the entry, or ErrNotFound once it was
	// erased.
	Payload(ctx context.Context, id string) ([]byte, error)
	// ErasePayloads erases the requests of entries older than age and reports how
	// many it erased, at most limit.
	ErasePayloads(ctx context.Context, age time.Duration, limit int) (int, error)
	// CountStates returns how many entries of the tenant are in each state; of
	// all tenants when tenant is empty.
	CountStates(ctx context.Context, tenant string) (map[ledger.State]int, error)
}

// Directory keeps tenants, enablements and tokens. Each row has a revision:
// saving one with another revision than the stored gives ErrConflict, and 0 means
// "does not exist yet".
type Directory interface {
	// LoadDirectory returns all of it, deleted tenants included.
	LoadDirectory(ctx context.Context) (*DirectoryRows, error)
	// SaveTenant writes the tenant durably and returns its new revision.
	SaveTenant(ctx context.Context, t Tenant) (int64, error)
	// SaveEnablement writes the enablement durably and returns its new revision.
	// Removed deletes it.
	SaveEnablement(ctx context.Context, e Enablement) (int64, error)
	// SaveToken writes a new token durably, or deletes it when Revoked is set.
	SaveToken(ctx context.Context, t Token) error
}

// DirectoryRows is the whole directory.
type DirectoryRows struct {
	Tenants     []Tenant
	Enablements []Enablement
	Tokens      []Token
}

// Tenant is a customer of the messaging product.
type Tenant struct {
	ID          string
	DisplayName string
	Timezone    string
	CreatedAt   time.Time
	// DeletedAt is set once deleted: an id is never used again.
	DeletedAt time.Time
	Revision  int64
}

// Enablement is one adapter switched on or off for one tenant.
type Enablement struct {
	Tenant  string
	Adapter string
	Enabled bool
	// Version is the adapter version the tenant uses.
	Version string
	// Isolation is "shared" or "dedicated", empty for the manifest's own.
	Isolation string
	// OnUnavailable is "fail" or "queue".
	OnUnavailable string
	// Settings is an encrypted JSON object.
	Settings  []byte
	CreatedAt time.Time
	UpdatedAt time.Time
	Removed   bool
	Revision  int64
}

// Token is a tenant's API token.
type Token struct {
	ID        string
	Tenant    string
	Name      string
	Hash      []byte // SHA-256 of the token
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
	Revoked   bool
}

// Registry keeps small facts of the installation.
type Registry interface {
	// PinPackage records the digest of an adapter version when it is first seen,
	// and returns the digest that stands.
	PinPackage(ctx context.Context, name, version, digest string) (pinned string, err error)
	// RepinPackage replaces the recorded digest, when an admin installs a version
	// again.
	RepinPackage(ctx context.Context, name, version, digest string) error
	// Identity returns the store's random identity, made when it was created.
	Identity(ctx context.Context) (string, error)
	// Fact records value under name when nothing is recorded yet, and returns the
	// value that stands.
	Fact(ctx context.Context, name, value string) (string, error)
}
