package catalog

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestProblems spoils a package in every way that the catalog tells apart. The
// package beside it must stay.
func TestProblems(t *testing.T) {
	t.Parallel()
	replaceInManifest := func(old, by string) func(*testing.T, string) {
		return func(t *testing.T, folder string) {
			put(t, filepath.Join(folder, "manifest.json"), strings.Replace(manifestOf("acme", "1.0.0"), old, by, 1))
			seal(t, folder)
		}
	}
	write := func(name, text string) func(*testing.T, string) {
		return func(t *testing.T, folder string) { put(t, filepath.Join(folder, name), text) }
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, folder string) { must(t, os.RemoveAll(filepath.Join(folder, name))) }
	}
	for name, c := range map[string]struct {
		spoil         func(t *testing.T, folder string)
		cause, detail string
	}{
		"no manifest":        {remove("manifest.json"), CauseNotInstalled, "the folder has no manifest.json"},
		"manifest no JSON":   {write("manifest.json", "{"), CauseInvalidManifest, "manifest.json is not JSON:\nthe JSON text ends too early"},
		"manifest huge":      {write("manifest.json", strings.Repeat(" ", 300<<10)), CauseNotInstalled, "manifest.json cannot be read: is larger than"},
		"manifest bad":       {replaceInManifest(`"auth"`, `"oauth"`), CauseInvalidManifest, `/oauth: unknown member "oauth"; did you mean "auth"?`},
		"manifest elsewhere": {func(t *testing.T, f string) { linkOut(t, f, "manifest.json") }, CauseNotInstalled, "manifest.json cannot be read: is not a regular file"},
		"protocol":           {replaceInManifest(`[1]`, `[2]`), CauseProtocolMismatch, "other versions of the adapter contract"},
		"name":               {replaceInManifest(`"name":"acme"`, `"name":"amce"`), CauseInvalidManifest, "/name: must equal"},
		"version":            {replaceInManifest(`"version":"1.0.0"`, `"version":"1.0.1"`), CauseInvalidManifest, "/version: must equal"},
		"no checksums":       {remove("checksums.txt"), CauseNotInstalled, "the folder has no checksums.txt"},
		"checksums garbled":  {write("checksums.txt", "hello\n"), CauseDigestMismatch, "checksums.txt line 1 is not"},
		"file changed":       {write("share/notice.txt", "hellp\n"), CauseDigestMismatch, "share/notice.txt has changed"},
		"manifest changed":   {write("manifest.json", manifestOf("acme", "1.0.0")+" "), CauseDigestMismatch, "manifest.json is not the file of checksums.txt"},
		"executable changed": {write("bin/adapter", elf+"!"), CauseDigestMismatch, "bin/adapter has changed"},
		"file missing":       {remove("share"), CauseDigestMismatch, "share/notice.txt is missing"},
		"file extra":         {write("bin/.hidden", "x"), CauseDigestMismatch, "bin/.hidden is not listed"},
		"file is a folder":   {func(t *testing.T, f string) { remove("bin/adapter")(t, f); write("bin/adapter/x", "x")(t, f) }, CauseDigestMismatch, "bin/adapter is missing, bin/adapter/x is not listed"},
		"many wrong": {func(t *testing.T, f string) {
			for _, n := range "abcdefg" {
				write(string(n), "x")(t, f)
			}
		}, CauseDigestMismatch, "e is not listed (and 2 more)"},
		"second checksums": {write("bin/checksums.txt", "x"), CauseDigestMismatch, "bin/checksums.txt is not listed"},
		"link out":         {func(t *testing.T, f string) { linkOut(t, f, "share/notice.txt") }, CauseDigestMismatch, "share/notice.txt is not a regular file"},
		"linked folder":    {func(t *testing.T, f string) { linkOut(t, f, "share") }, CauseDigestMismatch, "share is not a regular file, share/notice.txt is missing"},
		"link inside":      {func(t *testing.T, f string) { must(t, os.Symlink("adapter", filepath.Join(f, "bin/again"))) }, CauseDigestMismatch, "bin/again is not a regular file"},
		"pipe":             {func(t *testing.T, f string) { must(t, syscall.Mkfifo(filepath.Join(f, "pipe"), 0o644)) }, CauseDigestMismatch, "pipe is not a regular file"},
		"pipe for a file": {func(t *testing.T, f string) {
			remove("bin/adapter")(t, f)
			must(t, syscall.Mkfifo(filepath.Join(f, "bin/adapter"), 0o755))
		}, CauseDigestMismatch, "bin/adapter is not a regular file"},
		"pipe for manifest": {func(t *testing.T, f string) {
			remove("manifest.json")(t, f)
			must(t, syscall.Mkfifo(filepath.Join(f, "manifest.json"), 0o644))
		}, CauseNotInstalled, "manifest.json cannot be read"},
		"deep": {write(strings.Repeat("d/", 40)+"f", "x"), CauseDigestMismatch, "too many files or folders"},
		"other platforms": {func(t *testing.T, f string) {
			must(t, os.Rename(filepath.Join(f, "bin/adapter"), filepath.Join(f, "bin/adapter-arm")))
			seal(t, f)
		}, CauseWrongArchitecture, "the package has no executable for linux/amd64"},
		"no platform":         {func(t *testing.T, f string) { remove("bin")(t, f); seal(t, f) }, CauseNotInstalled, "the package has no executable for linux/amd64, nor any other"},
		"undeclared platform": {replaceInManifest(`"linux/amd64":"bin/adapter",`, ``), CauseNotInstalled, "the package has no executable for linux/amd64, nor any other"},
		"mode":                {func(t *testing.T, f string) { must(t, os.Chmod(filepath.Join(f, "bin/adapter"), 0o644)) }, CauseNotExecutable, "mode"},
		"text":                {func(t *testing.T, f string) { write("bin/adapter", "hello")(t, f); seal(t, f) }, CauseNotExecutable, "no format"},
		"other processor": {func(t *testing.T, f string) {
			write("bin/adapter", strings.Replace(elf, "\x3e", "\xb7", 1))(t, f)
			seal(t, f)
		}, CauseWrongArchitecture, "another processor"},
		"macOS program": {func(t *testing.T, f string) {
			write("bin/adapter", "\xcf\xfa\xed\xfe\x07\x00\x00\x01 and so on")(t, f)
			seal(t, f)
		}, CauseWrongArchitecture, "a macOS program"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			folder := folderOf(t, dir, "acme", "1.0.0", nil)
			folderOf(t, dir, "beside", "1.0.0", nil)
			c.spoil(t, folder)
			catalog := open(t, Config{Dirs: []string{dir}})
			problems := catalog.Problems()
			if len(problems) != 1 {
				t.Fatalf("%d problems, want 1: %+v", len(problems), problems)
			}
			p := problems[0]
			if p.Dir != folder || p.Name != "acme" || p.Version != "1.0.0" || p.Remedy == "" {
				t.Errorf("the problem does not say where or what to do: %+v", p)
			}
			if p.Cause != c.cause || !strings.Contains(p.Error(), c.detail) {
				t.Errorf("cause %s: %s\nwant %s: %s", p.Cause, p.Error(), c.cause, c.detail)
			}
			oneLine := strings.Replace(strings.Join(strings.Split(p.Error(), "\n"), "; "), ":; ", ": ", 1)
			if p.OneLine() != oneLine {
				t.Errorf("on one line: %s\nwant: %s", p.OneLine(), oneLine)
			}
			if _, err := catalog.Latest("acme"); err == nil {
				t.Error("the bad package is served")
			}
			if _, err := catalog.Latest("beside"); err != nil {
				t.Errorf("the good package is hidden: %v", err)
			}
		})
	}
}

// linkOut puts a link in the place of a file or folder, to the same thing
// elsewhere.
func linkOut(t *testing.T, folder, name string) {
	t.Helper()
	outside := filepath.Join(t.TempDir(), "moved")
	must(t, os.Rename(filepath.Join(folder, name), outside))
	must(t, os.Symlink(outside, filepath.Join(folder, name)))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
