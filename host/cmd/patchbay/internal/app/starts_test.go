package app

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// pids returns the processes of the adapter.
func (r *running) pids() []int {
	r.t.Helper()
	_, out := r.ask("GET", "/v1/adapters/echo", "")
	var pids []int
	processes, _ := out["processes"].([]any)
	for _, p := range processes {
		if pid, _ := p.(map[string]any)["pid"].(float64); pid > 0 {
			pids = append(pids, int(pid))
		}
	}
	return pids
}

func TestDatabasesThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		make func(name string) error
		want string
	}{
		"garbage": {
			make: func(name string) error {
				return os.WriteFile(name, []byte(strings.Repeat("no database ", 1000)), 0o600)
			},
			want: "file is not a database",
		},
		"directory": {
			make: func(name string) error { return os.Mkdir(name, 0o700) },
			want: "is a directory",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := configure(t, t.TempDir(), filepath.Join(t.TempDir(), "data"))
			if err := os.Mkdir(c.DataDir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := tc.make(c.SQLiteFile()); err != nil {
				t.Fatal(err)
			}
			host, err := New(c, Options{})
			if err != nil {
				t.Fatal(err)
			}
			err = host.Run(t.Context())
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), c.SQLiteFile()) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestASecondHostKillsNobody deletes the directory's lock under a living host, so
// that a second one gets as far as the ledger's.
func TestASecondHostKillsNobody(t *testing.T) {
	t.Parallel()
	c := configure(t, packages(t), filepath.Join(t.TempDir(), "data"))
	r := begin(t, c)
	r.tenant("acme")
	if code, out := r.log("acme", "m1", ""); code != 201 {
		t.Fatalf("%d %v", code, out)
	}
	before := r.pids()
	if len(before) != 1 {
		t.Fatalf("processes %v", before)
	}
	if err := os.Remove(filepath.Join(c.DataDir, lockName)); err != nil {
		t.Fatal(err)
	}
	second, err := New(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "it is in use by process") {
		t.Errorf("got %v", err)
	}
	if err := syscall.Kill(before[0], 0); err != nil {
		t.Errorf("the adapter of the living host: %v", err)
	}
	if code, out := r.log("acme", "m2", ""); code != 201 {
		t.Errorf("the living host answers %d %v", code, out)
	}
	if after := r.pids(); len(after) != 1 || after[0] != before[0] {
		t.Errorf("processes %v, before %v", after, before)
	}
}
