package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/patchbay-crm/patchbay/host/store"
)

// The bounds of the writer: writes in one transaction, and writes waiting.
// Callers beyond those wait outside the queue, each for as long as his context.
const (
	maxBatch = 512
	maxQueue = 1024
)

// write is one caller's write.
type write struct {
	// run makes the write. It may be run again after its transaction was rolled
	// back. An error of type refusal says that it chose to write nothing; any
	// other error rolls the transaction back.
	run  func(*tx) error
	lazy bool // needs no fsync of its own

	state atomic.Int32 // waiting, then taken or abandoned
	err   error        // set before done is closed
	done  chan struct{}
}

const (
	waiting int32 = iota
	taken
	abandoned
)

// refusal is the error of a write that wrote nothing, on purpose.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// writer is the one that writes. run is its goroutine and alone uses the fields
// below the line.
type writer struct {
	queue    chan *write
	closing  chan struct{}
	ended    chan struct{}
	stopOnce sync.Once
	health   health

	// ---
	conn   *conn
	tx     *tx
	begin  *stmt
	commit *stmt
	abort  *stmt
	log    *log
}

func newWriter(ctx context.Context, path string, cfg Config) (_ *writer, err error) {
	// Checkpoints are log's. The last parameter is of Apple's systems, where an
	// fsync without it leaves data in the disk's cache.
	c, err := connect(ctx, cfg.dsn(path, "_pragma=synchronous(FULL)&_pragma=cache_size(-16384)&"+
		"_pragma=wal_autocheckpoint(0)&_pragma=journal_size_limit(67108864)&"+
		"_pragma=fullfsync(1)&_pragma=checkpoint_fullfsync(1)"))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	w := &writer{
		queue: make(chan *write, maxQueue), closing: make(chan struct{}), ended: make(chan struct{}),
		conn: c,
	}
	for into, query := range map[**stmt]string{
		&w.begin: "BEGIN IMMEDIATE", &w.commit: "COMMIT", &w.abort: "ROLLBACK",
	} {
		if *into, err = c.prepare(query); err != nil {
			return nil, err
		}
	}
	if w.log, err = newLog(c, cfg.Log); err != nil {
		return nil, err
	}
	if w.tx, err = newTx(c, cfg.Clock); err != nil {
		return nil, err
	}
	return w, nil
}

// submit hands the write to the writer and waits for its outcome.
func (w *writer) submit(ctx context.Context, lazy bool, run func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	job := &write{run: run, lazy: lazy, done: make(chan struct{})}
	select {
	case <-w.closing:
		return store.ErrClosed
	default:
	}
	select {
	case w.queue <- job:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closing:
		return store.ErrClosed
	}
	select {
	case <-job.done:
		return job.err
	case <-ctx.Done():
		if job.state.CompareAndSwap(waiting, abandoned) {
			return ctx.Err()
		}
	case <-w.ended:
		if job.state.CompareAndSwap(waiting, abandoned) {
			return store.ErrClosed
		}
	}
	<-job.done // it was taken up: its outcome comes
	return job.err
}

// stop ends run after its batch and waits for it. If run was never started, the
// writer cannot be used afterwards either.
func (w *writer) stop() {
	w.stopOnce.Do(func() { close(w.closing) })
	<-w.ended
}

// run writes until stop. Writes that it does not come to are failed by submit.
func (w *writer) run() {
	defer close(w.ended)
	batch := make([]*write, 0, maxBatch)
	for {
		select {
		case <-w.closing:
			return
		default:
		}
		select {
		case <-w.closing:
			return
		case job := <-w.queue:
			batch = w.collect(append(batch[:0], job))
			w.writeAll(batch)
			clear(batch)
			w.log.tidy() // while the callers are busy with their answers
		}
	}
}

// collect adds what waits to the batch, leaving out what was abandoned.
func (w *writer) collect(first []*write) []*write {
	// Callers answered by the last commit are runnable and about to queue their
	// next write: letting them run makes batches larger and costs one caller
	// alone nothing.
	runtime.Gosched()
	batch := first
	if !first[0].state.CompareAndSwap(waiting, taken) {
		batch = first[:0]
	}
	for len(batch) < maxBatch {
		select {
		case job := <-w.queue:
			if job.state.CompareAndSwap(waiting, taken) {
				batch = append(batch, job)
			}
		default:
			return batch
		}
	}
	return batch
}

// writeAll gives every write of the batch its outcome.
func (w *writer) writeAll(batch []*write) {
	if len(batch) == 0 {
		return
	}
	failed := w.transact(batch)
	if failed != nil && len(batch) > 1 {
		// Everything was rolled back because of one: let each stand for itself.
		for _, job := range batch {
			_ = w.transact([]*write{job}) // it is the job's
		}
	}
	for _, job := range batch {
		close(job.done)
	}
}

// transact makes the writes in one transaction and sets their errors. It returns
// an error only when a write itself failed and was rolled back.
func (w *writer) transact(batch []*write) error {
	durable := false
	for _, job := range batch {
		job.err = nil
		durable = durable || !job.lazy
	}
	if err := w.start(durable); err != nil {
		w.failing(err)
		fail(batch, fmt.Errorf("begin: %w", err))
		return nil
	}
	for _, job := range batch {
		if job.err = w.protect(job); job.err == nil || errors.As(job.err, new(refusal)) {
			continue
		}
		w.rollback()
		if ofTheDisk(job.err) {
			w.failing(job.err)
		}
		return job.err
	}
	if err := w.tx.flush(); err != nil {
		w.rollback()
		w.failing(err)
		fail(batch, err)
		return nil
	}
	if err := w.end(); err != nil {
		w.failing(err)
		fail(batch, err)
		return nil
	}
	w.tx.committed()
	w.committed()
	return nil
}

func fail(batch []*write, err error) {
	for _, job := range batch {
		job.err = err
	}
}

// start begins a transaction that is fsynced when it is to be durable.
func (w *writer) start(durable bool) error {
	if err := w.log.sound(); err != nil {
		return err
	}
	if err := w.log.sync(durable); err != nil {
		return err
	}
	_, err := w.begin.run()
	return err
}

// protect runs the write and turns a panic into an error: one bad write must not
// end the writer.
func (w *writer) protect(job *write) (err error) {
	defer func() {
		if v := recover(); v != nil {
			stack := make([]byte, 4096)
			err = fmt.Errorf("the write panicked: %v\n%s", v, stack[:runtime.Stack(stack, false)])
		}
	}()
	return job.run(w.tx)
}

// rollback takes back the transaction, if one is open, and forgets what was
// remembered of it. SQLite rolls back by itself after some errors, so this one's
// error tells nothing: the next BEGIN would fail.
func (w *writer) rollback() {
	_, _ = w.abort.run()
	w.tx.forget()
}

// end commits. Its error is store.ErrUncertain unless the transaction surely did
// not take place.
func (w *writer) end() error {
	_, err := w.commit.run()
	if err == nil {
		return nil
	}
	w.rollback()
	if reachedDisk(err) {
		w.log.doubt(err)
		if mending := w.log.sound(); mending != nil {
			return fmt.Errorf("commit: %w: %w", store.ErrUncertain, mending)
		}
	}
	return fmt.Errorf("commit: %w", err)
}

// reachedDisk reports whether a commit that failed so may be on the disk
// nevertheless. A full disk may not: it refuses to write the log, and without its
// last page the log holds no commit.
func reachedDisk(err error) bool {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CONSTRAINT:
		return false
	default:
		return true
	}
}
