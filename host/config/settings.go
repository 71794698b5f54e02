package config

import (
	"cmp"
	"errors"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// EnvPrefix begins the name of every environment variable that the host reads.
const EnvPrefix = "PATCHBAY_"

// Setting describes one setting, for help and documentation.
type Setting struct {
	// Key is its name in the file; <name> stands for an adapter's name.
	Key string
	// Type says what a value looks like.
	Type string
	// Default is the value when nothing sets it, as text.
	Default string
	// Description says what it means, in one sentence or two.
	Description string

	list bool                                    // takes several values
	set  func(c *Config, values []string) error  // of a top-level key
	own  func(a *Adapter, values []string) error // of a key below adapters.<name>
	env  func(a *Adapter, name, value string)    // of the map adapters.<name>.env
}

// InAdapter reports whether the setting stands below adapters.<name>. Such a
// setting has neither a flag nor a variable.
func (s Setting) InAdapter() bool { return s.set == nil }

// Flag returns the name of the setting's flag without dashes, "" when it has
// none.
func (s Setting) Flag() string {
	if s.InAdapter() {
		return ""
	}
	return words(s.Key, "-")
}

// Env returns the name of the setting's environment variable, "" when it has
// none.
func (s Setting) Env() string {
	if s.InAdapter() {
		return ""
	}
	return EnvPrefix + strings.ToUpper(words(s.Key, "_"))
}

// words puts the separator between the words of a camelCase key, in lower case.
// A run of capitals is one word: payloadTTL has two.
func words(key, separator string) string {
	var b strings.Builder
	previous := 'A'
	for _, r := range key {
		if unicode.IsUpper(r) && !unicode.IsUpper(previous) {
			b.WriteString(separator)
		}
		b.WriteRune(unicode.ToLower(r))
		previous = r
	}
	return b.String()
}

// Settings returns every setting, in the order of the documentation.
func Settings() []Setting {
	return append(hostSettings(), adapterSettings()...)
}

// The names of the files below DataDir.
const (
	keyFileName        = "keyset.json"
	adminTokenFileName = "admin.token"
)

func hostSettings() []Setting {
	return []Setting{
		one("listen", "host:port", "127.0.0.1:8080",
			"TCP address of the HTTP API. Port 0 picks a free one; the log tells which.",
			func(c *Config) *string { return &c.Listen }, listen),
		one("dataDir", "path", "var",
			"Directory of the database, the key and the admin token. Made with mode 0700; one host at a time may use it.",
			func(c *Config) *string { return &c.DataDir }, path),
		{
			Key: "adaptersDirs", Type: "list of paths", Default: "dist/adapters", list: true,
			Description: "Directories of adapter packages, each as <name>/<version>/manifest.json. When it is not set and the working directory has no dist/adapters, ../adapters beside the binary.",
			set: func(c *Config, values []string) error {
				c.AdaptersDirs = values
				for _, v := range values {
					if _, err := path(v); err != nil {
						return err
					}
				}
				return nil
			},
		},
		one("database", "sqlite", "sqlite",
			"The store. SQLite keeps its file in dataDir; PostgreSQL is not available in this version.",
			func(c *Config) *string { return &c.Database }, database),
		one("keyFile", "path", "<dataDir>/"+keyFileName,
			"Key that encrypts stored requests and settings. Made with mode 0600 when missing. Without it stored requests cannot be read: back it up.",
			func(c *Config) *string { return &c.KeyFile }, path),
		one("adminTokenFile", "path", "<dataDir>/"+adminTokenFileName,
			"File of the admin token. Made with mode 0600 when missing.",
			func(c *Config) *string { return &c.AdminTokenFile }, path),
		one("payloadTTL", "duration", "72h",
			"Longest time that the encrypted request of an unsettled message log is kept. Between 1m and 8760h.",
			func(c *Config) *time.Duration { return &c.PayloadTTL }, within(time.Minute, 8760*time.Hour)),
		one("maxBody", "size", "1MiB",
			"Largest request body. Between 1KiB and 64MiB.",
			func(c *Config) *int64 { return &c.MaxBody },
			func(text string) (int64, error) { return size(text, 1<<10, 64<<20) }),
		one("maxWait", "duration", "60s",
			"Cap of the time a caller may wait for an outcome (Prefer: wait). Between 100ms and 10m.",
			func(c *Config) *time.Duration { return &c.MaxWait }, within(100*time.Millisecond, 10*time.Minute)),
		one("drainTimeout", "duration", "25s",
			"How long a stopping host lets calls in flight end before it cuts them off. Between 0s and 10m.",
			func(c *Config) *time.Duration { return &c.DrainTimeout }, within(0, 10*time.Minute)),
		one("logLevel", "debug|info|warn|error", "info",
			"Lowest level that is logged, of the host and of its adapters.",
			func(c *Config) *slog.Level { return &c.LogLevel }, logLevel),
		one("logFormat", "text|json", "text",
			"Format of the log on standard error.",
			func(c *Config) *string { return &c.LogFormat }, logFormat),
	}
}

func adapterSettings() []Setting {
	return []Setting{
		{
			Key: "adapters.<name>.env", Type: "map of name to text", Default: "none",
			Description: "Environment variables of the adapter's process. Only names that the manifest lists in run.env; nothing of the host's own environment reaches an adapter.",
			env:         func(a *Adapter, name, value string) { a.Env[name] = value },
		},
		{
			Key: "adapters.<name>.allowPrivate", Type: "list of addresses", Default: "none", list: true,
			Description: "IP addresses, networks and host names that the adapter may call although they are not on the public internet.",
			own: func(a *Adapter, values []string) error {
				a.AllowPrivate = values
				for _, v := range values {
					if err := privateHost(v); err != nil {
						return err
					}
				}
				return nil
			},
		},
		own("limits.memoryMiB", "integer", "Memory of one process in MiB.",
			func(a *Adapter) **int { return &a.Overrides.Limits.MemoryMiB },
			integer),
		own("limits.cpus", "number", "CPU cores of one process.",
			func(a *Adapter) **float64 { return &a.Overrides.Limits.CPUs },
			decimal),
		own("limits.concurrency", "integer", "Calls that one process serves at once.",
			func(a *Adapter) **int { return &a.Overrides.Limits.Concurrency },
			integer),
		own("limits.startTimeout", "duration", "Longest time from the start of a process to its first sign of life.",
			func(a *Adapter) **time.Duration { return &a.Overrides.Limits.StartTimeout }, anyDuration),
		own("limits.callTimeout", "duration", "Length of a send window: nothing is sent to the CRM after it. Also a caller's wait when it names none.",
			func(a *Adapter) **time.Duration { return &a.Overrides.Limits.CallTimeout }, anyDuration),
		own("reconcile.applyWithin", "duration", "Longest time after sending within which the CRM may still apply a request.",
			func(a *Adapter) **time.Duration { return &a.Overrides.Reconcile.ApplyWithin }, anyDuration),
		own("reconcile.searchLag", "duration", "Longest lag of the CRM's search behind its records.",
			func(a *Adapter) **time.Duration { return &a.Overrides.Reconcile.SearchLag }, anyDuration),
		own("reconcile.idempotentCreate", "true|false", "Whether the CRM itself makes one record of two creates with the same idempotency key. This version makes no use of it.",
			func(a *Adapter) **bool { return &a.Overrides.Reconcile.IdempotentCreate }, boolean),
	}
}

// one makes a setting with one value.
func one[T any](key, kind, def, description string, field func(*Config) *T, parse func(string) (T, error)) Setting {
	return Setting{
		Key: key, Type: kind, Default: def, Description: description,
		set: func(c *Config, values []string) error {
			v, err := parse(cmp.Or(values...))
			if err == nil {
				*field(c) = v
			}
			return err
		},
	}
}

// own makes a setting of an adapter that overrides its manifest.
func own[T any](key, kind, description string, field func(*Adapter) **T, parse func(string) (T, error)) Setting {
	return Setting{
		Key: "adapters.<name>." + key, Type: kind, Default: "the manifest's", Description: description,
		own: func(a *Adapter, values []string) error {
			v, err := parse(cmp.Or(values...))
			if err != nil {
				return err
			}
			var alone Adapter
			*field(&alone), *field(a) = &v, &v
			return rangeFault(alone.Overrides.Validate())
		},
	}
}

// rangeFault returns what the manifest's own rules say against a value.
func rangeFault(err error) error {
	var faults strictjson.Faults
	if errors.As(err, &faults) && len(faults) > 0 {
		return errors.New(faults[0].Detail)
	}
	return err
}

func within(least, most time.Duration) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) { return duration(text, least, most) }
}
