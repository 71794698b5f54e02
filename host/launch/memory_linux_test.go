package launch

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMemoryIsNotTheHosts starts and kills an adapter under a host that has had
// more memory: the kernel counts the host's as the child's.
func TestMemoryIsNotTheHosts(t *testing.T) {
	const ballast = 256 << 20
	block, err := unix.Mmap(-1, 0, ballast, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < ballast; i += 4096 {
		block[i] = 1
	}
	defer func() {
		if err := unix.Munmap(block); err != nil {
			t.Error(err)
		}
	}()
	inst := start(t, launcher(t, nil), adapter("ok"))
	if err := syscall.Kill(inst.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if peak := inst.Exit().PeakRSS; peak <= 0 || peak >= ballast {
		t.Errorf("the adapter had %d MiB at its peak, and the host's block alone has %d", peak>>20, ballast>>20)
	}
}
