package supervisor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestRestartsAtOnceThenBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		b := run(t, Config{MaxBadStarts: 100}, 1, l)
		b.want(t, Ready)
		for i := range 12 {
			b.crash(t)
			if i == 0 {
				b.want(t, Ready) // the first restart happens at once
				continue
			}
			st := b.want(t, Backoff)
			if st.Cause != Signaled || st.Remedy == "" || !strings.Contains(st.Detail, "last words") {
				t.Errorf("status = %+v", st)
			}
			if f := b.refusedAtOnce(t, fault.AdapterUnavailable); f.RetryAfter != time.Until(st.NextStart) || f.RetryAfter <= 0 {
				t.Errorf("retry after %s, next start in %s", f.RetryAfter, time.Until(st.NextStart))
			}
			time.Sleep(time.Until(st.NextStart))
			b.want(t, Ready)
		}
		ms := time.Millisecond
		want := []time.Duration{0, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 6400 * ms, 12800 * ms, 25600 * ms, 30000 * ms, 30000 * ms, 30000 * ms}
		if got := l.gaps(); !slices.Equal(got, want) {
			t.Errorf("gaps = %v, want %v", got, want)
		}
	})
}

func TestJitterIsFullAndBounded(t *testing.T) {
	t.Parallel()
	cfg := Config{}.withDefaults()
	low, high := time.Hour, time.Duration(0)
	for range 2000 {
		d := cfg.backoff(3)
		low, high = min(low, d), max(high, d)
	}
	if limit := 800 * time.Millisecond; low > limit/10 || high < limit*9/10 || high > limit {
		t.Errorf("waits from %s to %s", low, high)
	}
	if d := doubled(time.Minute, 1000, 30*time.Minute); d != 30*time.Minute {
		t.Errorf("doubled a thousand times: %s", d)
	}
}

func TestCrashLoopEndsInQuarantineWithProbation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{start: func(context.Context, int, *fakeProcess) error {
			return &StartError{Cause: ExitBeforeHandshake, Detail: "no port", Pid: 7, Exit: Exit{Code: 3, Stderr: []string{"no port"}}}
		}}
		b := run(t, Config{}, 1, l)
		time.Sleep(10 * time.Second)
		st := b.want(t, Quarantined)
		if l.starts() != 5 || st.Cause != CrashLoop || !strings.Contains(st.Detail, "exit_before_handshake no port") {
			t.Fatalf("after %d starts: %+v", l.starts(), st)
		}
		var got []time.Duration
		for range 8 {
			st := b.want(t, Quarantined)
			if f := b.refusedAtOnce(t, fault.AdapterUnavailable); f.RetryAfter != time.Until(st.NextStart) {
				t.Errorf("retry after %s", f.RetryAfter)
			}
			got = append(got, st.NextStart.Sub(st.Since))
			time.Sleep(time.Until(st.NextStart))
			synctest.Wait()
		}
		m := time.Minute
		want := []time.Duration{m, 2 * m, 4 * m, 8 * m, 16 * m, 30 * m, 30 * m, 30 * m}
		if !slices.Equal(got, want) {
			t.Errorf("probation after %v, want %v", got, want)
		}
		first := b.reports()[0]
		if first.Cause != ExitBeforeHandshake || first.Pid != 7 || first.ExitCode != 3 || first.Remedy == "" ||
			first.Decision != "restarted at once" || first.Version != "1.0.0" {
			t.Errorf("first report = %+v", first)
		}
	})
}

func TestProbationThatWorksForgetsEverything(t *testing.T) {
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
		time.Sleep(20 * time.Second)
		b.want(t, Quarantined)
		broken.Store(false)
		time.Sleep(time.Minute)
		b.want(t, Ready)
		b.answer(t)
		b.crash(t)
		if st := b.want(t, Ready); l.starts() != 7 || st.Restarts != 6 {
			t.Errorf("after %d starts: %+v", l.starts(), st)
		}
	})
}

// TestBadStartsCountOnlyInARow has four bad starts, an answered call, and five
// more.
func TestBadStartsCountOnlyInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{}, 1, &fakeLauncher{})
		for i := range 10 {
			if st := b.Status(); st.State == Backoff {
				time.Sleep(time.Until(st.NextStart))
			}
			b.want(t, Ready)
			if i == 4 {
				b.answer(t)
			}
			b.crash(t)
		}
		if b.want(t, Quarantined); b.launcher.starts() != 10 {
			t.Errorf("%d starts", b.launcher.starts())
		}
	})
}

// TestQuarantineAfterGoodTimesIsShort shows that an answered call resets the
// length of the quarantine too.
func TestQuarantineAfterGoodTimesIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		l := &fakeLauncher{start: func(context.Context, int, *fakeProcess) error {
			if broken.Load() {
				return &StartError{Cause: MissingLibrary}
			}
			return nil
		}}
		b := run(t, Config{}, 1, l)
		time.Sleep(time.Minute + 30*time.Second) // into the second quarantine
		broken.Store(false)
		time.Sleep(2 * time.Minute)
		b.want(t, Ready)
		b.answer(t)
		broken.Store(true)
		b.crash(t)
		if st := b.want(t, Quarantined); st.NextStart.Sub(st.Since) != time.Minute {
			t.Errorf("quarantine of %s", st.NextStart.Sub(st.Since))
		}
	})
}

func TestOneAnsweredCallResetsTheCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{}, 1, &fakeLauncher{})
		for range 20 {
			b.answer(t)
			b.crash(t)
			b.want(t, Ready) // always the first restart
		}
		if n := len(b.reports()); n != 20 {
			t.Errorf("%d reports", n)
		}
	})
}

func TestUnansweredCallsDoNotReset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{}
		b := run(t, Config{}, 1, l)
		for range 5 {
			b.acquire(t, "").Release(false)
			b.crash(t)
			if st := b.Status(); st.State == Backoff {
				time.Sleep(time.Until(st.NextStart))
			}
			synctest.Wait()
		}
		if st := b.want(t, Quarantined); st.Cause != CrashLoop || l.starts() != 5 {
			t.Errorf("after %d starts: %+v", l.starts(), st)
		}
	})
}

// TestHealthAnswerKeepsOutOfQuarantine shows that a process that answered a
// periodic health check was no bad start, while the check at its start is part
// of the start.
func TestHealthAnswerKeepsOutOfQuarantine(t *testing.T) {
	for name, c := range map[string]struct {
		lives time.Duration
		want  State
	}{
		"dies before a periodic check": {4 * time.Second, Quarantined},
		"answers one":                  {6 * time.Second, Backoff},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := run(t, Config{}, 1, &fakeLauncher{})
				for range 5 {
					if st := b.Status(); st.State == Backoff {
						time.Sleep(time.Until(st.NextStart))
					}
					b.want(t, Ready)
					time.Sleep(c.lives)
					b.crash(t)
				}
				b.want(t, c.want)
			})
		})
	}
}

func TestOldProcessRestartsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{}, 1, &fakeLauncher{})
		for range 10 {
			time.Sleep(2 * time.Minute)
			b.crash(t)
			b.want(t, Ready)
		}
	})
}

func TestPermanentCauseGoesToQuarantineAtOnce(t *testing.T) {
	for _, cause := range Causes() {
		t.Run(string(cause), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &fakeLauncher{start: func(context.Context, int, *fakeProcess) error {
					return fmt.Errorf("wrapped: %w", &StartError{Cause: cause, Detail: "found it"})
				}}
				b := run(t, Config{}, 1, l)
				if !cause.Permanent() {
					if l.starts() == 1 {
						t.Error("not started again at once")
					}
					return
				}
				st := b.want(t, Quarantined)
				if l.starts() != 1 || st.Cause != cause || st.Remedy != cause.Remedy() || st.Detail != "found it" {
					t.Errorf("after %d starts: %+v", l.starts(), st)
				}
			})
		})
	}
}

func TestEveryCauseHasARemedy(t *testing.T) {
	t.Parallel()
	if n := len(Causes()); n != len(byCause) {
		t.Errorf("%d causes, %d different", n, len(byCause))
	}
	for _, c := range Causes() {
		if c.Remedy() == "" || !strings.HasSuffix(c.Remedy(), ".") {
			t.Errorf("%s: remedy %q", c, c.Remedy())
		}
	}
}

func TestUnquarantine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		l := &fakeLauncher{start: func(context.Context, int, *fakeProcess) error {
			if broken.Load() {
				return &StartError{Cause: DigestMismatch}
			}
			return nil
		}}
		b := run(t, Config{}, 1, l)
		b.want(t, Quarantined)
		if err := b.Unquarantine(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st := b.want(t, Quarantined); st.NextStart.Sub(st.Since) != time.Minute {
			t.Errorf("the count was not forgotten: %+v", st)
		}
		broken.Store(false)
		if err := b.Unquarantine(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.want(t, Ready)
		if err := b.Unquarantine(t.Context()); err != nil || l.starts() != 3 {
			t.Errorf("%v after %d starts", err, l.starts())
		}
	})
}

func TestStartThatNeverReturnsIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fakeLauncher{start: func(ctx context.Context, _ int, _ *fakeProcess) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		b := run(t, Config{}, 1, l)
		b.want(t, Starting)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if c := b.reports(); len(c) != 1 || c[0].Cause != StartTimeout || !strings.Contains(c[0].Detail, "10s") {
			t.Errorf("reports = %+v", c)
		}
		b.finish(t) // in the midst of the second start
		if n := len(b.reports()); n != 1 {
			t.Errorf("%d reports: the end of the host is no crash", n)
		}
	})
}

func TestConfigReportsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := New(Config{MinBackoff: time.Hour, MinProbation: time.Hour, MaxBadStarts: -1, DrainTimeout: -1}, testKey,
		Spec[*fakeProcess]{Launch: (&fakeLauncher{}).Launch}, nil)
	for _, part := range []string{"MinBackoff", "MinProbation", "MaxBadStarts", "DrainTimeout"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%s is missing in %v", part, err)
		}
	}
	if _, err := New(Config{}, testKey, Spec[*fakeProcess]{}, nil); err == nil {
		t.Error("a Spec without Launch was taken")
	}
}

func TestRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t, Config{}, 1, &fakeLauncher{})
		if err := b.Run(t.Context()); err == nil {
			t.Error("ran twice")
		}
	})
}
