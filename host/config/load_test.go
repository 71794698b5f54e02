package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/patchbay-crm/patchbay/host/manifest"
)

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "patchbay.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	AddFlags(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c, warnings, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Listen: "127.0.0.1:8080", DataDir: "var", AdaptersDirs: []string{"dist/adapters"}, Database: "sqlite",
		KeyFile: "var/keyset.json", AdminTokenFile: "var/admin.token", PayloadTTL: 72 * time.Hour, MaxBody: 1 << 20,
		MaxWait: time.Minute, DrainTimeout: 25 * time.Second, LogLevel: slog.LevelInfo, LogFormat: "text",
		Adapters: map[string]Adapter{},
	}
	if got, expected := fmt.Sprintf("%+v", *c), fmt.Sprintf("%+v", want); got != expected {
		t.Errorf("got  %s\nwant %s", got, expected)
	}
	if len(warnings) != 0 {
		t.Errorf("warnings: %q", warnings)
	}
}

func TestEachLayerOverridesTheOneBefore(t *testing.T) {
	t.Parallel()
	name := write(t, "listen: 127.0.0.1:1\nmaxBody: 2MiB\nmaxWait: 2s\n")
	c, _, err := Load(Sources{
		File:    name,
		Environ: []string{"PATCHBAY_LISTEN=127.0.0.1:2", "PATCHBAY_MAX_BODY=3MiB", "PATCHBAY_DATA_DIR="},
		Flags:   flags(t, "--listen", "127.0.0.1:3"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Listen != "127.0.0.1:3" || c.MaxBody != 3<<20 || c.MaxWait != 2*time.Second || c.DataDir != "var" {
		t.Errorf("got %+v", c)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	cases := map[string]Sources{
		"file list":   {File: write(t, "adaptersDirs: [a, b]\n")},
		"environment": {Environ: []string{"PATCHBAY_ADAPTERS_DIRS=a, b"}},
		"flag":        {Flags: flags(t, "--adapters-dirs=a,b")},
	}
	for name, src := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _, err := Load(src)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(c.AdaptersDirs, []string{"a", "b"}) {
				t.Errorf("got %q", c.AdaptersDirs)
			}
		})
	}
}

func TestAdaptersBesideTheBinary(t *testing.T) {
	t.Parallel()
	dist := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dist, "adapters"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, _, err := Load(Sources{Executable: filepath.Join(dist, "bin", "patchbay")})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(dist, "adapters")}; !slices.Equal(c.AdaptersDirs, want) {
		t.Errorf("got %q, want %q", c.AdaptersDirs, want)
	}
	c, _, err = Load(Sources{Executable: filepath.Join(dist, "bin", "patchbay"), Environ: []string{"PATCHBAY_ADAPTERS_DIRS=mine"}})
	if err != nil || !slices.Equal(c.AdaptersDirs, []string{"mine"}) {
		t.Errorf("got %+v, %v", c, err)
	}
}

const adaptersFile = `
adapters:
  examplecrm:
    {env: {EXAMPLECRM_LOG_LEVEL: debug, EXAMPLECRM_VERSION: 1.10, EXAMPLECRM_FIND: off}, allowPrivate: ["127.0.0.1", 10.0.0.0/8, crm.internal],
     limits: {callTimeout: 2s, concurrency: 4, cpus: 0.5}, reconcile: {applyWithin: 2s, idempotentCreate: true}}
  faulty:
`

func TestAdapters(t *testing.T) {
	t.Parallel()
	c, _, err := Load(Sources{File: write(t, adaptersFile)})
	if err != nil {
		t.Fatal(err)
	}
	a := c.Adapters["examplecrm"]
	if a.Env["EXAMPLECRM_VERSION"] != "1.10" || a.Env["EXAMPLECRM_FIND"] != "off" || a.Env["EXAMPLECRM_LOG_LEVEL"] != "debug" {
		t.Errorf("env values changed on the way: %q", map[string]string(a.Env))
	}
	if !slices.Equal(a.AllowPrivate, []string{"127.0.0.1", "10.0.0.0/8", "crm.internal"}) {
		t.Errorf("allowPrivate: %q", a.AllowPrivate)
	}
	m := &manifest.Manifest{Name: "examplecrm", Run: manifest.Run{
		Limits:    manifest.Limits{MemoryMiB: 256, CPUs: 1, Concurrency: 32, StartTimeout: 10 * time.Second, CallTimeout: 20 * time.Second},
		Reconcile: manifest.Reconcile{ApplyWithin: 30 * time.Second, SearchLag: 30 * time.Second},
	}}
	overridden, err := m.WithOverrides(c.Overrides()["examplecrm"])
	if err != nil {
		t.Fatal(err)
	}
	got := overridden.Run
	wantLimits := manifest.Limits{MemoryMiB: 256, CPUs: 0.5, Concurrency: 4, StartTimeout: 10 * time.Second, CallTimeout: 2 * time.Second}
	wantReconcile := manifest.Reconcile{ApplyWithin: 2 * time.Second, SearchLag: 30 * time.Second, IdempotentCreate: true}
	if got.Limits != wantLimits || got.Reconcile != wantReconcile {
		t.Errorf("got %+v %+v", got.Limits, got.Reconcile)
	}
	if m.Run.Limits.Concurrency != 32 {
		t.Error("the overrides changed the package's own manifest")
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		file string
		env  []string
		want []string // each stands in the error
	}{
		"unknown key":        {file: "datadir: x\n", want: []string{`patchbay.yaml:1: datadir: unknown key; did you mean "dataDir"?`}},
		"unknown nested key": {file: "adapters:\n  a:\n    limits:\n      calltimeout: 1s\n", want: []string{`patchbay.yaml:4: adapters.a.limits.calltimeout: unknown key; did you mean "callTimeout"?`}},
		"twice":              {file: "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", want: []string{`patchbay.yaml:2: listen: stands twice`}},
		"alias":              {file: "dataDir: &x a\nkeyFile: *x\n", want: []string{`keyFile: aliases are not supported`}},
		"no mapping":         {file: "- a\n", want: []string{`patchbay.yaml:1: must be a mapping`}},
		"bad yaml":           {file: "a: [\n", want: []string{"patchbay.yaml: is not well-formed YAML"}},
		"second document":    {file: "listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n", want: []string{"patchbay.yaml:2: a second document begins here"}},
		"content at the end": {file: "listen: 127.0.0.1:1\n...\nmaxWait: 1s\n", want: []string{"patchbay.yaml: is not well-formed YAML"}},
		"bad second one":     {file: "listen: 127.0.0.1:1\n---\na: [\n", want: []string{"patchbay.yaml: is not well-formed YAML"}},
		"empty second one":   {file: "listen: 127.0.0.1:1\n---\n", want: []string{"a second document begins here"}},
		"list for a value":   {file: "listen: [a]\n", want: []string{"listen: must be one value"}},
		"mapping for a list": {file: "adaptersDirs: {a: b}\n", want: []string{"adaptersDirs: must be a list of values"}},
		"nested list":        {file: "adaptersDirs: [[a]]\n", want: []string{"adaptersDirs[0]: must be one value"}},
		"empty path":         {file: "dataDir: ''\n", want: []string{"dataDir: must be a path"}},
		"listen":             {file: "listen: 8080\n", want: []string{"listen: \"8080\" is no address"}},
		"listen port":        {file: "listen: localhost:http\n", want: []string{"no port number"}},
		"duration":           {env: []string{"PATCHBAY_MAX_WAIT=60"}, want: []string{`PATCHBAY_MAX_WAIT: maxWait: "60" is no duration; write a number with a unit`}},
		"duration range":     {env: []string{"PATCHBAY_MAX_WAIT=1h"}, want: []string{`must be between 100ms and 10m0s`}},
		"size":               {env: []string{"PATCHBAY_MAX_BODY=1 mib"}, want: []string{`is no size`}},
		"size overflow":      {env: []string{"PATCHBAY_MAX_BODY=99999999999GiB"}, want: []string{`is no size`}},
		"size range":         {env: []string{"PATCHBAY_MAX_BODY=65MiB"}, want: []string{`out of range`}},
		"level":              {env: []string{"PATCHBAY_LOG_LEVEL=INFO"}, want: []string{`must be debug, info, warn or error`}},
		"format":             {env: []string{"PATCHBAY_LOG_FORMAT=xml"}, want: []string{`must be text or json`}},
		"other database":     {env: []string{"PATCHBAY_DATABASE=mysql"}, want: []string{`use sqlite`}},
		"adapter name":       {file: "adapters: {Example: {}}\n", want: []string{"adapters.Example: is no adapter name"}},
		"env name":           {file: "adapters: {a: {env: {'A-B': c}}}\n", want: []string{"adapters.a.env.A-B: is no name"}},
		"env value":          {file: "adapters: {a: {env: {A: [b]}}}\n", want: []string{"adapters.a.env.A: must be one value"}},
		"private host":       {file: "adapters: {a: {allowPrivate: ['http://x']}}\n", want: []string{"adapters.a.allowPrivate: \"http://x\" is no IP address"}},
		"numbers": {
			file: "adapters: {a: {limits: {memoryMiB: 1.5, cpus: NaN, concurrency: 0}, reconcile: {idempotentCreate: yes}}}\n",
			want: []string{"limits.memoryMiB", "limits.cpus", "limits.concurrency", "reconcile.idempotentCreate: \"yes\" must be true or false"},
		},
		"all at once": {
			file: "lisen: a\nmaxBody: x\nmaxWait: y\n", env: []string{"PATCHBAY_LOG_LEVEL=z"},
			want: []string{"lisen", "maxBody", "maxWait", "logLevel"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := Sources{Environ: c.env}
			if c.file != "" {
				src.File = write(t, c.file)
			}
			_, _, err := Load(src)
			if err == nil {
				t.Fatal("accepted")
			}
			if faults := (Faults{}); !errors.As(err, &faults) {
				t.Errorf("%v holds no Faults", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t-value"
	_, _, err := Load(Sources{
		File:    write(t, "adapters: {a: {env: {A: "+secret+", 'B-': "+secret+", C: ["+secret+"]}}}\n"),
		Environ: []string{"PATCHBAY_DATABASE=postgres://u:" + secret + "@h/db"},
	})
	var faults Faults
	if !errors.As(err, &faults) || len(faults) != 3 {
		t.Fatalf("got %v", err)
	}
	if !strings.Contains(err.Error(), "PostgreSQL is not available in this version") {
		t.Errorf("%q does not name PostgreSQL", err)
	}
	if strings.Contains(err.Error(), secret) {
		t.Errorf("the error repeats a secret: %v", err)
	}
	c, _, err := Load(Sources{File: write(t, "adapters: {a: {env: {A: "+secret+"}}}\n")})
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "env", c.Adapters["a"].Env, "config", c)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s", c, *c, c.Adapters, c.Adapters["a"].Env), string(asJSON), logged.String()} {
		if strings.Contains(text, secret) {
			t.Errorf("the secret shows: %s", text)
		}
	}
}

func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	if _, _, err := Load(Sources{File: filepath.Join(t.TempDir(), "none.yaml")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, _, err := Load(Sources{File: write(t, strings.Repeat("#", maxFile+1))}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("huge file: %v", err)
	}
	if c, _, err := Load(Sources{File: write(t, "---\nlisten: 127.0.0.1:1\n...\n# end\n")}); err != nil || c.Listen != "127.0.0.1:1" {
		t.Errorf("markers around one document: %v", err)
	}
	if c, _, err := Load(Sources{File: write(t, "")}); err != nil || c.Listen != "127.0.0.1:8080" {
		t.Errorf("empty file: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	_, warnings, err := Load(Sources{Environ: []string{
		"PATCHBAY_DATADIR=x", "PATCHBAY_SERVICE_HOST=10.0.0.1", "PATCHBAY_TOKEN=t", "HOME=/", "PATCHBAY_LISTEN=127.0.0.1:0",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], `PATCHBAY_DATADIR is no setting; did you mean "DATA_DIR"?`) {
		t.Errorf("got %q", warnings)
	}
}

func TestSettingsNameThemselves(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range Settings() {
		if s.Key == "" || s.Type == "" || s.Default == "" || !strings.HasSuffix(s.Description, ".") || seen[s.Key] {
			t.Errorf("%q is not described well: %+v", s.Key, s)
		}
		seen[s.Key] = true
	}
	for _, c := range []struct{ key, flag, env string }{
		{"payloadTTL", "payload-ttl", "PATCHBAY_PAYLOAD_TTL"},
		{"dataDir", "data-dir", "PATCHBAY_DATA_DIR"},
		{"adminTokenFile", "admin-token-file", "PATCHBAY_ADMIN_TOKEN_FILE"},
	} {
		s := Setting{Key: c.key, set: func(*Config, []string) error { return nil }}
		if s.Flag() != c.flag || s.Env() != c.env {
			t.Errorf("%s: got %s and %s", c.key, s.Flag(), s.Env())
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(adaptersFile))
	f.Add([]byte("listen: [a\n"))
	f.Add([]byte("a: &a {b: *a}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := document{name: "fuzz"}
		_, err := d.Unmarshal(data)
		if err == nil && d.faults == nil {
			return
		}
		for _, fault := range d.faults {
			if fault.Detail == "" || !strings.HasPrefix(fault.Source, "fuzz") {
				t.Errorf("a fault without a place or text: %+v", fault)
			}
		}
	})
}

func TestLocalURL(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080", ":80": "http://127.0.0.1:80", "0.0.0.0:80": "http://127.0.0.1:80",
		"[::]:80": "http://[::1]:80", "[fe80::1]:80": "http://[fe80::1]:80", "patchbay.internal:80": "http://patchbay.internal:80",
		"127.0.0.1:0": "",
	} {
		if got := (&Config{Listen: listen}).LocalURL(); got != want {
			t.Errorf("%s is reached at %q, want %q", listen, got, want)
		}
	}
}
