package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
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
