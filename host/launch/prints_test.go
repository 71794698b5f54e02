package launch

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/sdk/rpc"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// TestHostilePrints has adapters print what has ended or blocked hosts, and calls
// them again afterwards.
func TestHostilePrints(t *testing.T) {
	t.Parallel()
	for _, script := range []string{"stderr-bomb", "stdout-noise", "raw-stdout:4"} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			var r records
			inst := start(t, launcher(t, &r), adapter(script))
			began := time.Now()
			for i := range 3 {
				answer, err := inst.Client().AddMessageLog(rpc.WithRequestID(t.Context(), fmt.Sprint("r-", i)), sdktest.Request())
				if err != nil || answer.LogID == "" {
					t.Fatalf("call %d: %+v, %v", i, answer, err)
				}
			}
			stopWithin(inst, patience)
			lines := r.all()
			if limit := 1000 + int(201*time.Since(began).Seconds()) + 10; len(lines) == 0 || len(lines) > limit {
				t.Errorf("%d lines logged, limit %d", len(lines), limit)
			}
			for _, line := range lines {
				if len(line) > 100<<10 || strings.Contains(line, "\x1b") {
					t.Errorf("logged %d bytes: %.200q", len(line), line)
				}
			}
		})
	}
}

// TestRawPanicLine sends the line that ends a host which lets go-plugin read it.
func TestRawPanicLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(path, []byte("{\"@message\":1}\n{\"@level\":2,\"@message\":[3]}\nplain\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var r records
	inst := start(t, launcher(t, &r), adapter("stderr "+path))
	stopWithin(inst, patience)
	all := strings.Join(r.all(), "")
	for _, part := range []string{`"record":{"message":"1"}`, `"record":{"message":"[3]"}`, `"line":"plain"`, fmt.Sprintf(`"pid":%d`, inst.Pid())} {
		if !strings.Contains(all, part) {
			t.Errorf("%s is missing in %s", part, all)
		}
	}
	if tail := inst.Exit().Stderr; len(tail) < 3 || tail[2] != "plain" {
		t.Errorf("tail = %q", tail)
	}
}

func TestRecordsCarryLevelAdapterAndRequest(t *testing.T) {
	t.Parallel()
	var r records
	inst := start(t, launcher(t, &r), adapter("plain-error"))
	if _, err := inst.Client().AddMessageLog(rpc.WithRequestID(t.Context(), "r-77"), sdktest.Request()); err == nil {
		t.Fatal("answered")
	}
	stopWithin(inst, patience)
	for _, line := range r.all() {
		if strings.Contains(line, `"request_id":"r-77"`) && strings.Contains(line, `"level":"ERROR"`) && strings.Contains(line, `"adapter":"scripted","version":"1.2.3"`) {
			return
		}
	}
	t.Errorf("no such record in %s", strings.Join(r.all(), ""))
}

// TestKilledAboveItsMemory reads SIGKILL above the limit as a want of memory, and
// below as what it is.
func TestKilledAboveItsMemory(t *testing.T) {
	t.Parallel()
	l := launcher(t, nil)
	for limit, want := range map[int]supervisor.Cause{1: supervisor.OutOfMemory, 1 << 20: supervisor.Signaled, 0: supervisor.Signaled} {
		spec := adapter("ok")
		spec.MemoryMiB = limit
		inst := start(t, l, spec)
		syscall.Kill(inst.Pid(), syscall.SIGKILL)
		if exit := inst.Exit(); exit.Cause != want {
			t.Errorf("limit %d MiB: %+v", limit, exit)
		}
	}
}

// TestHealth tells an adapter that says no from one that says nothing.
func TestHealth(t *testing.T) {
	t.Parallel()
	l := launcher(t, nil)
	sick := start(t, l, adapter("not-serving"))
	if h, err := sick.Health(t.Context()); err != nil || h.Serving || h.Message != "told not to serve" {
		t.Errorf("not serving: %+v, %v", h, err)
	}
	panics := start(t, l, adapter("sick-panic"))
	if h, err := panics.Health(t.Context()); err != nil || h.Serving {
		t.Errorf("panics: %+v, %v", h, err)
	}
	well := start(t, l, adapter("ok"))
	syscall.Kill(well.Pid(), syscall.SIGSTOP)
	for deadline := time.Now().Add(patience); ; { // its threads do not stop at once
		began := time.Now()
		ctx, cancel := contextWithin(200 * time.Millisecond)
		_, err := well.Health(ctx)
		cancel()
		if err != nil {
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %s", took)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a stopped process answers")
		}
	}
	syscall.Kill(well.Pid(), syscall.SIGKILL)
	await(t, "the end", well.Done())
	if h, err := well.Health(t.Context()); err == nil {
		t.Errorf("dead: %+v", h)
	}
}

// TestStartStopStress has many start, call, kill and stop at once.
func TestStartStopStress(t *testing.T) {
	t.Parallel()
	l := launcher(t, &records{})
	var all sync.WaitGroup
	for worker := range 6 {
		all.Go(func() {
			for i := range 5 {
				inst, err := l.Launch(t.Context(), adapter("ok"))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := inst.Client().AddMessageLog(t.Context(), sdktest.Request()); err != nil {
					t.Error(err)
				}
				if (worker+i)%2 == 0 {
					syscall.Kill(inst.Pid(), syscall.SIGKILL)
				}
				go stopWithin(inst, patience)
				await(t, "the end", inst.Done())
			}
		})
	}
	all.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.live) != 0 {
		t.Errorf("%d processes are still known", len(l.live))
	}
}
