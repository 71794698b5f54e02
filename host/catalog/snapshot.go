package catalog

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// snapshot is the outcome of one Load or Commit. It never changes.
type snapshot struct {
	packages map[string]map[string]*Package // by name and version
	adapters []Adapter                      // by name
	problems []Problem                      // by folder
}

func (s *scan) snapshot() *snapshot {
	out := &snapshot{packages: s.packages, problems: s.problems}
	slices.SortStableFunc(out.problems, func(a, b Problem) int { return strings.Compare(a.Dir, b.Dir) })
	byName := map[string]*Adapter{}
	adapter := func(name string) *Adapter {
		if byName[name] == nil {
			byName[name] = &Adapter{Name: name, DisplayName: name}
		}
		return byName[name]
	}
	for name, versions := range s.packages {
		a := adapter(name)
		for version := range versions {
			a.Versions = append(a.Versions, version)
		}
		slices.SortFunc(a.Versions, func(x, y string) int { return compareVersions(y, x) })
		shown := a.Versions[0]
		for _, v := range a.Versions {
			if semver.Prerelease("v"+v) == "" {
				shown = v
				break
			}
		}
		a.DisplayName = versions[shown].Manifest.DisplayName
	}
	for _, p := range out.problems {
		if p.Name != "" {
			a := adapter(p.Name)
			a.Problems = append(a.Problems, p)
		}
	}
	for _, a := range byName {
		out.adapters = append(out.adapters, *a)
	}
	slices.SortFunc(out.adapters, func(a, b Adapter) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// notFound explains why there is no such package: version "" stands for the newest
// stable one. What the caller asked for is repeated only when it is installed.
func (s *snapshot) notFound(name, version string) *fault.Error {
	i := slices.IndexFunc(s.adapters, func(a Adapter) bool { return a.Name == name })
	if i < 0 {
		names := make([]string, len(s.adapters))
		for i, a := range s.adapters {
			names[i] = a.Name
		}
		return fault.New(fault.AdapterNotFound, "no such adapter is installed"+strictjson.DidYouMean(name, names))
	}
	a := s.adapters[i]
	for _, p := range a.Problems {
		if p.Version != "" && (p.Version == version || (version == "" && len(a.Versions) == 0)) {
			return fault.New(fault.AdapterNotFound,
				fmt.Sprintf("version %s of %s is refused: %s; %s", p.Version, name, p.Cause, p.Remedy))
		}
	}
	installed := "none"
	if len(a.Versions) > 0 {
		installed = strings.Join(a.Versions, ", ")
	}
	if version == "" {
		return fault.New(fault.AdapterNotFound,
			fmt.Sprintf("no stable version of %s is installed: name a version; usable are: %s", name, installed))
	}
	return fault.New(fault.AdapterNotFound,
		fmt.Sprintf("this version of %s is not installed; usable are: %s", name, installed))
}
