package catalog

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/manifest"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

func TestLoadReadsPackages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := folderOf(t, dir, "acme", "1.0.0", nil)
	c := open(t, Config{Dirs: []string{dir}, Overrides: map[string]manifest.Overrides{
		"acme": {Limits: manifest.LimitsOverride{CallTimeout: new(time.Second)}},
	}})
	got, err := c.Lookup("acme", "1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	want := &Package{
		Name: "acme", Version: "1.0.0", Dir: folder, Manifest: parsed(t, "acme", "1.0.0"),
		Digest:         digestOf(t, filepath.Join(folder, "checksums.txt")),
		ExecutablePath: filepath.Join(folder, "bin", "adapter"), ExecutableDigest: digestOf(t, filepath.Join(folder, "bin/adapter")),
		Files: map[string]string{
			"manifest.json": digestOf(t, filepath.Join(folder, "manifest.json")), "bin/adapter": digestOf(t, filepath.Join(folder, "bin/adapter")),
			"share/notice.txt": digestOf(t, filepath.Join(folder, "share/notice.txt")),
		},
	}
	want.Manifest.Run.Limits.CallTimeout = time.Second
	if !reflect.DeepEqual(got, want) {
		t.Errorf("package:\n got %+v\nwant %+v", got, want)
	}
	if len(c.Problems()) != 0 {
		t.Errorf("problems: %v", c.Problems())
	}
}

func TestVersionsAreOrdered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, version := range []string{"1.9.0", "1.10.0", "2.0.0-rc.1", "1.10.0-beta", "1.10.0+b2"} {
		folderOf(t, dir, "acme", version, nil)
	}
	folderOf(t, dir, "trial", "0.1.0-alpha", nil)
	folderOf(t, dir, "broken", "1.0.0", map[string]string{"manifest.json": "{}"})
	c := open(t, Config{Dirs: []string{dir}})
	adapters := c.Adapters()
	if len(adapters) != 3 || adapters[0].Name != "acme" || adapters[1].Name != "broken" || adapters[2].Name != "trial" {
		t.Fatalf("adapters: %+v", adapters)
	}
	if want := []string{"2.0.0-rc.1", "1.10.0+b2", "1.10.0", "1.10.0-beta", "1.9.0"}; !slices.Equal(adapters[0].Versions, want) {
		t.Errorf("versions %v, want %v", adapters[0].Versions, want)
	}
	for i, want := range []string{"ACME 1.10.0+b2", "broken", "TRIAL 0.1.0-alpha"} {
		if adapters[i].DisplayName != want {
			t.Errorf("display name %q, want %q", adapters[i].DisplayName, want)
		}
	}
	if len(adapters[1].Versions) != 0 || len(adapters[1].Problems) != 1 || len(adapters[0].Problems) != 0 {
		t.Errorf("problems are not with their adapter: %+v", adapters)
	}
	if p, err := c.Latest("acme"); err != nil || p.Version != "1.10.0+b2" {
		t.Errorf("Latest = %v %v", p, err)
	}
	if p, err := c.Latest("trial"); err == nil {
		t.Errorf("Latest chose the prerelease %s", p.Version)
	}
}

func TestNotFoundSaysWhy(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folderOf(t, dir, "acme", "1.0.0", nil)
	folderOf(t, dir, "acme", "1.1.0", nil)
	put(t, filepath.Join(folderOf(t, dir, "acme", "2.0.0", nil), "bin/adapter"), elf+"!")
	folderOf(t, dir, "trial", "0.1.0-alpha", nil)
	folderOf(t, dir, "arm", "1.0.0", map[string]string{"bin/adapter": "", "bin/adapter-arm": elf})
	c := open(t, Config{Dirs: []string{dir}})
	for name, q := range map[string]struct{ name, version, want string }{
		"misspelt":        {"amce", "1.0.0", `no such adapter is installed; did you mean "acme"?`},
		"unheard of":      {"hunter2-hunter2", "", "no such adapter is installed"},
		"version":         {"acme", "3.0.0", "this version of acme is not installed; usable are: 1.1.0, 1.0.0"},
		"refused version": {"acme", "2.0.0", "version 2.0.0 of acme is refused: digest_mismatch; " + remedyRestore},
		"no stable":       {"trial", "", "no stable version of trial is installed: name a version; usable are: 0.1.0-alpha"},
		"none usable":     {"arm", "", "version 1.0.0 of arm is refused: wrong_architecture; install a package that holds one; this one is for [linux/arm64]"},
		"none of those":   {"arm", "9.9.9", "this version of arm is not installed; usable are: none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var err error
			if q.version == "" {
				_, err = c.Latest(q.name)
			} else {
				_, err = c.Lookup(q.name, q.version)
			}
			if fault.CodeOf(err) != fault.AdapterNotFound || fault.MessageOf(err) != q.want {
				t.Errorf("got %v, want %s", err, q.want)
			}
		})
	}
}

func TestFoldersThatAreNoPackages(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folderOf(t, dir, "acme", "1.0.0", nil)
	put(t, filepath.Join(dir, "README"), "text")
	put(t, filepath.Join(dir, "acme", "README"), "text")
	put(t, filepath.Join(dir, "acme", ".1.0.1.123", "manifest.json"), "half made")
	put(t, filepath.Join(dir, ".cache", "x", "y"), "z")
	put(t, filepath.Join(dir, "Acme", "1.0.0", "x"), "y")
	put(t, filepath.Join(dir, "acme", "v1", "x"), "y")
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := open(t, Config{Dirs: []string{dir, filepath.Join(dir, "nowhere")}})
	var got []string
	for _, p := range c.Problems() {
		rel, _ := filepath.Rel(dir, p.Dir)
		got = append(got, rel+": "+p.Cause+": "+p.Detail)
		if p.Remedy == "" {
			t.Errorf("no remedy: %+v", p)
		}
	}
	want := []string{
		"Acme: not_installed: the folder's name cannot be the name of an adapter",
		"acme/v1: not_installed: the folder's name is no semantic version",
		"empty: not_installed: the folder holds no version",
		"nowhere: not_installed: the folder cannot be read: no such file or directory",
	}
	if !slices.Equal(got, want) {
		t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := c.Latest("acme"); err != nil {
		t.Errorf("the good package is hidden: %v", err)
	}
}

func TestEarlierFolderCounts(t *testing.T) {
	t.Parallel()
	first, second := t.TempDir(), t.TempDir()
	folder := folderOf(t, first, "acme", "1.0.0", nil)
	folderOf(t, second, "acme", "1.0.0", nil)
	folderOf(t, second, "acme", "1.1.0", nil)
	c := open(t, Config{Dirs: []string{first, second}})
	p, err := c.Lookup("acme", "1.0.0")
	if err != nil || p.Dir != folder {
		t.Errorf("Lookup = %v %v", p, err)
	}
	if len(c.Problems()) != 0 || len(c.Adapters()[0].Versions) != 2 {
		t.Errorf("the same package in two folders: %+v", c.Problems())
	}
	folderOf(t, second, "acme", "1.0.0", map[string]string{"share/notice.txt": "other\n"})
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	problems := c.Problems()
	if len(problems) != 1 || problems[0].Cause != CauseDigestMismatch || problems[0].Dir != filepath.Join(second, "acme", "1.0.0") {
		t.Errorf("problems: %+v", problems)
	}
	if p, err := c.Lookup("acme", "1.0.0"); err != nil || p.Dir != folder {
		t.Errorf("Lookup = %v %v", p, err)
	}
}

func TestLinkedFolderCounts(t *testing.T) {
	t.Parallel()
	dir, elsewhere := t.TempDir(), t.TempDir()
	folderOf(t, elsewhere, "acme", "1.0.0", nil)
	if err := os.Symlink(filepath.Join(elsewhere, "acme"), filepath.Join(dir, "acme")); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, Config{Dirs: []string{dir}}).Latest("acme"); err != nil {
		t.Error(err)
	}
}

func TestPins(t *testing.T) {
	t.Parallel()
	dir, pins := t.TempDir(), &fakePins{}
	folderOf(t, dir, "acme", "1.0.0", nil)
	folderOf(t, dir, "other", "1.0.0", nil)
	c := open(t, Config{Dirs: []string{dir}, Pins: pins})
	first, err := c.Lookup("acme", "1.0.0")
	if err != nil || pins.pins["acme 1.0.0"] != first.Digest {
		t.Fatalf("the digest is not pinned: %v %v", pins.pins, err)
	}
	folderOf(t, dir, "acme", "1.0.0", map[string]string{"bin/adapter": elf + " changed"})
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Lookup("acme", "1.0.0"); fault.CodeOf(err) != fault.AdapterNotFound || !strings.Contains(err.Error(), CauseDigestMismatch) {
		t.Errorf("the changed package: %v", err)
	}
	if _, err := c.Lookup("other", "1.0.0"); err != nil {
		t.Errorf("the other package is hidden: %v", err)
	}
	if want := "patchbay adapter install acme --version 1.0.0"; !strings.Contains(c.Problems()[0].Remedy, want) {
		t.Errorf("the remedy %q does not name the command %q", c.Problems()[0].Remedy, want)
	}
}

func TestBadPackagesAreNotPinned(t *testing.T) {
	t.Parallel()
	dir, pins := t.TempDir(), &fakePins{}
	put(t, filepath.Join(folderOf(t, dir, "acme", "1.0.0", nil), "share/notice.txt"), "changed")
	open(t, Config{Dirs: []string{dir}, Pins: pins})
	if len(pins.pins) != 0 {
		t.Errorf("pinned: %v", pins.pins)
	}
}

func TestFailedLoadReplacesNothing(t *testing.T) {
	t.Parallel()
	dir, pins := t.TempDir(), &fakePins{}
	folderOf(t, dir, "acme", "1.0.0", nil)
	c := open(t, Config{Dirs: []string{dir}, Pins: pins})
	folderOf(t, dir, "acme", "1.1.0", nil)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Load(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Load = %v, want canceled", err)
	}
	gone := errors.New("the store is gone")
	pins.err = gone
	if err := c.Load(t.Context()); !errors.Is(err, gone) {
		t.Errorf("Load = %v, want the pins' error", err)
	}
	if got := c.Adapters()[0].Versions; !slices.Equal(got, []string{"1.0.0"}) {
		t.Errorf("versions after a failed Load: %v", got)
	}
	pins.err = nil
	if err := c.Load(t.Context()); err != nil || len(c.Adapters()[0].Versions) != 2 {
		t.Errorf("Load = %v, %v", err, c.Adapters())
	}
}

func TestProblemsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := folderOf(t, dir, "acme", "1.0.0", map[string]string{"bin/adapter": "text"})
	var log bytes.Buffer
	c := open(t, Config{Dirs: []string{dir}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(log.String(), "adapter package refused"); got != 1 || !strings.Contains(log.String(), "cause=not_executable") {
		t.Errorf("%d records, want 1:\n%s", got, log.String())
	}
	put(t, filepath.Join(folder, "manifest.json"), "{}")
	if err := c.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(log.String(), "adapter package refused"); got != 2 {
		t.Errorf("%d records, want 2:\n%s", got, log.String())
	}
}

func TestReadersSeeWholeLoads(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folderOf(t, dir, "acme", "1.0.0", nil)
	folderOf(t, dir, "acme", "1.1.0", nil)
	c := open(t, Config{Dirs: []string{dir}})
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if p, err := c.Latest("acme"); err != nil || p.Version != "1.1.0" || len(c.Adapters()[0].Versions) != 2 {
					t.Errorf("half a catalog: %v %v", p, err)
					return
				}
			}
		})
	}
	for range 20 {
		if err := c.Load(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(done)
	readers.Wait()
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Overrides: map[string]manifest.Overrides{"acme": {Limits: manifest.LimitsOverride{CPUs: new(-1.0)}}}})
	if err == nil || !strings.Contains(err.Error(), "Dirs") || !strings.Contains(err.Error(), "acme: /limits/cpus") {
		t.Errorf("New = %v", err)
	}
}
