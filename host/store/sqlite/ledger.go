package sqlite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/patchbay-crm/patchbay/host/ledger"
	"github.com/patchbay-crm/patchbay/host/store"
)

// Claim implements store.Ledger.
func (db *DB) Claim(ctx context.Context, c store.Claim) (store.Claimed, error) {
	if c.Draft.ID == "" || len(c.Draft.Messages) == 0 {
		return store.Claimed{}, errors.New("claim: the draft has no ID or no messages")
	}
	var got store.Claimed
	err := db.writer.submit(ctx, false, func(t *tx) (err error) {
		got, err = t.claim(c)
		return err
	})
	if err != nil {
		if code(err) == sqlite3.SQLITE_CONSTRAINT_UNIQUE {
			err = store.ErrConflict // entries_by_id is the only unique index there
		}
		return store.Claimed{}, fmt.Errorf("claim %s: %w", c.Draft.ID, err)
	}
	return got, nil
}

// Apply implements store.Ledger.
func (db *DB) Apply(ctx context.Context, id string, ev ledger.Event) (ledger.Result, error) {
	began := time.Now()
	var res ledger.Result
	err := db.writer.submit(ctx, ledger.Lazy(ev), func(t *tx) (err error) {
		res, err = t.apply(id, ledger.Aged(ev, store.Elapsed(began)))
		return err
	})
	if err != nil {
		return ledger.Result{}, fmt.Errorf("apply to %s: %w", id, err)
	}
	return res, nil
}

// claim takes the free messages of the draft.
func (t *tx) claim(c store.Claim) (store.Claimed, error) {
	seq, err := t.nextSeq()
	if err != nil {
		return store.Claimed{}, err
	}
	var got store.Claimed
	free := make([]string, 0, len(c.Draft.Messages))
	holders := holders{t: t}
	for _, message := range c.Draft.Messages {
		n, err := t.stmts.takeFree.run(keyOf(c.Draft.Scope, message, seq)...)
		if err != nil {
			return store.Claimed{}, fmt.Errorf("take a message: %w", err)
		}
		if n == 1 {
			free = append(free, message)
			continue
		}
		holder, err := holders.of(c.Draft.Scope, message, seq)
		if err != nil {
			return store.Claimed{}, err
		}
		if holder != nil && !slices.ContainsFunc(got.Held, names(message)) {
			got.Held = append(got.Held, store.Holder{Message: message, Entry: holder.entry.Clone()})
		}
	}
	if len(free) == 0 {
		return got, nil
	}
	r := &record{seq: seq, entry: rounded(ledger.Open(c.Draft, free, c.Timing, t.now()))}
	if err := t.insert(r, c.Payload); err != nil {
		return store.Claimed{}, err
	}
	got.Entry = r.entry.Clone()
	return got, nil
}

// names returns whether a holder is that message's.
func names(message string) func(store.Holder) bool {
	return func(h store.Holder) bool { return h.Message == message }
}

func (t *tx) insert(r *record, payload []byte) error {
	e := &r.entry
	text, err := encodeDetail(e)
	if err != nil {
		return err
	}
	if _, err := t.stmts.insertEntry.run(r.seq, e.ID, e.Tenant, e.Adapter, e.ContactType, e.ContactID,
		e.UserID, string(e.State), e.CreatedAt.UnixMicro(), column(e.NextAt), text); err != nil {
		return fmt.Errorf("write the entry: %w", err)
	}
	if len(payload) > 0 {
		if _, err := t.stmts.insertPayload.run(r.seq, e.CreatedAt.UnixMicro(), payload); err != nil {
			return fmt.Errorf("write the payload: %w", err)
		}
	}
	t.lastSeq = r.seq
	t.counts[countKey{e.Tenant, e.State}]++
	t.remember(r)
	return nil
}

// holders finds who holds messages, reading each holder once.
type holders struct {
	t    *tx
	read map[int64]*record
}

// of returns who holds the message: nil for nobody and for the entry own.
func (h *holders) of(scope ledger.Scope, message string, own int64) (*record, error) {
	row, err := h.t.stmts.holder.first(keyOf(scope, message)...)
	if err != nil {
		return nil, fmt.Errorf("read a claim: %w", err)
	}
	if row == nil || row[0].(int64) == own {
		return nil, nil
	}
	seq := row[0].(int64)
	if known := h.read[seq]; known != nil {
		return known, nil
	}
	r, err := h.t.load(h.t.stmts.entryBySeq, seq)
	if err != nil {
		return nil, err
	}
	if r == nil {
		return nil, errGone
	}
	if h.read == nil {
		h.read = map[int64]*record{}
	}
	h.read[seq] = r
	return r, nil
}

// keyOf returns the parameters of a claim's key, and further ones.
func keyOf(scope ledger.Scope, message string, further ...any) []any {
	return append([]any{
		message, scope.Tenant, scope.Adapter, scope.Account, scope.ContactType, scope.ContactID,
	}, further...)
}

// load reads one entry, nil when there is none.
func (t *tx) load(by *stmt, key any) (*record, error) {
	v, err := by.first(key)
	if err != nil {
		return nil, fmt.Errorf("read an entry: %w", err)
	}
	if v == nil {
		return nil, nil
	}
	r := row{seq: v[0].(int64), createdAt: v[8].(int64), detail: v[10].(string)}
	for i, into := range []*string{&r.id, &r.tenant, &r.adapter, &r.contactType, &r.contactID, &r.user, &r.state} {
		*into = v[1+i].(string)
	}
	if next, ok := v[9].(int64); ok {
		r.nextAt = &next
	}
	return r.record()
}

// apply runs the state table on the entry and writes what it says.
func (t *tx) apply(id string, ev ledger.Event) (ledger.Result, error) {
	r := t.open[id]
	if r == nil {
		var err error
		if r, err = t.load(t.stmts.entryByID, id); err != nil {
			return ledger.Result{}, err
		}
		if r == nil {
			return ledger.Result{}, refusal{store.ErrNotFound}
		}
	}
	var rows ledger.RowState
	if ledger.NeedsRows(r.entry, ev) {
		var err error
		if rows, err = t.rowState(r); err != nil {
			return ledger.Result{}, err
		}
	}
	res := ledger.Apply(r.entry.Clone(), ev, t.now(), rows)
	if !res.Changed() {
		return res, nil
	}
	res.Entry = rounded(res.Entry)
	changed := &record{seq: r.seq, entry: res.Entry}
	if err := t.update(r, changed, res); err != nil {
		return ledger.Result{}, err
	}
	res.Entry = res.Entry.Clone()
	return res, nil
}

func (t *tx) rowState(r *record) (ledger.RowState, error) {
	state := ledger.RowsFree
	holders := holders{t: t}
	for _, message := range r.entry.Messages {
		holder, err := holders.of(r.entry.Scope, message, r.seq)
		switch {
		case err != nil:
			return 0, err
		case holder == nil:
		case holder.entry.State == ledger.Logged:
			return ledger.RowsLogged, nil
		default:
			state = ledger.RowsHeld
		}
	}
	return state, nil
}

func (t *tx) update(before, after *record, res ledger.Result) error {
	e := &after.entry
	text, err := encodeDetail(e)
	if err != nil {
		return err
	}
	if _, err := t.stmts.updateEntry.run(string(e.State), column(e.NextAt), text, after.seq); err != nil {
		return fmt.Errorf("write the entry: %w", err)
	}
	if err := t.moveRows(after, res.Rows); err != nil {
		return err
	}
	if res.ErasePayload {
		if _, err := t.stmts.erasePayload.run(after.seq); err != nil {
			return fmt.Errorf("erase the payload: %w", err)
		}
	}
	if before.entry.State != e.State {
		t.counts[countKey{e.Tenant, before.entry.State}]--
		t.counts[countKey{e.Tenant, e.State}]++
	}
	t.remember(after)
	return nil
}

// moveRows releases or takes the entry's claims. The table says "take" only when
// all of them are free.
func (t *tx) moveRows(r *record, rows ledger.Rows) error {
	move := t.stmts.release
	switch rows {
	case ledger.KeepRows:
		return nil
	case ledger.TakeRows:
		move = t.stmts.takeAgain
	case ledger.ReleaseRows:
	}
	for _, message := range r.entry.Messages {
		n, err := move.run(keyOf(r.entry.Scope, message, r.seq)...)
		if err != nil {
			return fmt.Errorf("move a claim: %w", err)
		}
		if rows == ledger.TakeRows && n != 1 {
			return errHeld
		}
	}
	return nil
}
