package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// envScript makes this binary the recorder: it serves the script as an adapter.
const envScript = "E2E_SCRIPT"

// The bounds of what tests wait for.
const (
	buildLimit = 3 * time.Minute
	waitLimit  = 30 * time.Second // for something that is to happen soon, on a busy machine
)

func TestMain(m *testing.M) {
	if script := os.Getenv(envScript); script != "" {
		sdktest.ServeScripted(script)
		return
	}
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		// These tests wait for windows to close far more than they compute.
		if err := flag.Set("test.parallel", "6"); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(shared.dir); err != nil {
			fmt.Fprintln(os.Stderr, "remove what was built:", err)
			code = max(code, 1)
		}
		os.Exit(code)
	}))
}

// repository is the root of the repository, seen from this package.
const repository = "../../../../.."

// shared is what is built once for all tests.
var shared struct {
	sync.Mutex
	dir  string           // holds everything; removed in the end
	done map[string]error // by what was built
}

// once builds something into the shared directory, unless that was done before,
// and returns where.
func once(t testing.TB, name string, build func(ctx context.Context, dir string) error) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.dir == "" {
		dir, err := os.MkdirTemp("", "patchbay-e2e-")
		if err != nil {
			t.Fatal(err)
		}
		shared.dir, shared.done = dir, map[string]error{}
	}
	dir := filepath.Join(shared.dir, name)
	err, known := shared.done[name]
	if !known {
		ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
		defer cancel()
		err = build(ctx, dir)
		shared.done[name] = err
	}
	if err != nil {
		t.Fatalf("build %s: %v", name, err)
	}
	return dir
}

// goBuild builds a command of the repository as it is released: without cgo and
// race detector.
func goBuild(ctx context.Context, out, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, pkg)
	cmd.Dir = repository
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-buildvcs=false")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, text)
	}
	return nil
}

// binary returns the path of a bundled adapter's program.
func binary(t testing.TB, name string) string { return binaryOf(t, name+".bin", "./plugins/"+name) }

// binaryOf returns the path of the program of a package of the repository.
func binaryOf(t testing.TB, name, pkg string) string {
	return once(t, name, func(ctx context.Context, out string) error { return goBuild(ctx, out, pkg) })
}

// bundled returns an adapters folder with one bundled adapter.
func bundled(t testing.TB, name string) string {
	program := binary(t, name)
	return once(t, name, func(ctx context.Context, dir string) error {
		return pack(ctx, dir, filepath.Join(repository, "manifests", name+".json"), program)
	})
}

// recorders returns an adapters folder with recorder.
func recorders(t testing.TB) string {
	return once(t, "recorders", func(ctx context.Context, dir string) error {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		return pack(ctx, dir, "testdata/recorder.json", self)
	})
}

// command returns the path of the built host.
func command(t testing.TB) string {
	return binaryOf(t, "patchbay", "./host/cmd/patchbay")
}

func pack(ctx context.Context, out, manifest, binary string) error {
	_, err := catalog.Pack(ctx, catalog.PackInput{
		Out: out, Manifest: manifest, Executables: map[string]string{runtime.GOOS + "/" + runtime.GOARCH: binary},
	})
	return err
}

// eventually waits until done reports true.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	within(t, waitLimit, what, done)
}

// within waits, for at most limit, until done reports true.
func within(t testing.TB, limit time.Duration, what string, done func() bool) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(limit); !done(); <-look.C {
		if time.Now().After(end) {
			t.Fatalf("waited %s in vain until %s", limit, what)
		}
	}
}

// pass lets time pass in the real world, for tests of processes that live there.
func pass(t testing.TB, d time.Duration) {
	t.Helper()
	end := time.Now().Add(d)
	eventually(t, "time has passed", func() bool { return time.Now().After(end) })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
