package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// place is a fresh setup; change breaks one thing of it.
type place struct {
	dir     string
	environ []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{"data", "adapters"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return &place{dir: dir, environ: []string{
		"PATCHBAY_DATA_DIR=" + filepath.Join(dir, "data"),
		"PATCHBAY_ADAPTERS_DIRS=" + filepath.Join(dir, "adapters"),
		"PATCHBAY_LISTEN=127.0.0.1:0",
	}}
}

func (p *place) file(t *testing.T, name string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("text"), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

func TestASoundPlaceIsHealthy(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	var out bytes.Buffer
	healthy, err := Run(t.Context(), config.Sources{Environ: p.environ}, &out, false)
	if err != nil || !healthy {
		t.Errorf("healthy %v, %v:\n%s", healthy, err, out.String())
	}
	if !strings.Contains(out.String(), "a host can run") {
		t.Errorf("no verdict in:\n%s", out.String())
	}
	entries, err := os.ReadDir(filepath.Join(p.dir, "data"))
	if err != nil || len(entries) != 0 {
		t.Errorf("doctor left %v behind, %v", entries, err)
	}
}

func TestFindings(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change func(t *testing.T, p *place)
		check  string
		status Status
		text   string // stands in detail or remedy
	}{
		"fault in the configuration": {
			change: func(_ *testing.T, p *place) { p.environ = append(p.environ, "PATCHBAY_MAX_WAIT=soon") },
			check:  "configuration", status: Fail, text: "PATCHBAY_MAX_WAIT: maxWait",
		},
		"misspelt variable": {
			change: func(_ *testing.T, p *place) { p.environ = append(p.environ, "PATCHBAY_MAXWAIT=1s") },
			check:  "configuration", status: Warn, text: "PATCHBAY_MAXWAIT is no setting",
		},
		"open data directory": {
			change: func(t *testing.T, p *place) {
				if err := os.Chmod(filepath.Join(p.dir, "data"), 0o755); err != nil {
					t.Fatal(err)
				}
			},
			check: "data directory", status: Warn, text: "chmod 700",
		},
		"file for a data directory": {
			change: func(t *testing.T, p *place) {
				p.file(t, "file", 0o600)
				p.environ = append(p.environ, "PATCHBAY_DATA_DIR="+filepath.Join(p.dir, "file"))
			},
			check: "data directory", status: Fail, text: "is no directory",
		},
		"no data directory": {
			change: func(_ *testing.T, p *place) {
				p.environ = append(p.environ, "PATCHBAY_DATA_DIR="+filepath.Join(p.dir, "a", "b"))
			},
			check: "data directory", status: OK, text: "the first start makes it",
		},
		"readable admin token": {
			change: func(t *testing.T, p *place) { p.file(t, "data/admin.token", 0o644) },
			check:  "admin token", status: Fail, text: "chmod 600",
		},
		"readable key": {
			change: func(t *testing.T, p *place) { p.file(t, "data/keyset.json", 0o640) },
			check:  "key file", status: Fail, text: "mode 0640",
		},
		"lost key": {
			change: func(t *testing.T, p *place) { p.file(t, "data/patchbay.db", 0o600) },
			check:  "key file", status: Fail, text: "from a backup",
		},
		"no adapters folder": {
			change: func(_ *testing.T, p *place) {
				p.environ = append(p.environ, "PATCHBAY_ADAPTERS_DIRS="+filepath.Join(p.dir, "none"))
			},
			check: "adapters", status: Warn, text: "make build",
		},
		"broken package": {
			change: func(t *testing.T, p *place) { p.file(t, "adapters/acme/1.0.0/manifest.json", 0o600) },
			check:  "adapter acme 1.0.0", status: Warn, text: "_",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			c.change(t, p)
			found := Examine(t.Context(), config.Sources{Environ: p.environ})
			for _, f := range found {
				if f.Check == c.check && f.Status == c.status && strings.Contains(f.Detail+"\n"+f.Remedy, c.text) {
					return
				}
			}
			t.Errorf("no %s of %q with %q in %+v", c.status, c.check, c.text, found)
		})
	}
}

func TestConfiguredForNobody(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	file := filepath.Join(p.dir, "patchbay.yaml")
	if err := os.WriteFile(file, []byte("adapters: {acme: {env: {A: s3cret}}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	found := Examine(t.Context(), config.Sources{File: file, Environ: p.environ})
	text, err := json.Marshal(found)
	if err != nil || !strings.Contains(string(text), "adapters.acme: no version of it can be used") || strings.Contains(string(text), "s3cret") {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	l := listenLocal(t)
	p := newPlace(t)
	p.environ = append(p.environ, "PATCHBAY_LISTEN="+l.Addr().String())
	var out bytes.Buffer
	healthy, err := Run(t.Context(), config.Sources{Environ: p.environ}, &out, true)
	if err != nil || healthy {
		t.Fatalf("healthy %v, %v", healthy, err)
	}
	var answer struct {
		Healthy  bool
		Findings []Finding
	}
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	for _, f := range answer.Findings {
		if f.Check == "address" && f.Status == Fail && strings.Contains(f.Detail, "is in use") {
			return
		}
	}
	t.Errorf("got %+v", answer)
}

func TestARunningHostIsAsked(t *testing.T) {
	t.Parallel()
	status := make(chan int, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(<-status) }))
	t.Cleanup(server.Close)
	p := newPlace(t)
	p.file(t, "data/host.lock", 0o600)
	lock, err := os.Open(filepath.Join(p.dir, "data", "host.lock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Close() })
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	p.environ = append(p.environ, "PATCHBAY_LISTEN="+server.Listener.Addr().String())
	for answer, want := range map[int]Status{http.StatusOK: OK, http.StatusServiceUnavailable: Warn} {
		status <- answer
		if got := statusOf(t.Context(), p, "address"); got != want {
			t.Errorf("a host that answers %d is %s, want %s", answer, got, want)
		}
	}
	server.Close()
	if got := statusOf(t.Context(), p, "address"); got != Fail {
		t.Errorf("a host that does not answer is %s", got)
	}
}

func statusOf(ctx context.Context, p *place, check string) Status {
	for _, f := range Examine(ctx, config.Sources{Environ: p.environ}) {
		if f.Check == check {
			return f.Status
		}
	}
	return ""
}

func listenLocal(t *testing.T) net.Listener {
	t.Helper()
	var listen net.ListenConfig
	l, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}
