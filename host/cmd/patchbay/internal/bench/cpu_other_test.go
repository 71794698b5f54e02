//go:build !linux

package bench

import (
	"fmt"
	"syscall"
	"time"
)

// processorTime returns how long this process has used the cores, twice: here
// nobody tells the time of its descendants.
func processorTime() (own, all time.Duration, err error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, 0, fmt.Errorf("read processor time: %w", err)
	}
	own = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	return own, own, nil
}
