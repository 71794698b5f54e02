package sqlite

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// files are the contents and times of a directory's files.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = info.ModTime().Format(time.RFC3339Nano) + string(content)
	}
	return out
}

// sameFiles wants the directory as it was.
func sameFiles(t *testing.T, dir string, before map[string]string) {
	t.Helper()
	after := files(t, dir)
	for name, was := range before {
		if after[name] != was {
			t.Errorf("%s was changed", name)
		}
		delete(after, name)
	}
	for name := range after {
		t.Errorf("%s was made", name)
	}
}

// copied makes a database and copies its files while it is open, as a host
// leaves them that is killed. What it has seen stands in the log only.
func copied(t *testing.T, names ...string) (path string) {
	t.Helper()
	from, to := t.TempDir(), t.TempDir()
	seen(t, openTest(t, Config{Path: filepath.Join(from, "ledger.db")}))
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(to, "ledger.db")
}

// seen records a fact and the digests of two versions.
func seen(t *testing.T, db *DB) {
	t.Helper()
	_, err := db.Fact(t.Context(), "a", "1")
	for version, digest := range map[string]string{"1.0.0": "aa", "1.1.0": "bb"} {
		_, pinErr := db.PinPackage(t.Context(), "acme", version, digest)
		err = errors.Join(err, pinErr)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	closed := filepath.Join(t.TempDir(), "ledger.db")
	db := openTest(t, Config{Path: closed})
	seen(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"closed": closed,
		"killed": copied(t, "ledger.db", "ledger.db-wal", "ledger.db-shm"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := files(t, filepath.Dir(path))
			got, err := Inspect(t.Context(), path)
			if err != nil || got.Empty || got.Schema != 2 || got.Facts["a"] != "1" {
				t.Errorf("got %+v, %v", got, err)
			}
			if want := map[AdapterVersion]string{{"acme", "1.0.0"}: "aa", {"acme", "1.1.0"}: "bb"}; !maps.Equal(got.Pins, want) {
				t.Errorf("got the digests %v, want %v", got.Pins, want)
			}
			sameFiles(t, filepath.Dir(path), before)
		})
	}
}

func TestInspectRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(t *testing.T, path string)
		want    string
	}{
		"garbage": {func(t *testing.T, path string) {
			if err := os.WriteFile(path, bytes.Repeat([]byte("letters "), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "file is not a database"},
		"cut off": {func(t *testing.T, path string) {
			made(t, Config{Path: path})
			if err := os.Truncate(path, 8192); err != nil {
				t.Fatal(err)
			}
		}, "malformed"},
		"cut off within the first page": {func(t *testing.T, path string) {
			made(t, Config{Path: path})
			if err := os.Truncate(path, 50); err != nil {
				t.Fatal(err)
			}
		}, "malformed"},
		"another program's": {func(t *testing.T, path string) {
			execOn(t, path, "CREATE TABLE songs (title TEXT)")
		}, "another program"},
		"newer": {func(t *testing.T, path string) {
			made(t, Config{Path: path})
			execOn(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (7, 1)")
		}, "version 7 and this patchbay knows up to 2"},
		"directory": {func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "no regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "ledger.db")
			test.prepare(t, path)
			before := map[string]string{}
			if name != "directory" {
				before = files(t, filepath.Dir(path))
			}
			if got, err := Inspect(t.Context(), path); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %+v, %v, want %q", got, err, test.want)
			}
			if name != "directory" {
				sameFiles(t, filepath.Dir(path), before)
			}
		})
	}
}

func TestInspectOfLittle(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	if _, err := Inspect(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Inspect(t.Context(), path); err != nil || !got.Empty {
		t.Errorf("an empty file: %+v, %v", got, err)
	}
	part := copied(t, "ledger.db", "ledger.db-wal")
	before := files(t, filepath.Dir(part))
	if _, err := Inspect(t.Context(), part); !errors.Is(err, ErrPartial) {
		t.Errorf("a log without its index: %v", err)
	}
	sameFiles(t, filepath.Dir(part), before)
}
