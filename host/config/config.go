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
	"net"
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
	// Overrides change the manifest's run.limits and run.reconcile. Default none.
	Overrides manifest.Overrides
}

// Env are environment variables. Values may be secrets: an Env prints as its
// names only.
type Env map[string]string

// SQLiteFile returns the path of the database file.
func (c *Config) SQLiteFile() string { return filepath.Join(c.DataDir, "patchbay.db") }

// LocalURL returns the base URL at which programs of this machine reach the HTTP
// API; empty when the host picks its port by itself.
func (c *Config) LocalURL() string {
	if _, port, err := net.SplitHostPort(c.Listen); err != nil || port == "0" {
		return ""
	}
	return LocalURL(c.Listen)
}

// LocalURL returns the base URL at which programs of this machine reach a server
// that listens on the address, given as host:port. An address of every interface
// becomes the loopback one.
func LocalURL(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "http://" + address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Overrides returns the operator's changes to manifests, by adapter name.
func (c *Config) Overrides() map[string]manifest.Overrides {
	out := make(map[string]manifest.Overrides, len(c.Adapters))
	for name, a := range c.Adapters {
		out[name] = a.Overrides
	}
	return out
}
