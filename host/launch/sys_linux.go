package launch

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSocketPath is the longest path of a Unix socket.
const maxSocketPath = 107

// sysProcAttr puts a process into a session and group of its own, out of reach
// of signals to the host's, and has the kernel kill it when the host dies.
func sysProcAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}

// openNonblocking opens a file for reading; a FIFO does not block it.
func openNonblocking(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
}

// seal copies r into a memory file that nobody can change any more. private is a
// directory for systems that refuse to run memory files.
func seal(r io.Reader, private string) (*image, error) {
	fd, err := unix.MemfdCreate("patchbay-adapter", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // a kernel before 6.3 does not know MFD_EXEC
		fd, err = unix.MemfdCreate("patchbay-adapter", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	}
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOSYS) {
		return privateCopy(r, private)
	}
	if err != nil {
		return nil, fmt.Errorf("make a memory file: %w", err)
	}
	f := os.NewFile(uintptr(fd), "memfd:patchbay-adapter")
	if _, err := io.Copy(f, r); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return nil, errors.Join(fmt.Errorf("seal the memory file: %w", err), f.Close())
	}
	return &image{file: f}, nil
}

// usePath sets the path under which a child executes the image. A child has the
// host's descriptors until exec, and none after: a program is found through its
// own, a script's interpreter must look into the host's.
func (i *image) usePath(script bool) {
	if i.path != "" {
		return
	}
	process := "self"
	if script {
		process = strconv.Itoa(os.Getpid())
	}
	i.path = "/proc/" + process + "/fd/" + strconv.Itoa(int(i.file.Fd()))
}

// canPeek says that awaitExit works.
const canPeek = true

// awaitExit returns once the process has ended, and leaves it to be reaped: until
// then its number cannot be given to another.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return // any other error means that there is no such child
		}
	}
}

// peerPid returns the process at the other end of a Unix socket.
func peerPid(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("ask for the peer: %w", err)
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, fmt.Errorf("ask for the peer: %w", err)
	}
	if int(peer.Uid) != os.Getuid() {
		return 0, fmt.Errorf("the peer is user %d", peer.Uid)
	}
	return int(peer.Pid), nil
}

// procStat is what /proc/<pid>/stat says of a process.
type procStat struct {
	session int
	start   string // in clock ticks since boot; tells two processes of one number apart
	zombie  bool
	kernel  bool // a thread of the kernel's own
}

func readStat(pid int) (procStat, error) {
	raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return procStat{}, err
	}
	// The second field is the program's name in parentheses and may hold anything.
	_, rest, ok := cutLast(string(raw), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return procStat{}, fmt.Errorf("read /proc/%d/stat: unexpected form", pid)
	}
	session, err := strconv.Atoi(fields[3])
	flags, flagsErr := strconv.ParseUint(fields[6], 10, 32)
	if err = errors.Join(err, flagsErr); err != nil {
		return procStat{}, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
	}
	const kernelThread = 0x00200000 // PF_KTHREAD
	return procStat{
		session: session, start: fields[19], zombie: fields[0] == "Z" || fields[0] == "X", kernel: flags&kernelThread != 0,
	}, nil
}

func cutLast(text, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):], true
	}
	return text, "", false
}

// startTime identifies the process that has that number now, across reboots;
// "" when there is none.
func startTime(pid int) string {
	stat, err := readStat(pid)
	if err != nil || stat.zombie {
		return ""
	}
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(boot)) + "/" + stat.start
}

// descendants returns the processes that belong to the session or carry the run
// id in their environment, however far they have moved from their parent. unsure
// says that some process could not be judged, as in the moment of an exec or of
// an end.
//
// Session 0 is that of the kernel's and the container's own processes, and 1 that
// of init: no process of ours is ever in them, nor in the host's own.
func descendants(session int, runID string) (found []int, unsure bool) {
	own, err := readStat(os.Getpid())
	if err != nil || session < 0 || session == 1 || (session != 0 && session == own.session) || runID == "" {
		return nil, false
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, false
	}
	mark := []byte(envRunID + "=" + runID)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid <= 1 || pid == os.Getpid() {
			continue
		}
		stat, err := readStat(pid)
		if err != nil || stat.zombie || stat.kernel {
			continue
		}
		if session != 0 && stat.session == session {
			found = append(found, pid)
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ")) // of the host's own user alone
		switch {
		case err == nil && len(env) == 0:
			unsure = true
		case err == nil && slices.ContainsFunc(bytes.Split(env, []byte{0}), func(entry []byte) bool { return bytes.Equal(entry, mark) }):
			found = append(found, pid)
		}
	}
	return found, unsure
}

// peakRSS reads the kernel's unit.
func peakRSS(usage *syscall.Rusage) int64 { return usage.Maxrss << 10 }

// residentPeak returns the most memory that the running process has had, 0 when
// that cannot be read.
func residentPeak(pid int) int64 {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	if !found { // it has ended
		return 0
	}
	size, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kib, err := strconv.ParseInt(size, 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
