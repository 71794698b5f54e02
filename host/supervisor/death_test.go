package supervisor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// lingering makes processes that leave something behind for a while.
func lingering(d time.Duration) *fakeLauncher {
	return &fakeLauncher{start: func(_ context.Context, _ int, p *fakeProcess) error {
		p.lingers = d
		return nil
	}}
}

// end ends the current process and goes on while it lingers.
func (b *bench) end(exit Exit) *fakeProcess {
	p := b.launcher.last()
	go p.end(exit)
	synctest.Wait()
	return p
}

var killedHard = Exit{Cause: Signaled, Code: -1, Signal: "SIGKILL", Stderr: []string{"last words"}}

func TestDeathIsActedOnBeforeWhatWasLeftBehindIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{}, 1, lingering(200*time.Millisecond))
		call := b.acquire(t, "in flight")
		began := time.Now()
		dead := b.end(killedHard)
		if st := b.want(t, Ready); st.Pid == dead.pid || time.Since(began) != 0 {
			t.Errorf("after %s: %+v, want another process at once", time.Since(began), st)
		}
		b.answer(t)
		if reports := b.reports(); len(reports) != 0 {
			t.Errorf("reported before its last words were read: %+v", reports)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		reports := b.reports()
		if len(reports) != 1 {
			t.Fatalf("%d reports", len(reports))
		}
		c := reports[0]
		if c.Pid != dead.pid || c.Cause != Signaled || c.Detail != "last words" || c.Decision != "restarted at once" ||
			len(c.RequestIDs) != 1 || c.RequestIDs[0] != "in flight" || c.UptimeMS != 0 {
			t.Errorf("report %+v", c)
		}
		call.Release(false)
	})
}

func TestReasonOfTheStateIsCompletedByTheReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{MinBackoff: time.Hour, MaxBackoff: time.Hour, MaxBadStarts: 3}, 1, lingering(200*time.Millisecond))
		b.end(killedHard) // restarted at once
		time.Sleep(200 * time.Millisecond)
		b.want(t, Ready)
		b.end(Exit{Cause: Exited, Code: 2, Stderr: []string{"panic: boom"}})
		if st := b.want(t, Backoff); st.Cause != Exited || st.Detail != "" {
			t.Errorf("at once: %+v", st)
		}
		time.Sleep(200 * time.Millisecond)
		if st := b.want(t, Backoff); st.Cause != Exited || st.Detail != "panic: boom" {
			t.Errorf("once it is known: %+v", st)
		}
		time.Sleep(time.Hour)
		b.want(t, Ready)
		b.end(Exit{Cause: Panic, Code: 2, Stderr: []string{"panic: boom"}})
		time.Sleep(200 * time.Millisecond)
		if st := b.want(t, Quarantined); st.Cause != CrashLoop || st.Detail != "3 starts in a row, the last: panic panic: boom" {
			t.Errorf("in quarantine: %+v", st)
		}
	})
}

func TestNoCallGoesToADeadProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{}, 1, &fakeLauncher{})
		dead := b.launcher.last()
		close(dead.dead) // the actor has not heard of it yet
		lease, err := b.Acquire(t.Context(), "next")
		if err != nil || lease.Instance() == dead {
			t.Fatalf("%v: the call went to the dead process", err)
		}
		lease.Release(true)
		close(dead.done)
		dead.die.Do(func() {})
	})
}

func TestCondemningTheDeadCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{MaxBadStarts: 2}, 2, lingering(200*time.Millisecond))
		call := b.acquire(t, "cut off")
		b.end(killedHard)
		call.Condemn(Hang)
		time.Sleep(200 * time.Millisecond)
		b.want(t, Ready)
		reports := b.reports()
		if len(reports) != 1 || reports[0].Cause != Signaled || reports[0].Decision != "restarted at once" || len(reports[0].RequestIDs) != 1 {
			t.Errorf("reports %+v", reports)
		}
	})
}
