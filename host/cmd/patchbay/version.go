package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// release is the version of a released build; the linker sets it.
var release = "dev"

// version describes the build: its release, its commit when known, the compiler
// and the platform.
func version() string {
	commit := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				commit = " " + s.Value[:12]
			}
		}
	}
	return fmt.Sprintf("patchbay %s%s %s %s/%s", release, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// published returns the version under which the build's source can be had as a Go
// module, as "v1.2.3"; empty when there is none, as for a build of a work tree.
func published() string {
	if info, ok := debug.ReadBuildInfo(); ok && release == "dev" {
		return asPublished(info.Main.Version)
	}
	return asPublished("v" + strings.TrimPrefix(release, "v"))
}

// asPublished returns a version that names a release, else "": the toolchain makes
// up versions for commits, which nobody can fetch.
func asPublished(version string) string {
	if !semver.IsValid(version) || semver.Build(version) != "" || module.IsPseudoVersion(version) {
		return ""
	}
	return version
}
