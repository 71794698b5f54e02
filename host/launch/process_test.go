package launch

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// alive reports whether a process exists and is more than a zombie.
func alive(pid int) bool { return startTime(pid) != "" }

// gone waits until a process has ended.
func gone(t *testing.T, what string, pid int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for alive(pid) {
		if time.Now().After(deadline) {
			t.Fatalf("%s (process %d) lives on", what, pid)
		}
		runtime.Gosched()
	}
}

func TestEnvironmentHoldsNothingOfTheHost(t *testing.T) {
	t.Setenv("HOST_SECRET", "squeamish")
	path := filepath.Join(t.TempDir(), "report")
	spec := adapter("environment " + path)
	spec.Args = []string{"-v", "two words"}
	spec.Egress, spec.AllowPrivate = []string{"*.example.com", "b.example"}, []string{"127.0.0.1"}
	spec.Env["ACME_LOG_LEVEL"] = "debug"
	spec.Env["GOGC"], spec.MemoryMiB = "50", 256 // the operator's own value stands
	spec.Dir = t.TempDir()
	inst := start(t, launcher(t, nil), spec)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	report := strings.Split(string(raw), "\n")
	var names []string
	for _, line := range report {
		if entry, ok := strings.CutPrefix(line, "env "); ok {
			name, _, _ := strings.Cut(entry, "=")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	want := []string{
		"ACME_LOG_LEVEL", "GOGC", "GOMEMLIMIT", "GORACE", envScript, "PATCHBAY_ADAPTER", "PATCHBAY_ADAPTER_COOKIE", "PATCHBAY_ALLOW_PRIVATE", "PATCHBAY_EGRESS",
		"PATCHBAY_LIFELINE", "PATCHBAY_RUN_ID", "PATH", "PLUGIN_MAX_PORT", "PLUGIN_MIN_PORT", "PLUGIN_PROTOCOL_VERSIONS", "PLUGIN_UNIX_SOCKET_DIR",
	}
	if !slices.Equal(names, want) {
		t.Errorf("variables %v, want %v", names, want)
	}
	for _, line := range []string{
		"env PATCHBAY_EGRESS=*.example.com,b.example", "env PATCHBAY_ALLOW_PRIVATE=127.0.0.1", "env PATCHBAY_ADAPTER=scripted",
		"env PATCHBAY_LIFELINE=stdin", "env ACME_LOG_LEVEL=debug", "env GOGC=50", "env GOMEMLIMIT=230MiB", "dir " + spec.Dir, "group true", "session true <nil>",
		"args " + filepath.Base(spec.ExecutablePath) + " -v two words",
	} {
		if !slices.Contains(report, line) {
			t.Errorf("%q is missing in %s", line, raw)
		}
	}
	if !strings.Contains(string(raw), "exe /memfd:patchbay-adapter") {
		t.Errorf("it does not run from the sealed image: %s", raw)
	}
	for _, line := range report { // the image itself and other adapters' pipes stay with the host
		if strings.HasPrefix(line, "fd ") && strings.Contains(line, "memfd") {
			t.Errorf("inherited %s", line)
		}
	}
	if info, err := os.Stat(filepath.Dir(inst.process.socket)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("socket directory: %v, %v", info, err)
	}
}

func TestReservedVariablesAreRefused(t *testing.T) {
	t.Parallel()
	l := launcher(t, nil)
	for _, name := range []string{"PATCHBAY_RUN_ID", "PLUGIN_MIN_PORT", "LD_PRELOAD", "", "A=B", "A\x00"} {
		spec := adapter("ok")
		spec.Env = map[string]string{name: "secret value"}
		_, err := l.Launch(t.Context(), spec)
		if err == nil || strings.Contains(err.Error(), "secret value") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestVerifiedBytesRun shows that what was verified runs, whatever happens to the
// file later, and that nobody can write to it.
func TestVerifiedBytesRun(t *testing.T) {
	t.Parallel()
	l := launcher(t, nil)
	path, digest := self()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spec := adapter("ok")
	spec.ExecutablePath = filepath.Join(t.TempDir(), "adapter")
	if err := os.WriteFile(spec.ExecutablePath, raw, 0o700); err != nil {
		t.Fatal(err)
	}
	inst := start(t, l, spec)
	if err := os.WriteFile(spec.ExecutablePath, []byte("#!/bin/sh\nexit 99\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	again := start(t, l, spec) // same digest: same image
	for _, i := range []*Instance{inst, again} {
		if _, err := i.Client().AddMessageLog(t.Context(), sdktest.Request()); err != nil {
			t.Error(err)
		}
	}
	img := l.images.byDigest[digest].image
	if len(l.images.byDigest) != 1 || img.remove != nil {
		t.Errorf("%d images", len(l.images.byDigest))
	}
	if _, err := img.file.WriteAt([]byte("x"), 0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("write to the image: %v", err)
	}
	if err := img.file.Truncate(0); !errors.Is(err, syscall.EPERM) {
		t.Errorf("truncate the image: %v", err)
	}
	spec.ExecutableDigest = digestOf(spec.ExecutablePath) // the new file, with its own digest, is another image
	if why := refused(t, l, spec); why.Cause != supervisor.ExitBeforeHandshake || why.Exit.Code != 99 {
		t.Errorf("why = %v", why)
	}
}

// TestPrivateCopyRuns takes the way of systems without memory files.
func TestPrivateCopyRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	img, err := privateCopy(strings.NewReader("#!/bin/sh\necho ran $1"), dir)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(img.path)
	if err != nil || info.Mode().Perm() != 0o500 {
		t.Errorf("%v, %v", info, err)
	}
	out, err := exec.Command(img.path, "well").Output()
	if err != nil || string(out) != "ran well\n" {
		t.Errorf("%q, %v", out, err)
	}
	if err := img.close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestDescendantsDieWithTheProcess(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Instance){
		"stop": func(i *Instance) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			i.Stop(ctx)
		},
		"kill -9":         func(i *Instance) { syscall.Kill(i.Pid(), syscall.SIGKILL) },
		"SIGSTOP, stop":   func(i *Instance) { syscall.Kill(i.Pid(), syscall.SIGSTOP); stopWithin(i, 200*time.Millisecond) },
		"stop by force":   func(i *Instance) { stopWithin(i, 0) },
		"end of the host": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, stop := launcherIn(t, Config{RunDir: t.TempDir(), SocketParent: socketParent(t), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
			defer stop()
			dir := t.TempDir()
			inst, err := l.Launch(t.Context(), adapter("forks "+dir))
			if err != nil {
				t.Fatal(err)
			}
			if end == nil {
				stop()
			} else {
				end(inst)
			}
			await(t, "the end", inst.Done())
			for _, kind := range []string{"plain", "group", "session"} {
				raw, err := os.ReadFile(filepath.Join(dir, kind))
				if err != nil {
					t.Fatal(err)
				}
				if pid, err := strconv.Atoi(string(raw)); err != nil || alive(pid) {
					t.Errorf("the %s descendant %s lives on: %v", kind, raw, err)
				}
			}
		})
	}
}

func contextWithin(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

func stopWithin(i *Instance, d time.Duration) {
	ctx, cancel := contextWithin(d)
	defer cancel()
	i.Stop(ctx)
}

// TestPipesHeldByAnEscapee shows that a descendant that got away, and holds the
// pipes open, does not keep the death from being known.
func TestPipesHeldByAnEscapee(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pid")
	inst := start(t, launcher(t, nil), adapter("escapes "+path))
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	escapee, err := strconv.Atoi(string(raw))
	if err != nil || escapee < 2 {
		t.Fatalf("%q, %v", raw, err)
	}
	defer syscall.Kill(escapee, syscall.SIGKILL)
	began := time.Now()
	syscall.Kill(inst.Pid(), syscall.SIGKILL)
	await(t, "the death", inst.Done())
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("noticed after %s", took)
	}
	if !alive(escapee) {
		t.Error("the descendant did not get away: nothing was tested")
	}
}

func TestDeafProcessEndsInTime(t *testing.T) {
	t.Parallel()
	inst := start(t, launcher(t, nil), adapter("deaf"))
	syscall.Kill(inst.Pid(), syscall.SIGTERM)
	began := time.Now()
	stopWithin(inst, 300*time.Millisecond)
	if took := time.Since(began); took > 1300*time.Millisecond {
		t.Errorf("took %s", took)
	}
	if exit := inst.Exit(); exit.Signal != "SIGKILL" {
		t.Errorf("exit = %+v", exit)
	}
}

func TestStopManyTimesAtOnce(t *testing.T) {
	t.Parallel()
	inst := start(t, launcher(t, nil), adapter("ok"))
	over := make(chan struct{})
	for range 8 {
		go func() { stopWithin(inst, patience); over <- struct{}{} }()
	}
	for range 8 {
		await(t, "a stop", over)
	}
	stopWithin(inst, patience)
	if exit := inst.Exit(); exit.Code != 0 {
		t.Errorf("exit = %+v", exit)
	}
}

// TestKilledLongAfterAPanicLine has an adapter print what looks like a panic and
// serve on, until it is killed from outside.
func TestKilledLongAfterAPanicLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(path, []byte("panic: told to say so\n\ngoroutine 1 [running]:\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inst := start(t, launcher(t, nil), adapter("stderr "+path))
	if err := syscall.Kill(inst.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if exit := inst.Exit(); exit.Cause != supervisor.Signaled || exit.Signal != "SIGKILL" {
		t.Errorf("exit = %+v", exit)
	}
}

func TestStrangersSocketIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(socketParent(t), "stranger")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	spec := adapter("stranger-socket")
	spec.Env["STRANGER"] = path
	why := refused(t, launcher(t, nil), spec)
	if why.Cause != supervisor.ProtocolMismatch || !strings.Contains(why.Detail, "another process") {
		t.Errorf("why = %v", why)
	}
}

func TestSilenceAfterTheHandshakeEndsInTime(t *testing.T) {
	t.Parallel()
	spec := adapter("hangs-after-handshake")
	spec.StartTimeout = time.Second
	began := time.Now()
	why := refused(t, launcher(t, nil), spec)
	if took := time.Since(began); why.Cause != supervisor.StartTimeout || took > 3*time.Second || why.Pid == 0 || alive(why.Pid) {
		t.Errorf("after %s: %v", took, why)
	}
}

func TestCancelledStartLeavesNothing(t *testing.T) {
	t.Parallel()
	l := launcher(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() {
		_, err := l.Launch(ctx, adapter("silent-start"))
		over <- err
	}()
	var pid int
	for deadline := time.Now().Add(patience); pid == 0 && time.Now().Before(deadline); runtime.Gosched() {
		l.mu.Lock()
		for p := range l.live {
			pid = p.pid
		}
		l.mu.Unlock()
	}
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	if pid == 0 || alive(pid) {
		t.Errorf("process %d lives on", pid)
	}
	if _, err := l.Launch(ctx, adapter("ok")); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

func TestStartsAreIndependent(t *testing.T) {
	t.Parallel()
	l := launcher(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	for range 4 {
		go func() { l.Launch(ctx, adapter("silent-start")); over <- struct{}{} }()
	}
	inst := start(t, l, adapter("ok")) // while four others hang
	if _, err := inst.Client().AddMessageLog(t.Context(), sdktest.Request()); err != nil {
		t.Error(err)
	}
	cancel()
	for range 4 {
		await(t, "the end of a start", over)
	}
}

func TestLongSocketDirectoryIsNamed(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), strings.Repeat("d", 90))
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	l, stop := launcherIn(t, Config{RunDir: t.TempDir(), SocketParent: parent})
	defer stop()
	if why := refused(t, l, adapter("ok")); why.Cause != supervisor.SocketPathTooLong {
		t.Errorf("why = %v", why)
	}
}

func TestEndOfTheLauncherEndsAll(t *testing.T) {
	t.Parallel()
	runDir, sockets := t.TempDir(), socketParent(t)
	l, stop := launcherIn(t, Config{RunDir: runDir, SocketParent: sockets, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	defer stop()
	var all []*Instance
	for range 3 {
		inst, err := l.Launch(t.Context(), adapter("ok"))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, inst)
	}
	stop()
	for _, inst := range all {
		if !closed(inst.Done()) || alive(inst.Pid()) {
			t.Error("a process outlives Run")
		}
	}
	for _, dir := range []string{runDir, sockets} {
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left in %s: %v, %v", dir, left, err)
		}
	}
	if _, err := l.Launch(t.Context(), adapter("ok")); err == nil {
		t.Error("launched after the end")
	}
	if err := l.Run(t.Context()); err == nil {
		t.Error("ran twice")
	}
}
