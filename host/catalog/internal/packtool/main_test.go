package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestPacksBundledManifest makes a package from a bundled manifest and a real
// program, this test, and reads it as a host does.
func TestPacksBundledManifest(t *testing.T) {
	t.Parallel()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	manifest := filepath.Join("..", "..", "..", "..", "manifests", "examplecrm.json")
	for _, given := range []string{binary, runtime.GOOS + "/" + runtime.GOARCH + "=" + binary} {
		var stdout bytes.Buffer
		err = run(t.Context(), []string{"-out", out, "-manifest", manifest, "-binary", given}, &stdout, io.Discard)
		if err != nil || stdout.String() != filepath.Join(out, "examplecrm", "1.0.0")+"\n" {
			t.Fatalf("run = %v, printed %q", err, stdout.String())
		}
	}
	c, err := catalog.New(catalog.Config{Dirs: []string{out}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := c.Latest("examplecrm")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(p.Manifest.Raw, want) {
		t.Error("the packaged manifest is not byte-equal to the bundled one")
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no manifest": {nil, "-manifest is required"},
		"argument":    {[]string{"-manifest", "x", "y"}, "nothing but flags"},
		"twice":       {[]string{"-binary", "a/b=x", "-binary", "a/b=y"}, "a second executable for a/b"},
		"unknown":     {[]string{"-manifets", "x"}, "not defined"},
		"no file":     {[]string{"-manifest", "/nowhere/x.json", "-binary", "x"}, "read the manifest"},
	} {
		if err := run(t.Context(), c.args, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: run = %v, want %s", name, err, c.want)
		}
	}
}
