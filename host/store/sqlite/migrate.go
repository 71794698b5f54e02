package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// applicationID is what the first migration writes into the file's header.
const applicationID = 0x50617463

// busyTimeout is how long a connection waits for a lock, in milliseconds. Only
// readers and a checkpoint that waits for them ever meet.
const busyTimeout = "_pragma=busy_timeout(2000)"

// dsn names the file for the driver, with these parameters.
func (c Config) dsn(path, params string) string {
	if c.vfs != "" {
		params += "&vfs=" + c.vfs
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + busyTimeout + "&" + params
}

// migrate brings the schema up to date, on a connection of its own.
func migrate(ctx context.Context, path string, cfg Config) (err error) {
	connector, err := sqlite.NewConnector(cfg.dsn(path, "_txlock=immediate&_pragma=synchronous(FULL)"))
	if err != nil {
		return err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := checkOurs(ctx, db); err != nil {
		return err
	}
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, folder,
		goose.WithLogger(goose.NopLogger()), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	has, knows, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if has > knows {
		return newer(has, knows)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema from version %d to %d: %w", has, knows, err)
	}
	return nil
}

// checkOurs refuses a database of another program, and turns on the write-ahead
// log, which stays on.
func checkOurs(ctx context.Context, db *sql.DB) error {
	if err := ours(ctx, db); err != nil {
		return err
	}
	var mode string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode); err != nil {
		return fmt.Errorf("turn on the write-ahead log: %w", err)
	}
	if mode != "wal" {
		return fmt.Errorf("its file system does not bear a write-ahead log (journal mode %q)", mode)
	}
	return nil
}

// ours refuses a database of another program.
func ours(ctx context.Context, db *sql.DB) error {
	var id, tables int64
	if err := db.QueryRowContext(ctx, "PRAGMA application_id").Scan(&id); err != nil {
		return fmt.Errorf("read its header: %w", err)
	}
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables); err != nil {
		return fmt.Errorf("read its tables: %w", err)
	}
	if id != applicationID && (id != 0 || tables > 0 && !begun(ctx, db)) {
		return errors.New("it is a database of another program")
	}
	return nil
}

// begun reports whether all there is is the migrations' own table: a first start
// that was cut short.
func begun(ctx context.Context, db *sql.DB) bool {
	var others int
	err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema
		WHERE name NOT IN ('goose_db_version', 'sqlite_sequence')`).Scan(&others)
	return err == nil && others == 0
}

// openReads opens the pool of reading connections.
func openReads(path string, cfg Config) (*sql.DB, error) {
	connector, err := sqlite.NewConnector(cfg.dsn(path, "_query_only=1"))
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(cfg.Readers)
	db.SetMaxIdleConns(cfg.Readers)
	return db, nil
}
