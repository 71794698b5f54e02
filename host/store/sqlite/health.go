package sqlite

import (
	"sync/atomic"
	"time"

	sqlite3 "modernc.org/sqlite/lib"
)

// probeEvery is the shortest time between two tries whether the database can be
// written again.
const probeEvery = time.Second

// health is whether the last write reached the disk. Any goroutine may read it; the
// writer's alone sets it.
type health struct {
	failed atomic.Pointer[writeFailure]
	probed atomic.Int64 // when a try was last handed to the writer, in Unix nanoseconds
}

// writeFailure is the error of the last write.
type writeFailure struct{ err error }

// Healthy returns nil, or the error of the last write when the database did not
// take it; that stands until it takes one. It answers from memory. While an error
// stands, it has the writer try again, at most once a second: nobody else may
// write meanwhile.
func (db *DB) Healthy() error {
	failure := db.writer.health.failed.Load()
	if failure == nil {
		return nil
	}
	db.writer.probe(time.Now())
	return failure.err
}

// probe queues a write for its own sake, unless one was queued just now or others
// wait anyway.
func (w *writer) probe(now time.Time) {
	last := w.health.probed.Load()
	if now.UnixNano()-last < int64(probeEvery) || !w.health.probed.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	job := &write{done: make(chan struct{}), run: func(*tx) error {
		_, err := w.log.touch.run()
		return err
	}}
	select {
	case w.queue <- job:
	default:
	}
}

// failing notes the error of a transaction that did not take place.
func (w *writer) failing(err error) {
	w.health.failed.Store(&writeFailure{err})
	w.countPages()
}

// committed notes that a transaction took place. One that wrote nothing proves
// nothing.
func (w *writer) committed() {
	if w.health.failed.Load() != nil && w.countPages() > 0 {
		w.health.failed.Store(nil)
	}
}

// countPages returns how many pages were written since it was last called, and
// leaves them to the log's own count.
func (w *writer) countPages() int {
	n, err := w.conn.written()
	if err != nil {
		return 0
	}
	w.log.written += n
	return n
}

// ofTheDisk reports whether a write failed because of what lies below SQLite, and
// not because of what it was asked to write.
func ofTheDisk(err error) bool {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN,
		sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM:
		return true
	default:
		return false
	}
}
