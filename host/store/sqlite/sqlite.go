// Package sqlite keeps the ledger in one SQLite file, for a host that runs alone
// on its machine.
//
// # Writing
//
// One goroutine writes, on one connection. Callers hand it their writes and wait.
// What has queued up while one commit ran forms the next: many callers share one
// fsync, a single caller waits for no one, and no timer is involved.
//
//	callers ──► queue ──► writer: BEGIN, write, write, ..., COMMIT ──► callers
//	                          ▲                                   │
//	                          └──── the next batch meanwhile ◄────┘
//
// A batch is fsynced unless all its writes are lazy (ledger.Lazy, rule 5 of
// docs/DELIVERY.md); a lazy one is made durable by the next fsync. When one write
// of a batch fails, the batch is rolled back and each of its writes gets a
// transaction of its own, so that nobody pays for his neighbour.
//
// Writes run under no caller's context. A caller whose context ends while his
// write waits takes it back; once it was taken up, he waits for its outcome.
//
// # The log
//
// A commit is appended to SQLite's write-ahead log. Now and then, after its
// callers were answered, the writer moves what the log holds into the database
// file, so that the log begins anew.
//
// A failed fsync leaves two doubts: whether the commit will be there after a
// power loss, and whether earlier lazy ones will; a hole in the log would hide
// everything behind it. The writer settles both by moving the whole log into the
// database file and cutting it off. Where that succeeds, the failed commit surely
// did not take place. Where it fails too, callers are told store.ErrUncertain,
// and the writer tries again before it writes anything else; until then writes
// fail with the cause, surely unwritten.
//
// # Reading
//
// Readers have a small pool of connections of their own, and see what is
// committed.
package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/patchbay-crm/patchbay/host/store"
)

// Config says where the database is.
type Config struct {
	// Path is the database file. It and its directory are made when missing, with
	// modes 0600 and 0700. Beside it stand <path>.lock, <path>-wal and <path>-shm.
	Path string
	// Clock is the store's clock; time.Now by default.
	Clock func() time.Time
	// Readers is the most connections used for reading; 4 by default.
	Readers int

	// Log takes the failures that no caller is told of; by default none are kept.
	Log *slog.Logger

	// vfs names the file system that SQLite uses: this package's tests have one
	// that breaks.
	vfs string
}

func (c Config) withDefaults() Config {
	c.Readers = cmp.Or(c.Readers, 4)
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func (c Config) validate() error {
	if c.Path == "" {
		return errors.New("Path is empty")
	}
	if c.Readers < 0 {
		return errors.New("Readers is negative")
	}
	return nil
}

// DB is an open database: a store.Store. Its methods may be called concurrently.
type DB struct {
	path   string
	clock  func() time.Time
	lock   *os.File
	reads  *sql.DB
	writer *writer

	closeOnce sync.Once
	closeErr  error
}

var _ store.Store = (*DB)(nil)

// Open opens the database, makes it when there is none, and brings its schema up
// to date. It starts the goroutine that Close ends.
//
// It fails when another process has the file open, when the file is no Patchbay
// database, and when a newer Patchbay wrote it.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	db, err := open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open ledger %s: %w", cfg.Path, err)
	}
	return db, nil
}

func open(ctx context.Context, cfg Config) (_ *DB, err error) {
	path, err := filepath.Abs(cfg.Path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	db := &DB{path: path, clock: cfg.Clock}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.release())
		}
	}()
	if db.lock, err = lockFile(path + ".lock"); err != nil {
		return nil, err
	}
	if err := makeFile(path); err != nil {
		return nil, err
	}
	if err := migrate(ctx, path, cfg); err != nil {
		return nil, err
	}
	if db.reads, err = openReads(path, cfg); err != nil {
		return nil, err
	}
	if db.writer, err = newWriter(ctx, path, cfg); err != nil {
		return nil, err
	}
	go db.writer.run()
	return db, nil
}

// makeFile makes an empty file when there is none: SQLite itself would make it
// readable by others. Its companions take over the file's mode.
func makeFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Chmod(0o600), file.Close())
}

// Close ends the writer after the batch under way, fails the writes that still
// wait with store.ErrClosed, and closes the file. Further calls return what the
// first one returned.
func (db *DB) Close() error {
	db.closeOnce.Do(func() {
		if err := db.release(); err != nil {
			db.closeErr = fmt.Errorf("close ledger %s: %w", db.path, err)
		}
	})
	return db.closeErr
}

// release gives back what open got, the lock last.
func (db *DB) release() error {
	var errs []error
	if db.writer != nil {
		db.writer.stop()
	}
	if db.reads != nil {
		errs = append(errs, db.reads.Close())
	}
	if db.writer != nil {
		// The last connection to be closed empties the log into the file.
		errs = append(errs, db.writer.conn.close())
	}
	if db.lock != nil {
		errs = append(errs, db.lock.Close())
	}
	return errors.Join(errs...)
}

// closed reports whether Close was called.
func (db *DB) closed() bool {
	select {
	case <-db.writer.closing:
		return true
	default:
		return false
	}
}
