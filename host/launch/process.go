package launch

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/patchbay-crm/patchbay/host/supervisor"
)

// drainAfterDeath is how long pipes are read after the process and its group are
// dead. Only a descendant that got away can hold them open that long.
const drainAfterDeath = 200 * time.Millisecond

// process is one process from fork to reaping. It is a runner.Runner for
// go-plugin, which is told no more than it needs.
type process struct {
	spec  Spec
	runID string
	// sockets is the directory in which go-plugin makes dir, where the process'
	// socket must lie.
	sockets, dir string
	cmd          *exec.Cmd
	giveBack     func() // gives back the executable's image, once the start is over
	pid          int
	began        time.Time
	out          *output
	// launcher makes the fork, and is told when all is over.
	launcher *Launcher

	stdin          *os.File // the lifeline
	stdout, stderr *os.File
	shakeR         *io.PipeReader // what go-plugin reads
	shakeW         *io.PipeWriter
	readers        sync.WaitGroup

	exited chan struct{} // the process is dead and reaped
	done   chan struct{} // so are its descendants, and everything is given back
	// released is closed when the start is over: only then may go-plugin's client
	// be cleaned up, for a start holds its lock.
	released   chan struct{}
	cleanup    func()          // set before released is closed
	recordPath string          // set before the process can be reaped
	exit       supervisor.Exit // set before done is closed
	// ownPeak is the host's own peak memory at the fork. The kernel counts it as
	// the child's, which shared the host's memory until it became another program.
	ownPeak int64
	seen    atomic.Int64 // the largest peak memory read while it ran

	mu      sync.Mutex // guards what follows
	socket  string     // from the handshake
	refusal *supervisor.StartError
	shaken  bool // a handshake was read
	reaped  bool // pid may belong to another process
	killed  bool // the host did it
}

// Start forks the process. go-plugin calls it.
func (p *process) Start(context.Context) error {
	ends, err := p.makePipes()
	if err != nil {
		return err
	}
	err = p.launcher.onForkThread(p.cmd.Start)
	for _, f := range ends {
		f.Close() // the child has its own now
	}
	if err != nil {
		p.stdin.Close()
		p.stdout.Close()
		p.stderr.Close()
		return fmt.Errorf("fork: %w", err)
	}
	p.mu.Lock()
	p.pid, p.began = p.cmd.Process.Pid, time.Now()
	p.mu.Unlock()
	p.ownPeak = hostPeakRSS()
	p.out.log = p.out.log.With("pid", p.pid)
	if p.recordPath, err = p.launcher.record(p); err != nil {
		p.out.log.Warn("adapter process not recorded", "error", err)
	}
	p.readers.Go(p.readStdout)
	p.readers.Go(func() { p.out.drain(stderr, p.stderr) })
	p.launcher.join(p)
	go p.reap()
	p.mu.Lock()
	late := p.killed
	p.mu.Unlock()
	if late { // the time was over before the fork
		p.kill()
	}
	return nil
}

// makePipes makes the three pipes and returns the child's ends.
func (p *process) makePipes() (ends []*os.File, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make pipes: %w", err)
			for _, f := range append(ends, p.stdin, p.stdout, p.stderr) {
				f.Close() // of nil: an error that nobody needs
			}
		}
	}()
	var in, out, errs *os.File
	if in, p.stdin, err = os.Pipe(); err != nil {
		return ends, err
	}
	ends = append(ends, in)
	if p.stdout, out, err = os.Pipe(); err != nil {
		return ends, err
	}
	ends = append(ends, out)
	if p.stderr, errs, err = os.Pipe(); err != nil {
		return ends, err
	}
	ends = append(ends, errs)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, out, errs
	return ends, nil
}

// readStdout reads the handshake, shows it to go-plugin if it is one, and then
// drains what else comes, so that a process that prints never blocks.
func (p *process) readStdout() {
	r := bufio.NewReader(p.stdout)
	line, socket, err := readHandshake(r, p.dir, slices.Sorted(maps.Keys(p.launcher.plugins(nil))))
	var refused *supervisor.StartError
	if errors.As(err, &refused) {
		p.refuse(refused)
	}
	p.mu.Lock()
	p.shaken, p.socket = err == nil, socket
	p.mu.Unlock()
	p.measure()
	if err == nil {
		_, _ = io.WriteString(p.shakeW, line+"\n") // fails only when go-plugin has given up
	}
	p.shakeW.Close()
	p.out.drain(stdout, r)
}

// reap waits for the end, ends what the process has left behind, and gives
// everything back.
func (p *process) reap() {
	p.await()
	close(p.exited)
	killDescendants(p.pid, p.runID)
	until := time.Now().Add(drainAfterDeath)
	_ = p.stdout.SetReadDeadline(until) // fails only for a closed file
	_ = p.stderr.SetReadDeadline(until)
	p.shakeR.Close()
	p.readers.Wait()
	p.out.finish()
	<-p.released
	p.cleanup()
	for _, f := range []*os.File{p.stdin, p.stdout, p.stderr} {
		f.Close()
	}
	if p.recordPath != "" {
		if err := os.Remove(p.recordPath); err != nil {
			p.out.log.Warn("record of the adapter process not removed", "error", err)
		}
	}
	p.exit = p.conclude()
	p.launcher.forget(p)
	close(p.done)
	p.launcher.leave()
}

// await waits for the process and reaps it, and kills the rest of its group. No
// signal is ever sent to a number that may belong to another process by then.
func (p *process) await() {
	if canPeek {
		awaitExit(p.pid)
		p.mu.Lock()
		killGroup(p.pid)
		p.reaped = true
		p.mu.Unlock()
		_ = p.cmd.Wait() // its error is the exit status, which stands in ProcessState
		return
	}
	_ = p.cmd.Wait()
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	killGroup(p.pid)
}

// kill ends the process and its group by force. It may be called at any time.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
	if p.pid == 0 || p.reaped {
		return
	}
	killGroup(p.pid)
}

// measure notes how much memory the process has had so far.
func (p *process) measure() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pid != 0 && !p.reaped { // else the number may be another process's
		p.seen.Store(max(p.seen.Load(), residentPeak(p.pid)))
	}
}

// peakOf returns the most memory that the process has had: what the kernel says
// at its end where that cannot be the host's, else what was seen while it ran.
func (p *process) peakOf(usage *syscall.Rusage) int64 {
	if peak := peakRSS(usage); peak > p.ownPeak {
		return peak
	}
	return p.seen.Load()
}

// hostPeakRSS returns the most memory that the host itself has had.
func hostPeakRSS() int64 {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return peakRSS(&usage)
}

// status says how a process ended that was reaped, as far as the kernel tells.
func (p *process) status() supervisor.Exit {
	exit := supervisor.Exit{Cause: supervisor.Exited, Code: p.cmd.ProcessState.ExitCode()}
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		exit.Cause, exit.Code, exit.Signal = supervisor.Signaled, -1, unix.SignalName(status.Signal())
	}
	return exit
}

// conclude says how the process ended.
func (p *process) conclude() supervisor.Exit {
	exit := p.status()
	exit.Stderr = p.out.report()
	if usage, ok := p.cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		exit.PeakRSS = p.peakOf(usage)
	}
	p.mu.Lock()
	killed := p.killed
	p.mu.Unlock()
	if killed && exit.Signal == "SIGKILL" {
		return exit
	}
	panicked, outOfMemory, _ := p.out.signs()
	if cause, ok := deeperCause(exit, int64(p.spec.MemoryMiB)<<20, panicked, outOfMemory); ok {
		exit.Cause = cause
	}
	return exit
}

// panicExit is the code with which a Go program ends that panicked, or that its
// runtime ended.
const panicExit = 2

// deeperCause says what an end that the host did not make comes from, when more
// is known than a code or a signal. limit is in bytes, 0 when there is none. What
// a process printed counts only with the end that Go gives to a program that
// prints so: code 2, or SIGABRT with GOTRACEBACK=crash.
func deeperCause(exit supervisor.Exit, limit int64, panicked, outOfMemory bool) (supervisor.Cause, bool) {
	ended := exit.Signal == "" && exit.Code == panicExit || exit.Signal == "SIGABRT"
	switch {
	case limit > 0 && exit.Signal == "SIGKILL" && exit.PeakRSS >= limit, ended && outOfMemory:
		return supervisor.OutOfMemory, true
	case ended && panicked:
		return supervisor.Panic, true
	default:
		return "", false
	}
}

// dial connects to the process' socket, and makes sure that it is the process'.
func (p *process) dial(ctx context.Context, _ string) (net.Conn, error) {
	p.mu.Lock()
	socket := p.socket
	p.mu.Unlock()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, fmt.Errorf("connect to the adapter: %w", err)
	}
	if err := p.checkPeer(conn); err != nil {
		p.refuse(&supervisor.StartError{Cause: supervisor.ProtocolMismatch, Detail: "the adapter's socket is served by another process", Err: err})
		return nil, errors.Join(fmt.Errorf("connect to the adapter: %w", err), conn.Close())
	}
	return conn, nil
}

func (p *process) checkPeer(conn net.Conn) error {
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("the connection is a %T", conn)
	}
	pid, err := peerPid(unixConn)
	if err != nil || pid == p.pid {
		return err
	}
	if group, err := syscall.Getpgid(pid); err != nil || group != p.pid {
		return fmt.Errorf("the peer is process %d", pid)
	}
	return nil
}

// refuse notes why the host does not go on with the process. The first reason
// stands.
func (p *process) refuse(why *supervisor.StartError) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusal == nil {
		p.refusal = why
	}
}

// Wait is for go-plugin: it cancels what waits for the process.
func (p *process) Wait(context.Context) error { <-p.exited; return nil }

// Kill does nothing: go-plugin calls it as soon as standard output ends, which
// would hide how the process would have ended. Whoever called go-plugin kills.
func (p *process) Kill(context.Context) error { return nil }

// Stdout shows go-plugin the handshake and nothing else.
func (p *process) Stdout() io.ReadCloser { return p.shakeR }

// Stderr shows go-plugin nothing: a crafted line on standard error ends a host
// that lets go-plugin read it.
func (p *process) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name is for go-plugin's log, which is off.
func (p *process) Name() string { return p.spec.Name }

// ID is the process' number; "" before the start.
func (p *process) ID() string {
	if p.pid == 0 {
		return ""
	}
	return strconv.Itoa(p.pid)
}

// Diagnose is for go-plugin's error texts, which are not used.
func (p *process) Diagnose(context.Context) string { return "" }

// PluginToHost translates an address; host and adapter share one file system.
func (p *process) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

// HostToPlugin translates an address the other way.
func (p *process) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
