package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/patchbay-crm/patchbay/host/store"
	"github.com/patchbay-crm/patchbay/host/store/storetest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		beChild(path)
	}
	goleak.VerifyTestMain(m)
}

// tempConfig is of a database in a directory of the test's own.
func tempConfig(t testing.TB) Config {
	t.Helper()
	return Config{Path: filepath.Join(t.TempDir(), "ledger.db")}
}

func openTemp(t testing.TB) *DB {
	t.Helper()
	return openTest(t, tempConfig(t))
}

// openTest opens the database and closes it with the test.
func openTest(t testing.TB, cfg Config) *DB {
	t.Helper()
	db, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return db
}

func TestStore(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		clock := storetest.NewClock()
		cfg := Config{Path: filepath.Join(t.TempDir(), "ledger.db"), Clock: clock.Now}
		db := openTest(t, cfg)
		return storetest.Harness{
			Store: db, Now: clock.Now, Advance: clock.Advance,
			Reopen: func(t *testing.T) store.Store {
				if err := db.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				return openTest(t, cfg)
			},
		}
	})
}

// parallel runs f in n goroutines and waits for all.
func parallel(n int, f func()) {
	var all sync.WaitGroup
	for range n {
		all.Go(f)
	}
	all.Wait()
}

// wantErr wants the error to be one of these.
func wantErr(t testing.TB, what string, err error, want ...error) {
	t.Helper()
	if !slices.ContainsFunc(want, func(w error) bool { return errors.Is(err, w) }) {
		t.Errorf("%s: error %v, want one of %v", what, err, want)
	}
}

// inWriter runs f in a lazy write that writes nothing.
func inWriter(t testing.TB, db *DB, f func(w *writer)) {
	t.Helper()
	wantErr(t, "write", db.writer.submit(t.Context(), true, func(*tx) error {
		f(db.writer)
		return nil
	}), nil)
}
