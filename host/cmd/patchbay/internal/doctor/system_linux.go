package doctor

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// system checks what the host needs of Linux.
func (f *findings) system(check string) {
	f.memfd(check)
	sig := new(int32) // on the heap: the kernel writes to its address
	err := unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(sig)), 0, 0, 0)
	runtime.KeepAlive(sig)
	if err != nil {
		f.add(check, Warn, "allow prctl in the seccomp profile: it makes adapters die with their host", "death signals: %s", err)
		return
	}
	f.add(check, OK, "", "death signals: there")
}

// memfd checks that adapters can be run from sealed memory files.
func (f *findings) memfd(check string) {
	const remedy = "use a kernel with memfd_create and file seals (3.17 or newer), and allow them in the seccomp profile"
	fd, err := unix.MemfdCreate("patchbay-doctor", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		f.add(check, Fail, remedy, "sealed memory files: memfd_create: %s", err)
		return
	}
	defer func() { _ = unix.Close(fd) }()
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); err != nil {
		f.add(check, Fail, remedy, "sealed memory files: %s", err)
		return
	}
	f.add(check, OK, "", "sealed memory files: there")
}
