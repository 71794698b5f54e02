// Package catalog knows the adapter packages that are installed: their names,
// versions, files and digests. It reads and checks packages and executes nothing.
//
// A package is a folder <adapters folder>/<name>/<version> with manifest.json, the
// adapter's files, and checksums.txt, which lists the SHA-256 of every other file.
// Load reads every byte of it: a package is in the catalog only when its manifest
// is valid, names the folder it lies in, and every file is listed and unchanged.
// Anything else is a Problem with a cause and a remedy; it never hides another
// package and never stops the host.
//
// The digest of checksums.txt stands for the whole package. It is pinned when a
// version is seen first, and a version whose digest has changed since is refused
// until it is installed: Examine and Commit take what lies there now, of one
// adapter, and leave all others as they are.
package catalog

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/mod/semver"

	"github.com/patchbay-crm/patchbay/host/manifest"
)

// Pins remembers the digests of installed packages, for all hosts that share a
// store.
type Pins interface {
	// PinPackage records the digest of a version that was never seen before, and
	// returns the digest that stands: this one, or an earlier one.
	PinPackage(ctx context.Context, name, version, digest string) (pinned string, err error)
	// RepinPackage records the digest in place of the one that stands, durably.
	RepinPackage(ctx context.Context, name, version, digest string) error
}

// Config says where packages lie and for whom they are read.
type Config struct {
	// Dirs are the adapters folders. When two hold the same version of an
	// adapter, the earlier folder counts.
	Dirs []string
	// Pins remembers digests; nil pins nothing.
	Pins Pins
	// Log takes one record for each new problem and for each package installed; nil
	// discards them.
	Log *slog.Logger
	// Overrides are the operator's changes to manifests, by adapter name.
	Overrides map[string]manifest.Overrides
	// GOOS and GOARCH are the platform whose executables are wanted; default the
	// one of this program.
	GOOS, GOARCH string
}

func (c Config) withDefaults() Config {
	c.GOOS = cmp.Or(c.GOOS, runtime.GOOS)
	c.GOARCH = cmp.Or(c.GOARCH, runtime.GOARCH)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	if len(c.Dirs) == 0 {
		errs = append(errs, errors.New("Dirs: at least one adapters folder is needed"))
	}
	for name, o := range c.Overrides {
		if err := o.Validate(); err != nil {
			errs = append(errs, errors.New("Overrides: "+name+": "+err.Error()))
		}
	}
	return errors.Join(errs...)
}

// Catalog holds the installed packages. Its methods may be called concurrently;
// readers see the outcome of one Load or Commit, never half of one.
type Catalog struct {
	cfg  Config
	load sync.Mutex // one Load or Commit at a time
	now  atomic.Pointer[snapshot]
}

// New returns an empty catalog; Load fills it. The error names every faulty
// member of cfg.
func New(cfg Config) (*Catalog, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	c := &Catalog{cfg: cfg}
	c.now.Store(&snapshot{})
	return c, nil
}

// Load reads the adapters folders and replaces what the catalog knew. Bad packages
// are problems, not errors. An error means that nothing was replaced: ctx ended or
// the pins could not be read.
func (c *Catalog) Load(ctx context.Context) error {
	c.load.Lock()
	defer c.load.Unlock()
	s := &scan{cfg: c.cfg}
	if err := s.walk(ctx); err != nil {
		return err
	}
	next := s.snapshot()
	c.report(ctx, c.now.Load(), next)
	c.now.Store(next)
	return nil
}

// report logs the problems that the catalog did not have before.
func (c *Catalog) report(ctx context.Context, before, after *snapshot) {
	known := make(map[string]bool, len(before.problems))
	for _, p := range before.problems {
		known[p.Dir+"\x00"+p.Cause+"\x00"+p.Detail] = true
	}
	for _, p := range after.problems {
		if !known[p.Dir+"\x00"+p.Cause+"\x00"+p.Detail] {
			c.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "adapter package refused",
				slog.String("adapter", p.Name), slog.String("version", p.Version), slog.String("dir", p.Dir),
				slog.String("cause", p.Cause), slog.String("error", p.Error()), slog.String("remedy", p.Remedy))
		}
	}
}

// Adapter is what the catalog knows of one adapter.
type Adapter struct {
	Name string
	// DisplayName is the newest version's, preferring stable ones; the name when
	// no version can be used.
	DisplayName string
	// Versions are the versions that can be used, newest first.
	Versions []string
	// Problems are those of its packages.
	Problems []Problem
}

// Adapters returns the installed adapters, those without a usable version
// included, by name.
func (c *Catalog) Adapters() []Adapter { return slices.Clone(c.now.Load().adapters) }

// Problems returns what is wrong with the adapters folders and their packages, by
// folder.
func (c *Catalog) Problems() []Problem { return slices.Clone(c.now.Load().problems) }

// Lookup returns one version of an adapter. The error is a fault of code
// adapter_not_found that says what is installed, or why the version is refused.
func (c *Catalog) Lookup(name, version string) (*Package, error) {
	now := c.now.Load()
	if p, ok := now.packages[name][version]; ok {
		return p, nil
	}
	return nil, now.notFound(name, version)
}

// Latest returns the newest stable version of an adapter; a prerelease is never
// chosen. The error is a fault of code adapter_not_found.
func (c *Catalog) Latest(name string) (*Package, error) {
	now := c.now.Load()
	var latest *Package
	for _, p := range now.packages[name] {
		if semver.Prerelease("v"+p.Version) == "" && (latest == nil || compareVersions(p.Version, latest.Version) > 0) {
			latest = p
		}
	}
	if latest == nil {
		return nil, now.notFound(name, "")
	}
	return latest, nil
}

// compareVersions orders versions by precedence; those that differ in build
// metadata alone by their text.
func compareVersions(a, b string) int {
	return cmp.Or(semver.Compare("v"+a, "v"+b), cmp.Compare(a, b))
}

// absolute returns dir as an absolute path, or as it is when there is no working
// directory.
func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}
