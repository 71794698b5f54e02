package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

// exec runs a statement on a closed database.
func execOn(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Errorf("%s: %v", statement, err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// made makes a database and closes it.
func made(t *testing.T, cfg Config) {
	t.Helper()
	if err := openTest(t, cfg).Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// wantRefused wants Open to fail with that text, and to leave nothing open.
func wantRefused(t *testing.T, cfg Config, text string) {
	t.Helper()
	db, err := Open(t.Context(), cfg)
	if err == nil {
		_ = db.Close()
		t.Fatalf("Open succeeded, want an error with %q", text)
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("Open: %v, want %q in it", err, text)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(t *testing.T, cfg *Config)
		want    string
	}{
		"no path":     {func(_ *testing.T, cfg *Config) { cfg.Path = "" }, "Path is empty"},
		"few readers": {func(_ *testing.T, cfg *Config) { cfg.Readers = -1 }, "Readers is negative"},
		"a newer schema": {func(t *testing.T, cfg *Config) {
			made(t, *cfg)
			execOn(t, cfg.Path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (7, 1)")
		}, "its schema has version 7 and this patchbay knows up to 2: run the newer patchbay"},
		"another program's tables": {func(t *testing.T, cfg *Config) {
			execOn(t, cfg.Path, "CREATE TABLE songs (title TEXT)")
		}, "it is a database of another program"},
		"another program's empty file": {func(t *testing.T, cfg *Config) {
			execOn(t, cfg.Path, "PRAGMA application_id = 1")
		}, "it is a database of another program"},
		"no database": {func(t *testing.T, cfg *Config) {
			if err := os.WriteFile(cfg.Path, []byte(strings.Repeat("letters ", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "file is not a database"},
		"a directory": {func(_ *testing.T, cfg *Config) { cfg.Path = filepath.Dir(cfg.Path) }, "is a directory"},
		"a file for a directory": {func(t *testing.T, cfg *Config) {
			made(t, *cfg)
			cfg.Path = filepath.Join(cfg.Path, "ledger.db")
		}, "not a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := tempConfig(t)
			test.prepare(t, &cfg)
			wantRefused(t, cfg, test.want)
			wantRefused(t, cfg, test.want) // the lock was given back
		})
	}
}

func TestOpenTwice(t *testing.T) {
	t.Parallel()
	cfg := tempConfig(t)
	db := openTest(t, cfg)
	wantRefused(t, cfg, fmt.Sprintf("it is in use by process %d: stop that host", os.Getpid()))
	claim(t, db, 1)
	wantErr(t, "Close", db.Close(), nil)
	claim(t, openTest(t, cfg), 2)
}

// TestOpenAfterKill kills a process that has the database open: its lock goes with
// it, and what it was told is there.
func TestOpenAfterKill(t *testing.T) {
	t.Parallel()
	cfg := tempConfig(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), childEnv+"="+cfg.Path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var said string
	_, scanErr := fmt.Fscan(out, &said)
	wantRefused(t, cfg, fmt.Sprintf("in use by process %d", child.Process.Pid))
	wantErr(t, "kill", child.Process.Kill(), nil)
	if err := child.Wait(); err == nil || scanErr != nil || said != "claimed" {
		t.Fatalf("the child said %q (%v) and ended with %v", said, scanErr, err)
	}
	if got := state(t, openTest(t, cfg), 1); got != "in_flight" {
		t.Errorf("the claim of the killed process is %q", got)
	}
}

// childEnv holds the path that a child process of TestOpenAfterKill is to open.
const childEnv = "PATCHBAY_TEST_LEDGER"

// beChild claims a message, says so, and waits to be killed.
func beChild(path string) {
	db, err := Open(context.Background(), Config{Path: path})
	if err == nil {
		_, err = db.Claim(context.Background(), claimOf(1))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("claimed")
	select {}
}

// TestOpenAfterCutShort opens what a first start left behind that was killed
// before its migration.
func TestOpenAfterCutShort(t *testing.T) {
	t.Parallel()
	cfg := tempConfig(t)
	execOn(t, cfg.Path, `CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))`)
	execOn(t, cfg.Path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, 1)")
	claim(t, openTest(t, cfg), 1)
}

// TestOpenContext ends the context before Open, and after it.
func TestOpenContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	db, err := Open(ctx, tempConfig(t))
	wantErr(t, "Open", err, nil)
	cancel()
	claim(t, db, 1)
	wantErr(t, "Close", db.Close(), nil)
	_, err = Open(ctx, tempConfig(t))
	wantErr(t, "Open after the end", err, context.Canceled)
}

func TestFileModes(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]fs.FileMode{"new": 0, "readable by others before": 0o644} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Path: filepath.Join(t.TempDir(), "new", "deeper", "ledger.db")}
			if before != 0 {
				made(t, cfg)
				wantErr(t, "chmod", os.Chmod(cfg.Path, before), nil)
			}
			claim(t, openTest(t, cfg), 1)
			for path, want := range map[string]fs.FileMode{
				cfg.Path: 0o600, cfg.Path + "-wal": 0o600, cfg.Path + "-shm": 0o600, cfg.Path + ".lock": 0o600,
				filepath.Dir(cfg.Path): fs.ModeDir | 0o700,
			} {
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if info.Mode() != want {
					t.Errorf("%s has mode %v, want %v", filepath.Base(path), info.Mode(), want)
				}
			}
		})
	}
}

// TestOddPaths opens files whose names mean something in a URI.
func TestOddPaths(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a?mode=memory", "100%20", "a#b", "with space", "naïve", "a&vfs=none", "semi;colon"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Path: filepath.Join(t.TempDir(), name)}
			db := openTest(t, cfg)
			claim(t, db, 1)
			wantErr(t, "Close", db.Close(), nil)
			if info, err := os.Stat(cfg.Path); err != nil || info.Size() == 0 {
				t.Errorf("the file: %v, %v", info, err)
			}
			if got := state(t, openTest(t, cfg), 1); got != "in_flight" {
				t.Errorf("the claim is %q", got)
			}
		})
	}
}

// TestLibcVersion holds go.mod against SQLite's own: its C library's versions are
// not compatible with each other, and an upgrade of one alone compiles.
func TestLibcVersion(t *testing.T) {
	t.Parallel()
	const sqliteModule, libcModule = "modernc.org/sqlite", "modernc.org/libc"
	list := func(what ...string) string {
		out, err := exec.CommandContext(t.Context(), "go", append([]string{"list", "-m"}, what...)...).Output()
		if err != nil {
			t.Fatalf("go list -m %v: %v", what, err)
		}
		return strings.TrimSpace(string(out))
	}
	path := list("-f", "{{.GoMod}}", sqliteModule)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := modfile.ParseLax(path, text, nil)
	if err != nil {
		t.Fatal(err)
	}
	uses := list("-f", "{{.Version}}", libcModule)
	for _, r := range file.Require {
		if r.Mod.Path == libcModule {
			if r.Mod.Version != uses {
				t.Errorf("%s %s wants %s %s, and go.mod has %s", sqliteModule,
					list("-f", "{{.Version}}", sqliteModule), libcModule, r.Mod.Version, uses)
			}
			return
		}
	}
	t.Errorf("%s does not name %s", path, libcModule)
}
