package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// runFleet runs a Fleet until stop is called.
func runFleet(t *testing.T, cfg Config) (f *Fleet[*fakeProcess], stop func()) {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	f, err := NewFleet[*fakeProcess](cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- f.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-over; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return f, stop
}

func ensure(t *testing.T, f *Fleet[*fakeProcess], key Key, l *fakeLauncher) {
	t.Helper()
	if err := f.Ensure(key, Spec[*fakeProcess]{Launch: l.Launch, Concurrency: 4}); err != nil {
		t.Fatal(err)
	}
}

func TestStartThatHangsDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, stop := runFleet(t, Config{})
		hanging := &fakeLauncher{start: func(ctx context.Context, _ int, _ *fakeProcess) error { <-ctx.Done(); return ctx.Err() }}
		ensure(t, f, Key{Adapter: "hangs"}, hanging)
		began := time.Now()
		for i := range 20 {
			key := Key{Adapter: "good", Version: fmt.Sprint(i)}
			ensure(t, f, key, &fakeLauncher{})
			l, err := f.Acquire(t.Context(), key, "")
			if err != nil {
				t.Fatal(err)
			}
			l.Release(true)
		}
		if len(f.Status()) != 21 || time.Since(began) != 0 {
			t.Errorf("%d processes after %s", len(f.Status()), time.Since(began))
		}
		stop()
		if time.Since(began) != 0 {
			t.Errorf("the end took %s", time.Since(began))
		}
	})
}

func TestEnsureIsIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := runFleet(t, Config{})
		one, two := &fakeLauncher{}, &fakeLauncher{}
		ensure(t, f, testKey, one)
		synctest.Wait()
		ensure(t, f, testKey, two)
		synctest.Wait()
		if one.starts() != 1 || two.starts() != 0 {
			t.Fatalf("%d and %d starts", one.starts(), two.starts())
		}
		if err := f.Restart(t.Context(), testKey); err != nil {
			t.Fatal(err)
		}
		if two.starts() != 1 {
			t.Error("the new spec does not hold for the next start")
		}
	})
}

func TestRetireDrainsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := runFleet(t, Config{})
		l := &fakeLauncher{}
		ensure(t, f, testKey, l)
		call, err := f.Acquire(t.Context(), testKey, "call")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		time.AfterFunc(3*time.Second, func() { call.Release(true) })
		gone := make(chan error, 1)
		go func() { gone <- f.Retire(context.Background(), testKey) }()
		synctest.Wait()
		if _, err := f.Acquire(t.Context(), testKey, ""); fault.CodeOf(err) != fault.AdapterUnavailable {
			t.Errorf("err = %v", err)
		}
		if st := f.Status(); len(st) != 1 || st[0].State != Draining {
			t.Errorf("status = %+v", st)
		}
		next := &fakeLauncher{}
		ensure(t, f, testKey, next) // enabled again meanwhile: another process
		if l, err := f.Acquire(t.Context(), testKey, ""); err != nil {
			t.Error(err)
		} else {
			l.Release(true)
		}
		if err := <-gone; err != nil || time.Since(began) != 3*time.Second {
			t.Errorf("retired after %s: %v", time.Since(began), err)
		}
		select {
		case <-l.last().done:
		default:
			t.Error("its process is still there")
		}
		if st := f.Status(); len(st) != 1 || st[0].State != Ready {
			t.Errorf("status = %+v", st)
		}
		if err := f.Retire(t.Context(), Key{Adapter: "unknown"}); err != nil {
			t.Error(err)
		}
	})
}

// TestRetiredCallersAreToldSo shows that those who wait in a process that is
// retired are not told that the host shuts down.
func TestRetiredCallersAreToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := runFleet(t, Config{})
		hanging := &fakeLauncher{start: func(ctx context.Context, _ int, _ *fakeProcess) error { <-ctx.Done(); return ctx.Err() }}
		ensure(t, f, testKey, hanging)
		got := make(chan error, 1)
		go func() { _, err := f.Acquire(context.Background(), testKey, ""); got <- err }()
		synctest.Wait()
		if err := f.Retire(t.Context(), testKey); err != nil {
			t.Fatal(err)
		}
		if err := <-got; fault.CodeOf(err) != fault.AdapterUnavailable {
			t.Errorf("err = %v", err)
		}
	})
}

func TestFleetEndsAllInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, stop := runFleet(t, Config{})
		var launchers []*fakeLauncher
		for i := range 30 {
			l := &fakeLauncher{start: func(_ context.Context, _ int, p *fakeProcess) error { p.stopTakes = time.Hour; return nil }}
			launchers = append(launchers, l)
			key := Key{Adapter: "a", Version: fmt.Sprint(i)}
			ensure(t, f, key, l)
			if _, err := f.Acquire(t.Context(), key, ""); err != nil { // never released
				t.Fatal(err)
			}
		}
		began := time.Now()
		stop()
		if took := time.Since(began); took != 32*time.Second {
			t.Errorf("took %s", took)
		}
		for _, l := range launchers {
			if !l.last().forced.Load() {
				t.Error("a process was left alone")
			}
		}
		if err := f.Ensure(testKey, Spec[*fakeProcess]{Launch: launchers[0].Launch}); fault.CodeOf(err) != fault.ShuttingDown {
			t.Errorf("ensure: %v", err)
		}
		if _, err := f.Acquire(t.Context(), testKey, ""); fault.CodeOf(err) != fault.ShuttingDown {
			t.Errorf("acquire: %v", err)
		}
	})
}

func TestCrashesAreKeptPerAdapter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := runFleet(t, Config{MaxBadStarts: 1000})
		for _, version := range []string{"1", "2"} {
			ensure(t, f, Key{Adapter: "bad", Version: version}, &fakeLauncher{start: func(context.Context, int, *fakeProcess) error { return errBoom }})
		}
		ensure(t, f, Key{Adapter: "good"}, &fakeLauncher{})
		time.Sleep(time.Hour)
		got := f.Crashes("bad")
		if len(got) != 50 || len(f.Crashes("good")) != 0 {
			t.Fatalf("%d and %d crashes", len(got), len(f.Crashes("good")))
		}
		versions := map[string]bool{}
		for i, c := range got {
			versions[c.Version] = true
			if i > 0 && c.Time.After(got[i-1].Time) {
				t.Error("not the newest first")
			}
		}
		if len(versions) != 2 {
			t.Errorf("versions %v", versions)
		}
	})
}

func TestStatusIsSorted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _ := runFleet(t, Config{})
		for _, key := range []Key{{Adapter: "b", Version: "1"}, {Adapter: "a", Version: "2", Tenant: "t"}, {Adapter: "a", Version: "2"}, {Adapter: "a", Version: "1"}} {
			ensure(t, f, key, &fakeLauncher{})
		}
		var got []Key
		for _, st := range f.Status() {
			got = append(got, st.Key)
		}
		want := []Key{{Adapter: "a", Version: "1"}, {Adapter: "a", Version: "2"}, {Adapter: "a", Version: "2", Tenant: "t"}, {Adapter: "b", Version: "1"}}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("order = %v", got)
		}
	})
}

// TestRetireBeforeRun shows that what was never begun ends at once.
func TestRetireBeforeRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, err := NewFleet[*fakeProcess](Config{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		ensure(t, f, testKey, &fakeLauncher{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Retire(ctx, testKey); err == nil {
			t.Error("gone without Run")
		}
		run, end := context.WithCancel(t.Context())
		end()
		if err := f.Run(run); err != nil || len(f.Status()) != 0 {
			t.Errorf("%v, %v", err, f.Status())
		}
	})
}

// transitions are the changes of state that the package comment draws.
var transitions = map[[2]State]bool{
	{Stopped, Starting}: true, {Starting, Ready}: true, {Ready, Starting}: true, {Ready, Backoff}: true,
	{Ready, Quarantined}: true, {Starting, Backoff}: true, {Starting, Quarantined}: true, {Backoff, Starting}: true,
	{Quarantined, Starting}: true, {Starting, Draining}: true, {Ready, Draining}: true, {Backoff, Draining}: true,
	{Quarantined, Draining}: true, {Draining, Stopped}: true, {Stopped, Draining}: true,
}

// edges is a slog.Handler that checks every change of state against the diagram.
type edges struct {
	slog.Handler
	t *testing.T

	mu   sync.Mutex
	seen map[[2]State]int
}

func (e *edges) Enabled(context.Context, slog.Level) bool { return true }
func (e *edges) WithAttrs([]slog.Attr) slog.Handler       { return e }
func (e *edges) Handle(_ context.Context, r slog.Record) error {
	var edge [2]State
	r.Attrs(func(a slog.Attr) bool {
		if v, ok := a.Value.Any().(State); ok && a.Key == "from" {
			edge[0] = v
		} else if ok {
			edge[1] = v
		}
		return true
	})
	if edge[0] == edge[1] { // no change, or another record
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen[edge]++
	if !transitions[edge] {
		e.t.Errorf("state changed from %s to %s", edge[0], edge[1])
	}
	return nil
}

// TestStress runs a fleet under crashes, hangs, condemnations, restarts and
// retirements at random, and checks what must always hold: no process gets more
// calls than it may, no call is granted on a process that was known to be dead,
// every change of state stands in the diagram, and nothing is left.
func TestStress(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { stress(t, seed) })
		})
	}
}

func stress(t *testing.T, seed uint64) {
	e := &edges{t: t, seen: map[[2]State]int{}}
	f, stop := runFleet(t, Config{Log: slog.New(e), DrainTimeout: 5 * time.Second})
	var mu sync.Mutex
	inFlight := map[*fakeProcess]int{}
	keys := []Key{{Adapter: "a", Version: "1"}, {Adapter: "a", Version: "2"}, {Adapter: "b", Version: "1", Tenant: "t"}}
	launchers := make([]*fakeLauncher, len(keys))
	for i, key := range keys {
		launchers[i] = randomLauncher(rand.New(rand.NewPCG(seed, uint64(i))))
		ensure(t, f, key, launchers[i])
	}
	var callers sync.WaitGroup
	for worker := range 16 {
		r := rand.New(rand.NewPCG(seed, uint64(100+worker)))
		callers.Go(func() {
			for range 200 {
				key := keys[r.IntN(len(keys))]
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(3000))*time.Millisecond)
				lease, err := f.Acquire(ctx, key, fmt.Sprint(worker))
				cancel()
				if err != nil {
					if fault.ClassOf(err) != fault.Retryable {
						t.Errorf("acquire: %v", err)
					}
					time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
					continue
				}
				p := lease.Instance()
				mu.Lock()
				if inFlight[p]++; inFlight[p] > 4 {
					t.Errorf("%d calls in one process", inFlight[p])
				}
				mu.Unlock()
				time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
				mu.Lock()
				inFlight[p]--
				mu.Unlock()
				switch r.IntN(40) {
				case 0:
					lease.Condemn(Hang)
				case 1:
					p.end(Exit{Cause: Panic})
					lease.Release(false)
				default:
					lease.Release(r.IntN(4) > 0)
				}
				switch r.IntN(100) {
				case 0:
					go f.Restart(context.Background(), key)
				case 1:
					go f.Unquarantine(context.Background(), key)
				case 2:
					go f.Retire(context.Background(), key)
				}
				if i := r.IntN(len(keys)); f.Ensure(keys[i], Spec[*fakeProcess]{Launch: launchers[i].Launch, Concurrency: 4}) != nil {
					t.Error("ensure failed")
				}
			}
		})
	}
	callers.Wait()
	stop()
	synctest.Wait()
	alive := 0
	for _, l := range launchers {
		for _, p := range l.all {
			select {
			case <-p.done:
			default:
				alive++
			}
		}
	}
	if alive > 0 {
		t.Errorf("%d processes left", alive)
	}
	if e.seen[[2]State{Ready, Starting}] == 0 || e.seen[[2]State{Starting, Backoff}] == 0 {
		t.Errorf("too little happened: %v", e.seen)
	}
}

// randomLauncher makes processes that fail to start, take their time, die, hang
// and fall sick.
func randomLauncher(r *rand.Rand) *fakeLauncher {
	var mu sync.Mutex
	dice := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return r.IntN(n)
	}
	return &fakeLauncher{start: func(ctx context.Context, _ int, p *fakeProcess) error {
		select {
		case <-time.After(time.Duration(dice(300)) * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		p.stopTakes = time.Duration(dice(4000)) * time.Millisecond
		switch dice(10) {
		case 0:
			return errBoom
		case 1:
			return &StartError{Cause: StartTimeout}
		case 2:
			time.AfterFunc(time.Duration(dice(20000))*time.Millisecond, func() { p.end(Exit{Cause: Signaled, Code: -1, Signal: "SIGSEGV"}) })
		case 3:
			p.feel(func(ctx context.Context) (Health, error) { <-ctx.Done(); return Health{}, ctx.Err() })
		case 4:
			p.feel(func(context.Context) (Health, error) { return Health{Serving: dice(2) == 0}, nil })
		}
		return nil
	}}
}
