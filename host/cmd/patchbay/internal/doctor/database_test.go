package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/patchbay-crm/patchbay/host/cmd/patchbay/internal/app"
	"github.com/patchbay-crm/patchbay/host/config"
	"github.com/patchbay-crm/patchbay/host/seal"
	"github.com/patchbay-crm/patchbay/host/store/sqlite"
)

// used makes the place one in which a host has run.
func used(t *testing.T, p *place) {
	t.Helper()
	sealer, err := seal.Open(filepath.Join(p.dir, "data", "keyset.json"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: p.database()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Fact(t.Context(), app.FactKey, sealer.Fingerprint()); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func (p *place) database() string { return filepath.Join(p.dir, "data", "patchbay.db") }

// contents are the files of the data directory.
func (p *place) contents(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(p.dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(p.dir, "data", e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(content)
	}
	return out
}

func TestDatabase(t *testing.T) {
	t.Parallel()
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		change func(t *testing.T, p *place)
		check  string
		status Status
		text   string
	}{
		"sound": {
			change: used, check: "database", status: OK, text: "written with this key",
		},
		"garbage": {
			change: func(t *testing.T, p *place) {
				used(t, p)
				must(t, os.WriteFile(p.database(), []byte(strings.Repeat("garbage ", 1000)), 0o600))
			},
			check: "database", status: Fail, text: "file is not a database",
		},
		"truncated": {
			change: func(t *testing.T, p *place) {
				used(t, p)
				must(t, os.Truncate(p.database(), 10000))
			},
			check: "database", status: Fail, text: "from a backup",
		},
		"emptied": {
			change: func(t *testing.T, p *place) {
				used(t, p)
				must(t, os.Truncate(p.database(), 0))
			},
			check: "database", status: Warn, text: "messages may be logged again",
		},
		"deleted": {
			change: func(t *testing.T, p *place) {
				used(t, p)
				must(t, os.Remove(p.database()))
			},
			check: "database", status: Warn, text: "although",
		},
		"foreign key": {
			change: func(t *testing.T, p *place) {
				used(t, p)
				name := filepath.Join(p.dir, "data", "keyset.json")
				must(t, os.Remove(name))
				_, err := seal.Open(name)
				must(t, err)
			},
			check: "database", status: Fail, text: "written with another key",
		},
		"garbage key": {
			change: func(t *testing.T, p *place) {
				used(t, p)
				p.file(t, "data/keyset.json", 0o600)
			},
			check: "key file", status: Fail, text: "read key file",
		},
		"directory": {
			change: func(t *testing.T, p *place) { must(t, os.MkdirAll(p.database(), 0o700)) },
			check:  "database", status: Fail, text: "no regular file",
		},
		"first start": {
			change: func(*testing.T, *place) {}, check: "database", status: OK, text: "the first start makes it",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			c.change(t, p)
			var before map[string]string
			if name != "directory" {
				before = p.contents(t)
			}
			found := Examine(t.Context(), config.Sources{Environ: p.environ})
			told := false
			for _, f := range found {
				told = told || f.Check == c.check && f.Status == c.status && strings.Contains(f.Detail+"\n"+f.Remedy, c.text)
				if f.Status == Fail && f.Remedy == "" {
					t.Errorf("no remedy: %+v", f)
				}
			}
			if !told {
				t.Errorf("no %s of %q with %q in %+v", c.status, c.check, c.text, found)
			}
			if name == "directory" {
				return
			}
			after := p.contents(t)
			for file, was := range before {
				if after[file] != was {
					t.Errorf("%s was changed", file)
				}
			}
			if len(after) != len(before) {
				t.Errorf("files were made or removed: %d, before %d", len(after), len(before))
			}
		})
	}
}
