package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/host/store/sqlite"
)

// installed puts version 1.0.0 of the adapter acme, which takes ACME_BASE_URL, into
// the place, and returns its digest.
func (p *place) installed(t *testing.T) (digest string) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	platform := runtime.GOOS + "/" + runtime.GOARCH
	manifest := filepath.Join(t.TempDir(), "manifest.json")
	text := fmt.Sprintf(`{"schemaVersion": 1, "name": "acme", "displayName": "Acme", "version": "1.0.0", "author": {"name": "Test"},
  "protocolVersions": [1], "run": {"runtime": "native", "files": {%q: "acme"}, "env": ["ACME_BASE_URL"]}, "auth": {"type": "none"}}`, platform)
	if err := os.WriteFile(manifest, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	packed, err := catalog.Pack(t.Context(), catalog.PackInput{
		Out: filepath.Join(p.dir, "adapters"), Manifest: manifest, Executables: map[string]string{platform: executable},
	})
	if err != nil {
		t.Fatal(err)
	}
	return packed.Digest
}

// pinned has the database of the place hold that digest of acme 1.0.0.
func (p *place) pinned(t *testing.T, digest string) {
	t.Helper()
	used(t, p)
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: p.database()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.PinPackage(t.Context(), "acme", "1.0.0", digest); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPackages holds what doctor says of a package against what a host would make
// of it, and of what is configured for it.
func TestPackages(t *testing.T) {
	t.Parallel()
	const env = `ACME_BASE_URL: "https://192.0.2.1"`
	for name, c := range map[string]struct {
		setUp func(t *testing.T, p *place)
		env   string
		want  string // a finding, as lines has it
		not   string // none has this
	}{
		"never seen": {
			setUp: func(t *testing.T, p *place) { p.installed(t) }, env: env,
			want: "ok adapter acme 1.0.0: ", not: "warn adapter",
		},
		"as it was seen": {
			setUp: func(t *testing.T, p *place) { p.pinned(t, p.installed(t)) }, env: env,
			want: "ok adapter acme 1.0.0: ", not: "warn adapter",
		},
		"another than was seen": {
			setUp: func(t *testing.T, p *place) { p.installed(t); p.pinned(t, strings.Repeat("0", 64)) }, env: env,
			want: "warn adapter acme 1.0.0: digest_mismatch: the package is not the one that was installed under this version; remedy: ",
			not:  "adapters.acme",
		},
		"private base URL": {
			setUp: func(t *testing.T, p *place) { p.installed(t) }, env: `ACME_BASE_URL: "http://127.0.0.1:9090"`,
			want: "warn configuration: ACME_BASE_URL names 127.0.0.1, which is not on the public internet, and adapters.acme.allowPrivate does not allow it: " +
				`every call is refused; remedy: add "127.0.0.1" to adapters.acme.allowPrivate`,
		},
		"variable of nobody": {
			setUp: func(t *testing.T, p *place) { p.installed(t) }, env: `ACME_BSE_URL: "x"`,
			want: "warn configuration: adapters.acme.env.ACME_BSE_URL: the adapter does not take it; remedy: remove it",
		},
		"variable that a refused version may take": {
			setUp: func(t *testing.T, p *place) { p.installed(t); p.file(t, "adapters/acme/2.0.0/manifest.json", 0o600) }, env: `ACME_NEW: "x"`,
			want: "info configuration: adapters.acme.env.ACME_NEW: no version that can be used takes it; one that is refused may",
			not:  "warn configuration",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			c.setUp(t, p)
			file := filepath.Join(p.dir, "patchbay.yaml")
			if err := os.WriteFile(file, []byte("adapters: {acme: {env: {"+c.env+"}}}\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			found := lines(Examine(t.Context(), config.Sources{File: file, Environ: p.environ}))
			if !strings.Contains(found, c.want) || c.not != "" && strings.Contains(found, c.not) {
				t.Errorf("want %q and nothing with %q in\n%s", c.want, c.not, found)
			}
		})
	}
}

// lines returns findings as text, one a line.
func lines(found []Finding) string {
	var b strings.Builder
	for _, f := range found {
		fmt.Fprintf(&b, "%s %s: %s; remedy: %s\n", f.Status, f.Check, f.Detail, f.Remedy)
	}
	return b.String()
}

func TestPrivateBaseURL(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url   string
		allow []string
		names string // the address that it warns of; "" when it does not
	}{
		"none":                {"", nil, ""},
		"no URL":              {"::", nil, ""},
		"public":              {"https://8.8.8.8", nil, ""}, // no name is looked up, nobody is called
		"public IPv6":         {"https://[2606:4700::1111]", nil, ""},
		"public behind NAT64": {"https://[64:ff9b::808:808]", nil, ""},
		"documentation":       {"https://192.0.2.1", nil, "192.0.2.1"},
		"benchmarks":          {"https://198.18.0.1", nil, "198.18.0.1"},
		"reserved":            {"https://240.0.0.1", nil, "240.0.0.1"},
		"private by NAT64":    {"https://[64:ff9b::a00:1]", nil, "64:ff9b::a00:1"},
		"nobody":              {"https://crm.invalid", nil, ""},
		"loopback":            {"http://127.0.0.1:9090", []string{"10.0.0.0/8"}, "127.0.0.1"},
		"IPv6":                {"http://[::1]:9090", []string{"127.0.0.1"}, "::1"},
		"mapped":              {"http://[::ffff:10.0.0.1]", nil, "10.0.0.1"},
		"private":             {"https://192.168.1.1", nil, "192.168.1.1"},
		"behind a provider":   {"https://100.64.0.1", nil, "100.64.0.1"},
		"name":                {"http://LocalHost.:9090", nil, "localhost ("},
		"allowed by address":  {"http://127.0.0.1:9090", []string{"127.0.0.1"}, ""},
		"allowed in brackets": {"http://[::1]:9090", []string{"[::1]"}, ""},
		"allowed by network":  {"http://127.0.0.1:9090", []string{"127.0.0.0/8"}, ""},
		"allowed by name":     {"http://localhost:9090", []string{"LocalHost."}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &manifest.Manifest{Name: "my-crm"}
			m.Run.Env = []string{"MY_CRM_BASE_URL"}
			own := config.Adapter{Env: config.Env{"MY_CRM_BASE_URL": c.url}, AllowPrivate: c.allow}
			f, warns := PrivateBaseURL(t.Context(), m, own)
			if warns != (c.names != "") || !strings.Contains(f.Detail, c.names) || warns && f.Status != Warn {
				t.Errorf("got %v %+v, want a warning of %q", warns, f, c.names)
			}
			m.Run.Env = nil
			if f, warns := PrivateBaseURL(t.Context(), m, own); warns {
				t.Errorf("the adapter does not get the variable, and yet: %+v", f)
			}
		})
	}
}
