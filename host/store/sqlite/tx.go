package sqlite

import (
	"errors"
	"fmt"
	"time"

	"github.com/patchbay-crm/patchbay/host/ledger"
)

// maxOpen is how many entries in flight the writer remembers at most. Beyond it,
// entries are read back from the database.
const maxOpen = 1 << 16

// tx is the writer's transaction: its statements, and what it remembers of the
// database between transactions. Nothing but the writer changes the database, so
// what is remembered is true until a transaction is rolled back.
type tx struct {
	clock func() time.Time
	stmts statements

	// open are the entries in flight that were met lately, by ID: the log ID that
	// ends almost every one of them needs no query then.
	open map[string]*record
	// closed are those of open that are in flight no more.
	closed []string
	// lastSeq is the highest seq given out; 0 when it must be read.
	lastSeq int64
	// counts are the changes of the table counts that this transaction makes.
	counts map[countKey]int64
}

// record is an entry and its key.
type record struct {
	seq   int64
	entry ledger.Entry
}

type countKey struct {
	tenant string
	state  ledger.State
}

// statements are all that the writer's hot path runs.
type statements struct {
	lastSeq, insertEntry, updateEntry, entryByID, entryBySeq        *stmt
	takeFree, holder, release, takeAgain                            *stmt
	insertPayload, erasePayload, eraseOld, addCount                 *stmt
	tenantRevision, saveTenant, enablementRevision                  *stmt
	saveEnablement, removeEnablement, nextRevision                  *stmt
	token, saveToken, removeToken, pin, repin, pinned, fact, stands *stmt
}

const entryColumns = `seq, id, tenant, adapter, contact_type, contact_id, user_id, state, created_at, next_at, detail`

// claimKey selects a message's claims; the parameters of its methods come first.
const claimKey = ` message = ?1 AND tenant = ?2 AND adapter = ?3 AND account = ?4 AND contact_type = ?5 AND contact_id = ?6 `

func newTx(c *conn, clock func() time.Time) (*tx, error) {
	t := &tx{clock: clock, open: map[string]*record{}, counts: map[countKey]int64{}}
	s := &t.stmts
	for into, query := range map[**stmt]string{
		&s.lastSeq: "SELECT coalesce(max(seq), 0) FROM entries",
		&s.insertEntry: `INSERT INTO entries (` + entryColumns + `)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		&s.updateEntry: "UPDATE entries SET state = ?, next_at = ?, detail = ? WHERE seq = ?",
		&s.entryByID:   "SELECT " + entryColumns + " FROM entries WHERE id = ?",
		&s.entryBySeq:  "SELECT " + entryColumns + " FROM entries WHERE seq = ?",
		&s.takeFree: `INSERT INTO claims (message, tenant, adapter, account, contact_type, contact_id, released, entry)
			VALUES (?, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO NOTHING`,
		&s.holder:        "SELECT entry FROM claims WHERE" + claimKey + "AND released = 0",
		&s.release:       "UPDATE claims SET released = ?7 WHERE" + claimKey + "AND released = 0 AND entry = ?7",
		&s.takeAgain:     "UPDATE claims SET released = 0 WHERE" + claimKey + "AND released = ?7",
		&s.insertPayload: "INSERT INTO payloads (entry, created_at, body) VALUES (?, ?, ?)",
		&s.erasePayload:  "DELETE FROM payloads WHERE entry = ?",
		// Entries are numbered in the order they were made: the first young one
		// ends the search.
		&s.eraseOld: `DELETE FROM payloads WHERE entry IN (SELECT entry FROM payloads WHERE entry < coalesce(
			(SELECT entry FROM payloads WHERE created_at >= ? ORDER BY entry LIMIT 1), 9223372036854775807)
			ORDER BY entry LIMIT ?)`,
		&s.addCount: `INSERT INTO counts (tenant, state, n) VALUES (?, ?, ?)
			ON CONFLICT (tenant, state) DO UPDATE SET n = n + excluded.n`,

		&s.nextRevision:       "UPDATE installation SET revision = revision + 1 RETURNING revision",
		&s.tenantRevision:     "SELECT revision FROM tenants WHERE id = ?",
		&s.saveTenant:         "INSERT OR REPLACE INTO tenants (" + tenantColumns + ") VALUES (?, ?, ?, ?, ?, ?)",
		&s.enablementRevision: "SELECT revision FROM enablements WHERE tenant = ? AND adapter = ?",
		&s.saveEnablement: "INSERT OR REPLACE INTO enablements (" + enablementColumns +
			") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		&s.removeEnablement: "DELETE FROM enablements WHERE tenant = ? AND adapter = ?",
		&s.token:            "SELECT count(*) FROM tokens WHERE id = ? OR hash = ?",
		&s.saveToken:        "INSERT INTO tokens (" + tokenColumns + ") VALUES (?, ?, ?, ?, ?, ?)",
		&s.removeToken:      "DELETE FROM tokens WHERE id = ?",
		&s.pin:              "INSERT INTO pins (name, version, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
		&s.repin:            "INSERT OR REPLACE INTO pins (name, version, digest) VALUES (?, ?, ?)",
		&s.pinned:           "SELECT digest FROM pins WHERE name = ? AND version = ?",
		&s.fact:             "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING",
		&s.stands:           "SELECT value FROM facts WHERE name = ?",
	} {
		var err error
		if *into, err = c.prepare(query); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// now is the store's clock, as precise as the store keeps it.
func (t *tx) now() time.Time { return t.clock().UTC().Truncate(time.Microsecond) }

// nextSeq returns a seq that no entry has.
func (t *tx) nextSeq() (int64, error) {
	if t.lastSeq == 0 {
		row, err := t.stmts.lastSeq.first()
		if err != nil {
			return 0, fmt.Errorf("read the last entry's number: %w", err)
		}
		t.lastSeq = row[0].(int64)
	}
	return t.lastSeq + 1, nil
}

// remember keeps the record as long as it is in flight.
func (t *tx) remember(r *record) {
	id := r.entry.ID
	if r.entry.State != ledger.InFlight {
		t.closed = append(t.closed, id)
	} else if t.open[id] == nil && len(t.open) >= maxOpen {
		return
	}
	t.open[id] = r
}

// flush writes what was put off to the end of the transaction.
func (t *tx) flush() error {
	for key, n := range t.counts {
		if n == 0 {
			continue
		}
		if _, err := t.stmts.addCount.run(key.tenant, string(key.state), n); err != nil {
			return fmt.Errorf("count entries: %w", err)
		}
	}
	return nil
}

// committed is called when the transaction took place.
func (t *tx) committed() {
	for _, id := range t.closed {
		if r := t.open[id]; r != nil && r.entry.State != ledger.InFlight {
			delete(t.open, id)
		}
	}
	t.closed = t.closed[:0]
	clear(t.counts)
}

// forget is called when it did not: what is remembered may not be true.
func (t *tx) forget() {
	clear(t.open)
	t.closed = t.closed[:0]
	clear(t.counts)
	t.lastSeq = 0
}

// Bugs, or a damaged file.
var (
	errGone = errors.New("a claim names an entry that does not exist")
	errHeld = errors.New("a message to be taken again is not free")
)
