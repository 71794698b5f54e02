package launch

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-plugin"

	"github.com/patchbay-crm/patchbay/sdk/rpc"
)

// Config says how processes are started. Zero fields take the defaults named
// here.
type Config struct {
	// RunDir keeps a file per running process, for ReapLeftovers; one host's
	// alone. Required; made with mode 0700 when absent.
	RunDir string
	// SocketParent is where the private directory for sockets is made; default
	// $XDG_RUNTIME_DIR, else the system's temporary directory. A short path: a
	// socket's is at most 107 bytes long.
	SocketParent string
	// Log takes what adapters log, and starts and ends; default slog.Default().
	Log *slog.Logger
	// LinesPerSecond is how many lines of one process are logged, LineBurst how
	// many at once; default 200 and 1000. What is above is counted.
	LinesPerSecond, LineBurst int
}

func (c Config) withDefaults() Config {
	c.Log = cmp.Or(c.Log, slog.Default())
	c.LinesPerSecond = cmp.Or(c.LinesPerSecond, 200)
	c.LineBurst = cmp.Or(c.LineBurst, 1000)
	return c
}

func (c Config) validate() error {
	var errs []error
	if c.RunDir == "" {
		errs = append(errs, errors.New("RunDir is missing"))
	}
	if c.LinesPerSecond < 0 || c.LineBurst < 0 {
		errs = append(errs, errors.New("LinesPerSecond and LineBurst must not be negative"))
	}
	return errors.Join(errs...)
}

// Launcher starts processes while its Run runs. Its methods may be called
// concurrently.
type Launcher struct {
	cfg     Config
	id      string        // of this life of the host; begins every run id
	count   atomic.Uint64 // of run ids
	forks   chan func()   // what the forking thread is to do
	ready   chan struct{} // closed when Run can serve
	images  images
	sockets socketDir
	// plugins returns what this host speaks, by protocol version: rpc.Plugins. Of
	// several, an adapter chooses the newest that it speaks too.
	plugins func(*rpc.Server) map[int]plugin.PluginSet

	mu      sync.Mutex // guards what follows
	began   bool
	closing bool
	live    map[*process]struct{}
	running sync.WaitGroup // starts and processes under way; Add under mu, while not closing
}

// errClosing is what a start gets once Run is ending.
var errClosing = errors.New("start adapter process: the launcher is closing")

// New returns a Launcher, or every fault in cfg at once.
func New(cfg Config) (*Launcher, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("configure launcher: %w", err)
	}
	id := make([]byte, 8)
	rand.Read(id) // never fails
	return &Launcher{
		cfg: cfg, id: hex.EncodeToString(id),
		forks: make(chan func()), ready: make(chan struct{}),
		live:    make(map[*process]struct{}),
		sockets: socketDir{parent: cfg.SocketParent}, plugins: rpc.Plugins,
	}, nil
}

// Run serves starts until ctx is done. Then it kills the processes that are
// left, waits until they are reaped, and removes what it has made. It must
// outlive every user of the Launcher, and runs once.
func (l *Launcher) Run(ctx context.Context) (err error) {
	l.mu.Lock()
	again := l.began
	l.began = true
	l.mu.Unlock()
	if again {
		return errors.New("run launcher: it has run before")
	}
	if err := os.MkdirAll(l.cfg.RunDir, 0o700); err != nil {
		return fmt.Errorf("run launcher: make run directory: %w", err)
	}
	sockets, _, err := l.sockets.ensure()
	if err != nil {
		return fmt.Errorf("run launcher: %w", err)
	}
	host, err := l.recordHost(sockets)
	if err != nil {
		return errors.Join(fmt.Errorf("run launcher: %w", err), l.sockets.remove())
	}
	forked := make(chan struct{})
	go l.fork(forked)
	close(l.ready)
	<-ctx.Done()
	l.killAll()
	l.running.Wait()
	close(l.forks)
	<-forked
	return errors.Join(l.images.close(), l.sockets.remove(), os.Remove(host))
}

// Drop forgets the sealed copy of the executable with that SHA-256 in hex, which is
// to be started no more: its package was replaced. Processes and starts that have
// it go on; should it be started all the same, it is copied anew from its file.
func (l *Launcher) Drop(digest string) { l.images.drop(digest) }

// socketPath returns the directory for sockets, which is made anew when it is
// gone. A new one that cannot be recorded serves all the same: after a crash it
// would be left behind, empty but for dead sockets.
func (l *Launcher) socketPath() (string, error) {
	path, made, err := l.sockets.ensure()
	if err != nil || !made {
		return path, err
	}
	l.cfg.Log.Warn("directory for sockets made anew", "path", path)
	if _, err := l.recordHost(path); err != nil {
		l.cfg.Log.Warn("directory for sockets not recorded", "error", err)
	}
	return path, nil
}

// fork runs what comes through l.forks on one thread that lives as long as the
// Launcher: the kernel kills a child when the thread that forked it ends, not
// when the host does. The thread is never unlocked, so it ends with this
// goroutine, when every child is reaped.
func (l *Launcher) fork(over chan<- struct{}) {
	runtime.LockOSThread()
	defer close(over)
	for start := range l.forks {
		start()
	}
}

// onForkThread runs start on the forking thread.
func (l *Launcher) onForkThread(start func() error) error {
	done := make(chan error, 1)
	l.forks <- func() { done <- start() }
	return <-done
}

// enter registers a start. leave must follow once its process is gone.
func (l *Launcher) enter(ctx context.Context) error {
	select {
	case <-l.ready:
	case <-ctx.Done():
		return fmt.Errorf("await launcher: %w", ctx.Err())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing {
		return errClosing
	}
	l.running.Add(1)
	return nil
}

// leave ends what enter began.
func (l *Launcher) leave() { l.running.Done() }

// forget takes back what join did.
func (l *Launcher) forget(p *process) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.live, p)
}

// join makes p one that Run kills at its end.
func (l *Launcher) join(p *process) {
	l.mu.Lock()
	l.live[p] = struct{}{}
	closing := l.closing
	l.mu.Unlock()
	if closing {
		p.kill()
	}
}

func (l *Launcher) killAll() {
	l.mu.Lock()
	l.closing = true
	left := make([]*process, 0, len(l.live))
	for p := range l.live {
		left = append(left, p)
	}
	l.mu.Unlock()
	for _, p := range left {
		l.cfg.Log.Warn("adapter process killed at the end of the host", "adapter", p.spec.Name, "pid", p.pid)
		p.kill()
	}
}

func (l *Launcher) nextRunID() string {
	return l.id + "-" + strconv.FormatUint(l.count.Add(1), 10)
}
