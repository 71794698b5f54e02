// Package config loads the host's settings: built-in defaults, then a YAML file,
// then PATCHBAY_* environment variables, then flags; each layer overrides the one
// before it. It is strict. A key that does not exist is an error with the name
// that was probably meant, and every fault is reported at once with the place it
// stands in. With no file, no variables and no flags the result is complete and
// serves on the loopback address.
//
// Settings lists every setting with its type, default and meaning; the command
// line's help and docs/CONFIGURATION.md are held against it.
package config

import (
	"log/slog"
	"path/filepath"
	"time"

	"github.com/patchbay-crm/patchbay/host/manifest"
)

// Config is the host's configuration. Load returns it complete and checked;
// it is read-only afterwards.
type Config struct {
	// Listen is the TCP address of the HTTP API as host:port; port 0 picks a free
	// one. Default 127.0.0.1:8080.
	Listen string
	// DataDir holds the database, the key and the admin token. It is made with
	// mode 0700; one host at a time may use it. Default var.
	DataDir string
	// AdaptersDirs hold the adapter packages as <name>/<version>/manifest.json.
	// Default dist/adapters, or ../adapters beside the binary when the working
	// directory has no dist/adapters.
	AdaptersDirs []string
	// Database names the store; SQLite is the only one of this version. Default
	// sqlite.
	Database string
	// KeyFile holds the key that encrypts stored requests and settings; made with
	// mode 0600 when missing. Default <dataDir>/keyset.json.
	KeyFile string
	// AdminTokenFile holds the admin token; made with mode 0600 when missing.
	// Default <dataDir>/admin.token.
	AdminTokenFile string
	// PayloadTTL is the longest time that the request of an unsettled message log
	// is kept. Default 72 h.
	PayloadTTL time.Duration
	// MaxBody is the largest request body in bytes. Default 1 MiB.
	MaxBody int64
	// MaxWait caps how long a caller may wait for an outcome (Prefer: wait).
	// Default 60 s.
	MaxWait time.Duration
	// DrainTimeout is how long a stopping host lets calls in flight end. Default
	// 25 s.
	DrainTimeout time.Duration
	// LogLevel is the lowest level that is logged: debug, info, warn or error.
	// Default info.
	LogLevel slog.Level
	// LogFormat is text or json. Default text.
	LogFormat string
	// Adapters holds what the operator says about single adapters, by name.
	// Default empty.
	Adapters map[string]Adapter
}

// Adapter is what the operator says about one adapter. The zero value leaves
// everything as the manifest has it.
type Adapter struct {
	// Env are the environment variables given to the adapter's process; only
	// names that the manifest lists are allowed. Default none.
	Env Env
	// AllowPrivate lists the addresses, networks and host names that the adapter
	// may call although they are not on the public internet. Default none.
	AllowPrivate []string
	// Limits override the manifest's run.limits.
	Limits Limits
	// Reconcile overrides the manifest's run.reconcile.
	Reconcile Reconcile
}

// Env are environment variables. Values may be secrets: an Env prints as its
// names only.
type Env map[string]string

// Limits override manifest.Limits; nil leaves the manifest's value.
type Limits struct {
	MemoryMiB    *int           // MiB
	CPUs         *float64       // cores
	Concurrency  *int           // calls at once
	StartTimeout *time.Duration // from start to handshake
	CallTimeout  *time.Duration // length of a send window
}

// Reconcile overrides manifest.Reconcile; nil leaves the manifest's value.
type Reconcile struct {
	ApplyWithin      *time.Duration // longest time until the CRM applies a request
	SearchLag        *time.Duration // longest lag of the CRM's search
	IdempotentCreate *bool          // whether the CRM deduplicates by itself
}

// SQLiteFile returns the path of the database file.
func (c *Config) SQLiteFile() string { return filepath.Join(c.DataDir, "patchbay.db") }

// Override returns a copy of the manifest with the operator's limits and
// reconcile values in place of the package's own. The manifest is not changed.
func (c *Config) Override(m *manifest.Manifest) *manifest.Manifest {
	out := *m
	a := c.Adapters[m.Name]
	limits, reconcile := &out.Run.Limits, &out.Run.Reconcile
	override(&limits.MemoryMiB, a.Limits.MemoryMiB)
	override(&limits.CPUs, a.Limits.CPUs)
	override(&limits.Concurrency, a.Limits.Concurrency)
	override(&limits.StartTimeout, a.Limits.StartTimeout)
	override(&limits.CallTimeout, a.Limits.CallTimeout)
	override(&reconcile.ApplyWithin, a.Reconcile.ApplyWithin)
	override(&reconcile.SearchLag, a.Reconcile.SearchLag)
	override(&reconcile.IdempotentCreate, a.Reconcile.IdempotentCreate)
	return &out
}

func override[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}
