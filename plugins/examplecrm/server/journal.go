package server

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the database/sql driver
)

const schema = `
CREATE TABLE IF NOT EXISTS contacts (
	type TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, phone_number TEXT NOT NULL,
	PRIMARY KEY (type, id)
);
CREATE TABLE IF NOT EXISTS activities (
	id INTEGER PRIMARY KEY AUTOINCREMENT,
	contact_id TEXT NOT NULL, contact_type TEXT NOT NULL, subject TEXT NOT NULL, note TEXT NOT NULL,
	message_ids TEXT NOT NULL, external_id TEXT NOT NULL, associated_deal TEXT NOT NULL, address TEXT NOT NULL,
	channel TEXT NOT NULL, owner TEXT NOT NULL, occurred_at TEXT NOT NULL, created_at TEXT NOT NULL
);`

// The statements that change the database.
const (
	insertActivity = `INSERT INTO activities VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	deleteActivity = `DELETE FROM activities WHERE id = ?`
	knowContact    = `INSERT INTO contacts VALUES (?, ?, '', '') ON CONFLICT DO NOTHING`
	putContact     = `INSERT OR REPLACE INTO contacts VALUES (?, ?, ?, ?)`
)

// change is one statement to be executed.
type change struct {
	query string
	args  []any
}

// batch is the changes that share a transaction.
type batch struct {
	changes []change
	done    bool // guarded by journal.commit
	err     error
}

// journal writes records to a SQLite file. A nil journal writes nothing.
//
// Callers of one moment share a transaction without a goroutine or a timer: each
// adds its changes to the batch that is being collected and then waits for the
// commit lock. Whoever gets it first closes the batch and commits it for all.
type journal struct {
	db    *sql.DB
	stmts map[string]*sql.Stmt

	commit sync.Mutex // held while a transaction runs

	mu   sync.Mutex
	next *batch // collects; guarded by mu
}

func openJournal(path string) (*journal, error) {
	path, err := filepath.Abs(path) // a relative path would read as a host name
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	dsn := (&url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": {
		"journal_mode(WAL)", "synchronous(OFF)", "busy_timeout(5000)", "locking_mode(EXCLUSIVE)",
	}}.Encode()}).String()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.SetMaxOpenConns(1)
	j := &journal{db: db, stmts: make(map[string]*sql.Stmt), next: new(batch)}
	if err := j.prepare(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return j, nil
}

func (j *journal) prepare() error {
	if _, err := j.db.Exec(schema); err != nil {
		return fmt.Errorf("create tables: %w", err)
	}
	for _, query := range []string{insertActivity, deleteActivity, knowContact, putContact} {
		stmt, err := j.db.Prepare(query) //nolint:sqlclosecheck // close closes them
		if err != nil {
			return fmt.Errorf("prepare statement: %w", err)
		}
		j.stmts[query] = stmt
	}
	return nil
}

// write executes the changes in one transaction, together with those of other
// callers, and returns when they are committed.
func (j *journal) write(changes ...change) error {
	if j == nil || len(changes) == 0 {
		return nil
	}
	j.mu.Lock()
	mine := j.next
	mine.changes = append(mine.changes, changes...)
	j.mu.Unlock()

	j.commit.Lock()
	defer j.commit.Unlock()
	if !mine.done {
		j.mu.Lock()
		j.next = new(batch)
		j.mu.Unlock()
		mine.err = j.transact(mine.changes)
		mine.done = true
	}
	return mine.err
}

func (j *journal) transact(changes []change) error {
	tx, err := j.db.Begin()
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	for _, c := range changes {
		if _, err := tx.Stmt(j.stmts[c.query]).Exec(c.args...); err != nil { //nolint:sqlclosecheck // it ends with tx
			return errors.Join(fmt.Errorf("write records: %w", err), tx.Rollback())
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit records: %w", err)
	}
	return nil
}

// close closes the file. No write may follow.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	j.commit.Lock()
	defer j.commit.Unlock()
	if err := j.db.Close(); err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}

func storeActivity(a *Activity) (change, error) {
	ids, err := json.Marshal(a.MessageIDs)
	if err != nil {
		return change{}, fmt.Errorf("encode message ids: %w", err)
	}
	return change{insertActivity, []any{
		a.ID, a.ContactID, a.ContactType, a.Subject, a.Note, string(ids), a.ExternalID, a.AssociatedDeal, a.Address,
		a.Channel, a.Owner, timeText(a.OccurredAt), timeText(a.CreatedAt),
	}}, nil
}

func storeContact(c Contact) change {
	return change{putContact, []any{c.Type, c.ID, c.Name, c.PhoneNumber}}
}

// load hands every stored record to the functions, contacts first, activities in
// the order of their ids, and returns the highest activity id ever given out.
func (j *journal) load(contact func(Contact), activity func(*Activity)) (last int64, err error) {
	rows, err := j.db.Query(`SELECT id, type, name, phone_number FROM contacts`)
	if err != nil {
		return 0, fmt.Errorf("read contacts: %w", err)
	}
	err = each(rows, func() error {
		var c Contact
		if err := rows.Scan(&c.ID, &c.Type, &c.Name, &c.PhoneNumber); err != nil {
			return err
		}
		contact(c)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read contacts: %w", err)
	}
	rows, err = j.db.Query(`SELECT id, contact_id, contact_type, subject, note, message_ids, external_id,
		associated_deal, address, channel, owner, occurred_at, created_at FROM activities ORDER BY id`)
	if err != nil {
		return 0, fmt.Errorf("read activities: %w", err)
	}
	err = each(rows, func() error {
		a, err := scanActivity(rows)
		if err == nil {
			activity(a)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("read activities: %w", err)
	}
	err = j.db.QueryRow(`SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'activities'`).Scan(&last)
	if err != nil {
		return 0, fmt.Errorf("read the last id: %w", err)
	}
	return last, nil
}

func each(rows *sql.Rows, row func() error) error {
	for rows.Next() {
		if err := row(); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

func scanActivity(rows *sql.Rows) (*Activity, error) {
	var a Activity
	var ids, occurred, created string
	err := rows.Scan(&a.ID, &a.ContactID, &a.ContactType, &a.Subject, &a.Note, &ids, &a.ExternalID,
		&a.AssociatedDeal, &a.Address, &a.Channel, &a.Owner, &occurred, &created)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(ids), &a.MessageIDs); err != nil {
		return nil, fmt.Errorf("message ids of activity %d: %w", a.ID, err)
	}
	if a.OccurredAt, err = parseTimeText(occurred); err != nil {
		return nil, fmt.Errorf("time of activity %d: %w", a.ID, err)
	}
	if a.CreatedAt, err = parseTimeText(created); err != nil {
		return nil, fmt.Errorf("time of activity %d: %w", a.ID, err)
	}
	return &a, nil
}

// timeText writes a time so that its text reads back as the same time; the zero
// time is empty.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

func parseTimeText(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.RFC3339Nano, text)
}
