package sqlite

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

// Entries implements store.Ledger. Each state is looked up by itself, by the index
// that serves it best.
func (db *DB) Entries(ctx context.Context, q store.Query) (entries []ledger.Entry, err error) {
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	states := slices.Compact(slices.Sorted(slices.Values(q.States)))
	if len(states) == 0 {
		states = []ledger.State{""}
	}
	err = db.read(ctx, "list entries", func() error {
		return db.snapshot(ctx, len(states) > 1, func(from reader) error {
			for _, state := range states {
				query, args := build(q, state)
				some, err := collect(ctx, from, scanEntry, query, args...)
				if err != nil {
					return err
				}
				entries = append(entries, some...)
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b ledger.Entry) int { return cmp.Compare(b.ID, a.ID) })
	return entries[:min(len(entries), q.Limit)], nil
}

// build returns the statement for one state, or for all when it is empty.
func build(q store.Query, state ledger.State) (string, []any) {
	var where []string
	var args []any
	when := func(asked bool, condition string, values ...any) {
		if asked {
			where = append(where, condition)
			args = append(args, values...)
		}
	}
	from := "entries"
	switch state {
	case "":
	case ledger.InFlight: // each has a window's end that is to come
		from = "entries INDEXED BY entries_due"
		when(true, "next_at IS NOT NULL AND state = ?", string(state))
	case ledger.Queued, ledger.Unknown, ledger.Failed:
		from = "entries INDEXED BY entries_of_note"
		when(true, "state <> 'in_flight' AND state <> 'logged' AND state = ?", string(state))
	case ledger.Logged:
		when(true, "state = ?", string(state))
	default:
		when(true, "false")
	}
	when(q.MessageID != "" && q.Tenant == "", "seq IN (SELECT entry FROM claims WHERE message = ?)", q.MessageID)
	when(q.MessageID != "" && q.Tenant != "",
		"seq IN (SELECT entry FROM claims WHERE message = ? AND tenant = ?)", q.MessageID, q.Tenant)
	when(q.Tenant != "", "tenant = ?", q.Tenant)
	when(q.Adapter != "", "adapter = ?", q.Adapter)
	when(q.ContactID != "", "contact_id = ?", q.ContactID)
	when(q.UserID != "", "user_id = ?", q.UserID)
	if q.ContactType != nil {
		when(true, "contact_type = ?", *q.ContactType)
	}
	when(!q.Since.IsZero(), "created_at >= ?", ceilMicros(q.Since))
	when(!q.Until.IsZero(), "created_at < ?", ceilMicros(q.Until))
	when(q.Before != "", "id < ?", q.Before)
	query := "SELECT " + entryColumns + " FROM " + from
	if len(where) > 0 {
		query += " WHERE " + strings.Join(where, " AND ")
	}
	return query + " ORDER BY id DESC LIMIT ?", append(args, q.Limit)
}

// ceilMicros rounds up: times in the database are whole microseconds, so a bound
// in between two is the later one.
func ceilMicros(t time.Time) int64 {
	us := t.UnixMicro()
	if t.After(time.UnixMicro(us)) {
		us++
	}
	return us
}
