package sqlite

import (
	"errors"
	"fmt"
	"log/slog"
)

// When the log is emptied, in pages of 4 KiB: an attempt that leaves readers alone
// after each tidyAfter written, and one that waits for them where those attempts
// let it grow beyond maxLog.
const (
	tidyAfter = 1000
	maxLog    = 16 * 1024
)

// log is the write-ahead log. The writer's goroutine uses it, outside transactions.
type log struct {
	conn *conn
	out  *slog.Logger
	// The checkpoints: beside readers; waiting for them; waiting for them and
	// cutting the log off.
	beside, restart, truncate *stmt
	// touch is a write for its own sake: it leaves out a revision of the directory.
	touch *stmt
	// synced is what the connection's synchronous pragma is set to: FULL or NORMAL.
	synced bool
	// after and most are tidyAfter and maxLog, but in tests.
	after, most int
	// written is the number of pages written since the last attempt to empty it.
	written int
	// doubted is the failure that the log has to be settled after, or nil.
	doubted error
}

func newLog(c *conn, out *slog.Logger) (*log, error) {
	l := &log{conn: c, out: out, synced: true, after: tidyAfter, most: maxLog}
	for into, query := range map[**stmt]string{
		&l.beside:   "PRAGMA wal_checkpoint(PASSIVE)",
		&l.restart:  "PRAGMA wal_checkpoint(RESTART)",
		&l.truncate: "PRAGMA wal_checkpoint(TRUNCATE)",
		&l.touch:    "UPDATE installation SET revision = revision + 1",
	} {
		var err error
		if *into, err = c.prepare(query); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// tidy moves the log into the database file when it has grown.
func (l *log) tidy() {
	n, err := l.conn.written()
	if l.written += n; err == nil && l.written < l.after {
		return
	}
	l.written = 0
	pages, _, err := checkpoint(l.beside)
	if err == nil && pages > int64(l.most) {
		_, _, err = checkpoint(l.restart)
	}
	if err != nil {
		l.doubt(err)
		l.out.Warn("checkpoint failed", "error", err)
	}
}

// doubt notes that the log may not be on the disk as it seems.
func (l *log) doubt(err error) { l.doubted = err }

// sync sets whether commits are fsynced from now on.
func (l *log) sync(durable bool) error {
	if durable == l.synced {
		return nil
	}
	level := "NORMAL"
	if durable {
		level = "FULL"
	}
	if err := l.conn.pragma("synchronous = " + level); err != nil {
		return err
	}
	l.synced = durable
	return nil
}

// sound returns nil when the log is in no doubt, and tries to settle it.
func (l *log) sound() error {
	if l.doubted == nil {
		return nil
	}
	if err := l.settle(); err != nil {
		return fmt.Errorf("the log is in doubt: %w; settle it: %w", l.doubted, err)
	}
	l.doubted = nil
	return nil
}

// settle moves the log into the database file, fsyncs that, and cuts off the log
// with whatever is left of a failed commit. The cut is durable once a commit has
// begun the log anew.
func (l *log) settle() error {
	_, busy, err := checkpoint(l.truncate)
	if err != nil {
		return err
	}
	if busy {
		return errors.New("a reader is in the way")
	}
	if err := l.sync(true); err != nil {
		return err
	}
	_, err = l.touch.run()
	return err
}

// checkpoint returns how many pages the log holds and whether readers kept the
// checkpoint from doing all it was asked for.
func checkpoint(mode *stmt) (pages int64, busy bool, err error) {
	row, err := mode.first()
	if err != nil {
		return 0, false, err
	}
	return row[1].(int64), row[0].(int64) != 0, nil
}
