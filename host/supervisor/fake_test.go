package supervisor

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeProcess is an Instance that lives as long as the test says.
type fakeProcess struct {
	pid  int
	dead chan struct{}
	done chan struct{}
	die  sync.Once
	exit Exit
	// lingers is the time between the death and the end of all it left behind.
	lingers time.Duration
	// stopTakes is how long a polite stop takes.
	stopTakes time.Duration

	asked, forced atomic.Bool

	mu     sync.Mutex
	health func(ctx context.Context) (Health, error) // nil: serving
}

// feel sets what the process says of its health.
func (p *fakeProcess) feel(health func(ctx context.Context) (Health, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.health = health
}

func (p *fakeProcess) Pid() int              { return p.pid }
func (p *fakeProcess) Dead() <-chan struct{} { return p.dead }
func (p *fakeProcess) Done() <-chan struct{} { return p.done }
func (p *fakeProcess) Exit() Exit            { <-p.done; return p.exit }

func (p *fakeProcess) Status() Exit {
	<-p.dead
	if p.exit.Signal != "" {
		return Exit{Cause: Signaled, Code: -1, Signal: p.exit.Signal}
	}
	return Exit{Cause: Exited, Code: p.exit.Code}
}

func (p *fakeProcess) Health(ctx context.Context) (Health, error) {
	p.mu.Lock()
	health := p.health
	p.mu.Unlock()
	if health == nil {
		return Health{Serving: true}, nil
	}
	return health(ctx)
}

func (p *fakeProcess) Stop(ctx context.Context) {
	if ctx.Err() == nil {
		p.asked.Store(true)
		select {
		case <-time.After(p.stopTakes):
			p.end(Exit{Cause: Exited})
			return
		case <-ctx.Done():
		}
	}
	p.forced.Store(true)
	p.end(Exit{Cause: Signaled, Code: -1, Signal: "SIGKILL"})
}

// end is the death of the process. Only the first one counts.
func (p *fakeProcess) end(exit Exit) {
	p.die.Do(func() {
		p.exit = exit
		close(p.dead)
		if p.lingers > 0 { // a descendant holds its pipes
			time.Sleep(p.lingers)
		}
		close(p.done)
	})
}

// fakeLauncher makes fakeProcesses. Its start function, if any, may fail, take
// its time and change the process.
type fakeLauncher struct {
	start func(ctx context.Context, n int, p *fakeProcess) error

	mu   sync.Mutex
	all  []*fakeProcess
	when []time.Time
	n    int
}

func (l *fakeLauncher) Launch(ctx context.Context) (*fakeProcess, error) {
	l.mu.Lock()
	l.n++
	n := l.n
	l.when = append(l.when, time.Now())
	l.mu.Unlock()
	p := &fakeProcess{pid: 1000 + n, dead: make(chan struct{}), done: make(chan struct{})}
	if l.start != nil {
		if err := l.start(ctx, n, p); err != nil {
			return nil, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, p)
	return p, nil
}

// last returns the newest process.
func (l *fakeLauncher) last() *fakeProcess {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all[len(l.all)-1]
}

func (l *fakeLauncher) starts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// gaps returns the times between the starts.
func (l *fakeLauncher) gaps() []time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []time.Duration
	for i := 1; i < len(l.when); i++ {
		out = append(out, l.when[i].Sub(l.when[i-1]))
	}
	return out
}

// bench is a Supervisor under test.
type bench struct {
	*Supervisor[*fakeProcess]
	launcher *fakeLauncher
	cancel   context.CancelFunc
	over     chan error

	mu      sync.Mutex
	crashes []Crash
}

var testKey = Key{Adapter: "acme", Version: "1.0.0"}

// whole makes the jitter the whole of its bound.
func whole(d time.Duration) time.Duration { return d }

// run runs a Supervisor in the bubble until the test ends.
func run(t *testing.T, cfg Config, concurrency int, l *fakeLauncher) *bench {
	t.Helper()
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	if cfg.jitter == nil {
		cfg.jitter = whole
	}
	b := &bench{launcher: l, over: make(chan error, 1)}
	sup, err := New(cfg, testKey, Spec[*fakeProcess]{Launch: l.Launch, Concurrency: concurrency}, func(c Crash) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.crashes = append(b.crashes, c)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Supervisor = sup
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() { b.over <- sup.Run(ctx) }()
	t.Cleanup(func() {
		b.finish(t)
		for _, p := range l.all {
			select {
			case <-p.done:
			default:
				t.Errorf("process %d outlives Run", p.pid)
			}
		}
	})
	synctest.Wait()
	return b
}

// finish ends Run, once.
func (b *bench) finish(t *testing.T) {
	t.Helper()
	b.cancel()
	if err, ok := <-b.over; ok {
		close(b.over)
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	if st := b.Status(); st.State != Stopped || st.InFlight != 0 || st.Old != 0 {
		t.Errorf("after Run: %+v", st)
	}
}

func (b *bench) want(t *testing.T, state State) Status {
	t.Helper()
	synctest.Wait()
	st := b.Status()
	if st.State != state {
		t.Fatalf("state = %s (%s %s), want %s", st.State, st.Cause, st.Detail, state)
	}
	return st
}

func (b *bench) reports() []Crash {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Crash(nil), b.crashes...)
}

// acquire takes a lease that must be had at once.
func (b *bench) acquire(t *testing.T, id string) *Lease[*fakeProcess] {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	l, err := b.Acquire(ctx, id)
	if err != nil {
		t.Fatalf("acquire %s: %v", id, err)
	}
	return l
}

// answer makes one call that is answered.
func (b *bench) answer(t *testing.T) {
	t.Helper()
	b.acquire(t, "").Release(true)
}

// refusedAtOnce asks for a lease that must be refused at once.
func (b *bench) refusedAtOnce(t *testing.T, code fault.Code) *fault.Error {
	t.Helper()
	began := time.Now()
	l, err := b.Acquire(t.Context(), "")
	if err == nil {
		l.Release(false)
		t.Fatal("got a lease")
	}
	if time.Since(began) != 0 {
		t.Errorf("waited %s", time.Since(began))
	}
	f, ok := fault.As(err)
	if !ok || f.Code != code || f.Class != fault.Retryable {
		t.Fatalf("error = %v, want %s, retryable", err, code)
	}
	return f
}

// crash ends the current process as kill -9 does.
func (b *bench) crash(t *testing.T) {
	t.Helper()
	b.launcher.last().end(Exit{Cause: Signaled, Code: -1, Signal: "SIGKILL", Stderr: []string{"one", "last words"}, PeakRSS: 1 << 20})
	synctest.Wait()
}

var errBoom = errors.New("boom")
