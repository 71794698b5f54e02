package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// Installation holds packages of one adapter that lie in the adapters folders, were
// checked, and may be installed. It is used by one goroutine.
type Installation struct {
	catalog *Catalog
	found   *scan
}

// Examine reads what lies in the adapters folders of one adapter now, all versions
// or the one that is named, and checks every byte of it as Load does, but for the
// pins: a package that changed since it was installed is what it looks for. It
// changes nothing.
//
// Outcomes:
//  1. An Installation with at least one package.
//  2. adapter_not_found: no such package lies there.
//  3. conflict: a package is refused, or a folder cannot be read.
//     strictjson.Faults in its chain have every problem: the pointer is the version,
//     for a fault of its manifest followed by the file and a pointer into it; the
//     code is the problem's cause, or that of the manifest's fault.
//  4. ctx's error.
func (c *Catalog) Examine(ctx context.Context, name, version string) (*Installation, error) {
	cfg := c.cfg
	cfg.Pins = nil
	s := &scan{cfg: cfg, only: scope{name, version}}
	if err := s.walk(ctx); err != nil {
		return nil, err
	}
	if err := s.refusal(); err != nil {
		return nil, err
	}
	if len(s.packages[name]) == 0 {
		if version != "" {
			return nil, fault.New(fault.AdapterNotFound, "no package of this version lies in the adapters folders")
		}
		return nil, fault.New(fault.AdapterNotFound, "no package of this adapter lies in the adapters folders")
	}
	return &Installation{catalog: c, found: s}, nil
}

// refusal returns the fault of a scan that met packages which cannot be used, nil
// when it met none.
func (s *scan) refusal() error {
	var faults strictjson.Faults
	refused := map[string]bool{}
	var last Problem
	for _, p := range s.problems {
		if p.Name != s.only.name || p.Version == "" {
			continue
		}
		refused[p.Version], last = true, p
		faults.AddAt(p.Version, p.Cause, "%s; %s", p.Detail, p.Remedy)
		for _, f := range p.Faults {
			faults.AddAt(p.Version+"/"+manifest.ManifestFile+"#"+f.Pointer, f.Code, "%s", f.Detail)
		}
	}
	for _, p := range s.unread {
		faults.AddAt("", p.Cause, "%s: %s; %s", p.Dir, p.Detail, p.Remedy)
	}
	var what string
	switch {
	case len(refused) > 1:
		what = fmt.Sprintf("%d versions of %s are refused", len(refused), s.only.name)
	case len(refused) == 1:
		what = fmt.Sprintf("version %s of %s is refused: %s", last.Version, s.only.name, last.Cause)
	case len(s.unread) > 0:
		what = "a folder of adapters cannot be read"
	default:
		return nil
	}
	what += "; nothing was changed"
	if s.only.version == "" && len(s.packages[s.only.name]) > 0 && len(s.unread) == 0 {
		what += ". Name a version to install it alone"
	}
	return &fault.Error{Code: fault.Conflict, Class: fault.Permanent, Source: fault.Host, Msg: what, Err: faults}
}

// Packages returns the packages, newest first. Those that the catalog has already,
// unchanged, are among them.
func (i *Installation) Packages() []*Package {
	packages := slices.Collect(maps.Values(i.found.packages[i.found.only.name]))
	slices.SortFunc(packages, func(a, b *Package) int { return compareVersions(b.Version, a.Version) })
	return packages
}

// Commit makes the packages the installed ones: their digests are pinned in place
// of earlier ones, durably, and then the catalog has them. Other adapters stay as
// they are, and other versions when the Installation is of one. Versions of the
// adapter that lie there no more are gone when the Installation is of all.
//
// With an error the catalog is unchanged. The pins of some packages may be replaced
// already: a host that starts anew would take these. Commit may be called again.
func (i *Installation) Commit(ctx context.Context) error {
	c := i.catalog
	c.load.Lock()
	defer c.load.Unlock()
	before := c.now.Load()
	var changed []*Package
	for _, p := range i.Packages() {
		if old := before.packages[p.Name][p.Version]; old != nil && old.Digest == p.Digest {
			continue // pinned when the catalog took it
		}
		changed = append(changed, p)
		if c.cfg.Pins == nil {
			continue
		}
		if err := c.cfg.Pins.RepinPackage(ctx, p.Name, p.Version, p.Digest); err != nil {
			return fmt.Errorf("install package %s %s: %w", p.Name, p.Version, err)
		}
	}
	after := i.found.over(before)
	for _, p := range changed {
		c.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "adapter package installed", slog.String("adapter", p.Name),
			slog.String("version", p.Version), slog.String("dir", p.Dir), slog.String("digest", p.Digest))
	}
	c.report(ctx, before, after)
	c.now.Store(after)
	return nil
}

// over returns before with what the scan found in the place of what it looked for.
func (s *scan) over(before *snapshot) *snapshot {
	name := s.only.name
	out := &scan{packages: map[string]map[string]*Package{}}
	maps.Copy(out.packages, before.packages)
	versions := map[string]*Package{}
	for version, p := range before.packages[name] {
		if !s.only.versionOf(version) {
			versions[version] = p
		}
	}
	for version, p := range s.packages[name] {
		if old := before.packages[name][version]; old != nil && old.Digest == p.Digest && old.Dir == p.Dir {
			p = old // whoever compares pointers sees that nothing changed
		}
		versions[version] = p
	}
	out.packages[name] = versions
	for _, p := range before.problems {
		// The scan has met those of adapters folders and of the adapter's own anew.
		if p.Name != "" && (p.Name != name || (p.Version != "" && !s.only.versionOf(p.Version))) {
			out.problems = append(out.problems, p)
		}
	}
	out.problems = append(out.problems, s.problems...)
	return out.snapshot()
}
