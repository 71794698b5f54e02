package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

// defaultLimit is how many entries a query without a limit returns.
const defaultLimit = 50

// maxIn is how many messages one query asks for.
const maxIn = 500

// reader is where a query runs: the pool, or one transaction of it.
type reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// read runs f and names its error. A closed store and an ended context are told
// as such, whatever they made the driver say.
func (db *DB) read(ctx context.Context, what string, f func() error) error {
	err := ctx.Err()
	if err == nil && db.closed() {
		err = store.ErrClosed
	}
	if err == nil {
		err = f()
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = ctx.Err()
	case db.closed():
		err = store.ErrClosed
	case errors.Is(err, sql.ErrNoRows):
		err = store.ErrNotFound
	}
	return fmt.Errorf("%s: %w", what, err)
}

// snapshot runs f on one state of the database. One query sees one state anyway:
// then a transaction of its own is not needed.
func (db *DB) snapshot(ctx context.Context, many bool, f func(reader) error) (err error) {
	if !many {
		return f(db.reads)
	}
	tx, err := db.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() {
		// After the context's end the driver has rolled back by itself.
		if end := tx.Rollback(); err == nil && !errors.Is(end, sql.ErrTxDone) {
			err = end
		}
	}()
	return f(tx)
}

// collect reads all rows with scan.
func collect[T any](ctx context.Context, from reader, scan func(*sql.Rows) (T, error), query string, args ...any) (_ []T, err error) {
	rows, err := from.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var all []T
	for rows.Next() {
		one, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

func scanEntry(rows *sql.Rows) (ledger.Entry, error) {
	var r row
	if err := rows.Scan(r.targets()...); err != nil {
		return ledger.Entry{}, err
	}
	record, err := r.record()
	if err != nil {
		return ledger.Entry{}, err
	}
	return record.entry, nil
}

// Entry implements store.Ledger.
func (db *DB) Entry(ctx context.Context, tenant, id string) (e ledger.Entry, err error) {
	err = db.read(ctx, "read entry "+id, func() error {
		found, err := collect(ctx, db.reads, scanEntry,
			"SELECT "+entryColumns+" FROM entries WHERE id = ? AND tenant = ?", id, tenant)
		if err == nil && len(found) == 0 {
			return store.ErrNotFound
		}
		if err == nil {
			e = found[0]
		}
		return err
	})
	return e, err
}

// Holders implements store.Ledger.
func (db *DB) Holders(ctx context.Context, scope ledger.Scope, messages []string) (held []store.Holder, err error) {
	err = db.read(ctx, "read holders", func() error {
		return db.snapshot(ctx, len(messages) > maxIn, func(from reader) error {
			for part := range slices.Chunk(messages, maxIn) {
				some, err := holdersOf(ctx, from, scope, part)
				if err != nil {
					return err
				}
				held = append(held, some...)
			}
			return nil
		})
	})
	at := make(map[string]int, len(messages))
	for i, message := range slices.Backward(messages) {
		at[message] = i
	}
	slices.SortFunc(held, func(a, b store.Holder) int { return at[a.Message] - at[b.Message] })
	held = slices.CompactFunc(held, func(a, b store.Holder) bool { return a.Message == b.Message })
	return held, err
}

func holdersOf(ctx context.Context, from reader, scope ledger.Scope, messages []string) ([]store.Holder, error) {
	args := []any{scope.Tenant, scope.Adapter, scope.Account, scope.ContactType, scope.ContactID}
	for _, message := range messages {
		args = append(args, message)
	}
	scan := func(rows *sql.Rows) (store.Holder, error) {
		var message string
		var r row
		if err := rows.Scan(append([]any{&message}, r.targets()...)...); err != nil {
			return store.Holder{}, err
		}
		record, err := r.record()
		if err != nil {
			return store.Holder{}, err
		}
		return store.Holder{Message: message, Entry: record.entry}, nil
	}
	return collect(ctx, from, scan, `SELECT c.message, e.`+strings.ReplaceAll(entryColumns, ", ", ", e.")+`
		FROM claims c JOIN entries e ON e.seq = c.entry
		WHERE c.tenant = ? AND c.adapter = ? AND c.account = ? AND c.contact_type = ? AND c.contact_id = ?
		AND c.message IN (?`+strings.Repeat(", ?", len(messages)-1)+`) AND c.released = 0`, args...)
}

// Due implements store.Agenda.
func (db *DB) Due(ctx context.Context, limit int, except []string) (entries []ledger.Entry, wait time.Duration, err error) {
	err = db.read(ctx, "read what is due", func() error {
		return db.snapshot(ctx, true, func(from reader) error {
			now := db.clock().UTC().Truncate(time.Microsecond)
			leave, args := exceptOf(except)
			args = append([]any{now.UnixMicro()}, append(args, max(limit, 0))...)
			entries, err = collect(ctx, from, scanEntry, "SELECT "+entryColumns+` FROM entries
				WHERE next_at IS NOT NULL AND next_at <= ?`+leave+` ORDER BY next_at, seq LIMIT ?`, args...)
			if err != nil {
				return err
			}
			next, err := collect(ctx, from, scanInt,
				"SELECT next_at FROM entries WHERE next_at IS NOT NULL AND next_at > ? ORDER BY next_at LIMIT 1", now.UnixMicro())
			if len(next) > 0 {
				wait = moment(next[0]).Sub(now)
			}
			return err
		})
	})
	return entries, wait, err
}

// exceptOf returns the condition that leaves out entries of these adapters which
// are not in flight, and its parameters.
func exceptOf(adapters []string) (condition string, args []any) {
	if len(adapters) == 0 {
		return "", nil
	}
	args = append(args, string(ledger.InFlight))
	for _, name := range adapters {
		args = append(args, name)
	}
	return " AND (state = ? OR adapter NOT IN (?" + strings.Repeat(", ?", len(adapters)-1) + "))", args
}

func scanInt(rows *sql.Rows) (n int64, err error) { return n, rows.Scan(&n) }

// Payload implements store.Agenda.
func (db *DB) Payload(ctx context.Context, id string) (payload []byte, err error) {
	err = db.read(ctx, "read the payload of "+id, func() error {
		return db.reads.QueryRowContext(ctx,
			"SELECT p.body FROM entries e JOIN payloads p ON p.entry = e.seq WHERE e.id = ?", id).Scan(&payload)
	})
	return payload, err
}

// ErasePayloads implements store.Agenda.
func (db *DB) ErasePayloads(ctx context.Context, age time.Duration, limit int) (int, error) {
	var erased int64
	err := db.writer.submit(ctx, false, func(t *tx) (err error) {
		erased, err = t.stmts.eraseOld.run(t.now().Add(-age).UnixMicro(), int64(max(limit, 0)))
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("erase payloads: %w", err)
	}
	return int(erased), nil
}

// CountStates implements store.Agenda.
func (db *DB) CountStates(ctx context.Context, tenant string) (map[ledger.State]int, error) {
	counts := map[ledger.State]int{}
	err := db.read(ctx, "count entries", func() error {
		where, args := "", []any(nil)
		if tenant != "" {
			where, args = "WHERE tenant = ?", []any{tenant}
		}
		_, err := collect(ctx, db.reads, func(rows *sql.Rows) (struct{}, error) {
			var state ledger.State
			var n int
			err := rows.Scan(&state, &n)
			counts[state] = n
			return struct{}{}, err
		}, "SELECT state, sum(n) FROM counts "+where+" GROUP BY state", args...)
		return err
	})
	return counts, err
}
