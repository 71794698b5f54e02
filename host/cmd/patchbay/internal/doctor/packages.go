package doctor

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/config"
)

// packages checks the adapters folders and every package in them.
func (f *findings) packages(ctx context.Context, c *config.Config) {
	for _, dir := range c.AdaptersDirs {
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			f.add("adapters", Warn, "install adapters there (make build fills dist/adapters), or set adaptersDirs", "%s does not exist", dir)
		}
	}
	cat, err := catalog.New(catalog.Config{Dirs: c.AdaptersDirs, Overrides: c.Overrides()})
	if err == nil {
		err = cat.Load(ctx)
	}
	if err != nil {
		f.add("adapters", Fail, "set adaptersDirs to folders that can be read", "%s", err)
		return
	}
	for _, p := range cat.Problems() {
		f.add("adapter "+cmp.Or(strings.TrimSpace(p.Name+" "+p.Version), p.Dir), Warn, p.Remedy,
			"%s: %s", p.Cause, strings.ReplaceAll(p.Error(), "\n", "; "))
	}
	for _, a := range cat.Adapters() {
		for _, version := range a.Versions {
			f.pkg(cat, a.Name, version)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Adapters)) {
		f.adapterSettings(cat, name, c.Adapters[name])
	}
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

// adapterSettings names what the configuration holds for an adapter that takes
// none of it.
func (f *findings) adapterSettings(cat *catalog.Catalog, name string, a config.Adapter) {
	p, err := cat.Latest(name)
	if err != nil {
		f.add("configuration", Warn, "install the adapter, or remove adapters."+name, "adapters.%s: no version of it can be used", name)
		return
	}
	for _, v := range a.Env.Names() {
		if !slices.Contains(p.Manifest.Run.Env, v) {
			f.add("configuration", Warn, "remove it, or correct its name; the manifest's run.env lists what the adapter takes",
				"adapters.%s.env.%s: the adapter does not take it", name, v)
		}
	}
}
