package launch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/supervisor"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// envScript turns this test binary into an adapter that plays a script.
const envScript = "LAUNCH_TEST_SCRIPT"

// patience is how long a test waits for what must happen. It is never used up by
// a test that passes.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if script := os.Getenv(envScript); script != "" {
		if !misbehave(script) {
			sdktest.ServeScripted(script)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// self is this test binary and its digest.
var self = sync.OnceValues(func() (string, string) {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return path, digestOf(path)
})

func digestOf(path string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// adapter returns the Spec of an adapter that plays a script.
func adapter(script string) Spec {
	path, digest := self()
	return Spec{
		Name: "scripted", Version: "1.2.3", ExecutablePath: path, ExecutableDigest: digest, Dir: os.TempDir(),
		Env: map[string]string{envScript: script, "PATH": os.Getenv("PATH"), "GORACE": "atexit_sleep_ms=0"}, StartTimeout: patience,
	}
}

// shellScript writes a script and returns its Spec.
func shellScript(t *testing.T, body string) Spec {
	t.Helper()
	path := filepath.Join(t.TempDir(), "adapter")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o700); err != nil {
		t.Fatal(err)
	}
	return Spec{Name: "script", Version: "1.0.0", ExecutablePath: path, ExecutableDigest: digestOf(path), StartTimeout: patience}
}

// records is a slog.Handler that keeps what is logged, as JSON lines.
type records struct {
	mu    sync.Mutex
	lines []string
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, string(p))
	return len(p), nil
}

func (r *records) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.lines...)
}

// launcher runs a Launcher until the test ends. log may be nil.
func launcher(t *testing.T, log io.Writer) *Launcher {
	t.Helper()
	if log == nil {
		log = t.Output()
	}
	l, stop := launcherIn(t, Config{
		RunDir: t.TempDir(), SocketParent: socketParent(t),
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	t.Cleanup(stop)
	return l
}

// socketParent is a temporary directory with a short path.
func socketParent(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// launcherIn runs a Launcher until stop is called.
func launcherIn(t *testing.T, cfg Config) (l *Launcher, stop func()) {
	t.Helper()
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- l.Run(ctx) }()
	return l, sync.OnceFunc(func() {
		cancel()
		if err := <-over; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// start launches an adapter that must come up, and stops it when the test ends.
func start(t *testing.T, l *Launcher, spec Spec) *Instance {
	t.Helper()
	inst, err := l.Launch(t.Context(), spec)
	if err != nil {
		t.Fatalf("launch: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		inst.Stop(ctx)
	})
	return inst
}

// refused launches an adapter that must not come up and returns why.
func refused(t *testing.T, l *Launcher, spec Spec) *supervisor.StartError {
	t.Helper()
	inst, err := l.Launch(t.Context(), spec)
	if err == nil {
		inst.Stop(t.Context())
		t.Fatal("it was launched")
	}
	var why *supervisor.StartError
	if !errors.As(err, &why) {
		t.Fatalf("error %v is no StartError", err)
	}
	return why
}

// await waits for c, within patience.
func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
	}
}
