package supervisor

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestGracefulRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		b := run(t, Config{}, 4, l)
		old := l.last()
		call := b.acquire(t, "long")
		if err := b.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		st := b.want(t, Ready)
		if st.Pid == old.pid || st.Old != 1 || st.InFlight != 0 {
			t.Errorf("status = %+v", st)
		}
		if next := b.acquire(t, "new"); next.Instance() == old {
			t.Error("a new call went to the old process")
		} else {
			next.Release(true)
		}
		select {
		case <-old.done:
			t.Error("the old process was ended with a call in flight")
		default:
		}
		call.Release(true)
		synctest.Wait()
		if _, open := <-old.done; open || !old.asked.Load() || old.forced.Load() {
			t.Error("the old process was not ended politely")
		}
		if c := b.reports(); len(c) != 0 {
			t.Errorf("a restart is no crash: %+v", c)
		}
	})
}

func TestRestartThatFailsKeepsTheOldProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{start: func(_ context.Context, n int, _ *fakeProcess) error {
			if n > 1 {
				return &StartError{Cause: ProtocolMismatch}
			}
			return nil
		}}
		b := run(t, Config{}, 1, l)
		old := l.last()
		var why *StartError
		if err := b.Restart(t.Context()); !errors.As(err, &why) || why.Cause != ProtocolMismatch {
			t.Fatalf("err = %v", err)
		}
		if st := b.want(t, Ready); st.Pid != old.pid {
			t.Errorf("status = %+v", st)
		}
		b.answer(t)
		if c := b.reports(); len(c) != 1 || c[0].Decision != "none: another process serves" {
			t.Errorf("reports = %+v", c)
		}
	})
}

func TestRestartInBackoffAndQuarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		l := &fakeLauncher{start: func(context.Context, int, *fakeProcess) error {
			if broken.Load() {
				return errBoom
			}
			return nil
		}}
		b := run(t, Config{}, 1, l)
		b.want(t, Backoff)
		if err := b.Restart(t.Context()); !errors.Is(err, errBoom) {
			t.Errorf("err = %v", err)
		}
		time.Sleep(10 * time.Second)
		b.want(t, Quarantined)
		broken.Store(false)
		if err := b.Restart(t.Context()); err != nil {
			t.Error(err)
		}
		b.want(t, Ready)
		time.Sleep(time.Hour)
		if b.want(t, Ready); l.starts() != 6 {
			t.Errorf("%d starts: a pending start was not called off", l.starts())
		}
	})
}

func TestProcessThatDiesDuringARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{start: func(_ context.Context, n int, _ *fakeProcess) error {
			if n > 1 {
				time.Sleep(time.Second)
			}
			return nil
		}}
		b := run(t, Config{}, 1, l)
		go b.Restart(t.Context())
		synctest.Wait()
		b.crash(t)
		b.want(t, Starting)
		time.Sleep(time.Second)
		if b.want(t, Ready); l.starts() != 2 {
			t.Errorf("%d starts", l.starts())
		}
	})
}

func TestManyRestartsCutOldDrainsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		b := run(t, Config{DrainTimeout: time.Hour}, 4, l)
		var leases []*Lease[*fakeProcess]
		for range 6 {
			leases = append(leases, b.acquire(t, "long"))
			if err := b.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if st := b.Status(); st.Old != 3 {
			t.Errorf("%d old processes", st.Old)
		}
		for _, l := range leases {
			l.Release(false)
		}
	})
}

func TestShutdownDrainsThenStops(t *testing.T) {
	for name, c := range map[string]struct {
		callTakes time.Duration
		stopTakes time.Duration
		took      time.Duration
		forced    bool
	}{
		"idle":               {0, 0, 0, false},
		"call ends":          {7 * time.Second, 0, 7 * time.Second, false},
		"call outlasts":      {time.Hour, 0, 30 * time.Second, false},
		"deaf to the polite": {0, time.Hour, 2 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &fakeLauncher{start: func(_ context.Context, _ int, p *fakeProcess) error {
					p.stopTakes = c.stopTakes
					return nil
				}}
				b := run(t, Config{}, 1, l)
				if c.callTakes > 0 {
					call := b.acquire(t, "call")
					time.AfterFunc(c.callTakes, func() { call.Release(true) })
				}
				began := time.Now()
				b.cancel()
				synctest.Wait()
				if c.callTakes > 0 {
					b.want(t, Draining)
				}
				b.refusedAtOnce(t, fault.ShuttingDown)
				b.finish(t)
				if took := time.Since(began); took != c.took || l.last().forced.Load() != c.forced {
					t.Errorf("took %s, forced %v", took, l.last().forced.Load())
				}
				if len(b.reports()) != 0 {
					t.Errorf("reports = %+v", b.reports())
				}
				b.refusedAtOnce(t, fault.ShuttingDown)
				if err := b.Restart(t.Context()); fault.CodeOf(err) != fault.ShuttingDown {
					t.Errorf("restart: %v", err)
				}
				time.Sleep(c.callTakes)
			})
		})
	}
}

// TestStartThatEndsAfterTheShutdown shows that a launcher that does not heed its
// context leaves no process behind.
func TestStartThatEndsAfterTheShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{start: func(context.Context, int, *fakeProcess) error { time.Sleep(3 * time.Second); return nil }}
		b := run(t, Config{}, 1, l)
		b.cancel()
		synctest.Wait()
		b.want(t, Draining)
		b.finish(t)
		if !l.last().asked.Load() {
			t.Error("the process was not ended")
		}
	})
}

func TestCrashWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		b := run(t, Config{}, 1, l)
		call := b.acquire(t, "call")
		b.cancel()
		synctest.Wait()
		b.crash(t)
		call.Release(false)
		b.finish(t)
		if l.starts() != 1 {
			t.Errorf("%d starts", l.starts())
		}
	})
}
