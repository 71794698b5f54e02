package launch

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSocketPath is the longest path of a Unix socket.
const maxSocketPath = 103

// sysProcAttr puts a process into a session and group of its own. There is no
// signal at the parent's death here; the lifeline on standard input stands in.
func sysProcAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// openNonblocking opens a file for reading; a FIFO does not block it.
func openNonblocking(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}

// seal makes a private copy, for there are no memory files.
func seal(r io.Reader, private string) (*image, error) { return privateCopy(r, private) }

// usePath does nothing: a private copy has a path.
func (i *image) usePath(bool) {}

// canPeek says that awaitExit does nothing: a process is waited for and reaped
// in one step.
const canPeek = false

func awaitExit(int) {}

// peerPid returns the process at the other end of a Unix socket.
func peerPid(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("ask for the peer: %w", err)
	}
	var pid int
	var failed error
	err = raw.Control(func(fd uintptr) {
		pid, failed = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID)
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, fmt.Errorf("ask for the peer: %w", err)
	}
	return pid, nil
}

// startTime identifies the process that has that number now; "" when there is
// none.
func startTime(pid int) string {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil || int(info.Proc.P_pid) != pid {
		return ""
	}
	start := info.Proc.P_starttime
	return strconv.FormatInt(start.Sec, 10) + "." + strconv.FormatInt(int64(start.Usec), 10)
}

// descendants returns nothing: other processes' environments cannot be read
// here. The process group is killed all the same.
func descendants(int, string) (found []int, unsure bool) { return nil, false }

// peakRSS reads the kernel's unit.
func peakRSS(usage *syscall.Rusage) int64 { return usage.Maxrss }

// residentPeak returns 0: it cannot be read without cgo.
func residentPeak(int) int64 { return 0 }
