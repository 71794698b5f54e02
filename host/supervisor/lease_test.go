package supervisor

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestCallsWaitForTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{start: func(context.Context, int, *fakeProcess) error {
			time.Sleep(time.Second)
			return nil
		}}
		b := run(t, Config{}, 8, l)
		for _, phase := range []string{"first start", "first restart"} {
			began := time.Now()
			lease, err := b.Acquire(t.Context(), phase)
			if err != nil || time.Since(began) != time.Second {
				t.Fatalf("%s: %v after %s", phase, err, time.Since(began))
			}
			lease.Release(true)
			b.crash(t)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := b.Acquire(ctx, "impatient")
		if fault.CodeOf(err) != fault.AdapterUnavailable || fault.ClassOf(err) != fault.Retryable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("err = %v", err)
		}
		if st := b.Status(); st.Waiting != 0 {
			t.Errorf("%d still wait", st.Waiting)
		}
	})
}

func TestWaitersAreTurnedAwayWhenTheStartFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{start: func(context.Context, int, *fakeProcess) error {
			time.Sleep(time.Second)
			return &StartError{Cause: MissingLibrary}
		}}
		b := run(t, Config{}, 8, l)
		began := time.Now()
		_, err := b.Acquire(t.Context(), "")
		if fault.CodeOf(err) != fault.AdapterUnavailable || fault.RetryAfterOf(err) != time.Minute || time.Since(began) != time.Second {
			t.Errorf("after %s: %v, retry after %s", time.Since(began), err, fault.RetryAfterOf(err))
		}
	})
}

func TestConcurrencyIsLimitedAndFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{}, 2, &fakeLauncher{})
		one, two := b.acquire(t, "1"), b.acquire(t, "2")
		order := make(chan string, 3)
		for _, id := range []string{"3", "4", "5"} {
			go func() {
				l, err := b.Acquire(context.Background(), id)
				if err != nil {
					t.Error(err)
					return
				}
				order <- id
				time.Sleep(time.Second)
				l.Release(true)
			}()
			synctest.Wait()
		}
		if st := b.Status(); st.InFlight != 2 || st.Waiting != 3 {
			t.Fatalf("status = %+v", st)
		}
		one.Release(true)
		one.Release(true) // of no effect
		synctest.Wait()
		if st := b.Status(); st.InFlight != 2 || st.Waiting != 2 {
			t.Errorf("status = %+v", st)
		}
		two.Release(true)
		time.Sleep(time.Minute)
		if got := []string{<-order, <-order, <-order}; !slices.Equal(got, []string{"3", "4", "5"}) {
			t.Errorf("order = %v", got)
		}
	})
}

func TestTooManyWaitersAreOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{}, 1, &fakeLauncher{})
		held := b.acquire(t, "held")
		ctx, cancel := context.WithCancel(t.Context())
		for range 1024 {
			go b.Acquire(ctx, "waits")
		}
		synctest.Wait()
		if st := b.Status(); st.Waiting != 1024 {
			t.Fatalf("%d wait", st.Waiting)
		}
		b.refusedAtOnce(t, fault.Overloaded)
		cancel()
		synctest.Wait()
		if st := b.Status(); st.Waiting != 0 {
			t.Errorf("%d wait", st.Waiting)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := b.Acquire(short, "late"); fault.CodeOf(err) != fault.Overloaded {
			t.Errorf("err = %v", err)
		}
		if _, err := b.Acquire(ctx, "gone"); fault.ClassOf(err) != fault.Retryable {
			t.Errorf("err = %v", err)
		}
		held.Release(true)
	})
}

func TestRespecRaisesConcurrencyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		b := run(t, Config{}, 1, l)
		held := b.acquire(t, "held")
		got := make(chan *Lease[*fakeProcess])
		go func() {
			lease, _ := b.Acquire(context.Background(), "waits")
			got <- lease
		}()
		synctest.Wait()
		b.Respec(Spec[*fakeProcess]{Launch: l.Launch, Concurrency: 2})
		(<-got).Release(true)
		held.Release(true)
	})
}

// TestCrashReportNamesCallsReleasedSooner has the holder of a call see the death
// of the process before the Supervisor does.
func TestCrashReportNamesCallsReleasedSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{}, 8, &fakeLauncher{})
		cut, answered := b.acquire(t, "cut"), b.acquire(t, "answered")
		b.acquire(t, "never sent").Release(false)
		busy := make(chan struct{})
		b.tell(func(context.Context) { <-busy })
		b.launcher.last().end(Exit{Cause: Signaled})
		cut.Release(false)
		answered.Release(true)
		close(busy)
		synctest.Wait()
		if c := b.reports(); len(c) != 1 || !slices.Equal(c[0].RequestIDs, []string{"cut"}) {
			t.Errorf("reports = %+v", c)
		}
	})
}

func TestCrashReportNamesTheCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{}, 8, &fakeLauncher{})
		one, two := b.acquire(t, "r-2"), b.acquire(t, "r-1")
		b.answer(t)
		b.acquire(t, "ended").Release(true)
		time.Sleep(3 * time.Second)
		b.crash(t)
		c := b.reports()[0]
		if !slices.Equal(c.RequestIDs, []string{"r-1", "r-2"}) || c.Pid != 1001 || c.Signal != "SIGKILL" || c.ExitCode != -1 ||
			c.Cause != Signaled || c.UptimeMS != 3000 || c.PeakRSSBytes != 1<<20 || len(c.Stderr) != 2 || c.Decision != "restarted at once" {
			t.Errorf("report = %+v", c)
		}
		one.Release(false)
		two.Release(false)
		b.want(t, Ready)
		if st := b.Status(); st.InFlight != 0 {
			t.Errorf("calls of the dead count: %+v", st)
		}
	})
}

func TestHangIsKilledAndReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		b := run(t, Config{}, 8, l)
		hung := l.last()
		b.answer(t)
		time.Sleep(time.Second)
		hung.feel(func(ctx context.Context) (Health, error) { <-ctx.Done(); return Health{}, ctx.Err() })
		call := b.acquire(t, "stuck")
		time.Sleep(20 * time.Second)
		if st := b.want(t, Ready); st.Pid == hung.pid || !hung.forced.Load() {
			t.Fatalf("status = %+v, forced %v", st, hung.forced.Load())
		}
		c := b.reports()
		if len(c) != 1 || c[0].Cause != Hang || !slices.Equal(c[0].RequestIDs, []string{"stuck"}) || c[0].UptimeMS != 17000 {
			t.Errorf("reports = %+v", c)
		}
		call.Release(false)
	})
}

func TestTwoMissesAreNoHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{start: func(_ context.Context, _ int, p *fakeProcess) error {
			n := 0
			p.feel(func(context.Context) (Health, error) {
				if n++; n%3 == 0 {
					return Health{Serving: true}, nil
				}
				return Health{}, errBoom
			})
			return nil
		}}
		run(t, Config{}, 1, l)
		time.Sleep(10 * time.Minute)
		if l.starts() != 1 {
			t.Errorf("%d starts", l.starts())
		}
	})
}

func TestNotServingIsReportedNotKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		b := run(t, Config{}, 8, l)
		call := b.acquire(t, "goes on")
		p := l.last()
		time.Sleep(time.Second)
		p.feel(func(context.Context) (Health, error) { return Health{Message: "no licence"}, nil })
		time.Sleep(time.Minute)
		st := b.want(t, Ready)
		if st.Serving || st.Cause != NotServing || st.Health != "no licence" || st.Remedy == "" || st.Pid != p.pid {
			t.Errorf("status = %+v", st)
		}
		if f := b.refusedAtOnce(t, fault.AdapterUnavailable); f.RetryAfter <= 0 || f.RetryAfter > 5*time.Second {
			t.Errorf("retry after %s", f.RetryAfter)
		}
		call.Release(true)
		p.feel(nil)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		b.answer(t)
		if st := b.Status(); !st.Serving || st.Cause != "" || l.starts() != 1 || len(b.reports()) != 0 {
			t.Errorf("status = %+v, %d starts", st, l.starts())
		}
	})
}

func TestCondemn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		b := run(t, Config{}, 8, l)
		b.answer(t)
		hung := l.last()
		stuck, other := b.acquire(t, "stuck"), b.acquire(t, "other")
		began := time.Now()
		stuck.Condemn("")
		synctest.Wait()
		if st := b.want(t, Ready); st.Pid == hung.pid || st.Old != 1 {
			t.Fatalf("status = %+v", st)
		}
		select {
		case <-hung.done:
			t.Error("killed with another call in flight")
		default:
		}
		time.AfterFunc(4*time.Second, func() { other.Release(true) })
		<-hung.Done()
		if took := time.Since(began); took != 4*time.Second || !hung.forced.Load() {
			t.Errorf("killed after %s, forced %v", took, hung.forced.Load())
		}
		synctest.Wait()
		c := b.reports()
		if len(c) != 1 || c[0].Cause != Hang || !slices.Equal(c[0].RequestIDs, []string{"stuck"}) || c[0].Decision != "restarted at once" {
			t.Errorf("reports = %+v", c)
		}
		stuck.Condemn("") // of no effect on the new process
		stuck.Release(true)
		if st := b.want(t, Ready); st.Old != 0 || l.starts() != 2 {
			t.Errorf("status = %+v, %d starts", st, l.starts())
		}
	})
}

func TestCondemnedProcessDiesWithinTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		b := run(t, Config{}, 8, l)
		hung := l.last()
		stuck, other := b.acquire(t, "stuck"), b.acquire(t, "other")
		began := time.Now()
		stuck.Condemn(Hang)
		other.Condemn(Hang)
		<-hung.Done()
		if took := time.Since(began); took != 0 {
			t.Errorf("no call was left, but it took %s", took)
		}
		synctest.Wait()
		if c := b.reports(); len(c) != 1 || !slices.Equal(c[0].RequestIDs, []string{"other", "stuck"}) {
			t.Errorf("reports = %+v", c)
		}
		b.answer(t)
		hung = l.last()
		stuck, other = b.acquire(t, "stuck"), b.acquire(t, "other")
		began = time.Now()
		stuck.Condemn(Hang)
		<-hung.Done()
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("killed after %s", took)
		}
		other.Release(false)
	})
}

// TestCondemnedProcessThatEndsByItself shows that the report of a condemned
// process names what really ended it, and the condemnation only where that did.
func TestCondemnedProcessThatEndsByItself(t *testing.T) {
	for name, c := range map[string]struct {
		exit Exit
		want Cause
	}{
		"panic":                 {Exit{Cause: Panic, Code: 2}, Panic},
		"exit":                  {Exit{Cause: Exited, Code: 1}, Exited},
		"killed for its memory": {Exit{Cause: OutOfMemory, Code: -1, Signal: "SIGKILL"}, OutOfMemory},
		"crash of a signal":     {Exit{Cause: Signaled, Code: -1, Signal: "SIGSEGV"}, Signaled},
		"killed by the host":    {Exit{Cause: Signaled, Code: -1, Signal: "SIGKILL"}, Hang},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := run(t, Config{}, 8, &fakeLauncher{})
				condemned := b.launcher.last()
				stuck, other := b.acquire(t, "stuck"), b.acquire(t, "other")
				stuck.Condemn(Hang)
				time.Sleep(time.Second) // the other call may go on
				condemned.end(c.exit)
				synctest.Wait()
				got := b.reports()
				if len(got) != 1 || got[0].Cause != c.want || got[0].Remedy != c.want.Remedy() {
					t.Errorf("reports = %+v, want one of cause %s", got, c.want)
				}
				if len(got) == 1 && (got[0].Decision != "restarted at once" || !slices.Equal(got[0].RequestIDs, []string{"other", "stuck"})) {
					t.Errorf("reports = %+v", got)
				}
				other.Release(false)
			})
		})
	}
}

// TestWaitersOfASickProcess shows that those who wait for a place are turned away
// when the process says that it cannot serve.
func TestWaitersOfASickProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{}, 1, &fakeLauncher{})
		held := b.acquire(t, "held")
		time.Sleep(time.Second)
		b.launcher.last().feel(func(context.Context) (Health, error) { return Health{}, nil })
		began := time.Now()
		_, err := b.Acquire(t.Context(), "waits")
		if fault.CodeOf(err) != fault.AdapterUnavailable || time.Since(began) != 4*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		held.Release(true)
	})
}

// TestLeaseGrantedTooLate shows that a lease is given back when the caller gave
// up in the moment in which it was granted.
func TestLeaseGrantedTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{}, 1, &fakeLauncher{})
		w := &waiter[*fakeProcess]{outcome: make(chan outcome[*fakeProcess], 1)}
		b.mu.Lock()
		place := b.waiting.PushBack(w)
		b.settle()
		b.mu.Unlock()
		if st := b.Status(); st.InFlight != 1 {
			t.Fatalf("status = %+v", st)
		}
		if err := b.abandon(place, w, context.DeadlineExceeded); fault.ClassOf(err) != fault.Retryable {
			t.Errorf("err = %v", err)
		}
		if st := b.Status(); st.InFlight != 0 || st.Waiting != 0 {
			t.Errorf("status = %+v", st)
		}
	})
}
