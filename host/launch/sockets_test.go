package launch

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/sdk/sdktest"
)

// TestStartsOutliveTheirSocketDirectory takes the directory for sockets away
// while the host runs, as cleaners of temporary directories do.
func TestStartsOutliveTheirSocketDirectory(t *testing.T) {
	t.Parallel()
	for name, takeAway := range map[string]func(path string) error{
		"removed": os.RemoveAll,
		"replaced by a link": func(path string) error {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
			return os.Symlink(t.TempDir(), path)
		},
		"opened to all": func(path string) error { return os.Chmod(path, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log records
			l := launcher(t, &log)
			before := start(t, l, adapter("ok"))
			old := l.sockets.path
			if err := takeAway(old); err != nil {
				t.Fatal(err)
			}
			after := start(t, l, adapter("ok"))
			for _, inst := range []*Instance{before, after} {
				if _, err := inst.Client().AddMessageLog(t.Context(), sdktest.Request()); err != nil {
					t.Error(err)
				}
			}
			fresh := l.sockets.path
			if fresh == old || !isPrivate(fresh) || filepath.Dir(filepath.Dir(after.process.socket)) != fresh {
				t.Errorf("%s, then %s, socket %s", old, fresh, after.process.socket)
			}
			third := start(t, l, adapter("ok"))
			if third.process.sockets != fresh {
				t.Error("a directory that is there was given up")
			}
			if n := strings.Count(strings.Join(log.all(), ""), "directory for sockets made anew"); n != 1 {
				t.Errorf("told %d times", n)
			}
			raw, err := os.ReadFile(filepath.Join(l.cfg.RunDir, l.id+recordSuffix))
			if err != nil || !strings.Contains(string(raw), fresh) {
				t.Errorf("the next host would not find it: %s, %v", raw, err)
			}
		})
	}
}

func TestNoPlaceForSockets(t *testing.T) {
	t.Parallel()
	parent := filepath.Join(t.TempDir(), "p")
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	d := socketDir{parent: parent}
	if _, made, err := d.ensure(); err != nil || !made {
		t.Fatalf("%t, %v", made, err)
	}
	if err := os.RemoveAll(parent); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.ensure(); err == nil {
		t.Error("made in a directory that is not there")
	}
	if err := os.Mkdir(parent, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, made, err := d.ensure(); err != nil || !made {
		t.Errorf("once it is there again: %t, %v", made, err)
	}
	if err := d.remove(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// TestLostImageIsMadeAnew removes a private copy, which stands in the directory
// for sockets where there are no memory files.
func TestLostImageIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "source")
	if err := os.WriteFile(source, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(dir, "private")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	lost, err := privateCopy(strings.NewReader("#!/bin/sh\n"), private)
	if err != nil {
		t.Fatal(err)
	}
	digest, ready := digestOf(source), make(chan struct{})
	close(ready)
	s := images{byDigest: map[string]*imageEntry{digest: {ready: ready, image: lost}}}
	img, giveBack, err := s.get(source, digest, private)
	if err != nil || img != lost {
		t.Fatalf("one that is there: %v", err)
	}
	giveBack()
	if err := os.RemoveAll(private); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	img, giveBack, err = s.get(source, digest, private)
	if err != nil || img == lost {
		t.Fatalf("the lost one again: %v", err)
	}
	defer giveBack()
	if raw, err := io.ReadAll(io.NewSectionReader(img.file, 0, 100)); err != nil || string(raw) != "#!/bin/sh\n" {
		t.Errorf("%q, %v", raw, err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
