package sqlite

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

// TestUpgrade opens a ledger that an earlier release made: its entries stand, and
// the lists that changed indexes serve still hold them.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	older(t, path, 1, `INSERT INTO entries VALUES
		(1, '01A', 'acme', 'examplecrm', '', '7', '', 'unknown', 1, 2, '{"messages":["1"],"epoch":1,"attempts":1}'),
		(2, '01B', 'acme', 'examplecrm', '', '7', '', 'logged', 1, NULL, '{"messages":["2"],"epoch":2,"attempts":1,"logId":"9"}')`)
	db, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	for state, id := range map[ledger.State]string{ledger.Unknown: "01A", ledger.Logged: "01B"} {
		entries, err := db.Entries(t.Context(), store.Query{Tenant: "acme", States: []ledger.State{state}})
		if err != nil || len(entries) != 1 || entries[0].ID != id {
			t.Errorf("%s entries: %+v, %v, want %s alone", state, entries, err, id)
		}
	}
}

// older makes a database with the schema of an earlier version and what it held.
func older(t *testing.T, path string, version int64, rows string) {
	t.Helper()
	connector, err := sqlite.NewConnector(Config{}.dsn(path, "_txlock=immediate"))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector)
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, folder,
		goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), version); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
}
