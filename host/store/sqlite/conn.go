package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"modernc.org/sqlite"
)

// conn is the writer's connection. It speaks to the driver itself: database/sql
// is made for pools, and its locks and conversions cost a tenth of a write. One
// goroutine uses it.
type conn struct {
	conn  driver.Conn
	stmts []*stmt
}

func connect(ctx context.Context, dsn string) (*conn, error) {
	connector, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	c, err := connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{conn: c}, nil
}

// close closes the statements and the connection.
func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.stmt.Close())
	}
	return errors.Join(append(errs, c.conn.Close())...)
}

// prepare returns a statement that lives as long as the connection.
func (c *conn) prepare(query string) (*stmt, error) {
	s, err := c.conn.(driver.ConnPrepareContext).PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare %q: %w", query, err)
	}
	made := &stmt{text: query, stmt: s, exec: s.(driver.StmtExecContext), query: s.(driver.StmtQueryContext)}
	c.stmts = append(c.stmts, made)
	return made, nil
}

// pragma runs a pragma that acts while it is compiled, so it cannot be prepared.
func (c *conn) pragma(text string) error {
	_, err := c.conn.(driver.ExecerContext).ExecContext(context.Background(), "PRAGMA "+text, nil)
	return err
}

// written returns how many pages were written since the last call.
func (c *conn) written() (int, error) {
	n, _, err := c.conn.(sqlite.DBStatus).Status(sqlite.DBStatusCacheWrite, true)
	return n, err
}

// stmt is a prepared statement of the writer's connection.
type stmt struct {
	text  string
	stmt  driver.Stmt
	exec  driver.StmtExecContext
	query driver.StmtQueryContext
	args  []driver.NamedValue // reused from run to run
	row   []driver.Value
}

func (s *stmt) bind(args []any) []driver.NamedValue {
	for len(s.args) < len(args) {
		s.args = append(s.args, driver.NamedValue{Ordinal: len(s.args) + 1})
	}
	for i, arg := range args {
		s.args[i].Value = arg
	}
	return s.args[:len(args)]
}

// run runs the statement and returns how many rows it changed. Arguments are
// int64, string, []byte or nil.
func (s *stmt) run(args ...any) (int64, error) {
	res, err := s.exec.ExecContext(context.Background(), s.bind(args))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// first returns the columns of the first row, nil when there is none. The slice is
// overwritten by the next call.
func (s *stmt) first(args ...any) (_ []driver.Value, err error) {
	rows, err := s.query.QueryContext(context.Background(), s.bind(args))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	if s.row == nil {
		s.row = make([]driver.Value, len(rows.Columns()))
	}
	switch err := rows.Next(s.row); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return s.row, nil
}

// code returns SQLite's extended result code of the error, 0 for any other error.
func code(err error) int {
	var coded *sqlite.Error
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return 0
}
