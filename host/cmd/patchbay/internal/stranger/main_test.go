package stranger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// repository is the root of the repository, seen from this package.
const repository = "../../../../.."

// The bounds of what the tests wait for, on a machine that is busy and has nothing
// cached.
const (
	buildLimit = 4 * time.Minute
	stepLimit  = 30 * time.Second
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(host.dir); err != nil {
			fmt.Fprintln(os.Stderr, "remove what was built:", err)
			code = max(code, 1)
		}
		os.Exit(code)
	}))
}

// host is the command, built once.
var host struct {
	once sync.Once
	dir  string // removed in the end
	err  error
}

// patchbay returns the directory of the built command.
func patchbay(t *testing.T) string {
	t.Helper()
	host.once.Do(func() {
		if host.dir, host.err = os.MkdirTemp("", "patchbay-stranger-"); host.err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
		defer cancel()
		cmd := command(ctx, repository, "go", "build", "-trimpath", "-o", filepath.Join(host.dir, "patchbay"), "./host/cmd/patchbay")
		if out, err := cmd.CombinedOutput(); err != nil {
			host.err = fmt.Errorf("build patchbay: %w\n%s", err, out)
		}
	})
	must(t, host.err)
	return host.dir
}

// command returns a command as a person would type it who has no network, and
// whose machine has the modules that this repository requires. The command and
// all that it started end with ctx.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool {
		return strings.HasPrefix(pair, "PATCHBAY_") || strings.HasPrefix(pair, "GOFLAGS=")
	})
	cmd.Env = append(cmd.Env, "CGO_ENABLED=0", "GOPROXY=off", "GOWORK=off", "GOTOOLCHAIN=local", "GOFLAGS=-mod=readonly -buildvcs=false")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

// run runs a command to its end and returns what it printed on standard output.
func run(t *testing.T, limit time.Duration, dir, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := command(ctx, dir, name, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, &out, &errs)
	}
	return out.String()
}

// start starts a command that runs until the test is over. ready is given each line
// of the stream that the command tells of itself on, until it returns true.
func start(t *testing.T, cmd *exec.Cmd, ready func(line string) bool) {
	t.Helper()
	lines := &watcher{ready: ready, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = lines, lines
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
		case <-time.After(stepLimit):
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			t.Errorf("%s did not end within %s", cmd, stepLimit)
			<-ended
		}
		if t.Failed() {
			t.Logf("%s printed:\n%s", cmd, lines)
		}
	})
	select {
	case <-lines.done:
	case err := <-ended:
		ended <- err
		t.Fatalf("%s ended at once: %v\n%s", cmd, err, lines)
	case <-time.After(stepLimit):
		t.Fatalf("%s was not ready within %s\n%s", cmd, stepLimit, lines)
	}
}

// watcher keeps what a command prints and watches its lines. It may be written to
// by two streams at once.
type watcher struct {
	mu    sync.Mutex // guards what follows
	text  bytes.Buffer
	seen  int
	ready func(line string) bool
	done  chan struct{} // closed once ready has returned true
}

// Write takes what the command prints.
func (w *watcher) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text.Write(p)
	for w.ready != nil {
		line, _, whole := bytes.Cut(w.text.Bytes()[w.seen:], []byte("\n"))
		if !whole {
			break
		}
		w.seen += len(line) + 1
		if w.ready(string(line)) {
			w.ready = nil
			close(w.done)
		}
	}
	return len(p), nil
}

// String returns what was printed so far.
func (w *watcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
