package launch

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// usage counts what a leak would make grow.
type usage struct{ goroutines, descriptors, sockets, records int }

func measure(t *testing.T, l *Launcher) usage {
	t.Helper()
	count := func(pattern string) int {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	return usage{
		goroutines: runtime.NumGoroutine(), descriptors: count("/proc/self/fd/*"),
		sockets: count(filepath.Join(l.sockets.path, "*")), records: count(filepath.Join(l.cfg.RunDir, "*")),
	}
}

// settled measures until two things hold: nothing of go-plugin's or gRPC's runs
// any more, or patience is over.
func settled(t *testing.T, l *Launcher, limit usage) usage {
	t.Helper()
	var u usage
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		u = measure(t, l)
		if u.goroutines <= limit.goroutines && u.descriptors <= limit.descriptors {
			break
		}
	}
	return u
}

// TestNothingGrows runs a hundred processes to every kind of end. It is not
// parallel: it counts what belongs to the whole test process.
func TestNothingGrows(t *testing.T) {
	l, stop := launcherIn(t, Config{RunDir: t.TempDir(), SocketParent: socketParent(t), Log: slog.New(slog.DiscardHandler)})
	defer stop()
	cycle := func(i int) {
		scripts := []string{"exit:3", "fork-and-die", "crash", "ok", "ok", "garbage-handshake", "exit-at-start:1", "hangs-after-handshake", "wrong-protocol", "ok"}
		script := scripts[i%len(scripts)]
		spec := adapter(script)
		if script == "hangs-after-handshake" {
			spec.StartTimeout = 100 * time.Millisecond
		}
		inst, err := l.Launch(t.Context(), spec)
		if err != nil {
			return
		}
		switch i % 10 {
		case 3:
			stopWithin(inst, patience)
		case 4:
			syscall.Kill(inst.Pid(), syscall.SIGKILL)
		case 9:
			stopWithin(inst, 0)
		default:
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if _, err := inst.Client().AddMessageLog(ctx, sdktest.Request()); err == nil {
				t.Errorf("%s answered", script)
			}
		}
		await(t, "the end of "+script, inst.Done())
	}
	for i := range 10 {
		cycle(i) // what is made once is made now
	}
	before := settled(t, l, usage{})
	for i := range 100 {
		cycle(i)
	}
	after := settled(t, l, before)
	if after.goroutines > before.goroutines || after.descriptors > before.descriptors || after.sockets > 0 || after.records > 1 {
		var stacks strings.Builder
		pprof.Lookup("goroutine").WriteTo(&stacks, 1)
		t.Errorf("before %+v, after %+v\n%s", before, after, &stacks)
	}
	if n := len(l.live); n != 0 {
		t.Errorf("%d processes are still known", n)
	}
	if left, _ := os.ReadDir(l.cfg.RunDir); len(left) != 1 {
		t.Errorf("records: %v", left)
	}
}

// TestKillToReplacement bounds the time in which a killed adapter answers again.
func TestKillToReplacement(t *testing.T) {
	l := launcher(t, nil)
	inst := start(t, l, adapter("ok"))
	var worst time.Duration
	for range 10 {
		began := time.Now()
		syscall.Kill(inst.Pid(), syscall.SIGKILL)
		await(t, "the death", inst.Done())
		inst = start(t, l, adapter("ok"))
		if _, err := inst.Client().AddMessageLog(t.Context(), sdktest.Request()); err != nil {
			t.Fatal(err)
		}
		worst = max(worst, time.Since(began))
	}
	t.Logf("worst of 10: %s", worst)
	if worst > 5*time.Second {
		t.Errorf("it took %s", worst)
	}
}
