package catalog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/patchbay-crm/patchbay/host/strictjson"
	"github.com/patchbay-crm/patchbay/sdk/fault"
)

// install examines and commits.
func install(t *testing.T, c *Catalog, name, version string) {
	t.Helper()
	i, err := c.Examine(t.Context(), name, version)
	if err != nil {
		t.Fatalf("examine %s %s: %v: %v", name, version, err, errors.Unwrap(err))
	}
	if err := i.Commit(t.Context()); err != nil {
		t.Fatalf("commit %s %s: %v", name, version, err)
	}
}

// rebuild replaces a package by another build of the same version.
func rebuild(t *testing.T, dir, name, version, build string) {
	t.Helper()
	must(t, os.RemoveAll(filepath.Join(dir, name, version)))
	folderOf(t, dir, name, version, map[string]string{"bin/adapter": elf + build})
}

func lookUp(t *testing.T, c *Catalog, name, version string) *Package {
	t.Helper()
	p, err := c.Lookup(name, version)
	if err != nil {
		t.Fatalf("%s %s: %v", name, version, err)
	}
	return p
}

func TestInstallTakesANewVersion(t *testing.T) {
	t.Parallel()
	dir, pins := t.TempDir(), &fakePins{}
	folderOf(t, dir, "acme", "1.0.0", nil)
	c := open(t, Config{Dirs: []string{dir}, Pins: pins})
	before := lookUp(t, c, "acme", "1.0.0")
	folderOf(t, dir, "acme", "1.1.0", nil)
	folderOf(t, dir, "fresh", "0.1.0", nil)
	if _, err := c.Lookup("acme", "1.1.0"); err == nil {
		t.Fatal("a version is there before it was installed")
	}
	install(t, c, "acme", "")
	if p, err := c.Latest("acme"); err != nil || p.Version != "1.1.0" || pins.pinned("acme", "1.1.0") != p.Digest {
		t.Errorf("Latest = %v, %v; pinned %q", p, err, pins.pinned("acme", "1.1.0"))
	}
	if lookUp(t, c, "acme", "1.0.0") != before || !slices.Equal(pins.repinned, []string{"acme 1.1.0"}) {
		t.Errorf("what did not change was installed again: %v", pins.repinned)
	}
	if _, err := c.Lookup("fresh", "0.1.0"); err == nil {
		t.Error("an adapter that nobody asked for was installed")
	}
	install(t, c, "fresh", "0.1.0")
	if lookUp(t, c, "fresh", "0.1.0"); len(c.Adapters()) != 2 {
		t.Errorf("adapters %+v", c.Adapters())
	}
}

// TestInstallTakesAnotherBuild has a package replaced under its version: it stays
// refused, or stays what it was, until it is installed, and is what a host takes
// that starts later.
func TestInstallTakesAnotherBuild(t *testing.T) {
	t.Parallel()
	for name, loadedAgain := range map[string]bool{"while the host runs": false, "before the host starts": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, pins := t.TempDir(), &fakePins{}
			folderOf(t, dir, "acme", "1.0.0", nil)
			folderOf(t, dir, "acme", "2.0.0", nil)
			folderOf(t, dir, "other", "1.0.0", nil)
			c := open(t, Config{Dirs: []string{dir}, Pins: pins})
			first := lookUp(t, c, "acme", "1.0.0").Digest
			rebuild(t, dir, "acme", "1.0.0", " built again")
			if loadedAgain {
				c = open(t, Config{Dirs: []string{dir}, Pins: pins})
				if _, err := c.Lookup("acme", "1.0.0"); err == nil || pins.pinned("acme", "1.0.0") != first {
					t.Fatalf("another build was taken without an install: %v", err)
				}
			} else if lookUp(t, c, "acme", "1.0.0").Digest != first {
				t.Fatal("another build was taken without an install")
			}
			kept, other := lookUp(t, c, "acme", "2.0.0"), lookUp(t, c, "other", "1.0.0")
			rebuild(t, dir, "other", "1.0.0", " built again")

			install(t, c, "acme", "1.0.0")
			now := lookUp(t, c, "acme", "1.0.0")
			if now.Digest == first || pins.pinned("acme", "1.0.0") != now.Digest || len(c.Problems()) != 0 {
				t.Errorf("after the install: digest %s, pinned %s, problems %v", now.Digest, pins.pinned("acme", "1.0.0"), c.Problems())
			}
			if lookUp(t, c, "acme", "2.0.0") != kept || lookUp(t, c, "other", "1.0.0") != other {
				t.Error("what was not installed has changed")
			}
			next := open(t, Config{Dirs: []string{dir}, Pins: pins})
			if got := lookUp(t, next, "acme", "1.0.0"); got.Digest != now.Digest {
				t.Errorf("the next start takes %s", got.Digest)
			}
			if _, err := next.Lookup("other", "1.0.0"); err == nil {
				t.Error("the next start takes a build that was not installed")
			}
		})
	}
}

func TestInstallForgetsVersionsThatAreGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, version := range []string{"1.0.0", "1.1.0", "1.2.0"} {
		folderOf(t, dir, "acme", version, nil)
	}
	c := open(t, Config{Dirs: []string{dir}, Pins: &fakePins{}})
	held := lookUp(t, c, "acme", "1.0.0")
	must(t, os.RemoveAll(filepath.Join(dir, "acme", "1.0.0")))
	install(t, c, "acme", "1.1.0")
	if lookUp(t, c, "acme", "1.0.0") != held {
		t.Error("the install of one version changed another")
	}
	install(t, c, "acme", "")
	if _, err := c.Lookup("acme", "1.0.0"); fault.CodeOf(err) != fault.AdapterNotFound {
		t.Errorf("the version that is gone: %v", err)
	}
	if held.Manifest.Version != "1.0.0" || !slices.Equal(c.Adapters()[0].Versions, []string{"1.2.0", "1.1.0"}) {
		t.Errorf("held %v; versions %v", held, c.Adapters()[0].Versions)
	}
}

// TestInstallBringsProblemsUpToDate has problems of every kind: those of what is
// read again go or come, the others stay.
func TestInstallBringsProblemsUpToDate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	late := filepath.Join(dir, "late")
	must(t, os.MkdirAll(filepath.Join(dir, "adapters", "acme"), 0o755))
	put(t, filepath.Join(folderOf(t, filepath.Join(dir, "adapters"), "other", "1.0.0", nil), "bin/adapter"), elf+"changed")
	var log bytes.Buffer
	c := open(t, Config{Dirs: []string{filepath.Join(dir, "adapters"), late}, Log: slog.New(slog.NewTextHandler(&log, nil))})
	problems := func() (out []string) {
		for _, p := range c.Problems() {
			rel, _ := filepath.Rel(dir, p.Dir)
			out = append(out, rel+" "+p.Cause)
		}
		return out
	}
	if got, want := problems(), []string{"adapters/acme not_installed", "adapters/other/1.0.0 digest_mismatch", "late not_installed"}; !slices.Equal(got, want) {
		t.Fatalf("at first: %q, want %q", got, want)
	}
	folderOf(t, late, "acme", "1.0.0", nil)
	must(t, os.MkdirAll(filepath.Join(late, "acme", "v2"), 0o755))
	log.Reset()
	install(t, c, "acme", "1.0.0")
	want := []string{"adapters/acme not_installed", "adapters/other/1.0.0 digest_mismatch", "late/acme/v2 not_installed"}
	if got := problems(); !slices.Equal(got, want) {
		t.Errorf("after the install: %q, want %q", got, want)
	}
	if n := strings.Count(log.String(), "adapter package refused"); n != 1 || !strings.Contains(log.String(), `msg="adapter package installed" adapter=acme version=1.0.0`) {
		t.Errorf("%d new problems logged, want 1, and what was installed:\n%s", n, log.String())
	}
}

func TestInstallsThatAreRefused(t *testing.T) {
	t.Parallel()
	spoil := func(version string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			put(t, filepath.Join(dir, "acme", version, "share/notice.txt"), "changed")
		}
	}
	const one, many = "version 1.1.0 of acme is refused: ", ". Name a version to install it alone"
	for name, tc := range map[string]struct {
		change  func(t *testing.T, dir string)
		version string
		code    fault.Code
		want    string   // the fault's message
		faults  []string // "pointer code" of each
	}{
		"changed file": {spoil("1.1.0"), "1.1.0", fault.Conflict, one + "digest_mismatch; nothing was changed", []string{"1.1.0 digest_mismatch"}},
		"one of many":  {spoil("1.1.0"), "", fault.Conflict, one + "digest_mismatch; nothing was changed" + many, []string{"1.1.0 digest_mismatch"}},
		"all of many": {
			func(t *testing.T, dir string) { spoil("1.0.0")(t, dir); spoil("1.1.0")(t, dir) }, "", fault.Conflict,
			"2 versions of acme are refused; nothing was changed",
			[]string{"1.0.0 digest_mismatch", "1.1.0 digest_mismatch"},
		},
		"manifest": {
			func(t *testing.T, dir string) {
				put(t, filepath.Join(dir, "acme", "1.1.0", "manifest.json"), strings.Replace(manifestOf("acme", "1.1.0"), `"auth"`, `"aut"`, 1))
			}, "1.1.0", fault.Conflict, one + "invalid_manifest; nothing was changed",
			[]string{"1.1.0 invalid_manifest", "1.1.0/manifest.json#/auth required", "1.1.0/manifest.json#/aut unknown_member"},
		},
		"twice": {
			func(t *testing.T, dir string) {
				folderOf(t, dir+"-second", "acme", "1.1.0", map[string]string{"share/notice.txt": "other"})
			},
			"1.1.0", fault.Conflict, one + "digest_mismatch; nothing was changed",
			[]string{"1.1.0 digest_mismatch"},
		},
		"version gone": {
			func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "acme", "1.1.0"))) },
			"1.1.0", fault.AdapterNotFound, "no package of this version lies in the adapters folders", nil,
		},
		"adapter gone": {
			func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "acme"))) },
			"", fault.AdapterNotFound, "no package of this adapter lies in the adapters folders", nil,
		},
		"no version left": {func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "acme")))
			must(t, os.Mkdir(filepath.Join(dir, "acme"), 0o755))
		}, "", fault.AdapterNotFound, "no package of this adapter lies in the adapters folders", nil},
		"folder cannot be listed": {
			func(t *testing.T, dir string) { put(t, dir+"-second", "a file") },
			"", fault.Conflict, "a folder of adapters cannot be read; nothing was changed",
			[]string{" not_installed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, pins := filepath.Join(t.TempDir(), "adapters"), &fakePins{}
			folderOf(t, dir, "acme", "1.0.0", nil)
			folderOf(t, dir, "acme", "1.1.0", nil)
			c := open(t, Config{Dirs: []string{dir, dir + "-second"}, Pins: pins})
			before := c.now.Load()
			rebuild(t, dir, "acme", "1.0.0", " built again")
			tc.change(t, dir)
			_, err := c.Examine(t.Context(), "acme", tc.version)
			var faults strictjson.Faults
			errors.As(err, &faults)
			var got []string
			for _, f := range faults {
				got = append(got, f.Pointer+" "+f.Code)
				if f.Detail == "" || strings.Contains(f.Detail, "%!") {
					t.Errorf("detail %q", f.Detail)
				}
			}
			slices.Sort(got)
			slices.Sort(tc.faults)
			if fault.CodeOf(err) != tc.code || fault.MessageOf(err) != tc.want || !slices.Equal(got, tc.faults) {
				t.Errorf("got %v with %q\nwant %s: %s with %q", err, got, tc.code, tc.want, tc.faults)
			}
			if c.now.Load() != before || len(pins.repinned) > 0 {
				t.Error("something was changed")
			}
		})
	}
}

func TestFailedCommitChangesNothing(t *testing.T) {
	t.Parallel()
	gone := errors.New("the store is gone")
	dir, pins := t.TempDir(), &fakePins{refuse: map[string]error{"acme 1.0.0": gone}}
	folderOf(t, dir, "acme", "1.0.0", nil)
	c := open(t, Config{Dirs: []string{dir}, Pins: pins})
	rebuild(t, dir, "acme", "1.0.0", " built again")
	folderOf(t, dir, "acme", "1.1.0", nil)
	before := c.now.Load()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Examine(ended, "acme", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("Examine = %v, want canceled", err)
	}
	i, err := c.Examine(t.Context(), "acme", "")
	must(t, err)
	if err := i.Commit(t.Context()); !errors.Is(err, gone) || c.now.Load() != before {
		t.Errorf("Commit = %v; the catalog has changed: %v", err, c.now.Load() != before)
	}
	pins.refuse = nil
	must(t, i.Commit(t.Context()))
	if got, want := pins.repinned, []string{"acme 1.1.0", "acme 1.1.0", "acme 1.0.0"}; !slices.Equal(got, want) {
		t.Errorf("pinned %q, want %q", got, want)
	}
	if len(c.Adapters()[0].Versions) != 2 || lookUp(t, c, "acme", "1.0.0").Digest != pins.pinned("acme", "1.0.0") {
		t.Errorf("after the second commit: %+v", c.Adapters())
	}
}

// TestReadersSeeWholeInstalls changes two versions at once, again and again: a
// reader that looks them up in one snapshot finds two of one build.
func TestReadersSeeWholeInstalls(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	build := func(n int) {
		text := fmt.Sprintf("build %d\n", n)
		for _, version := range []string{"1.0.0", "1.1.0"} {
			folderOf(t, dir, "acme", version, map[string]string{"share/notice.txt": text})
		}
	}
	build(0)
	c := open(t, Config{Dirs: []string{dir}, Pins: &fakePins{}})
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
				now := c.now.Load().packages["acme"]
				if a, b := now["1.0.0"], now["1.1.0"]; a == nil || b == nil || a.Files["share/notice.txt"] != b.Files["share/notice.txt"] {
					t.Errorf("half an install: %v %v", a, b)
					return
				}
			}
		})
	}
	for n := range 20 {
		build(n + 1)
		install(t, c, "acme", "")
	}
	close(done)
	readers.Wait()
}
