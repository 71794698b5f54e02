package doctor

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// longestParent is the longest directory in which sockets can be made: the path of
// a socket has at most 107 bytes, of which the host and the transport take up to
// 60.
const longestParent = 107 - 60

// sockets checks the directory in which the sockets of adapters are made.
func (f *findings) sockets() {
	const check = "sockets"
	dir, variable := os.TempDir(), "TMPDIR"
	if run := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(run) && exists(run) {
		dir, variable = run, "XDG_RUNTIME_DIR"
	}
	if len(dir) > longestParent {
		f.add(check, Fail, "point XDG_RUNTIME_DIR or TMPDIR at a shorter path", "%s ($%s) is too long a path for sockets: %d bytes, at most %d",
			dir, variable, len(dir), longestParent)
		return
	}
	f.add(check, OK, "", "%s", dir)
	f.writable(check, dir)
}

// kernel tells what the machine offers for running adapters safely.
func (f *findings) kernel() {
	const check = "kernel"
	if runtime.GOOS != "linux" {
		f.add(check, Warn, "run the host on Linux in production",
			"%s: adapters run without sealed memory files and death signals", runtime.GOOS)
		return
	}
	f.system(check)
	modules, err := os.ReadFile("/sys/kernel/security/lsm")
	switch {
	case err != nil:
		f.add(check, Info, "", "Landlock: not known, securityfs is not mounted (this build does not use it)")
	case strings.Contains(string(modules), "landlock"):
		f.add(check, Info, "", "Landlock: there (this build does not use it)")
	default:
		f.add(check, Info, "", "Landlock: not there (this build does not use it)")
	}
}
