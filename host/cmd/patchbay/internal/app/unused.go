package app

import (
	"maps"
	"slices"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/config"
)

// Unused is something that the configuration says about an adapter, and that none
// of its usable versions takes.
type Unused struct {
	Adapter string
	// Variable is one that no manifest lists; empty when no version of the adapter
	// can be used at all.
	Variable string
	// Refused is whether there are packages of the adapter that cannot be used:
	// what they would take is not known.
	Refused bool
}

// UnusedSettings returns what the configuration says about adapters for nothing,
// by adapter and variable.
func UnusedSettings(c *catalog.Catalog, adapters map[string]config.Adapter) []Unused {
	installed := map[string]catalog.Adapter{}
	for _, a := range c.Adapters() {
		installed[a.Name] = a
	}
	var out []Unused
	for _, name := range slices.Sorted(maps.Keys(adapters)) {
		a := installed[name]
		refused := len(a.Problems) > 0
		if len(a.Versions) == 0 {
			out = append(out, Unused{Adapter: name, Refused: refused})
			continue
		}
		taken := map[string]bool{}
		for _, version := range a.Versions {
			pkg, err := c.Lookup(name, version)
			if err != nil {
				continue // another Load is through meanwhile
			}
			for _, variable := range pkg.Manifest.Run.Env {
				taken[variable] = true
			}
		}
		for _, variable := range adapters[name].Env.Names() {
			if !taken[variable] {
				out = append(out, Unused{Adapter: name, Variable: variable, Refused: refused})
			}
		}
	}
	return out
}

// warnUnused logs what the configuration says for nothing. Where a package was
// refused, the record of that stands in the log, and what it would take is not
// known: nothing is said of the configuration.
func (h *Host) warnUnused(c *catalog.Catalog) {
	for _, u := range UnusedSettings(c, h.cfg.Adapters) {
		switch {
		case u.Refused:
		case u.Variable == "":
			h.log.Warn("configuration is for an adapter that is not installed", keyAdapter, u.Adapter)
		default:
			h.log.Warn("configured variable is not in the adapter's manifest", keyAdapter, u.Adapter, "variable", u.Variable)
		}
	}
}
