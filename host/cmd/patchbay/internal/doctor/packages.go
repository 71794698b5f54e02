package doctor

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/app"
	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/host/store/sqlite"
)

// packages checks the adapters folders and every package in them. seen are the
// packages that hosts have seen, as far as that is known.
func (f *findings) packages(ctx context.Context, c *config.Config, seen pins) {
	for _, dir := range c.AdaptersDirs {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			f.add("adapters", Warn, "install adapters there (make build fills dist/adapters), or set adaptersDirs", "%s does not exist", dir)
		}
	}
	cat, err := catalog.New(catalog.Config{Dirs: c.AdaptersDirs, Overrides: c.Overrides(), Pins: seen})
	if err == nil {
		err = cat.Load(ctx)
	}
	if err != nil {
		f.add("adapters", Fail, "set adaptersDirs to folders that can be read", "%s", err)
		return
	}
	for _, p := range cat.Problems() {
		f.add("adapter "+cmp.Or(strings.TrimSpace(p.Name+" "+p.Version), p.Dir), Warn, p.Remedy,
			"%s: %s", p.Cause, p.OneLine())
	}
	for _, a := range cat.Adapters() {
		for _, version := range a.Versions {
			f.pkg(cat, a.Name, version)
		}
		if newest, err := cat.Lookup(a.Name, newestOf(a)); err == nil {
			if private, ok := PrivateBaseURL(ctx, newest.Manifest, c.Adapters[a.Name]); ok {
				*f = append(*f, private)
			}
		}
	}
	for _, u := range app.UnusedSettings(cat, c.Adapters) {
		f.unused(u)
	}
}

// newestOf returns the newest version of an adapter that can be used, else "".
func newestOf(a catalog.Adapter) string {
	if len(a.Versions) == 0 {
		return ""
	}
	return a.Versions[0]
}

// pkg tells of a package that can be used.
func (f *findings) pkg(cat *catalog.Catalog, name, version string) {
	p, err := cat.Lookup(name, version)
	if err != nil {
		return // a problem, told already
	}
	check := "adapter " + name + " " + version
	f.add(check, OK, "", "%s", p.Dir)
	if loose := p.Manifest.NotEnforced(); len(loose) > 0 {
		f.add(check, Info, "", "not enforced by this build: %s", strings.Join(loose, ", "))
	}
}

// unused names what the configuration says about adapters for nothing.
func (f *findings) unused(u app.Unused) {
	switch {
	case u.Variable == "" && u.Refused: // its packages were told of, with a remedy each
	case u.Variable == "":
		f.add("configuration", Warn, "install the adapter, or remove adapters."+u.Adapter,
			"adapters.%s: no version of it can be used", u.Adapter)
	case u.Refused:
		f.add("configuration", Info, "", "adapters.%s.env.%s: no version that can be used takes it; one that is refused may",
			u.Adapter, u.Variable)
	default:
		f.add("configuration", Warn, "remove it, or correct its name; the manifest's run.env lists what the adapter takes",
			"adapters.%s.env.%s: the adapter does not take it", u.Adapter, u.Variable)
	}
}

// pins are the digests of packages that the database holds. They answer the catalog
// as a host's store does, but record nothing: doctor changes nothing.
type pins map[sqlite.AdapterVersion]string

// PinPackage returns the digest that stands: a version that was never seen may be
// what it likes.
func (p pins) PinPackage(_ context.Context, name, version, digest string) (string, error) {
	return cmp.Or(p[sqlite.AdapterVersion{Name: name, Version: version}], digest), nil
}

// RepinPackage refuses.
func (pins) RepinPackage(context.Context, string, string, string) error {
	return errors.New("doctor installs nothing")
}
