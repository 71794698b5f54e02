package relay

import (
	"context"
	"errors"
	"log/slog"

	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/sdk"
)

// Route is what the relay has to know to serve a tenant's calls to an adapter.
// Routes are read-only.
type Route struct {
	Tenant  string
	Adapter string
	Version string
	// Digest is of the package that Manifest is part of: calls that were checked
	// against the one are sent by the other.
	Digest string
	// Enabled is whether new messages may be sent.
	Enabled bool
	// Manifest is the version's manifest with the operator's overrides applied.
	Manifest *manifest.Manifest
	// Timezone is the tenant's; the zero Zone is UTC.
	Timezone sdk.Zone
	// Settings are the tenant's own settings, without defaults.
	Settings sdk.Values
	// BaseURLSet is whether the operator configured a base URL for the adapter,
	// so that user.hostname may be absent.
	BaseURLSet bool
}

// Routes resolves tenants and adapters. Implementations answer from memory,
// without a lock: they are asked on every call.
type Routes interface {
	// Route returns the tenant's route to the adapter, enabled or not. Faults:
	// tenant_not_found, adapter_not_found when it is not installed,
	// adapter_disabled when it was never enabled for the tenant.
	Route(tenant, adapter string) (*Route, error)
}

// Target names the process that a call needs.
type Target struct {
	Tenant, Adapter, Version string
	// Digest is of the package whose process it is.
	Digest string
	// RequestID is listed in the crash report if the process dies.
	RequestID string
}

// target names the process that serves the route.
func (r *Route) target(requestID string) Target {
	return Target{Tenant: r.Tenant, Adapter: r.Adapter, Version: r.Version, Digest: r.Digest, RequestID: requestID}
}

// Adapters hands out running adapter processes.
type Adapters interface {
	// Acquire waits, within ctx, for a place in a process that serves the target.
	//
	// Outcomes:
	//  1. A Process, to be released.
	//  2. adapter_unavailable, with RetryAfter: it is not running and will not be
	//     in time.
	//  3. overloaded: too many calls wait already.
	//  4. shutting_down.
	// Nothing was sent in 2 to 4, and their class is retryable.
	Acquire(ctx context.Context, t Target) (Process, error)
}

// Process is one place in a running adapter process.
type Process interface {
	// AddMessageLog and FindMessageLog return faults only. One with
	// rpc.ErrBrokenOff in its chain says that no answer came: the process died, or
	// ctx ended, and the process may still be at it.
	AddMessageLog(ctx context.Context, req *sdk.AddMessageLogRequest) (*sdk.AddMessageLogResponse, error)
	FindMessageLog(ctx context.Context, req *sdk.FindMessageLogRequest) (*sdk.FindMessageLogResponse, error)
	// CanFind is whether the adapter has FindMessageLog.
	CanFind() bool
	// Done is closed once the process has exited and been reaped.
	Done() <-chan struct{}
	// Condemn asks for the process to be replaced and then killed: it holds a
	// call that should have returned long ago.
	Condemn(cause string)
	// Release gives the place back. answered is whether the process answered a
	// call, be it with a fault of its own.
	Release(answered bool)
}

// Store is what the relay keeps its entries in.
type Store interface {
	store.Ledger
	store.Agenda
}

// Sealer encrypts stored requests. ad binds a ciphertext to its tenant.
type Sealer interface {
	Seal(plaintext, ad []byte) ([]byte, error)
	Unseal(ciphertext, ad []byte) ([]byte, error)
}

// Deps are the relay's neighbours. All are required.
type Deps struct {
	Store    Store
	Routes   Routes
	Adapters Adapters
	Sealer   Sealer
	Log      *slog.Logger
}

func (d Deps) validate() error {
	if d.Store == nil || d.Routes == nil || d.Adapters == nil || d.Sealer == nil || d.Log == nil {
		return errors.New("a dependency is missing")
	}
	return nil
}
