// Package httpapi is Patchbay's HTTP edge: JSON in, JSON or problem+json out. It
// reads requests strictly, asks relay, the tenant directory, the catalog and the
// ledger, and writes what they say. It decides nothing about delivery.
//
// A request's way: ServeHTTP gives it an id and catches panics; the router finds
// its route; admit turns it away while the host stops or is overloaded, checks
// the token and its rights, the query and the body; then the handler runs. Every
// refusal on the way, unknown routes and methods included, is a Problem
// (RFC 9457) with one of the codes of sdk/fault, and none repeats a value of the
// request. ProblemDocs says what each code means; /problems/{code} shows it.
//
// The OpenAPI document at /openapi.json is made from the handlers' own types, the
// route table's codes and the types in bodies.go, and this package's tests hold
// the three against what the handlers do.
//
// Bodies are read into memory of their own, never into a shared buffer: a call
// may go on after its caller has been answered, and it keeps its body.
package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/relay"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/tenant"
)

// The keys of this package's log records.
const (
	keyRequestID = "request_id"
	keyTenant    = "tenant"
	keyAdapter   = "adapter"
	keyOp        = "op"
	keyStatus    = "status"
	keyCode      = "code"
	keyClass     = "class"
	keyDuration  = "duration_ms"
	keyError     = "error"
)

// Config bounds what the API accepts. Zero members take their defaults.
type Config struct {
	// Version is the host's version, shown in the OpenAPI document; default "dev".
	Version string
	// MaxBody is the largest request body in bytes; default 1 MiB.
	MaxBody int64
	// MaxWait caps how long a caller may wait; default 60 s.
	MaxWait time.Duration
	// MaxInFlight is how many requests are worked on at once; more are answered
	// overloaded. Default 4096.
	MaxInFlight int
	// BodyTimeout is how long a body may take to arrive; default 30 s.
	BodyTimeout time.Duration
	// DrainTimeout is how long Serve lets requests in flight end; default 25 s.
	DrainTimeout time.Duration
}

func (c Config) withDefaults() Config {
	c.Version = cmp.Or(c.Version, "dev")
	c.MaxBody = cmp.Or(c.MaxBody, 1<<20)
	c.MaxWait = cmp.Or(c.MaxWait, time.Minute)
	c.MaxInFlight = cmp.Or(c.MaxInFlight, 4096)
	c.BodyTimeout = cmp.Or(c.BodyTimeout, 30*time.Second)
	c.DrainTimeout = cmp.Or(c.DrainTimeout, 25*time.Second)
	return c
}

func (c Config) validate() error {
	var faults []error
	for name, value := range map[string]int64{
		"MaxBody": c.MaxBody, "MaxWait": int64(c.MaxWait), "MaxInFlight": int64(c.MaxInFlight),
		"BodyTimeout": int64(c.BodyTimeout), "DrainTimeout": int64(c.DrainTimeout),
	} {
		if value < 0 {
			faults = append(faults, fmt.Errorf("%s is negative", name))
		}
	}
	return errors.Join(faults...)
}

// Relay is what the API asks of package relay. Errors are faults.
type Relay interface {
	AddMessageLog(ctx context.Context, call relay.Call) (*relay.Result, error)
	Retry(ctx context.Context, call relay.RetryCall) (*relay.Result, error)
	Resolve(ctx context.Context, call relay.ResolveCall) (ledger.Entry, error)
	Forget(ctx context.Context, tenant, id string) (ledger.Entry, error)
}

// Ledger is what the API reads of the ledger.
type Ledger interface {
	Entry(ctx context.Context, tenant, id string) (ledger.Entry, error)
	Entries(ctx context.Context, q store.Query) ([]ledger.Entry, error)
}

// Catalog is what the API asks about installed packages. It answers from memory.
type Catalog interface {
	Adapters() []catalog.Adapter
	Lookup(name, version string) (*catalog.Package, error)
	Latest(name string) (*catalog.Package, error)
}

// Processes is what the API asks about adapter processes.
type Processes interface {
	// Statuses returns the state of every process.
	Statuses() []ProcessStatus
	// Crashes returns the crash reports of an adapter, newest first.
	Crashes(adapter string) []Crash
	// Restart replaces the adapter's processes of that version and tenant; empty
	// means all. Errors are faults.
	Restart(ctx context.Context, adapter, version, tenant string) error
	// Unquarantine starts quarantined processes at once, chosen as by Restart.
	Unquarantine(ctx context.Context, adapter, version, tenant string) error
}

// Installer takes adapter packages into the running host.
type Installer interface {
	// Install reads again what lies in the adapters folders of an adapter, of one
	// version or of all when it is empty, and makes it what is installed. Calls go on
	// meanwhile. It returns once routes and catalog have changed, or with a fault:
	// adapter_not_found when no such package lies there, conflict when a package is
	// refused, with strictjson.Faults in its chain; then nothing was changed.
	Install(ctx context.Context, adapter, version string) error
}

// Deps are what the API works with. Every member but Ready, Collectors, Log and
// NewRequestID is required.
type Deps struct {
	Relay     Relay
	Directory *tenant.Directory
	Catalog   Catalog
	Ledger    Ledger
	Processes Processes
	Installer Installer
	// Ready says why the host cannot serve yet, nil when it can; nil: always.
	Ready func() error
	// Collectors are further metrics for /metrics.
	Collectors []prometheus.Collector
	// Log takes one DEBUG record a request, ERROR for what the host got wrong;
	// nil discards them.
	Log *slog.Logger
	// NewRequestID makes ids for requests without one; default: ULIDs.
	NewRequestID func() string
}

func (d Deps) withDefaults() Deps {
	if d.Ready == nil {
		d.Ready = func() error { return nil }
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.NewRequestID == nil {
		d.NewRequestID = func() string { return ulid.Make().String() }
	}
	return d
}

func (d Deps) validate() error {
	var faults []error
	for name, missing := range map[string]bool{
		"Relay": d.Relay == nil, "Directory": d.Directory == nil, "Catalog": d.Catalog == nil,
		"Ledger": d.Ledger == nil, "Processes": d.Processes == nil, "Installer": d.Installer == nil,
	} {
		if missing {
			faults = append(faults, fmt.Errorf("%s is not set", name))
		}
	}
	return errors.Join(faults...)
}
