package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

// TestPlans shows that a list never reads the whole table, whatever it is asked
// for: it is found by an index, or read along one in the order it is wanted in.
func TestPlans(t *testing.T) {
	t.Parallel()
	db := openTemp(t)
	person := "person"
	for name, test := range map[string]struct {
		q     store.Query
		state ledger.State
		want  string
	}{
		"everything":         {store.Query{}, "", "SCAN entries USING INDEX entries_by_id"},
		"a page":             {store.Query{Before: "01"}, "", "SEARCH entries USING INDEX entries_by_id (id<?)"},
		"a tenant":           {store.Query{Tenant: "acme"}, "", "entries_by_tenant (tenant=?)"},
		"a tenant's page":    {store.Query{Tenant: "acme", Before: "01"}, "", "entries_by_tenant (tenant=? AND id<?)"},
		"a contact":          {store.Query{Tenant: "acme", ContactID: "7", ContactType: &person}, "", "entries_by_tenant (tenant=?)"},
		"logged":             {store.Query{Tenant: "acme"}, ledger.Logged, "entries_by_tenant (tenant=?)"},
		"in flight":          {store.Query{Tenant: "acme"}, ledger.InFlight, "entries_due (next_at>?)"},
		"queued":             {store.Query{}, ledger.Queued, "entries_of_note (state=?)"},
		"unknown":            {store.Query{Tenant: "acme"}, ledger.Unknown, "entries_of_note (state=? AND tenant=?)"},
		"failed":             {store.Query{Tenant: "acme", Before: "01"}, ledger.Failed, "entries_of_note (state=? AND tenant=? AND id<?)"},
		"a message":          {store.Query{MessageID: "m"}, "", "claims USING PRIMARY KEY (message=?)"},
		"a tenant's message": {store.Query{Tenant: "acme", MessageID: "m"}, "", "claims USING PRIMARY KEY (message=? AND tenant=?)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			query, args := build(test.q, test.state)
			if plan := planOf(t, db, query, append(args[:len(args)-1:len(args)-1], 50)...); !strings.Contains(plan, test.want) {
				t.Errorf("plan:\n%s\nwant %q in it", plan, test.want)
			}
		})
	}
}

func planOf(t *testing.T, db *DB, query string, args ...any) string {
	t.Helper()
	lines, err := collect(t.Context(), db.reads, func(rows *sql.Rows) (line string, err error) {
		var id, parent, unused int
		return line, rows.Scan(&id, &parent, &unused, &line)
	}, "EXPLAIN QUERY PLAN "+query, args...)
	wantErr(t, "EXPLAIN", err, nil)
	return strings.Join(lines, "\n")
}

// TestReadersCannotWrite holds the pool against its promise.
func TestReadersCannotWrite(t *testing.T) {
	t.Parallel()
	db := openTemp(t)
	if _, err := db.reads.ExecContext(t.Context(), "DELETE FROM installation"); err == nil ||
		!strings.Contains(err.Error(), "readonly") {
		t.Errorf("a reader's write: %v, want it refused", err)
	}
}

// TestReadersHoldLog keeps readers in the log all the time, overlapping each
// other: it begins anew all the same and stays bounded.
func TestReadersHoldLog(t *testing.T) {
	t.Parallel()
	db := openTemp(t)
	inWriter(t, db, func(w *writer) { w.log.after, w.log.most = 10, 100 })
	claim(t, db, 0)
	end := readAlways(t, db)
	defer end()
	for n := range 300 {
		claim(t, db, n+1)
	}
	inWriter(t, db, func(*writer) {}) // the last checkpoint is over
	info, err := os.Stat(db.path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if most := int64(100+100) * 4200; info.Size() > most {
		t.Errorf("the log has %d bytes, want at most %d", info.Size(), most)
	}
}

// readAlways keeps read transactions open, each until another one was begun.
func readAlways(t *testing.T, db *DB) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	begin := func() *sql.Tx {
		tx, err := db.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err == nil {
			var n int
			err = tx.QueryRowContext(ctx, "SELECT count(*) FROM entries").Scan(&n)
		}
		if err != nil && ctx.Err() == nil {
			t.Errorf("read: %v", err)
		}
		return tx
	}
	done := make(chan struct{})
	held := begin()
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			next := begin()
			_ = held.Rollback() // ended by the context already, or ends now
			held = next
		}
	}()
	return func() { cancel(); <-done }
}

// TestTimes shows that times are UTC and survive at the ends of what a clock may
// say.
func TestTimes(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("far east", 14*3600)
	for _, now := range []time.Time{
		time.Date(2026, 3, 1, 23, 59, 59, 999_999_999, zone),
		time.Date(1969, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(2200, 1, 1, 0, 0, 0, 0, zone),
	} {
		t.Run(fmt.Sprint(now), func(t *testing.T) {
			t.Parallel()
			cfg := tempConfig(t)
			cfg.Clock = func() time.Time { return now }
			db := openTest(t, cfg)
			told := claim(t, db, 1)
			wantErr(t, "Close", db.Close(), nil)
			read, err := openTest(t, cfg).Entry(t.Context(), "acme", told.ID)
			wantErr(t, "Entry", err, nil)
			for name, got := range map[string]time.Time{"told": told.CreatedAt, "read": read.CreatedAt} {
				if got != now.UTC().Truncate(time.Microsecond) {
					t.Errorf("CreatedAt as %s is %v, want %v", name, got, now.UTC())
				}
			}
		})
	}
}
