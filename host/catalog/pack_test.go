package catalog

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/patchbay-crm/patchbay/host/strictjson"
)

// ingredients are the files from which a package is made.
func ingredients(t *testing.T) PackInput {
	t.Helper()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "acme.json"), manifestOf("acme", "1.0.0"))
	put(t, filepath.Join(dir, "adapter"), elf)
	must(t, os.Chmod(filepath.Join(dir, "adapter"), 0o600)) // Pack makes it executable
	put(t, filepath.Join(dir, "notice"), "hello\n")
	return PackInput{
		Out: filepath.Join(dir, "out"), Manifest: filepath.Join(dir, "acme.json"),
		Executables: map[string]string{"linux/amd64": filepath.Join(dir, "adapter")},
		Files:       map[string]string{"share/notice.txt": filepath.Join(dir, "notice")},
	}
}

// names lists what lies in the adapter's folder.
func names(t *testing.T, in PackInput) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(in.Out, "acme"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestPackedPackageLoads(t *testing.T) {
	t.Parallel()
	in := ingredients(t)
	packed, err := Pack(t.Context(), in)
	dir := packed.Dir
	if err != nil || dir != filepath.Join(in.Out, "acme", "1.0.0") {
		t.Fatalf("Pack = %q %v", dir, err)
	}
	p, err := open(t, Config{Dirs: []string{in.Out}}).Lookup("acme", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	want := Packed{Name: "acme", Version: "1.0.0", Dir: dir, Digest: p.Digest, Platforms: []string{"linux/amd64"}}
	if !reflect.DeepEqual(packed, want) {
		t.Errorf("Pack = %+v, want %+v", packed, want)
	}
	if len(p.Files) != 3 || p.ExecutableDigest != digestOf(t, in.Executables["linux/amd64"]) {
		t.Errorf("files: %v", p.Files)
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil || string(manifest) != manifestOf("acme", "1.0.0") {
		t.Errorf("the manifest changed on the way: %s %v", manifest, err)
	}
	sums, err := os.ReadFile(filepath.Join(dir, "checksums.txt"))
	listed := digestOf(t, filepath.Join(dir, "bin/adapter")) + "  bin/adapter\n" + digestOf(t, in.Manifest) + "  manifest.json\n" +
		digestOf(t, filepath.Join(dir, "share/notice.txt")) + "  share/notice.txt\n"
	if err != nil || string(sums) != listed {
		t.Errorf("checksums.txt:\n%s\nwant:\n%s(%v)", sums, listed, err)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the folder's mode: %v %v", info.Mode(), err)
	}
	if got := names(t, in); !slices.Equal(got, []string{"1.0.0"}) {
		t.Errorf("left behind: %v", got)
	}
}

func TestPackAgain(t *testing.T) {
	t.Parallel()
	in := ingredients(t)
	first, err := Pack(t.Context(), in)
	must(t, err)
	dir := first.Dir
	before, err := os.Stat(dir)
	must(t, err)
	_, err = Pack(t.Context(), in)
	must(t, err)
	same, err := os.Stat(dir)
	must(t, err)
	if !os.SameFile(before, same) {
		t.Error("an equal package was replaced")
	}
	digest := digestOf(t, filepath.Join(dir, "checksums.txt"))

	// Damaged in place, it is made anew.
	put(t, filepath.Join(dir, "share/notice.txt"), "damaged")
	mended, err := Pack(t.Context(), in)
	must(t, err)
	if mended.Replaced {
		t.Error("a host that pinned the damaged package takes the mended one")
	}
	if _, err := open(t, Config{Dirs: []string{in.Out}}).Lookup("acme", "1.0.0"); err != nil {
		t.Error(err)
	}
	if got := digestOf(t, filepath.Join(dir, "checksums.txt")); got != digest {
		t.Error("the same input gave another digest")
	}

	// Changed, it takes the place of the old one, of which nothing stays.
	put(t, in.Executables["linux/amd64"], elf+" new")
	delete(in.Files, "share/notice.txt")
	changed, err := Pack(t.Context(), in)
	must(t, err)
	if !changed.Replaced || changed.Digest == first.Digest {
		t.Errorf("Pack = %+v, want a package that has replaced another", changed)
	}
	p, err := open(t, Config{Dirs: []string{in.Out}}).Lookup("acme", "1.0.0")
	if err != nil || len(p.Files) != 2 || p.ExecutableDigest != digestOf(t, in.Executables["linux/amd64"]) {
		t.Errorf("the changed package: %+v %v", p, err)
	}
	if got := names(t, in); !slices.Equal(got, []string{"1.0.0"}) {
		t.Errorf("left behind: %v", got)
	}
}

func TestReplaceWithoutExchange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "old", "a"), "old")
	put(t, filepath.Join(dir, "new", "a"), "new")
	must(t, swapInTwoSteps(filepath.Join(dir, "new"), filepath.Join(dir, "old")))
	if text, err := os.ReadFile(filepath.Join(dir, "old", "a")); err != nil || string(text) != "new" {
		t.Errorf("%s %v", text, err)
	}
	// What cannot be put into place leaves the old one there.
	if err := swapInTwoSteps(filepath.Join(dir, "nowhere"), filepath.Join(dir, "old")); err == nil {
		t.Error("nothing was put into place")
	}
	if text, err := os.ReadFile(filepath.Join(dir, "old", "a")); err != nil || string(text) != "new" {
		t.Errorf("the old one is gone: %s %v", text, err)
	}
}

func TestPackRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, in *PackInput)
		want  string
	}{
		"no manifest":   {func(t *testing.T, in *PackInput) { in.Manifest += "x" }, "read the manifest"},
		"bad manifest":  {func(t *testing.T, in *PackInput) { put(t, in.Manifest, `{"name":7}`) }, "/name: must be a string"},
		"no JSON":       {func(t *testing.T, in *PackInput) { put(t, in.Manifest, "{\n  \"name\": 1,,\n}") }, "acme.json: line 2:\n"},
		"huge manifest": {func(t *testing.T, in *PackInput) { put(t, in.Manifest, strings.Repeat(" ", 300<<10)) }, "is larger"},
		"no executable": {func(t *testing.T, in *PackInput) { in.Executables = nil }, "no executable is given"},
		"missing file":  {func(t *testing.T, in *PackInput) { in.Executables["linux/amd64"] += "x" }, "read the executable"},
		"other platform": {func(t *testing.T, in *PackInput) {
			in.Executables = map[string]string{"darwin/arm64": in.Executables["linux/amd64"]}
		}, "names no executable for darwin/arm64; it has linux/amd64, linux/arm64"},
		"other processor": {func(t *testing.T, in *PackInput) { in.Executables["linux/arm64"] = in.Executables["linux/amd64"] }, "another processor"},
		"no format":       {func(t *testing.T, in *PackInput) { put(t, in.Executables["linux/amd64"], "package main") }, "in no format"},
		"one path for two": {func(t *testing.T, in *PackInput) {
			put(t, in.Manifest, strings.ReplaceAll(manifestOf("acme", "1.0.0"), "bin/adapter-arm", "bin/adapter"))
			script := filepath.Join(filepath.Dir(in.Manifest), "script")
			put(t, script, "#!/bin/sh")
			in.Executables["linux/arm64"] = script
		}, "would both be bin/adapter"},
		"path of a file":          {func(t *testing.T, in *PackInput) { in.Files["../x"] = in.Manifest }, "cannot be the path"},
		"second manifest":         {func(t *testing.T, in *PackInput) { in.Files["manifest.json"] = in.Manifest }, "cannot be the path"},
		"own checksums":           {func(t *testing.T, in *PackInput) { in.Files["checksums.txt"] = in.Manifest }, "cannot be the path"},
		"file is a folder":        {func(t *testing.T, in *PackInput) { in.Files["x"] = filepath.Dir(in.Manifest) }, "is not a regular file"},
		"a pipe for the manifest": {func(t *testing.T, in *PackInput) { in.Manifest = pipe(t) }, "is not a regular file"},
		"a pipe for the binary":   {func(t *testing.T, in *PackInput) { in.Executables["linux/amd64"] = pipe(t) }, "is not a regular file"},
		"out is a file":           {func(t *testing.T, in *PackInput) { in.Out = in.Manifest }, "create the adapter's folder"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := ingredients(t)
			c.spoil(t, &in)
			if _, err := Pack(t.Context(), in); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Pack = %v, want %s", err, c.want)
			}
			if c.want != "create the adapter's folder" && len(names(t, in)) != 0 {
				t.Errorf("left behind: %v", names(t, in))
			}
		})
	}
}

// pipe makes a named pipe: to open it would wait for a writer.
func pipe(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestPackTakesNobodysPlace: what stands where the package is to go, and is none, is
// left alone.
func TestPackTakesNobodysPlace(t *testing.T) {
	t.Parallel()
	for name, occupy := range map[string]func(dir string) error{
		"a folder of other things": func(dir string) error {
			return errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "keep"), nil, 0o600))
		},
		"a file":          func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
		"a symbolic link": func(dir string) error { return os.Symlink(filepath.Dir(dir), dir) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := ingredients(t)
			place := filepath.Join(in.Out, "acme", "1.0.0")
			if err := errors.Join(os.MkdirAll(filepath.Dir(place), 0o700), occupy(place)); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(place)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Pack(t.Context(), in); err == nil || !strings.Contains(err.Error(), "is there and is no package") {
				t.Errorf("Pack = %v", err)
			}
			if after, err := os.Lstat(place); err != nil || !os.SameFile(before, after) {
				t.Errorf("what stood there: %v, %v", after, err)
			}
		})
	}
	in := ingredients(t)
	if err := os.MkdirAll(filepath.Join(in.Out, "acme", "1.0.0"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Pack(t.Context(), in); err != nil {
		t.Errorf("an empty folder is in the way: %v", err)
	}
}

func TestPackEndsWithContext(t *testing.T) {
	t.Parallel()
	in := ingredients(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Pack(ctx, in); !errors.Is(err, context.Canceled) {
		t.Errorf("Pack = %v, want canceled", err)
	}
	if got := names(t, in); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
	var faults strictjson.Faults
	put(t, in.Manifest, "{}")
	if _, err := Pack(t.Context(), in); !errors.As(err, &faults) || len(faults) < 5 {
		t.Errorf("Pack = %v, want every fault of the manifest", err)
	}
}

func TestPackNamesEveryFaultOfTheFiles(t *testing.T) {
	t.Parallel()
	in := ingredients(t)
	in.Executables = map[string]string{"darwin/arm64": "x", "linux/amd64": "nowhere", "linux/arm64": in.Executables["linux/amd64"]}
	in.Files["../x"] = in.Manifest
	_, err := Pack(t.Context(), in)
	for _, want := range []string{"names no executable for darwin/arm64", "stat nowhere", "another processor", `"../x" cannot be`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Pack = %v, want %s", err, want)
		}
	}
}

func TestReadPackage(t *testing.T) {
	t.Parallel()
	packed, err := Pack(t.Context(), ingredients(t))
	must(t, err)
	platform := Config{GOOS: "linux", GOARCH: "amd64"}
	p, err := ReadPackage(t.Context(), packed.Dir, platform)
	if err != nil || p.Name != "acme" || p.Version != "1.0.0" || p.Digest != packed.Digest || p.Dir != packed.Dir {
		t.Errorf("ReadPackage = %+v %v", p, err)
	}
	refused := func(dir string, cfg Config, cause string) {
		t.Helper()
		_, err := ReadPackage(t.Context(), dir, cfg)
		if bad, ok := asProblem(err); !ok || bad.Cause != cause || bad.Dir != dir || bad.Remedy == "" {
			t.Errorf("ReadPackage = %v, want %s", err, cause)
		}
	}
	refused(packed.Dir, Config{GOOS: "linux", GOARCH: "arm64"}, CauseWrongArchitecture)
	refused(filepath.Dir(packed.Dir), platform, CauseNotInstalled)
	moved := filepath.Join(filepath.Dir(packed.Dir), "2.0.0")
	must(t, os.Rename(packed.Dir, moved))
	refused(moved, platform, CauseInvalidManifest)
}
