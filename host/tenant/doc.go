// Package tenant knows who may call and what they call: tenants, the adapters
// enabled for them with their settings, and API tokens.
//
// Everything that a call needs stands in one snapshot that is replaced as a
// whole: Route and Authenticate read it without a lock and without the database.
// Changes go the other way round: they are written to the store first, durably,
// and show in the snapshot before the method returns, so a change takes effect
// on the next call. Changes are made one at a time; when another host changed the
// same row meanwhile, the directory is loaded again and the change is made anew.
//
// Errors are faults (sdk/fault). What is wrong with a body is invalid_fields with
// strictjson.Faults as its cause, every fault at once.
package tenant

import (
	"log/slog"
	"time"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/sdk"
)

// The keys of this package's log records.
const (
	keyTenant  = "tenant"
	keyAdapter = "adapter"
	keyError   = "error"
)

// Tenant is a customer of the messaging product.
type Tenant struct {
	ID          string
	DisplayName string // empty when not set
	Timezone    string // empty when not set: UTC
	CreatedAt   time.Time
}

// Enablement is one adapter switched on or off for one tenant.
type Enablement struct {
	Tenant  string
	Adapter string
	Enabled bool
	// Version is the adapter version in use. It is empty only for an adapter that
	// was never enabled and has no stable version.
	Version string
	// Isolation is in force: the tenant's own choice, else the manifest's. It is
	// empty when neither is known.
	Isolation manifest.Isolation
	// OnUnavailable is what becomes of calls while the adapter is down; "fail".
	OnUnavailable string
	// Settings are the tenant's own, without defaults. Values that are secret, or
	// of which the manifest does not say that they are not, read Redacted.
	Settings sdk.Values
	CreatedAt,
	UpdatedAt time.Time
}

// Redacted stands for a secret setting wherever settings are shown. Sent back in
// a body it means "keep the stored value".
const Redacted = "[redacted]"

// Token describes an API token of a tenant. The token itself is not kept.
type Token struct {
	ID        string
	Tenant    string
	Name      string
	CreatedAt time.Time
	ExpiresAt time.Time // zero: never
}

// Route is what serves a tenant's calls to an adapter. Routes are read-only, and
// the same route stays the same pointer until something about it changes.
type Route struct {
	Tenant  string
	Adapter string
	Version string
	// Enabled is whether new messages may be sent.
	Enabled bool
	Package *catalog.Package
	// Manifest is the package's manifest as the operator wants it.
	Manifest *manifest.Manifest
	// Timezone is the tenant's; the zero Zone is UTC.
	Timezone sdk.Zone
	// Settings are the tenant's own, in the clear, without defaults.
	Settings sdk.Values
	// Isolation is in force.
	Isolation manifest.Isolation
	// OnUnavailable is "fail".
	OnUnavailable string
}

// Want names an adapter version that at least one tenant has enabled, and the
// digest of the package that is installed as it.
type Want struct{ Adapter, Version, Digest string }

// Principal is who a token belongs to.
type Principal struct {
	// Admin may do everything.
	Admin bool
	// Tenant is whose token it is; empty for the admin.
	Tenant string
	// TokenID names the tenant's token; empty for the admin.
	TokenID string
}

// May reports whether the principal may act for the tenant.
func (p Principal) May(tenant string) bool { return p.Admin || (tenant != "" && p.Tenant == tenant) }

// LogValue shows who it is.
func (p Principal) LogValue() slog.Value {
	if p.Admin {
		return slog.StringValue("admin")
	}
	return slog.StringValue(p.Tenant + "/" + p.TokenID)
}
