package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// Inspection is what Inspect finds in a database file.
type Inspection struct {
	// Empty is a file without a byte or without a finished schema, such as a first
	// start that was cut short leaves behind. The rest is zero then.
	Empty bool
	// Schema is the version of the schema.
	Schema int64
	// Facts are the facts of the installation (store.Registry).
	Facts map[string]string
	// Pins are the digests of the adapter versions that hosts have seen
	// (store.Registry).
	Pins map[AdapterVersion]string
}

// AdapterVersion is a version of an adapter.
type AdapterVersion struct{ Name, Version string }

// ErrPartial is a database that cannot be looked into without changing a file: it
// has a write-ahead log without the index that belongs to it, as in a copy. The
// next start makes that index.
var ErrPartial = errors.New("its log cannot be read without making a file; the next start does")

// Inspect looks into a database that no host uses, and changes nothing. It fails
// when the file cannot be read, is no Patchbay database, is cut off, or was written
// by a newer Patchbay; with fs.ErrNotExist when there is none, and with ErrPartial.
// It reads a few pages only: a sound Inspection says little of the rest.
func Inspect(ctx context.Context, path string) (Inspection, error) {
	found, err := inspect(ctx, path)
	if err != nil {
		return Inspection{}, fmt.Errorf("inspect ledger %s: %w", path, err)
	}
	return found, nil
}

func inspect(ctx context.Context, path string) (found Inspection, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return found, err
	}
	params, err := untouched(path)
	if err != nil {
		return found, err
	}
	connector, err := sqlite.NewConnector(Config{}.dsn(path, params))
	if err != nil {
		return found, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := ours(ctx, db); err != nil {
		return found, err
	}
	if found.Empty = begun(ctx, db); found.Empty {
		return found, nil
	}
	if err := db.QueryRowContext(ctx, "SELECT max(version_id) FROM goose_db_version").Scan(&found.Schema); err != nil {
		return found, fmt.Errorf("read the schema's version: %w", err)
	}
	known, err := knownSchema()
	if err != nil {
		return found, err
	}
	if found.Schema > known {
		return found, newer(found.Schema, known)
	}
	if found.Facts, err = facts(ctx, db); err != nil {
		return found, err
	}
	found.Pins, err = pins(ctx, db)
	return found, err
}

// untouched returns the parameters with which SQLite leaves every file as it is.
func untouched(path string) (params string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("it is no regular file")
	}
	log, err := os.Stat(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) || err == nil && log.Size() == 0 {
		return "mode=ro&immutable=1", nil
	}
	if err != nil {
		return "", err
	}
	// The index is read, or made in memory when it does not fit the log.
	if _, err := os.Stat(path + "-shm"); errors.Is(err, fs.ErrNotExist) {
		return "", ErrPartial
	} else if err != nil {
		return "", err
	}
	return "mode=ro&readonly_shm=1&_query_only=1", nil
}

func facts(ctx context.Context, db *sql.DB) (map[string]string, error) {
	out := map[string]string{}
	err := eachRow(ctx, db, "SELECT name, value FROM facts", func(scan func(...any) error) error {
		var name, value string
		err := scan(&name, &value)
		out[name] = value
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the facts: %w", err)
	}
	return out, nil
}

func pins(ctx context.Context, db *sql.DB) (map[AdapterVersion]string, error) {
	out := map[AdapterVersion]string{}
	err := eachRow(ctx, db, "SELECT name, version, digest FROM pins", func(scan func(...any) error) error {
		var of AdapterVersion
		var digest string
		err := scan(&of.Name, &of.Version, &digest)
		out[of] = digest
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the packages' digests: %w", err)
	}
	return out, nil
}

// eachRow gives take every row of a query, until it fails.
func eachRow(ctx context.Context, db *sql.DB, query string, take func(scan func(...any) error) error) (err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := take(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// knownSchema returns the newest version of the schema that this build knows.
func knownSchema() (int64, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	var newest int64
	for _, name := range names {
		version, err := goose.NumericComponent(name)
		if err != nil {
			return 0, fmt.Errorf("read migrations: %w", err)
		}
		newest = max(newest, version)
	}
	return newest, nil
}

// newer is the error of a database that a newer Patchbay wrote.
func newer(has, knows int64) error {
	return fmt.Errorf("its schema has version %d and this patchbay knows up to %d: run the newer patchbay", has, knows)
}
