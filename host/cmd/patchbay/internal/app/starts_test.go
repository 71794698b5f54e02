package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/store/sqlite"
)

// pids returns the processes of the adapter.
func (r *running) pids() []int {
	r.t.Helper()
	_, out := r.ask(http.MethodGet, "/v1/adapters/echo", "")
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
	if code, out := r.log("acme", "m1", ""); code != http.StatusCreated {
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
	if code, out := r.log("acme", "m2", ""); code != http.StatusCreated {
		t.Errorf("the living host answers %d %v", code, out)
	}
	if after := r.pids(); len(after) != 1 || after[0] != before[0] {
		t.Errorf("processes %v, before %v", after, before)
	}
}

// TestANewDatabaseBesideAnOldKey deletes the database between two starts.
func TestANewDatabaseBesideAnOldKey(t *testing.T) {
	t.Parallel()
	const warning = "database is new although a key existed"
	c := configure(t, t.TempDir(), filepath.Join(t.TempDir(), "data"))
	var logged [3]bytes.Buffer
	for i := range logged {
		host, err := New(c, Options{Log: slog.New(slog.NewTextHandler(&logged[i], nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- host.Run(ctx) }()
		select {
		case <-host.Ready():
		case err := <-ended:
			t.Fatal(err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			if err := os.Remove(c.SQLiteFile()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, want := range []bool{false, false, true} {
		if got := strings.Contains(logged[i].String(), warning); got != want {
			t.Errorf("start %d: warned %v, want %v:\n%s", i+1, got, want, logged[i].String())
		}
	}
}

// TestReadiness locks the database, which is to the host as a disk that takes
// nothing: it says so, tells nobody why, and is ready again once writes succeed.
func TestReadiness(t *testing.T) {
	t.Parallel()
	c := configure(t, t.TempDir(), filepath.Join(t.TempDir(), "data"))
	r := begin(t, c)
	if code, out := r.ask(http.MethodGet, "/readyz", ""); code != http.StatusOK {
		t.Fatalf("at first: %d %v", code, out)
	}
	db, err := sql.Open("sqlite", c.SQLiteFile()+"?_pragma=busy_timeout(10000)") // the host may be writing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	code, out := r.ask(http.MethodPut, "/v1/tenants/acme", `{}`)
	if code != http.StatusServiceUnavailable || out["code"] != "overloaded" || out["detail"] != "the ledger cannot be written" {
		t.Errorf("a change was answered %d %v", code, out)
	}
	code, out = r.ask(http.MethodGet, "/readyz", "")
	if want := map[string]any{"status": "unready", "detail": "the ledger cannot be written"}; code != http.StatusServiceUnavailable || !maps.Equal(out, want) {
		t.Errorf("not ready: %d %v", code, out)
	}
	if code, out := r.ask(http.MethodGet, "/healthz", ""); code != http.StatusOK {
		t.Errorf("healthz: %d %v", code, out)
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		code, out := r.ask(http.MethodGet, "/readyz", "")
		if code == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still not ready: %v", out)
		}
	}
	if code, out := r.ask(http.MethodPut, "/v1/tenants/acme", `{}`); code != http.StatusCreated {
		t.Errorf("the change made again: %d %v", code, out)
	}
}

// TestAStartEndsWhatAnEarlierLifeLeft begins where a host was killed: a process of
// its adapter's lives on, and a call was in flight.
func TestAStartEndsWhatAnEarlierLifeLeft(t *testing.T) {
	t.Parallel()
	c := configure(t, packages(t), filepath.Join(t.TempDir(), "data"))
	r := begin(t, c)
	r.tenant("acme")
	if err := r.end(); err != nil {
		t.Fatal(err)
	}
	const entry = "01JZ0000000000000000000001"
	claimInFlight(t, c.SQLiteFile(), entry)
	ended := leaveBehind(t, filepath.Join(c.DataDir, runDirName))
	r = begin(t, c)
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the process of an earlier life lives on")
	}
	code, out := r.ask(http.MethodGet, "/v1/tenants/acme/message-logs/"+entry, "")
	problem, _ := out["problem"].(map[string]any)
	if code != http.StatusOK || out["state"] != "unknown" || problem["detail"] != "the host ended while the call was in flight" {
		t.Errorf("the entry that was in flight: %d %v", code, out)
	}
}

// claimInFlight leaves an entry in flight in the database, its window long open.
func claimInFlight(t *testing.T, file, entry string) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: file, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Claim(t.Context(), store.Claim{
		Draft: ledger.Entry{
			ID: entry, Scope: ledger.Scope{Tenant: "acme", Adapter: "echo", ContactID: "7"}, Version: "1.0.0", Messages: []string{"m1"},
		},
		Timing: ledger.Timing{Window: time.Hour},
	}); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// leaveBehind starts a process that bears an adapter's mark, with the record that
// a host keeps of it. The channel is closed when the process has ended.
func leaveBehind(t *testing.T, records string) <-chan struct{} {
	t.Helper()
	run := "left-" + rand.Text() // such marks are seen by every host of the machine
	cmd := exec.Command("sleep", "600")
	cmd.Env = append(os.Environ(), "PATCHBAY_RUN_ID="+run)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	if err := os.WriteFile(filepath.Join(records, run+".run.json"), []byte(`{"runId":"`+run+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return ended
}
