package app

import (
	"os"
	"runtime/debug"
)

// How the host collects garbage unless GOGC and GOMEMLIMIT say otherwise. Its heap
// is a few MiB and full of what calls leave behind: letting it grow to five times
// that before each collection saves about a tenth of the processor time. Beyond
// the limit it collects as often as it must.
const (
	collectAt   = 400 // percent of growth
	memoryLimit = 1 << 30
)

// TuneGC sets how this process collects garbage. It is for the program, not
// for a Host: a process has one heap.
func TuneGC() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}
