package sqlite

import (
	"context"
	"database/sql/driver"
	"path/filepath"
	"strings"
	"testing"
)

// TestHotStatementsNeedNoTemporaryTable holds what a call writes against SQLite's
// own plan: a temporary table costs more than the row that is written.
func TestHotStatementsNeedNoTemporaryTable(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	c, err := connect(t.Context(), Config{}.dsn(db.path, ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	s := &db.writer.tx.stmts
	for name, hot := range map[string]*stmt{
		"take a message": s.takeFree, "write an entry": s.insertEntry, "write a payload": s.insertPayload,
		"change an entry": s.updateEntry, "erase a payload": s.erasePayload, "count": s.addCount,
	} {
		plan := explain(t, c, hot.text)
		if len(plan) == 0 {
			t.Errorf("%s has no plan", name)
		}
		for _, step := range plan {
			if step == "OpenEphemeral" || step == "OpenAutoindex" || strings.HasPrefix(step, "Sorter") {
				t.Errorf("%s takes a temporary table: %v", name, plan)
				break
			}
		}
	}
}

// explain returns the operations that a statement is compiled to.
func explain(t *testing.T, c *conn, query string) []string {
	t.Helper()
	s, err := c.prepare("EXPLAIN " + query)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := s.query.QueryContext(context.Background(), s.bind(make([]any, strings.Count(query, "?"))))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	row := make([]driver.Value, len(rows.Columns()))
	var steps []string
	for rows.Next(row) == nil {
		step, _ := row[1].(string)
		steps = append(steps, step)
	}
	return steps
}
