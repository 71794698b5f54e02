package sqlite

import (
	"context"
	"fmt"
)

// PinPackage implements store.Registry.
func (db *DB) PinPackage(ctx context.Context, name, version, digest string) (pinned string, err error) {
	err = db.writer.submit(ctx, false, func(t *tx) error {
		if _, err := t.stmts.pin.run(name, version, digest); err != nil {
			return err
		}
		pinned, err = text(t.stmts.pinned, name, version)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("pin package %s %s: %w", name, version, err)
	}
	return pinned, nil
}

// RepinPackage implements store.Registry.
func (db *DB) RepinPackage(ctx context.Context, name, version, digest string) error {
	err := db.writer.submit(ctx, false, func(t *tx) error {
		_, err := t.stmts.repin.run(name, version, digest)
		return err
	})
	if err != nil {
		return fmt.Errorf("pin package %s %s again: %w", name, version, err)
	}
	return nil
}

// Identity implements store.Registry.
func (db *DB) Identity(ctx context.Context) (identity string, err error) {
	err = db.read(ctx, "read the store's identity", func() error {
		return db.reads.QueryRowContext(ctx, "SELECT identity FROM installation").Scan(&identity)
	})
	return identity, err
}

// Fact implements store.Registry.
func (db *DB) Fact(ctx context.Context, name, value string) (stands string, err error) {
	err = db.writer.submit(ctx, false, func(t *tx) error {
		if _, err := t.stmts.fact.run(name, value); err != nil {
			return err
		}
		stands, err = text(t.stmts.stands, name)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("record fact %s: %w", name, err)
	}
	return stands, nil
}

// text returns the one text that the statement selects.
func text(from *stmt, key ...any) (string, error) {
	row, err := from.first(key...)
	if err != nil {
		return "", err
	}
	return row[0].(string), nil
}
