package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	// startLimit is how long a process may take until it says where it listens.
	startLimit = 15 * time.Second
	// endLimit is how long a process may take to end.
	endLimit = 10 * time.Second
	// maxLine is the longest line that is read of a process, in bytes.
	maxLine = 1 << 20
)

// process is a child of the demonstration.
type process struct {
	name string
	cmd  *exec.Cmd
	gone chan struct{} // closed when it was reaped
	err  error         // how it ended; set before gone is closed
}

// spawn starts a process and gives each line of what it prints to line, which
// returns an address once it has found one. The address is returned.
func spawn(ctx context.Context, name string, cmd *exec.Cmd, pipe func(*exec.Cmd) (io.ReadCloser, error),
	line func([]byte) (address string),
) (*process, string, error) {
	out, err := pipe(cmd)
	if err != nil {
		return nil, "", fmt.Errorf("start %s: %w", name, err)
	}
	cmd.SysProcAttr = childAttributes()
	p := &process{name: name, cmd: cmd, gone: make(chan struct{})}
	began := make(chan error, 1)
	found := make(chan string, 1)
	go p.own(began, func() { read(out, line, found) })
	if err := <-began; err != nil {
		return nil, "", fmt.Errorf("start %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	select {
	case address := <-found:
		return p, address, nil
	case <-p.gone:
		err = fmt.Errorf("it ended at once: %w", p.err)
	case <-ctx.Done():
		err = fmt.Errorf("it did not say where it listens: %w", ctx.Err())
	}
	return nil, "", errors.Join(fmt.Errorf("start %s: %w", name, err), p.end())
}

// own starts the process, reads what it prints, and reaps it, all on one thread:
// the kernel ends a child when the thread that made it ends.
func (p *process) own(began chan<- error, read func()) {
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	defer close(p.gone)
	err := p.cmd.Start()
	began <- err
	if err != nil {
		return
	}
	read()
	if p.err = p.cmd.Wait(); p.err == nil {
		p.err = errors.New("it ended by itself")
	}
}

// read reads lines until the process closes its end.
func read(out io.Reader, line func([]byte) string, found chan<- string) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if address := line(lines.Bytes()); address != "" {
			select {
			case found <- address:
			default: // told already
			}
		}
	}
	_, _ = io.Copy(io.Discard, out) // after a line that is too long, so that the process does not block
}

// end asks the process to end, kills it when it does not, and reaps it.
func (p *process) end() error {
	if p == nil {
		return nil
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	timer := time.NewTimer(endLimit)
	defer timer.Stop()
	select {
	case <-p.gone:
		return nil
	case <-timer.C:
	}
	_ = p.cmd.Process.Kill()
	<-p.gone
	return fmt.Errorf("end %s: it did not end within %s and was killed", p.name, endLimit)
}

// environment returns those few of this process's variables that any program may
// need, and more: none of Patchbay's own gets through.
func environment(more ...string) []string {
	var out []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "XDG_RUNTIME_DIR", "LANG", "TZ"} {
		if value, ok := os.LookupEnv(name); ok {
			out = append(out, name+"="+value)
		}
	}
	return append(out, more...)
}
