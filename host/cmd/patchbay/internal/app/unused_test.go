package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/catalog"
	"github.com/patchbay-crm/patchbay/host/config"
)

func TestUnusedSettings(t *testing.T) {
	t.Parallel()
	colour := config.Env{"ECHO_COLOUR": "blue"}
	misspelt := config.Env{"ECHO_COLOUR": "blue", "ECHO_COLOR": "red"}
	for name, c := range map[string]struct {
		spoil   string // a file of the adapters folder that is overwritten
		adapter string
		env     config.Env
		want    []Unused
		logs    string // the message of the record about it
	}{
		"all of use":            {"", "echo", colour, nil, ""},
		"misspelt":              {"", "echo", misspelt, []Unused{{"echo", "ECHO_COLOR", false}}, "configured variable is not in the adapter's manifest"},
		"not installed":         {"", "ecco", colour, []Unused{{"ecco", "", false}}, "configuration is for an adapter that is not installed"},
		"refused":               {"echo/1.0.0/manifest.json", "echo", colour, []Unused{{"echo", "", true}}, ""},
		"other version refused": {"echo/2.0.0/manifest.json", "echo", misspelt, []Unused{{"echo", "ECHO_COLOR", true}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := packages(t)
			if c.spoil != "" {
				file := filepath.Join(dir, c.spoil)
				if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cat, err := catalog.New(catalog.Config{Dirs: []string{dir}})
			if err != nil {
				t.Fatal(err)
			}
			if err := cat.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			adapters := map[string]config.Adapter{c.adapter: {Env: c.env}}
			if got := UnusedSettings(cat, adapters); !slices.Equal(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			var log bytes.Buffer
			host, err := New(&config.Config{Adapters: adapters}, Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			host.warnUnused(cat)
			if got := log.String(); !strings.Contains(got, c.logs) || c.logs == "" && got != "" {
				t.Errorf("logged %q, want %q", got, c.logs)
			}
		})
	}
}

// TestAnotherPackageOfTheSameVersion packs other contents under a version that the
// host has seen: calls say why it is refused and what to do, and nothing false is
// said of its configuration.
func TestAnotherPackageOfTheSameVersion(t *testing.T) {
	t.Parallel()
	adapters := packages(t)
	c := configure(t, adapters, filepath.Join(t.TempDir(), "data"))
	c.Adapters["echo"] = config.Adapter{Env: config.Env{"ECHO_COLOUR": "blue"}}
	r := begin(t, c)
	r.tenant("acme")
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	pack(t, adapters, strings.Replace(fmt.Sprintf(echoManifest, runtime.GOOS, runtime.GOARCH), `"Echo"`, `"Another"`, 1))
	var log bytes.Buffer
	r = beginWith(t, c, &log)
	code, out := r.log("acme", "m1", "")
	detail, _ := out["detail"].(string)
	if code != http.StatusNotFound || out["code"] != "adapter_not_found" {
		t.Errorf("a call is answered %d %v", code, out)
	}
	for _, want := range []string{"1.0.0", "digest_mismatch", "restore"} {
		if !strings.Contains(detail, want) {
			t.Errorf("a call is told %q, without %q", detail, want)
		}
	}
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); !strings.Contains(got, "adapter package refused") || strings.Contains(got, "configur") {
		t.Errorf("logged\n%s", got)
	}
}
